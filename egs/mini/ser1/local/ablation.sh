#!/usr/bin/env bash
# What gender and words add, for each pooling: one command, one table.
#   local/ablation.sh --text-encoder hf:<folder of all-MiniLM-L6-v2>
set -euo pipefail
PROGRAM=local/ablation.sh

text_encoder=
text_options="--normalise true"
upstreams="fbank"
config=conf/attributes.yaml
poolings="mean std_per_layer mean+std:0"
told="plain gender text both"
gender=concatenate
source=true
text=concatenate
data_sets="train validation test"
seeds="0"
train_options="--model.standardise quantile"
out=exp/ablation
help_message="Usage: local/ablation.sh --text-encoder hf:<folder or hub name> [options]
Makes data, features and embeddings of text (./run.sh, to stage 4), then trains, predicts and scores
upstream x pooling x what the model is told, and prints the table.

  --text-encoder NAME         hf:<folder or hub name>
  --text-options \"...\"        for 'ser text'
  --upstreams \"A B\"           as those of ./run.sh; folders of feats/ are theirs
  --config FILE               of 'ser train'
  --poolings \"A B\"            mean, std_per_layer, mean+std:<layer>, which is exact for one layer
  --told \"A B\"                plain gender text both
  --gender FUSION             concatenate add film
  --source SOURCE             true or predicted gender
  --text FUSION               concatenate cross_attention
  --data-sets \"A B C\"         training, validation and test sets
  --seeds \"0 1\"               seeds of the training
  --train-options \"...\"       for every 'ser train'
  --out DIR                   for experiments; the table is written there too"

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=../../../../utils/parse_options.sh
. utils/parse_options.sh
die() { echo "$PROGRAM: error: $1" >&2 && exit 2; }
(($# == 0)) || die "'$1' is no option. See '$PROGRAM --help'."
[[ -n $text_encoder ]] || die "--text-encoder is wanted, hf:<folder or hub name>. See '$PROGRAM --help'."

./run.sh --stop-stage extract-text --text-encoder "$text_encoder" --text-options "$text_options" --upstreams "$upstreams"
# shellcheck source=../../../TEMPLATE/ser1/path.sh
. ./path.sh
# shellcheck source=../../../../utils/upstream_names.sh
. utils/upstream_names.sh

read -ra sets <<<"$data_sets"
read -ra told_words <<<"$told"
read -ra pooling_words <<<"$poolings"
read -ra seed_words <<<"$seeds"
read -ra train_words <<<"$train_options"
names_and_tags "$text_encoder" "" && text_tag=${tags[0]}
names_and_tags "$upstreams" "" # sets tags
((${#sets[@]} > 2)) || die "--data-sets wants training, validation and test sets, not '$data_sets'."

list() { # prefix set...: [prefix/a,prefix/b]
  local joined
  joined=$(printf ",$1/%s" "${@:2}")
  printf '[%s]\n' "${joined:1}"
}

options_of() { # what the model is told: sets told_options
  told_options=()
  case $1 in plain | gender | text | both) ;; *) die "--told: '$1' is none of plain, gender, text, both." ;; esac
  [[ $1 != gender && $1 != both ]] || told_options+=(--gender.fusion "$gender" --gender.source "$source")
  [[ $1 != text && $1 != both ]] || told_options+=(
    --text.fusion "$text" --text-feats "feats/$text_tag/${sets[0]}"
    --validation-text-feats "feats/$text_tag/${sets[1]}" --test-text-feats "$(list "feats/$text_tag" "${sets[@]:2}")"
  )
}

scored=()
for tag in "${tags[@]}"; do
  for pooling in "${pooling_words[@]}"; do
    pooled=(--model.pooling "${pooling%%:*}")
    [[ $pooling != *:* ]] || pooled+=(--model.layer "${pooling##*:}")
    for what in "${told_words[@]}"; do
      options_of "$what"
      exp=$out/${tag}_${pooling//[+:]/_}_$what
      for seed in "${seed_words[@]}"; do
        ser train --config "$config" --data "data/${sets[0]}" --feats "feats/$tag/${sets[0]}" \
          --validation-data "data/${sets[1]}" --validation-feats "feats/$tag/${sets[1]}" \
          --test-data "$(list data "${sets[@]:2}")" --test-feats "$(list "feats/$tag" "${sets[@]:2}")" \
          --exp "$exp" --seed "$seed" --name "${pooling%%:*}, $what" "${pooled[@]}" \
          ${told_options[@]+"${told_options[@]}"} ${train_words[@]+"${train_words[@]}"}
      done
      ser predict "$exp"
      for set in "${sets[@]:2}"; do ser score "$exp" --data "data/$set" --set "$set"; done
      scored+=("$exp")
    done
  done
done
ser benchmark table "${scored[@]}" --out "$out" --title "What gender and words add, by pooling" \
  --command "local/ablation.sh --text-encoder hf:<folder>/$text_tag"
