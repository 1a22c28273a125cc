#!/usr/bin/env bash
# Sourced by ser.sh for recipes that pre-train or adapt: stages 5, 6 and 7, and adapted models in stage 8. Off where
# a recipe names none of --units, --papt-upstream, --papt-configs, --adapt.
#
#   exp/units/<upstream>_l<layer>_k<clusters>/<set>   units
#   exp/papt/<name>/encoder                           encoders, <name> being the configuration's
#   exp/<experiment>_adapt_<strategy>                 adapted to similar speakers

# shellcheck disable=SC2154,SC2004  # ser.sh has read the options and defined the rest; made_in is its associative array
read -ra units_words <<<"$units_options"
read -ra unit_specs <<<"$units"
read -ra papt_words <<<"$papt_options"
read -ra papt_sets <<<"${papt_data:-${sets[*]}}"
read -ra papt_config_words <<<"$papt_configs"
read -ra unseen_words <<<"--unseen $unseen" # which may be "knn --k 10"
read -ra adapt_words <<<"$adapt_options"
read -ra strategies <<<"$adapt"

for config in ${scratch_config:+"$scratch_config"} ${papt_config_words[@]+"${papt_config_words[@]}"}; do
  [[ -f $config ]] || die "there is no file '$config' in $recipe_dir."
done
for set in "${papt_sets[@]}"; do
  [[ " ${sets[*]} " == *" $set "* ]] || die "--papt-data: '$set' is none of the sets: ${sets[*]}."
done
for spec in ${unit_specs[@]+"${unit_specs[@]}"}; do
  [[ $spec =~ ^.+:[0-9]+:[0-9]+$ ]] || die "--units: '$spec' is not <upstream>:<layer>:<clusters>, such as mfcc:0:100."
done
[[ -z $papt_configs || -n $units ]] || die "--papt-configs wants --units to predict."
[[ -z $papt_configs || -n $papt_upstream ]] || die "--papt-upstream is empty: which encoder is to be trained?"
((${#unit_specs[@]} < 2)) || [[ ${#unit_specs[@]} == 2 && -n $scratch_config && $papt_upstream == scratch:* ]] ||
  die "--units: a second k-means wants --papt-upstream scratch:<size> and --scratch-config; not '$units'."
[[ $units != own:* ]] || die "--units: own:<layer>:<clusters> comes second, after the units that the encoder starts with."
[[ -z $adapt || -n $train_configs ]] || die "--adapt goes on from --train-configs, and there are none."

# Audio of test speakers in pre-training makes all that comes after it transductive.
protocol_of() { # set...: prints it
  local set
  for set in "$@"; do
    [[ " ${tests[*]} " == *" $set "* ]] && echo transductive && return
  done
  echo inductive
}

# The encoders: base (what adaptation starts from) and adapted.
papt_tags=()
add_pretrained() { # tag, upstream, its checkpoint or nothing
  add_encoder "$@"
  papt_tags+=("$1")
}
base_name="" base_checkpoint="" # as 'ser papt' wants them
from_scratch=false
if [[ $papt_upstream == scratch:* ]]; then
  base_name=$papt_upstream
  if [[ -n $scratch_config ]]; then
    from_scratch=true
    scratch=exp/papt/$(basename "$scratch_config" .yaml)
    base_checkpoint=$scratch/encoder/hubert.pt base_name=s3prl:hubert_local:$base_checkpoint
    add_pretrained "${scratch##*/}" "papt:$scratch" "$scratch/encoder/model.safetensors"
  fi
elif [[ -n $papt_upstream ]]; then
  set_base() {
    local names tags checkpoints
    names_and_tags "$papt_upstream" "$extract_options"
    base_name=${names[0]} base_checkpoint=${checkpoints[0]}
    add_pretrained "${tags[0]}" "$base_name" "$base_checkpoint"
  }
  set_base
fi
base_tag=${papt_tags[0]-}
for config in ${papt_config_words[@]+"${papt_config_words[@]}"}; do
  name=$(basename "$config" .yaml)
  add_pretrained "$name" "papt:exp/papt/$name" "exp/papt/$name/encoder/model.safetensors"
done
if [[ -n $train_configs ]]; then
  for tag in ${papt_tags[@]+"${papt_tags[@]}"}; do
    [[ " ${tags[*]} " != *" $tag "* ]] || continue
    features_of+=("$tag") made_in[$tag]=7
  done
fi
# ---- 5 units ----

unit_tag() { # specification: prints <upstream>_l<layer>
  local layer=${1%:*}
  printf '%s_l%s\n' "$(tag_of "${layer%:*}" "")" "${layer##*:}"
}

unit_folder() { printf 'exp/units/%s_k%s\n' "$(unit_tag "$1")" "${1##*:}"; } # specification

make_units() { # specification, set...: frames, then units
  local spec=$1 tag set layer upstream checkpoint="" folder command
  layer=${spec%:*} tag=$(unit_tag "$spec") folder=$(unit_folder "$spec")
  upstream=${layer%:*} layer=${layer##*:}
  if [[ $upstream == own ]]; then
    upstream=papt:$scratch checkpoint=$scratch/encoder/model.safetensors
  else
    local names tags checkpoints
    names_and_tags "$upstream" ""
    upstream=${names[0]} checkpoint=${checkpoints[0]}
  fi
  shift
  for set in "$@"; do extract_one "$upstream" "$checkpoint" "feats/$tag" "$set" --frames-layers "$layer"; done
  item "${folder##*/}"
  for set in "$@"; do
    from 1 "data/$set/utt2spk"
    from "$_stage" "feats/$tag/$set/meta.yaml" "feats/$tag/$set/frames_layer$layer.scp"
    promise "$folder/$set"/units.{scp,ark}
  done
  command=(ser units "${@/#/data/}" --feats "${@/#/feats/$tag/}" --out "$folder" ${units_words[@]+"${units_words[@]}"})
  if [[ $upstream == mfcc ]]; then command+=(--mfcc); else command+=(--layer "$layer"); fi
  [[ " $units_options " == *" --init-from"* ]] || command+=(--clusters "${spec##*:}")
  setting command "${command[*]}"
  setting release "$release"
  promise "$folder/meta.yaml"
  clear_if_forced "$folder"
  if todo; then
    work "$extract_cmd --show" "log/units_${folder##*/}.log" "${command[@]}"
    item_end
  fi
}

stage_units() { # the first, before there is an encoder; an own second one comes in stage 6
  local labelled=("${papt_sets[@]}")
  if [[ $from_scratch == true ]]; then # fitted on the first, from which the encoder starts
    labelled=("${sets[0]}")
    ((${#unit_specs[@]} > 1)) || for set in "${papt_sets[@]}"; do [[ $set == "${sets[0]}" ]] || labelled+=("$set"); done
  fi
  make_units "${unit_specs[0]}" "${labelled[@]}"
}

# ---- 6 papt ----

pretrain() { # configuration, upstream, its checkpoint or nothing, specification of the units, set...
  local config=$1 upstream=$2 checkpoint=$3 folder out set options
  folder=$(unit_folder "$4") out=exp/papt/$(basename "$1" .yaml)
  shift 4
  item "${out##*/}"
  from 0 "$config"
  from_upstream "$upstream" "$checkpoint" "the encoder to start from"
  from 5 "$folder/meta.yaml"
  for set in "$@"; do
    from 1 "data/$set/wav.scp" "data/$set/utt2spk"
    from 5 "$folder/$set"/units.{scp,ark}
    audio_of "$set"
  done
  options=(--protocol "$(protocol_of "$@")" ${papt_words[@]+"${papt_words[@]}"})
  setting options "${options[*]}"
  setting units "$folder"
  setting release "$release"
  promise "$out"/encoder/{config.yaml,model.safetensors,speakers.txt,spk_vectors.scp}
  clear_if_forced "$out"
  if todo; then
    if [[ $item_outdated == true && $dry_run == false ]]; then mkdir -p "$out" && touch "$out/.outdated"; fi
    # What lies there was made otherwise, until a checkpoint of this call lies there.
    if [[ -f $out/.outdated && ! $out/checkpoint.pt -nt $out/.outdated ]]; then options+=(--restart); fi
    work "$finetune_cmd" "log/papt_${out##*/}.log" ser papt --config "$config" --upstream "$upstream" \
      --data "$(joined data "$@")" --units "$(joined "$folder" "$@")" --out "$out" "${options[@]}"
    [[ $dry_run == true ]] || rm -f "$out/.outdated"
    item_end
  fi
}

joined() { # prefix name...: prefix/a,prefix/b
  local words
  words=$(bracketed "$@")
  printf '%s\n' "${words:1:-1}"
}

stage_papt() {
  local config last
  ((${#unit_specs[@]})) || return 0
  last=${unit_specs[${#unit_specs[@]} - 1]}
  if [[ $from_scratch == true ]]; then
    pretrain "$scratch_config" "$papt_upstream" "" "${unit_specs[0]}" "${sets[0]}"
    ((${#unit_specs[@]} == 1)) || make_units "$last" "${papt_sets[@]}"
  fi
  for config in "${papt_config_words[@]}"; do
    pretrain "$config" "$base_name" "$base_checkpoint" "$last" "${papt_sets[@]}"
  done
}

# ---- 7 adapt-extract ----

is_personal() { # tag: whether its encoder has speakers
  local config
  for config in "${papt_config_words[@]}"; do
    [[ $(basename "$config" .yaml) == "$1" ]] || continue
    ! grep -Eq '^ *fusion: *none' "$config"
    return
  done
  return 1
}

unseen_sets=()
for set in "${sets[@]}"; do [[ " ${papt_sets[*]} " == *" $set "* ]] || unseen_sets+=("$set"); done

speakers_of() { # tag: sets speaker_options to what 'ser extract' and 'ser finetune' want for its encoder
  speaker_options=()
  if ((${#unseen_sets[@]})) && is_personal "$1"; then speaker_options=(--speakers "exp/papt/$1/spk2papt"); fi
}

make_speakers() { # tag, upstream, its checkpoint: one table for the speakers of all sets that were not pre-trained on
  local set table=exp/papt/$1/spk2papt tables=()
  item "$1/speakers"
  from_upstream "$2" "$3" "$1"
  setting unseen "$unseen"
  setting release "$release"
  for set in "${unseen_sets[@]}"; do
    from 1 "data/$set/wav.scp" "data/$set/utt2spk"
    audio_of "$set"
    tables+=("$table.$set")
  done
  promise "$table"
  if todo; then
    for set in "${unseen_sets[@]}"; do
      work "$extract_cmd" "log/speakers_$1_$set.log" ser speakers "data/$set" --upstream "$2" "${unseen_words[@]}" --out "$table.$set"
    done
    if [[ $dry_run == false ]]; then # who is in two sets is who he is in the first
      awk '!seen[$1]++' "${tables[@]}" | LC_ALL=C sort -k1,1 >"$table.new" && mv "$table.new" "$table"
    fi
    item_end
  fi
}

stage_adapt-extract() {
  local i set speaker_options
  for i in "${!encoder_tags[@]}"; do
    speakers_of "${encoder_tags[i]}"
    ((!${#speaker_options[@]})) || make_speakers "${encoder_tags[i]}" "${encoder_names[i]}" "${encoder_checkpoints[i]}"
    [[ ${made_in[${encoder_tags[i]}]-} == 7 ]] || continue # nothing is trained on its features, or stage 3 has them
    for set in "${sets[@]}"; do
      extract_one "${encoder_names[i]}" "${encoder_checkpoints[i]}" "feats/${encoder_tags[i]}" "$set" \
        ${speaker_options[@]+"${speaker_options[@]}"}
    done
  done
}

# ---- 8 train ----

each_adapted() { # function, further arguments: the base encoder's experiments (the first upstream's), for each strategy
  local config strategy tag=${base_tag:-${tags[0]}}
  for config in ${config_words[@]+"${config_words[@]}"}; do
    for strategy in ${strategies[@]+"${strategies[@]}"}; do
      "$1" "$tag" "$config" "exp/${tag}_$(basename "$config" .yaml)_adapt_$strategy" "${@:2}"
    done
  done
}

adapt_one() { # tag config experiment: it predicts as well; voices are compared by the first of --upstreams
  local part seed source=${3%_adapt_*}
  item "${3#exp/}"
  from_features "$1"
  [[ $1 == "${tags[0]}" ]] || from_features "${tags[0]}"
  for seed in "${seed_words[@]}"; do
    from 8 "$source/seed$seed/*/model.safetensors"
    for part in "${parts[@]}"; do promise "$3/seed$seed/*/$part/pred.scp"; done
  done
  setting "adapt options" "$adapt_options"
  setting release "$release"
  promise "$3/info.yaml"
  clear_if_forced "$3"
  if todo; then
    work "$train_cmd" "log/${3#exp/}.log" ser adapt "$source" --functionals "feats/${tags[0]}" --out "$3" \
      --strategy "${3##*_adapt_}" ${adapt_words[@]+"${adapt_words[@]}"}
    item_end
  fi
}
