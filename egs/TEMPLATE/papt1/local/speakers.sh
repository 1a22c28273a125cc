#!/usr/bin/env bash
# Speaker-dependent against speaker-independent training as the number of training speakers grows.
#   local/speakers.sh                       # after ./run.sh --stop-stage extract
# A recipe's own defaults: conf/speakers.conf.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/common.sh"

upstream="fbank"
train_config=conf/attributes.yaml
data_sets="train validation test"
speakers="4,8,16,32"
draws=3
out=exp/speakers
help_message="Usage: $PROGRAM [options]
  --upstream TAG         folder of feats/
  --train-config FILE    of 'ser train'
  --data-sets \"A B\"      sets whose speakers are put together
  --speakers \"4,8,most\"  numbers of training speakers; most: as many as there can be, and none above
  --draws N              divisions of speakers and utterances
  --out DIR              for the table and the pictures"

[[ ! -f conf/speakers.conf ]] || set -- --config conf/speakers.conf "$@"
# shellcheck source=../../../../utils/parse_options.sh
. utils/parse_options.sh
(($# == 0)) || die "'$1' is no option. See 'local/speakers.sh --help'."
# shellcheck source=../../ser1/path.sh
. ./path.sh

read -ra sets <<<"$data_sets"
ser benchmark speakers --config "$train_config" --data "$(list data "${sets[@]}")" \
  --feats "$(list "feats/$upstream" "${sets[@]}")" --speakers "$speakers" --draws "$draws" --out "$out"
