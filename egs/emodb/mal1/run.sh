#!/usr/bin/env bash
# Pseudo-dialogues: EmoDB's single utterances, strung together by speaker. Real speech; nobody converses in it.
# Needs --db-root <folder>; options: ./run.sh --help
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

exec ./mal.sh \
  --title "EmoDB, pseudo-dialogues by speaker, leave one speaker out: memory, and what it is compared with" \
  --corpus-home "EmoDB is free (CC0-1.0, 48 MB) at http://emodb.bilderbar.info; the folder is the one that holds wav/." \
  --local-data "bash local/data.sh" \
  --data-sets all \
  --upstreams "fbank" \
  --memory-configs "conf/memory.yaml conf/mean.yaml conf/gru.yaml conf/concatenated.yaml conf/none.yaml" \
  --ablate-configs "conf/memory.yaml" \
  --cluster speaker \
  -- "$@"
