#!/usr/bin/env bash
# The baseline of the Odyssey 2024 challenge: fine-tuned, scored on Development, its published figures beside ours,
# and Test3 as submissions.
#   local/odyssey.sh --upstream hf:<folder of WavLM-large> -- --db-root <folder> ...    # what follows -- is for ./run.sh
set -euo pipefail
# shellcheck source=../../../TEMPLATE/ser1/local/common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../../TEMPLATE/ser1/local/common.sh"

upstream=
configs="conf/odyssey_categorical.yaml conf/odyssey_attributes.yaml"
single_task=false
protocol=odyssey2024
out=exp/odyssey
help_message="Usage: $PROGRAM --upstream hf:<folder of WavLM-large> [options] -- [options of ./run.sh]
  --upstream NAME       the encoder
  --configs \"A B\"       of 'ser finetune'
  --single-task         one attribute at a time as well
  --protocol NAME       of 'ser prepare msp_podcast'; nothing for the release's own sets
  --out DIR             for the table"
# shellcheck source=../../../../utils/parse_options.sh
. utils/parse_options.sh
[[ -n $upstream ]] || die "--upstream is wanted, hf:<folder of WavLM-large>. See '$PROGRAM --help'."

prepare=()
[[ -z $protocol ]] || prepare=(--prepare-options "--protocol $protocol")
if [[ $single_task == true ]]; then
  mkdir -p exp/conf
  for attribute in arousal valence dominance; do # a file each, so that each is an experiment
    one=exp/conf/odyssey_$attribute.yaml
    sed -e "s/^name: .*/name: Odyssey 2024 baseline, $attribute alone/" -e "s/attributes: \[.*/attributes: [$attribute]/" \
      conf/odyssey_attributes.yaml >"$one.new" && mv "$one.new" "$one"
    configs+=" $one"
  done
fi
./run.sh --upstreams "" --train-configs "" --data-sets "train validation test3" ${prepare[@]+"${prepare[@]}"} \
  --finetune-upstreams "$upstream" --finetune-configs "$configs" --predict-options "--parts [validation,test]" "$@"
# shellcheck source=../path.sh
SER_INSTALL=false . ./path.sh
# shellcheck source=../../../../utils/upstream_names.sh
. utils/upstream_names.sh

# Development is the validation set, which stage 12 does not score: its labels have chosen the epoch, here as there.
names_and_tags "$upstream" ""
rm -rf "$out"
scored=()
for config in $configs; do
  name=${tags[0]}_$(basename "$config" .yaml)
  ser score "exp/$name" --data data/validation --set validation
  mkdir -p "$out/$name"
  mv "exp/$name/scores_validation.json" "$out/$name/"
  scored+=("$out/$name")
done
ser benchmark table "${scored[@]}" --out "$out" --title "The Odyssey 2024 challenge's baseline" --quoted conf/quoted.yaml \
  --command "local/odyssey.sh --upstream hf:<folder>/${tags[0]} -- --db-root <folder>"
