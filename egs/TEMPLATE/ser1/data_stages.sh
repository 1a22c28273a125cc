#!/usr/bin/env bash
# Sourced by a stage engine: from a corpus to features, stages 1 to 3.
#
#   data/<set>                data directories, by --local-data; exp/models/<name>, by --local-models
#   feats/<upstream>/<set>    features of every upstream

# shellcheck disable=SC2154,SC2153  # engine.sh has read the options
make_models() { # of the recipe's own, which options name
  local command name word
  read -ra command <<<"$local_models"
  item models
  setting command "${command[*]}"
  setting release "$release"
  for word in "${command[@]}"; do [[ ! -f $word ]] || from 0 "$word"; done
  for name in $model_options; do
    [[ $name != hf:exp/models/* ]] || promise "${name#hf:}"/{config.json,model.safetensors}
  done
  if todo; then
    work run.sh log/models.log "${command[@]}"
    item_end
  fi
}

stage_data() {
  local command set word
  [[ -z $local_models ]] || make_models
  item data
  read -ra command <<<"${local_data//"{sets}"/$(IFS=, && printf '%s' "${sets[*]}")}"
  ((${#command[@]})) || die "--local-data is empty: which command writes the data directories?"
  if [[ -n $corpus_home && -z $db_root ]]; then
    [[ -f $_mark && $force == false ]] && return # there is nothing to compare it with
    db_root="<folder>"
    journal no-corpus "$corpus_home"
  fi
  [[ -z $db_root ]] || command+=(--db-root "$db_root")
  command+=(--out data ${prepare_words[@]+"${prepare_words[@]}"})
  setting command "${command[*]}"
  setting release "$release"
  [[ -z $db_root || $db_root == "<folder>" ]] || from_named corpus "$db_root"
  for word in "${command[@]}"; do [[ ! -f $word ]] || from 0 "$word"; done # the recipe's own script or table
  for set in "${sets[@]}"; do promise data/"$set"/{wav.scp,utt2spk,spk2utt,labels.yaml}; done
  if todo; then
    work run.sh log/data.log "${command[@]}"
    item_end
  fi
}

declare -A audio_digests=()
audio_of() { # set: notes the content of the audio itself as an input
  local set=$1
  [[ -f data/$set/wav.scp ]] || return 0
  audio_digests[$set]=${audio_digests[$set]-$("${_marks[@]}" digest --audio "data/$set/wav.scp")}
  setting "audio of data/$set" "${audio_digests[$set]}"
}

stage_lint() { # one call, since what the sets share is looked for
  local set lint=(ser lint "${sets[@]/#/data/}" ${lint_words[@]+"${lint_words[@]}"})
  [[ " $extract_options " != *" --skip-broken "* ]] || lint+=(--allow broken-audio)
  item sets
  for set in "${sets[@]}"; do
    from 1 "data/$set/utt2spk" "data/$set/*"
    audio_of "$set"
  done
  setting command "${lint[*]}"
  setting release "$release"
  promise lint.html
  if todo; then
    work "run.sh --show" log/lint.log "${lint[@]}" --html lint.html --nj "$nj"
    item_end
  fi
}

jobs_for() { # set: prints how many jobs share it; each takes seconds to start, so a small set has fewer
  local utterances=0
  [[ ! -f data/$1/utt2spk ]] || utterances=$(grep -c '' "data/$1/utt2spk" || true)
  local most=$(((utterances + 249) / 250))
  printf '%d\n' $((most < 1 || nj < most ? nj : most))
}

extract_one() { # upstream, its checkpoint or nothing, feats/<tag>, set, further options...
  local feats=$3/$4 extract jobs log=log/extract_${3#feats/}_$4
  item "${feats#feats/}"
  from 1 "data/$4/wav.scp" "data/$4/utt2spk"
  [[ ! -f data/$4/segments ]] || from 1 "data/$4/segments"
  [[ ! -f data/$4/utt2dur ]] || from 1 "data/$4/utt2dur"
  audio_of "$4"
  from_upstream "$1" "$2" "${3#feats/}"
  [[ ${5-} != --speakers ]] || from 7 "$6"
  setting "extract options" "$extract_options"
  setting release "$release"
  promise "$feats"/{pooled_mean.scp,meta.yaml}
  clear_if_forced "$feats"
  extract=(ser extract "data/$4" "$feats" --upstream "$1" ${extract_words[@]+"${extract_words[@]}"} "${@:5}")
  if todo; then
    jobs=$(jobs_for "$4")
    if ((jobs == 1)); then
      work "$extract_cmd" "$log.log" "${extract[@]}"
    else
      work "$extract_cmd" "JOB=1:$jobs" "$log.JOB.log" "${extract[@]}" --nj "$jobs" --job JOB
      work run.sh "$log.combine.log" "${extract[@]}" --nj "$jobs" --combine
    fi
    item_end
  fi
}

from_upstream() { # upstream, its checkpoint or nothing, tag: the upstream as an input
  local name=$1
  if [[ $2 == exp/papt/* ]]; then
    from 6 "$2"
  elif made_here "$2"; then
    from 1 "$2"
  elif [[ -n $2 ]]; then
    from_named "checkpoint of $3" "$2" # by its content, wherever it lies
    name=${1%":$2"}
  fi
  setting upstream "$name"
}

stage_extract() {
  local i set
  for i in "${!names[@]}"; do
    for set in "${sets[@]}"; do extract_one "${names[i]}" "${checkpoints[i]}" "feats/${tags[i]}" "$set"; done
  done
}
