#!/usr/bin/env bash
# EmoDB with utt2dialogue and utt2turn: pseudo-dialogues of up to 12 utterances of one speaker, in an order drawn by seed.
# Stage 1 calls it as local/data.sh --db-root <folder> --out data.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
db_root=
out=data
help_message="Usage: local/data.sh --db-root DIR [--out data]"
# shellcheck source=../utils/parse_options.sh
. utils/parse_options.sh
ser prepare emodb --db-root "$db_root" --out "$out/emodb"
ser prepare pseudo "$out/emodb/all" "$out/all" --turns 12
