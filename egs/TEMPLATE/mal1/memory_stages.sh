#!/usr/bin/env bash
# Sourced by mal.sh: experiments with memory, stages 4 to 7.
#
#   exp/<upstream or host>_<conf>               an experiment
#   exp/<upstream or host>_<conf>-<ablation>    its models with an intervention: predictions, no model
#   comparison/<upstream or host>[_<table>-<value>]/comparison.md, positions.svg ...
#                                               all of them against the first configuration

# shellcheck disable=SC2154,SC2034  # mal.sh and engine.sh have read the options and defined the rest
[[ $reads_frames == false ]] || feature_kinds+=(frames)

each_hosted() { # function, further arguments: calls it for every language model and configuration
  local tag config
  for tag in ${host_tags[@]+"${host_tags[@]}"}; do
    for config in ${host_config_words[@]+"${host_config_words[@]}"}; do
      "$1" "$tag" "$config" "exp/${tag}_$(basename "$config" .yaml)" "${@:2}"
    done
  done
}

host_of() { # tag: sets host, its checkpoint
  local i
  for i in "${!host_tags[@]}"; do [[ ${host_tags[i]} == "$1" ]] && break; done
  host=${host_names[i]} host_checkpoint=${host_checkpoints[i]}
}

from_host() { # tag: all that a language model's experiments read of data directories, audio and model
  local host host_checkpoint
  host_of "$1"
  from_upstream "hf:$host" "$host_checkpoint" "$1"
  from_audio
}

# ---- 4 train, 5 predict ----

train_host() { # tag config experiment
  local host host_checkpoint where nj=$host_jobs train_cmd=$finetune_cmd # each job holds the model
  host_of "$1"
  data_options
  train_seeds from_host "$1" "$2" "$3" ser memory-train --host "$host" "${where[@]}"
}

stage_train() {
  each_experiment train_one
  each_hosted train_host
}

stage_predict() {
  each_experiment predict_one
  each_hosted predict_one from_host
}

# ---- 6 ablate ----

is_ablated() { [[ " $ablate_configs " == *" $1 "* ]]; } # configuration

find_leaks() { # tag config experiment [what notes its inputs]
  local log=log/leaks_${3#exp/}.log
  is_ablated "$2" || return 0
  item "${3#exp/}/leaks"
  from_models "${4:-from_features}" "$1" "$3"
  promise "$log"
  if todo; then
    work "$predict_cmd --show" "$log" ser memory-predict "$3" --check-leaks
    item_end
  fi
}

ablate_one() { # tag config experiment [what notes its inputs]
  local ablation out part seed folder
  is_ablated "$2" || return 0
  for ablation in ${ablation_words[@]+"${ablation_words[@]}"}; do
    out=$3-$ablation
    item "${out#exp/}"
    from_models "${4:-from_features}" "$1" "$3"
    promise "$out/info.yaml"
    for part in "${parts[@]}"; do
      for seed in "${seed_words[@]}"; do promise "$out/seed$seed/*/$part/pred.scp"; done
    done
    clear_if_forced "$out"
    if todo; then
      work "$predict_cmd" "log/ablate_${out#exp/}.log" ser memory-predict "$3" --ablate "$ablation" --into "$out" \
        ${predict_words[@]+"${predict_words[@]}"}
      for folder in "$out"/seed*; do # seeds that the experiment has no more
        [[ $dry_run == true || -d $3/${folder##*/} ]] || rm -rf "$folder"
      done
      item_end
    fi
  done
}

stage_ablate() {
  each_experiment find_leaks
  each_hosted find_leaks from_host
  each_experiment ablate_one
  each_hosted ablate_one from_host
}

# ---- 7 score ----

score_ablated() { # tag config experiment
  local ablation
  is_ablated "$2" || return 0
  for ablation in ${ablation_words[@]+"${ablation_words[@]}"}; do score_one "$1" "$2" "$3-$ablation" ablate; done
}

declare -A systems_of=()   # tag -> its experiments and their ablations, in the order of the configurations
declare -A predicted_in=() # experiment -> the stage that predicts, if it is not predict
note_systems() { # tag config experiment
  local ablation
  systems_of[$1]+=" $3"
  is_ablated "$2" || return 0
  for ablation in ${ablation_words[@]+"${ablation_words[@]}"}; do
    systems_of[$1]+=" $3-$ablation" predicted_in[$3-$ablation]=ablate
  done
}

compare_one() { # tag, test set, the folder of its predictions, what utterances or nothing
  local systems system out=comparison/$1 seed stage command
  read -ra systems <<<"${systems_of[$1]}"
  ((${#systems[@]} > 1)) || return 0 # nothing to compare
  [[ $3 == test ]] || out+=_$3
  [[ -z $4 ]] || out+=_${4/=/-}
  item "${out#comparison/}"
  from data "data/$2/utt2*" "data/$2/labels.yaml"
  for system in "${systems[@]}"; do
    stage=${predicted_in[$system]-predict}
    for seed in "${seed_words[@]}"; do from "$stage" "$system/seed$seed/*/$3"/pred.{scp,ark}; done
  done
  command=(ser benchmark compare "${systems[@]}" --data "data/$2" --set "$3" --cluster "$cluster" ${4:+--where "$4"})
  setting command "${command[*]}"
  setting release "$release"
  promise "$out"/comparison.{md,csv}
  if todo; then
    work "run.sh --show" "log/compare_${out#comparison/}.log" "${command[@]}" --out "$out"
    item_end
  fi
}

stage_score() {
  local tag i condition
  each_experiment score_one
  each_hosted score_one
  each_experiment score_ablated
  each_hosted score_ablated
  each_experiment note_systems
  each_hosted note_systems
  for tag in ${features_of[@]+"${features_of[@]}"} ${host_tags[@]+"${host_tags[@]}"}; do
    for condition in "" ${where_words[@]+"${where_words[@]}"}; do
      for i in "${!tests[@]}"; do compare_one "$tag" "${tests[i]}" "${parts[i]}" "$condition"; done
    done
  done
  make_table # last: the report draws what the comparisons have found by position
}
