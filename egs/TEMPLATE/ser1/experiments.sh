#!/usr/bin/env bash
# Sourced by a stage engine: the items of work on experiments, trained, predicted, scored, and put in a table.
#
#   exp/<features>_<conf>     an experiment: its folds' models, predictions and scores
#
# Which verbs train and predict on features is the engine's to say (train_verb, predict_verb).

# shellcheck disable=SC2154,SC2034  # engine.sh has read the options and defined the rest; files of stages read some
from_text() { :; } # text_stages.sh has some
text_train=()

features_of=(${tags[@]+"${tags[@]}"}) # tags to train on; papt_stages.sh adds its encoders'
declare -A made_in=()                 # tag -> the stage that makes its features, if it is not extract
feature_kinds=(pooled)                # tables that are read: pooled_*.scp

each_experiment() { # function: calls it for every kind of features and configuration
  local tag config
  for tag in ${features_of[@]+"${features_of[@]}"}; do
    for config in ${config_words[@]+"${config_words[@]}"}; do "$1" "$tag" "$config" "exp/${tag}_$(basename "$config" .yaml)"; done
  done
}

from_features() { # tag: all that training reads of data directories and features
  local set kind arks stage=${made_in[$1]:-extract}
  for set in "${sets[@]}"; do
    from data "data/$set/utt2spk" "data/$set/labels.yaml" "data/$set/utt2*" "data/$set/spk2*"
    from "$stage" "feats/$1/$set/meta.yaml"
    for kind in "${feature_kinds[@]}"; do
      from "$stage" "feats/$1/$set/${kind}_*.scp"
      mapfile -t arks < <(find "feats/$1/$set" -name "*${kind}_*.ark" 2>/dev/null | LC_ALL=C sort)
      from "$stage" ${arks[@]+"${arks[@]}"}
    done
  done
  from_text
}

from_audio() { # all that training on audio reads of data directories
  local set
  for set in "${sets[@]}"; do
    from data "data/$set/wav.scp" "data/$set/utt2spk" "data/$set/labels.yaml" "data/$set/utt2*" "data/$set/spk2*"
    audio_of "$set"
  done
}

bracketed() { # prefix folder...: [prefix/a,prefix/b]
  local joined
  joined=$(printf ",$1/%s" "${@:2}")
  printf '[%s]\n' "${joined:1}"
}

drop_other_seeds() { # experiment: those not asked for now were trained as the experiment was before
  local folder
  for folder in "$1"/seed*; do
    [[ " $seeds " == *" ${folder##*/seed} "* ]] || rm -rf "$folder"
  done
}

train_seeds() { # function that notes the inputs, tag, configuration, experiment, ser [memory-]train|finetune and its sources...
  local inputs=$1 tag=$2 config=$3 exp=$4 verb=${6#memory-} seed words given shares=$nj dispatcher=$train_cmd
  shift 4
  [[ $verb != finetune ]] || dispatcher=$finetune_cmd
  given=${verb}_options
  read -ra words <<<"${!given}"
  ((${#sets[@]} == 1)) || shares=1 # there is one fold
  for seed in "${seed_words[@]}"; do
    item "${exp#exp/}/seed$seed"
    "$inputs" "$tag"
    from 0 "$config"
    setting "$verb options" "${!given}"
    setting release "$release"
    promise "$exp/config.yaml" "$exp/seed$seed/*/model.safetensors"
    clear_if_forced "$exp/seed$seed"
    if todo; then
      work "$dispatcher" "JOB=1:$shares" "log/${verb}_${exp#exp/}_seed$seed.JOB.log" \
        "$1" "$2" --config "$config" "${@:3}" ${text_train[@]+"${text_train[@]}"} --exp "$exp" --seed "$seed" \
        ${words[@]+"${words[@]}"} --nj "$shares" --job JOB
      if [[ $item_outdated == true ]]; then drop_other_seeds "$exp"; fi
      item_end
    fi
  done
}

data_options() { # sets where to the options of a training on audio
  where=(--data "data/${sets[0]}")
  ((${#sets[@]} == 1)) || where+=(--validation-data "data/${sets[1]}" --test-data "$(bracketed data "${tests[@]}")")
}

train_one() { # tag config experiment
  local where=(--data "data/${sets[0]}" --feats "feats/$1/${sets[0]}")
  if ((${#sets[@]} > 1)); then
    where+=(--validation-data "data/${sets[1]}" --validation-feats "feats/$1/${sets[1]}")
    where+=(--test-data "$(bracketed data "${tests[@]}")" --test-feats "$(bracketed "feats/$1" "${tests[@]}")")
  fi
  train_seeds from_features "$1" "$2" "$3" ser "$train_verb" "${where[@]}"
}

from_models() { # what notes the inputs, tag, experiment: all that its models read when they predict, and how
  local seed
  "$1" "$2"
  from train "$3/config.yaml"
  for seed in "${seed_words[@]}"; do from train "$3/seed$seed/*/model.safetensors"; done
  setting "predict options" "$predict_options"
  setting release "$release"
}

predict_one() { # tag config experiment [what notes its inputs]
  local part seed
  item "${3#exp/}"
  from_models "${4:-from_features}" "$1" "$3"
  for part in "${parts[@]}" ${learnt_parts[@]+"${learnt_parts[@]}"}; do
    for seed in "${seed_words[@]}"; do promise "$3/seed$seed/*/$part/pred.scp"; done
  done
  if todo; then
    work "$predict_cmd" "log/predict_${3#exp/}.log" ser "$predict_verb" "$3" ${predict_words[@]+"${predict_words[@]}"}
    item_end
  fi
}

drop_other_sets() { # experiment: scores of sets that are no tests now are of the experiment as it was before
  local file part
  for file in "$1"/scores_*.json "$1"/submission_*.csv; do
    part=${file##*/} && part=${part#*_} && part=${part%.*}
    [[ " ${parts[*]} " == *" $part "* || " ${parts[*]} " == *" ${part%_*} "* ]] || rm -f "$file"
  done
}

score_one() { # tag config experiment [the stage that predicts, if not predict] [a test set that it leaves out]
  local i set part seed scores file
  item "${3#exp/}"
  for i in "${!tests[@]}"; do
    [[ ${tests[i]} != "${5-}" ]] || continue
    from data "data/${tests[i]}/utt2*" "data/${tests[i]}/labels.yaml"
    for seed in "${seed_words[@]}"; do from "${4:-predict}" "$3/seed$seed/*/${parts[i]}/pred.scp" "$3/seed$seed/*/${parts[i]}/pred.ark"; done
  done
  setting "score options" "$score_options"
  setting release "$release"
  if todo; then
    for i in "${!tests[@]}"; do
      set=${tests[i]} part=${parts[i]}
      [[ $set != "${5-}" ]] || continue
      work "run.sh --show" "log/score_${3#exp/}_$set.log" \
        ser score "$3" --data "data/$set" --set "$part" ${score_words[@]+"${score_words[@]}"}
      scores=$3/scores_$part.json
      [[ $part != test ]] || scores=$3/scores.json
      for file in "$3/submission_$part"{,_classes,_attributes}.csv; do # a set without labels becomes a submission
        [[ ! $file -nt $scores ]] || scores=$file
      done
      promise "$scores"
    done
    if [[ $item_outdated == true && $dry_run == false ]]; then drop_other_sets "$3"; fi
    item_end
  fi
}

shown_command() { # the call that makes the table, for anyone: without this machine's folders
  local i word shown=./run.sh
  for ((i = 0; i < ${#user_options[@]}; i++)); do
    word=${user_options[i]}
    case $word in
      --stage | --stop-stage) i=$((i + 1)) && continue ;;
      --stage=* | --stop-stage=* | --force | --force=*) continue ;;
      --db-root) word="--db-root <folder>" && i=$((i + 1)) ;;
      --db-root=*) word="--db-root=<folder>" ;;
      *" "*) word="\"$word\"" ;;
    esac
    shown+=" $word"
  done
  sed -E -e 's#hf:[^ "]*/([^ /"]+)#hf:<folder>/\1#g' -e 's#(--test-c-root)[= ][^ "]+#\1 <folder>#g' \
    -e 's#([ "=])/[^ "]*/([^/ "]+)#\1<folder>/\2#g' <<<"$shown"
}

make_table() { # of all that is scored
  local scored quoted=() compared=()
  if [[ -f conf/quoted.yaml ]]; then quoted=(--quoted conf/quoted.yaml); fi # published figures
  if [[ $dry_run == false ]] && ! compgen -G "exp/*/scores*.json" >/dev/null && compgen -G "exp/*/submission_*.csv" >/dev/null; then
    _stage_say "no table: the test sets have no labels. To be handed in: exp/*/submission_*.csv"
    return
  fi
  if compgen -G "comparison/*/positions.csv" >/dev/null; then # of recipes for dialogues
    mapfile -t compared < <(compgen -G "comparison/*/positions.csv" | sed 's#/[^/]*$##' | LC_ALL=C sort)
  fi
  item table
  from score "exp/*/scores*.json"
  from train "exp/*/info.yaml"
  ((!${#quoted[@]})) || from 0 conf/quoted.yaml
  ((!${#compared[@]})) || from score "comparison/*/positions.csv"
  setting title "$title"
  setting release "$release"
  promise RESULTS.md results.csv report.html
  if todo; then
    mapfile -t scored < <(compgen -G "exp/*/scores*.json" | sed 's#/[^/]*$##' | LC_ALL=C sort -u)
    work "run.sh --show" log/benchmark.log ser benchmark table "${scored[@]}" --out . \
      --command "$(shown_command)" ${title:+--title "$title"} ${quoted[@]+"${quoted[@]}"} \
      ${compared[@]:+--comparisons "${compared[@]}"}
    item_end
  fi
}
