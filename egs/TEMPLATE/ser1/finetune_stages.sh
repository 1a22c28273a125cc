#!/usr/bin/env bash
# Sourced by ser.sh for recipes that train encoders: fine-tuning, a part of stage 8, and what stage 9 reads of it.
#
#   exp/<encoder>_<conf>      experiments end to end, of every encoder and --finetune-configs
#
# Encoders are those of --finetune-upstreams, as they are, and those that papt_stages.sh adds.

# shellcheck disable=SC2154  # ser.sh has read the options and defined the rest
read -ra finetune_config_words <<<"$finetune_configs"
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

encoder_of() { # tag: sets encoder, its checkpoint, speaker_options
  local i
  for i in "${!encoder_tags[@]}"; do [[ ${encoder_tags[i]} == "$1" ]] && break; done
  encoder=${encoder_names[i]} encoder_checkpoint=${encoder_checkpoints[i]}
  speakers_of "$1"
}

from_encoder() { # tag: all that fine-tuning reads of data directories, audio and encoder
  local encoder encoder_checkpoint speaker_options
  encoder_of "$1"
  from_upstream "$encoder" "$encoder_checkpoint" "$1"
  ((!${#speaker_options[@]})) || from 7 "${speaker_options[1]}"
  from_audio
  from_text
}

finetune_one() { # tag config experiment
  local encoder encoder_checkpoint speaker_options where
  encoder_of "$1"
  data_options
  train_seeds from_encoder "$1" "$2" "$3" ser finetune --upstream "$encoder" "${where[@]}" ${speaker_options[@]+"${speaker_options[@]}"}
}
