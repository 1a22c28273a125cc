#!/usr/bin/env bash
# IEMOCAP: acted English dialogues, five folds by session. Needs --db-root <folder>; options: ./run.sh --help
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

exec ./ser.sh \
  --title "IEMOCAP, five folds by session: upstreams" \
  --corpus-home "IEMOCAP is to be had by request at https://sail.usc.edu/iemocap/iemocap_release.htm; the folder is the one that holds Session1 to Session5." \
  --local-data "ser prepare iemocap" \
  --data-sets all \
  --upstreams "fbank" \
  --train-configs "conf/emotion.yaml conf/attributes.yaml" \
  -- "$@"
