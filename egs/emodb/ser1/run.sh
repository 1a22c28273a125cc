#!/usr/bin/env bash
# EmoDB: real acted German speech, leave one speaker out. Needs --db-root <folder>; options: ./run.sh --help
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

exec ./ser.sh \
  --title "EmoDB, leave one speaker out: upstreams" \
  --corpus-home "EmoDB is free (CC0-1.0, 48 MB) at http://emodb.bilderbar.info; the folder is the one that holds wav/." \
  --local-data "ser prepare emodb" \
  --data-sets all \
  --upstreams "fbank mfcc egemaps" \
  --train-configs "conf/emotion.yaml conf/emotion_mlp.yaml conf/emotion_spknorm.yaml conf/naturalness.yaml" \
  -- "$@"
