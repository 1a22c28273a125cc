#!/usr/bin/env bash
# Speakers whom pre-training has not heard: which embedding do they get? Compares the rules on one fine-tuned model.
#   local/unseen.sh                           # after ./run.sh with a set of new speakers (conf/unseen.conf names it)
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/common.sh"

encoder=papt
experiment=exp/papt_finetune
data_set="test"
rules="nearest knn mean zero"
k=5
calibrate="sigma"
others=
out=exp/unseen
help_message="Usage: $PROGRAM [options]
For every rule: embeddings of the set's new speakers, predictions of the model, PLDC; then one table.

  --encoder NAME        of exp/papt/, with speakers
  --experiment DIR      fine-tuned from it
  --data-set NAME       whose speakers the encoder has not heard
  --rules \"A B\"         nearest knn mean zero
  --k K                 neighbours of knn
  --calibrate \"A B\"     sigma mu both, or nothing
  --others \"A B\"        further experiments for the table: exp/tapt_finetune
  --out DIR             for experiments; the table is written there too"

[[ ! -f conf/unseen.conf ]] || set -- --config conf/unseen.conf "$@"
# shellcheck source=../../../../utils/parse_options.sh
. utils/parse_options.sh
(($# == 0)) || die "'$1' is no option. See 'local/unseen.sh --help'."
[[ -f data/$data_set/utt2spk ]] || die "there is no set data/$data_set: run ./run.sh with it in --data-sets."
[[ -f exp/papt/$encoder/encoder/config.yaml ]] || die "there is no encoder exp/papt/$encoder: run ./run.sh --stop-stage papt."
[[ -f $experiment/info.yaml ]] || die "there is no experiment $experiment: run ./run.sh with --finetune-configs."
# shellcheck source=../../ser1/path.sh
. ./path.sh

logs=log/${PROGRAM##*/}
mkdir -p "$logs" "$out"
known=exp/papt/$encoder/spk2papt # of other sets that were not heard; their speakers stay as they are
experiments=()
for rule in $rules; do
  table=$out/spk2papt.$rule name=$out/${experiment##*/}_$rule
  run.sh "$logs/speakers_$rule.log" ser speakers "data/$data_set" --upstream "papt:exp/papt/$encoder" \
    --unseen "$rule" --k "$k" --out "$table.own"
  if [[ -f $known ]]; then
    awk '!seen[$1]++' "$table.own" "$known" | LC_ALL=C sort -k1,1 >"$table.new" && mv "$table.new" "$table"
  else
    cp "$table.own" "$table"
  fi
  run.sh "$logs/predict_$rule.log" ser predict "$experiment" --parts "[train,validation,test]" \
    --speakers "$table" --into "$name"
  score "$name" "$data_set"
  experiments+=("$name")
  for shift in $calibrate; do
    run.sh "$logs/calibrate_${rule}_$shift.log" ser calibrate "$name" --out "${name}_pldc_$shift" --shift "$shift"
    score "${name}_pldc_$shift" "$data_set"
    experiments+=("${name}_pldc_$shift")
  done
done
for other in $others; do
  [[ -f $other/scores_$data_set.json ]] || die "--others: $other has no scores of $data_set."
  mkdir -p "$out/${other##*/}"
  cp "$other/scores_$data_set.json" "$out/${other##*/}/"
  experiments+=("$out/${other##*/}")
done
ser benchmark table "${experiments[@]}" --out "$out" --title "Speakers unseen in pre-training" --command "$PROGRAM"
