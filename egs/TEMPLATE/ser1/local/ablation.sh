#!/usr/bin/env bash
# What gender and words add, for each pooling (Diatlova et al., Odyssey 2024): one command, one table.
#   local/ablation.sh --text-encoder hf:<folder of all-MiniLM-L6-v2>                          # on pooled features
#   local/ablation.sh --text-encoder hf:<...> --finetune-upstream hf:<folder of WavLM-large>  # end to end
# A recipe's own defaults: conf/ablation.conf.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/common.sh"

text_encoder=
text_options="--normalise true"
recipe_options=
upstreams="fbank"
config=conf/attributes.yaml
train_options="--model.standardise quantile"
finetune_upstream=
finetune_config=conf/finetune.yaml
finetune_options=
poolings=
told="plain gender text both"
gender=concatenate
gender_source=
text=concatenate
data_sets="train validation test"
seeds="0"
fuse=
out=
help_message="Usage: local/ablation.sh --text-encoder hf:<folder or hub name> [options]
Makes data, features and embeddings of text (./run.sh, to stage 4), then trains, predicts and scores every
pooling with every thing that the model is told, and prints the table.

  --text-encoder NAME         hf:<folder or hub name>
  --text-options \"...\"        for 'ser text'
  --recipe-options \"...\"      for ./run.sh: --db-root DIR, --prepare-options='...'
  --told \"A B\"                plain gender text both
  --gender FUSION             concatenate add film
  --gender-source SOURCE      true, the default, or predicted
  --text FUSION               concatenate cross_attention
  --data-sets \"A B C\"         training, validation and test sets, or one that is cross-validated
  --seeds \"0 1\"               seeds of the training
  --fuse METRIC               the systems of each table fused as well, with weights for this metric (docs/fusion.md)
  --out DIR                   for experiments; the table is written there too (exp/ablation, exp/ablation_finetuned)

On pooled features:
  --upstreams \"A B\"           as those of ./run.sh
  --config FILE               of 'ser train'
  --train-options \"...\"       for every 'ser train'
  --poolings \"A B\"            mean, std_per_layer, or of one layer mean+std:<layer>

End to end, an encoder being fine-tuned:
  --finetune-upstream NAME    the encoder, hf:<folder>
  --finetune-config FILE      of 'ser finetune'
  --finetune-options \"...\"    for every 'ser finetune'
  --poolings \"A B\"            mean attention mean+std attentive, all of frames"

[[ ! -f conf/ablation.conf ]] || set -- --config conf/ablation.conf "$@"
# shellcheck source=../../../../utils/parse_options.sh
. utils/parse_options.sh
(($# == 0)) || die "'$1' is no option. See '$PROGRAM --help'."
[[ -n $text_encoder ]] || die "--text-encoder is wanted, hf:<folder or hub name>. See '$PROGRAM --help'."
read -ra sets <<<"$data_sets"
read -ra told_words <<<"$told"
read -ra seed_words <<<"$seeds"
read -ra recipe_words <<<"$recipe_options"
read -ra train_words <<<"$train_options"
read -ra finetune_words <<<"$finetune_options"
((${#sets[@]} == 1 || ${#sets[@]} > 2)) || die "--data-sets is one set, or training, validation and test sets, not '$data_sets'."
for word in "${told_words[@]}"; do
  case $word in plain | gender | text | both) ;; *) die "--told: '$word' is none of plain, gender, text, both." ;; esac
done
if [[ -n $finetune_upstream ]]; then
  [[ -f $finetune_config ]] || die "--finetune-config: there is no file '$finetune_config'."
  upstreams=""
fi

# shellcheck source=../../../../utils/upstream_names.sh
. utils/upstream_names.sh
names_and_tags "$text_encoder" "" && text_tag=${tags[0]} text_encoder=${names[0]}
./run.sh --stop-stage extract-text --text-encoder "$text_encoder" --text-options "$text_options" --upstreams "$upstreams" \
  --train-configs "" --data-sets "$data_sets" ${recipe_words[@]+"${recipe_words[@]}"}
# shellcheck source=../path.sh
SER_INSTALL=false . ./path.sh

tests=("${sets[@]:2}")
of_sets() { # option's name, prefix: sets found to the options that name the folders of all sets
  found=("--$1" "$2/${sets[0]}")
  ((${#sets[@]} == 1)) || found+=("--validation-$1" "$2/${sets[1]}" "--test-$1" "$(list "$2" "${tests[@]}")")
}

options_of() { # what the model is told: sets told_options
  local found
  told_options=()
  [[ $1 != gender && $1 != both ]] || told_options+=(--gender.fusion "$gender" --gender.source "${gender_source:-true}")
  [[ $1 == text || $1 == both ]] || return 0
  of_sets text-feats "feats/$text_tag"
  told_options+=(--text.fusion "$text" "${found[@]}")
}

scored=()
one() { # experiment, name, verb and options...: trains every seed, predicts, scores
  local exp=$1 name=$2 seed
  shift 2
  for seed in "${seed_words[@]}"; do ser "$@" --exp "$exp" --seed "$seed" --name "$name"; done
  ser predict "$exp"
  if ((${#sets[@]} == 1)); then
    ser score "$exp" --data "data/${sets[0]}"
  else
    for set in "${tests[@]}"; do ser score "$exp" --data "data/$set" --set "$set"; done
  fi
  scored+=("$exp")
}

each_told() { # experiment's stem, pooling's name, verb and options...
  local what stem=$1 pooling=$2
  shift 2
  for what in "${told_words[@]}"; do
    options_of "$what"
    one "${stem}_$what" "$pooling, $what" "$@" ${told_options[@]+"${told_options[@]}"}
  done
}

of_sets data data && data_options=("${found[@]}")
if [[ -n $finetune_upstream ]]; then
  out=${out:-exp/ablation_finetuned}
  names_and_tags "$finetune_upstream" ""
  encoder=${names[0]} tag=${tags[0]}
  read -ra pooling_words <<<"${poolings:-mean attention mean+std attentive}"
  for pooling in "${pooling_words[@]}"; do
    each_told "$out/${tag}_${pooling//+/_}" "$pooling" finetune --config "$finetune_config" --upstream "$encoder" \
      "${data_options[@]}" --pooling.method "$pooling" ${finetune_words[@]+"${finetune_words[@]}"}
  done
else
  out=${out:-exp/ablation}
  names_and_tags "$upstreams" ""
  read -ra pooling_words <<<"${poolings:-mean std_per_layer}"
  for tag in "${tags[@]}"; do
    of_sets feats "feats/$tag"
    for pooling in "${pooling_words[@]}"; do
      pooled=(--model.pooling "${pooling%%:*}")
      [[ $pooling != *:* ]] || pooled+=(--model.layer "${pooling##*:}")
      each_told "$out/${tag}_${pooling//[+:]/_}" "${pooling%%:*}" train --config "$config" "${data_options[@]}" "${found[@]}" \
        "${pooled[@]}" ${train_words[@]+"${train_words[@]}"}
    done
  done
fi

if [[ -n $fuse ]]; then
  members=("${scored[@]}")
  rm -rf "$out/fused"
  ser fuse "${members[@]}" --out "$out/fused" --rule weights --metric "$fuse"
  if ((${#sets[@]} == 1)); then
    ser score "$out/fused" --data "data/${sets[0]}"
  else
    for set in "${tests[@]}"; do ser score "$out/fused" --data "data/$set" --set "$set"; done
  fi
  scored+=("$out/fused")
fi
ser benchmark table "${scored[@]}" --out "$out" --title "What gender and words add, by pooling" \
  --command "local/ablation.sh --text-encoder hf:<folder>/$text_tag${finetune_upstream:+ --finetune-upstream hf:<folder>/$tag}"
