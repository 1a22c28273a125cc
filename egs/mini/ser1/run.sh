#!/usr/bin/env bash
# Synthetic speech, made here by espeak-ng; nothing is downloaded. Needs nothing; options: ./run.sh --help
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

exec ./ser.sh \
  --title "mini (synthetic speech): upstreams" \
  --extras espeak \
  --local-data "ser prepare mini" \
  --data-sets "train validation test" \
  --upstreams "fbank mfcc" \
  --train-configs "conf/emotion.yaml conf/attributes.yaml" \
  -- "$@"
