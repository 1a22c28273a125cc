#!/usr/bin/env bash
# Personalisation on synthetic speech: 64 speakers of 8 families that label differently. Needs nothing; options: ./run.sh --help
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

exec ./ser.sh \
  --title "mini (synthetic speech), families of speakers: PAPT, TAPT, PLDC" \
  --extras espeak \
  --local-data "ser prepare mini --speakers 64 --families 8 --utterances 1920 --dialogues 0" \
  --data-sets "train validation test" \
  --upstreams "fbank" \
  --units "mfcc:0:100 own:3:100" \
  --papt-upstream scratch:small \
  --scratch-config conf/scratch.yaml \
  --papt-configs "conf/papt.yaml conf/tapt.yaml" \
  --train-configs "conf/attributes.yaml" \
  --finetune-configs "conf/finetune.yaml" \
  --adapt weighting \
  --calibrate "sigma mu both" \
  -- "$@"
