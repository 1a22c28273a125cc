#!/usr/bin/env bash
# Sourced by ser.sh for recipes that train encoders: fine-tuning, a part of stage 8, and what stage 9 reads of it.
#
#   exp/<encoder>_<conf>      experiments end to end, of every encoder and --finetune-configs
#
# Encoders are those of --finetune-upstreams, as they are, and those that papt_stages.sh adds.

# shellcheck disable=SC2154  # ser.sh has read the options and defined the rest
read -ra finetune_config_words <<<"$finetune_configs"
read -ra finetune_words <<<"$finetune_options"
for config in ${finetune_config_words[@]+"${finetune_config_words[@]}"}; do
  [[ -f $config ]] || die "--finetune-configs: there is no file '$config' in $recipe_dir."
done
[[ -z $finetune_configs || -n $finetune_upstreams$papt_upstream$papt_configs ]] || die "--finetune-upstreams is empty: which encoder is to be fine-tuned?"
[[ -z $finetune_upstreams || -n $finetune_configs ]] || die "--finetune-upstreams wants --finetune-configs: how are they to be fine-tuned?"

encoder_tags=() encoder_names=() encoder_checkpoints=() # a checkpoint in exp/papt is an input from stage 6
add_encoder() { # tag, upstream, its checkpoint or nothing
  [[ " ${encoder_tags[*]-} " != *" $1 "* ]] || die "two encoders would be called '$1'."
  encoder_tags+=("$1") encoder_names+=("$2") encoder_checkpoints+=("$3")
}

add_finetuned() { # encoders that are fine-tuned as they are, whose features nothing is trained on
  local names tags checkpoints i
  names_and_tags "$finetune_upstreams" "$extract_options"
  for i in "${!names[@]}"; do add_encoder "${tags[i]}" "${names[i]}" "${checkpoints[i]}"; done
}
[[ -z $finetune_upstreams ]] || add_finetuned

speakers_of() { speaker_options=(); } # tag; papt_stages.sh has encoders with speakers

each_finetuned() { # function, further arguments: calls it for every encoder and configuration
  local tag config
  for tag in ${encoder_tags[@]+"${encoder_tags[@]}"}; do
    for config in ${finetune_config_words[@]+"${finetune_config_words[@]}"}; do
      "$1" "$tag" "$config" "exp/${tag}_$(basename "$config" .yaml)" "${@:2}"
    done
  done
}

from_encoder() { # tag: all that fine-tuning reads of data directories, audio and encoder; sets encoder, speaker_options
  local i set
  for i in "${!encoder_tags[@]}"; do [[ ${encoder_tags[i]} == "$1" ]] && break; done
  encoder=${encoder_names[i]}
  from_upstream "$encoder" "${encoder_checkpoints[i]}" "$1"
  speakers_of "$1"
  ((!${#speaker_options[@]})) || from 7 "${speaker_options[1]}"
  for set in "${sets[@]}"; do
    from 1 "data/$set/wav.scp" "data/$set/utt2spk" "data/$set/labels.yaml" "data/$set/utt2*" "data/$set/spk2*"
    audio_of "$set"
  done
  from_text
}

finetune_one() { # tag config experiment
  local seed shares=$nj encoder speaker_options where=(--data "data/${sets[0]}")
  if ((${#sets[@]} > 1)); then
    where+=(--validation-data "data/${sets[1]}" --test-data "$(bracketed data "${tests[@]}")")
    shares=1 # there is one fold
  fi
  where+=(${text_train[@]+"${text_train[@]}"})
  for seed in "${seed_words[@]}"; do
    item "${3#exp/}/seed$seed"
    from_encoder "$1"
    from 0 "$2"
    setting "finetune options" "$finetune_options"
    setting release "$release"
    promise "$3/config.yaml" "$3/seed$seed/*/model.safetensors"
    clear_if_forced "$3/seed$seed"
    if todo; then
      work "$train_cmd" "JOB=1:$shares" "log/finetune_${3#exp/}_seed$seed.JOB.log" \
        ser finetune --config "$2" --upstream "$encoder" "${where[@]}" ${speaker_options[@]+"${speaker_options[@]}"} \
        --exp "$3" --seed "$seed" ${finetune_words[@]+"${finetune_words[@]}"} --nj "$shares" --job JOB
      if [[ $item_outdated == true ]]; then drop_other_seeds "$3"; fi
      item_end
    fi
  done
}
