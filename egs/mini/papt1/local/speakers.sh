#!/usr/bin/env bash
# Speaker-dependent against speaker-independent training as the number of training speakers grows.
#   local/speakers.sh                       # after ./run.sh --stop-stage extract
set -euo pipefail
PROGRAM=local/speakers.sh

upstream="fbank"
config=conf/attributes.yaml
data_sets="train validation test"
speakers="4,8,16,32"
draws=3
out=exp/speakers
help_message="Usage: local/speakers.sh [options]
  --upstream TAG         folder of feats/
  --config FILE          of 'ser train'
  --data-sets \"A B\"      sets whose speakers are put together
  --speakers \"4,8\"       numbers of training speakers
  --draws N              divisions of speakers and utterances
  --out DIR              for the table and the pictures"

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=utils/parse_options.sh
. utils/parse_options.sh
(($# == 0)) || { echo "local/speakers.sh: error: '$1' is no option. See 'local/speakers.sh --help'." >&2 && exit 2; }
# shellcheck source=path.sh
. ./path.sh

list() { # prefix set...: [prefix/a,prefix/b]
  local joined
  joined=$(printf ",$1/%s" "${@:2}")
  printf '[%s]\n' "${joined:1}"
}

read -ra sets <<<"$data_sets"
ser benchmark speakers --config "$config" --data "$(list data "${sets[@]}")" \
  --feats "$(list "feats/$upstream" "${sets[@]}")" --speakers "$speakers" --draws "$draws" --out "$out"
