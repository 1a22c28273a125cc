#!/usr/bin/env bash
# The grid of variations: how far does one get with frozen features and little compute?
#   local/grid.sh                                # after ./run.sh --stop-stage extract
#   local/grid.sh --encoders "scratch papt papt_finetune"   # frozen, PAPT and fine-tuned encoders (after ./run.sh)
# A recipe's own defaults: conf/grid.conf.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/common.sh"

encoders="fbank"
interpreters="interpreter transformer"
representations="none mean max projection embedding"
placements=
calibrate="sigma"
data_sets="train validation test"
seeds="0"
out=exp/grid
help_message="Usage: $PROGRAM [options]
Trains, predicts, calibrates and scores every cell of
encoder x interpreter x speaker representation x placement, each with and without PLDC, and prints the table.

  --encoders \"A B\"            folders of feats/, or experiments of exp/ that were fine-tuned end to end: the
                              encoder of their first fold, whose features are made here
  --interpreters \"A B\"        files of conf/grid/
  --representations \"A B\"     none mean max projection embedding
  --placements \"A B\"          last concatenate prefix; by default last for the MLP, prefix for the Transformer.
                              prefix is for the Transformer only; first wants a trained encoder (ser papt)
  --calibrate \"A B\"           sigma mu both, or nothing
  --data-sets \"A B C\"         training, validation and test sets
  --seeds \"0 1\"               seeds of the training
  --out DIR                   for experiments; the table is written there too"

[[ ! -f conf/grid.conf ]] || set -- --config conf/grid.conf "$@"
# shellcheck source=../../../../utils/parse_options.sh
. utils/parse_options.sh
(($# == 0)) || die "'$1' is no option. See 'local/grid.sh --help'."
# shellcheck source=../../ser1/path.sh
. ./path.sh

read -ra sets <<<"$data_sets"
read -ra shifts <<<"$calibrate"
read -ra seed_words <<<"$seeds"
((${#sets[@]} > 2)) || die "--data-sets wants training, validation and test sets."
tests=("${sets[@]:2}")

features() { # encoder: those of a fine-tuned one, once
  local set fold
  [[ -d exp/$1/seed0 ]] || return 0
  fold=$(find "exp/$1/seed0" -name model.safetensors -printf '%h\n' | LC_ALL=C sort | sed -n 1p)
  [[ -n $fold ]] || die "there is no model in exp/$1: ./run.sh has not come to its end."
  for set in "${sets[@]}"; do # what is there already is seen and left
    run.sh "log/grid.sh/extract_$1_$set.log" ser extract "data/$set" "feats/$1/$set" --upstream "finetuned:$fold"
  done
}

cell() { # encoder interpreter representation placement
  local exp=$out/$1_$2_$3 seed shift
  [[ $3 == none ]] || exp+=_$4
  for seed in "${seed_words[@]}"; do
    run.sh "log/grid.sh/train_${exp##*/}_seed$seed.log" ser train --config "conf/grid/$2.yaml" \
      --speaker.representation "$3" --speaker.placement "$4" --data "data/${sets[0]}" --feats "feats/$1/${sets[0]}" \
      --validation-data "data/${sets[1]}" --validation-feats "feats/$1/${sets[1]}" \
      --test-data "$(list data "${tests[@]}")" --test-feats "$(list "feats/$1" "${tests[@]}")" \
      --exp "$exp" --seed "$seed"
  done
  run.sh "log/grid.sh/predict_${exp##*/}.log" ser predict "$exp" --parts '[train,validation,test]'
  score "$exp" "${tests[@]}"
  experiments+=("$exp")
  for shift in ${shifts[@]+"${shifts[@]}"}; do
    run.sh "log/grid.sh/calibrate_${exp##*/}_$shift.log" ser calibrate "$exp" --out "${exp}_pldc_$shift" --shift "$shift"
    score "${exp}_pldc_$shift" "${tests[@]}"
    experiments+=("${exp}_pldc_$shift")
  done
}

mkdir -p log/grid.sh
experiments=()
for encoder in $encoders; do
  features "$encoder"
  for interpreter in $interpreters; do
    usual=last
    [[ $interpreter != transformer ]] || usual=prefix
    for representation in $representations; do
      for placement in ${placements:-$usual}; do
        if [[ $representation == none ]]; then
          cell "$encoder" "$interpreter" none last
          break
        fi
        [[ $placement != prefix || $interpreter == transformer ]] || continue
        cell "$encoder" "$interpreter" "$representation" "$placement"
      done
    done
  done
done
ser benchmark table "${experiments[@]}" --out "$out" --title "Variations: speaker representation, placement, interpreter" \
  --command "local/grid.sh --encoders \"$encoders\""
