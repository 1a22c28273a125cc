#!/usr/bin/env bash
# @CORPUS@. Needs --db-root <folder>; options: ./run.sh --help
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

exec ./ser.sh \
  --title "@CORPUS@: upstreams" \
  --corpus-home "Tell here where @CORPUS@ is to be had, and which folder is meant." \
  --local-data "@LOCAL_DATA@" \
  --data-sets "@DATA_SETS@" \
  --upstreams "fbank" \
  --train-configs "@TRAIN_CONFIGS@" \
  -- "$@"
