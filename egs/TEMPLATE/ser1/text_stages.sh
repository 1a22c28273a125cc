#!/usr/bin/env bash
# Sourced by ser.sh for recipes that name a --text-encoder: stage 4, and what stages 8 and 9 read of it.
#
#   feats/<text encoder>/<set>/{embedding.scp,meta.yaml}   embeddings of data/<set>/text
#
# Every 'ser train' is given them; a configuration without text.fusion leaves them out.

# shellcheck disable=SC2154  # ser.sh has read the options and defined the rest
read -ra text_option_words <<<"$text_options"
text_name="" text_tag="" text_checkpoint=""
set_text_encoder() {
  local names tags checkpoints
  [[ $text_encoder == hf:* && $text_encoder != *" "* ]] || die "--text-encoder: '$text_encoder' is not hf:<folder or hub name>."
  names_and_tags "$text_encoder" ""
  text_name=${names[0]} text_tag=${tags[0]} text_checkpoint=${checkpoints[0]}
}
set_text_encoder
[[ " ${tags[*]} " != *" $text_tag "* ]] || die "--text-encoder: '$text_tag' is an upstream's name as well."

stage_extract-text() {
  local set out command
  for set in "${sets[@]}"; do
    out=feats/$text_tag/$set
    item "$text_tag/$set"
    from 1 "data/$set/utt2spk"
    [[ ! -f data/$set/text ]] || from 1 "data/$set/text" # a set without words is met with "no text"
    from_upstream "$text_name" "$text_checkpoint" "$text_tag"
    setting "text options" "$text_options"
    setting release "$release"
    promise "$out"/{embedding.scp,embedding.ark,meta.yaml}
    clear_if_forced "$out"
    command=(ser text "data/$set" --encoder "$text_name" --out "$out" ${text_option_words[@]+"${text_option_words[@]}"})
    if todo; then
      work "$extract_cmd" "log/text_${text_tag}_$set.log" "${command[@]}"
      item_end
    fi
  done
}

from_text() { # the embeddings, as inputs of what is trained on them
  local set
  for set in "${sets[@]}"; do from 4 "feats/$text_tag/$set"/{meta.yaml,embedding.scp,embedding.ark}; done
}

text_train=(--text-feats "feats/$text_tag/${sets[0]}") # further options of 'ser train'
if ((${#sets[@]} > 1)); then
  text_train+=(--validation-text-feats "feats/$text_tag/${sets[1]}")
  text_train+=(--test-text-feats "$(bracketed "feats/$text_tag" "${tests[@]}")")
fi
