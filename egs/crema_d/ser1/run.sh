#!/usr/bin/env bash
# CREMA-D: acted English, 91 actors, five folds by actor. Needs --db-root <folder>; options: ./run.sh --help
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

exec ./ser.sh \
  --title "CREMA-D, five folds by actor: upstreams" \
  --corpus-home "CREMA-D (ODbL-1.0) is at https://github.com/CheyneyComputerScience/CREMA-D; clone it with Git LFS, and give the folder that holds AudioWAV/." \
  --local-data "ser prepare crema_d" \
  --data-sets all \
  --upstreams "fbank" \
  --train-configs "conf/emotion.yaml" \
  -- "$@"
