#!/usr/bin/env bash
# Every trained recipe on every other recipe's corpus: the matrix of training by test corpora.
# shellcheck disable=SC2317  # the exit at the end hides from it that functions are called by name
set -euo pipefail
export SER_CALLER_DIR=${SER_CALLER_DIR:-$PWD}
cd "$(dirname "${BASH_SOURCE[0]}")"
PROGRAM=run.sh

stage=1
stop_stage=2
list=false
dry_run=false
force=false
recipes="../../mini/ser1 ../../emodb/ser1"
upstream=fbank
train_config=emotion
mapping=conf/mapping.yaml
extract_options=
score_options=
title=
help_message="Usage: ./run.sh [options]
Scores the experiment exp/<upstream>_<NAME> of every recipe on the test data of every other, and prints the
matrix. The recipes must have been run; on the diagonal stands a recipe's own score.

  --recipes \"A B\"             folders of recipes; a recipe's test data is data/all, or every data/test*
  --upstream NAME             as it was given to the recipes: fbank, hf:<folder> ...
  --train-config NAME         of the recipes' conf/NAME.yaml: emotion, attributes ...
  --mapping FILE              which names of classes and attributes mean the same (conf/mapping.yaml)
  --extract-options \"...\"     as they were given to the recipes; only --whisper-context matters here
  --score-options \"...\"       for 'ser score': --draws 1000
  --title TEXT                of the table
  --stage S, --stop-stage S   first and last stage (./run.sh --list shows them)
  --list, --dry-run, --force  show the stages; show what would be done; do it again, whatever the marks say"
user_options=("$@")
# shellcheck source=utils/parse_options.sh
. utils/parse_options.sh
# shellcheck source=utils/stages.sh
. utils/stages.sh
# shellcheck source=utils/upstream_names.sh
. utils/upstream_names.sh
(($# == 0)) || die "'$1' is no option. See './run.sh --help'."

# shellcheck disable=SC2034 # for stages.sh
stage_names=(- score matrix) stage_whats=(- "every model on every other corpus" "all scores to RESULTS.md, results.csv")
if [[ $list == true ]]; then
  list_stages
  exit 0
fi
stage=$(number_of "$stage")
stop_stage=$(number_of "$stop_stage")
read -ra recipe_words <<<"$recipes"
read -ra score_words <<<"$score_options"
((${#recipe_words[@]} > 1)) || die "--recipes wants at least two folders, not '$recipes'."
mapping=$(found "$mapping")
[[ -f $mapping ]] || die "--mapping: there is no file '$mapping'."
names_and_tags "$upstream" "$extract_options" # sets names, tags
((${#names[@]} == 1)) || die "--upstream takes one upstream, not '$upstream'."
tag=${tags[0]} experiment=${tags[0]}_$(basename "$train_config" .yaml)

own_scores() { # recipe set: prints the file of the recipe's own score on a set
  case $2 in
    all | test) echo "$1/exp/$experiment/scores.json" ;;
    *) echo "$1/exp/$experiment/scores_$2.json" ;;
  esac
}

label_of() { basename "$(dirname "$(cd "$1" && pwd)")"; }

folders=() missing=()
declare -A tests=() # recipe -> the sets on which it is scored
for word in "${recipe_words[@]}"; do
  folder=$(found "$word")
  [[ -d $folder ]] || die "--recipes: there is no folder '$word'."
  folder=$(realpath --relative-to=. "$folder")
  [[ -z ${tests[$folder]-} ]] || die "--recipes names '$word' twice."
  folders+=("$folder")
  tests[$folder]=" "
  for data in "$folder"/data/all "$folder"/data/test*; do
    set=${data##*/}
    if [[ -f $data/labels.yaml && -f $folder/feats/$tag/$set/meta.yaml && -f $(own_scores "$folder" "$set") ]]; then
      tests[$folder]+="$set "
    fi
  done
  [[ ${tests[$folder]} != " " ]] || missing+=("$folder")
done
if ((${#missing[@]})); then
  for folder in "${missing[@]}"; do
    printf "%s/exp/%s is not there or not scored; to make it (with --db-root, if the recipe wants it):\n" "$folder" "$experiment"
    printf "    %s/run.sh --upstreams '%s' --train-configs conf/%s.yaml\n" "$folder" "$upstream" "$(basename "$train_config" .yaml)"
  done >&2
  die "${#missing[@]} of ${#folders[@]} recipes have no scored experiment $experiment."
fi

remember "${user_options[@]}"
[[ $dry_run == false ]] || SER_INSTALL=false
export SER_INSTALL=${SER_INSTALL:-true}
# shellcheck source=path.sh
. ./path.sh
release=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$SER_ROOT/ser/__init__.py")

corpus_of() { # data directory: prints its corpus's name, as a folder's
  sed -n 's/^corpus: *//p' "$1/labels.yaml" | tr -d "'\"" | sed -E 's/[^A-Za-z0-9_.-]+/_/g'
}

cell_of() { # model's recipe, data directory: prints the folder of the scores
  echo "$1/exp/$experiment/cross/$(corpus_of "$2")/${2##*/}"
}

each_cell() { # function: calls it with the model's recipe, the other recipe and a set of that
  local one other set
  for one in "${folders[@]}"; do
    for other in "${folders[@]}"; do
      [[ $one != "$other" ]] || continue
      for set in ${tests[$other]}; do "$1" "$one" "$other" "$set"; done
    done
  done
}

score_cell() { # recipe, other recipe, set
  local model=$1/exp/$experiment data=$2/data/$3 feats=$2/feats/$tag/$3 here=$PWD cell arks
  cell=$(cell_of "$1" "$data")
  item "$(label_of "$1")-$(label_of "$2")-$3"
  from 0 "$model/info.yaml" "$model/config.yaml" "$model/seed*/*/model.safetensors"
  from 0 "$data/utt2*" "$data/spk2*" "$data/labels.yaml" "$feats/meta.yaml" "$feats/pooled_*.scp" "$mapping"
  mapfile -t arks < <(find "$feats" -name '*pooled_*.ark' | LC_ALL=C sort)
  from 0 ${arks[@]+"${arks[@]}"}
  setting "score options" "$score_options"
  setting release "$release"
  promise "$cell/scores.json"
  if todo; then
    # Paths in a recipe's tables are relative to its folder.
    cd "$2"
    [[ $dry_run == false ]] || say "        cd $2"
    work run.sh "$here/log/score_$_item.log" ser score --model "$(cd "$here/$model" && pwd)" --data "data/$3" \
      --feats "feats/$tag/$3" --mapping "$mapping" --allow-unshared ${score_words[@]+"${score_words[@]}"}
    cd "$here"
    item_end
  fi
}

stage_score() { each_cell score_cell; }

shown_command() { # the call that makes the matrix, for anyone: without this machine's folders
  printf './run.sh --upstream %s --train-config %s' "$upstream" "$(basename "$train_config" .yaml)" | sed -E 's#hf:[^ ]*/([^ /]+)#hf:<folder>/\1#g'
  printf ' --recipes "%s"\n' "${folders[*]}"
}

stage_matrix() {
  local folder set cells=() scores=()
  add_cell() { cells+=("$(cell_of "$1" "$2/data/$3")/scores.json"); }
  item matrix
  for folder in "${folders[@]}"; do
    for set in ${tests[$folder]}; do scores+=("$(own_scores "$folder" "$set")"); done
  done
  each_cell add_cell
  from 0 "${scores[@]}"
  from 1 "${cells[@]}"
  setting title "$title"
  setting release "$release"
  promise RESULTS.md results.csv
  if todo; then
    work "run.sh --show" log/matrix.log ser benchmark matrix "${scores[@]}" "${cells[@]}" --out . \
      --title "${title:-Across corpora: $tag, $(basename "$train_config" .yaml)}" --command "$(shown_command)"
    item_end
  fi
}

{ # Read as a whole, so that a run goes on as it began when this file changes under it.
  for ((number = stage; number <= stop_stage; number++)); do
    stage_begin "$number" "${stage_names[number]}" "${stage_whats[number]}"
    "stage_${stage_names[number]}"
    stage_end
  done
  exit 0
}
