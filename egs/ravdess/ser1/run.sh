#!/usr/bin/env bash
# RAVDESS: acted English, 24 actors, six folds by actor. Needs --db-root <folder>; options: ./run.sh --help
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

exec ./ser.sh \
  --title "RAVDESS (speech), six folds by actor: upstreams" \
  --corpus-home "RAVDESS (CC-BY-NC-SA-4.0) is at https://zenodo.org/records/1188976; unpack Audio_Speech_Actors_01-24.zip, and give the folder that holds Actor_01 and so on." \
  --local-data "ser prepare ravdess" \
  --data-sets all \
  --upstreams "fbank" \
  --train-configs "conf/emotion.yaml" \
  -- "$@"
