#!/usr/bin/env bash
# Personalisation on EmoDB's ratings of naturalness, leave one speaker out. Needs --db-root <folder>; options: ./run.sh --help
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

exec ./ser.sh \
  --title "EmoDB, leave one speaker out: PAPT, TAPT, PLDC" \
  --corpus-home "EmoDB is free (CC0-1.0, 48 MB) at http://emodb.bilderbar.info; the folder is the one that holds wav/." \
  --local-data "ser prepare emodb" \
  --data-sets all \
  --upstreams "fbank" \
  --units "mfcc:0:100 own:3:100" \
  --papt-upstream scratch:small \
  --scratch-config conf/scratch.yaml \
  --papt-configs "conf/papt.yaml conf/tapt.yaml" \
  --train-configs "conf/naturalness.yaml" \
  --calibrate "sigma mu both" \
  --calibrate-options "--k 3" \
  -- "$@"
