#!/usr/bin/env bash
# Sourced by a stage engine (ser.sh, mal.sh) that has read its options and named its stages: checks what all engines
# share, sets the environment up, and has the stages run. Nothing is done before all options are checked.
#
# The engine defines read_own_options, which checks its own and sets names, tags and checkpoints of --upstreams
# (empty without any), config_words (configurations for features) and model_options (models that stage 1 may make).

# shellcheck disable=SC2154,SC2034  # the engine has the options; the files of stages read what is set here
(($# == 0)) || die "'$1' is no option. See './run.sh --help'."
if [[ $list == true ]]; then
  list_stages
  exit 0
fi
stage=$(number_of "$stage")
stop_stage=$(number_of "$stop_stage")
((stage <= stop_stage)) || die "--stage $stage comes after --stop-stage $stop_stage."
[[ $nj =~ ^[0-9]+$ ]] || die "--nj takes a number, not '$nj'."
((nj)) || nj=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)

# Lists of words. --stage and --force stay out of what goes on after a failure.
read -ra sets <<<"$data_sets"
read -ra prepare_words <<<"$prepare_options"
read -ra lint_words <<<"$lint_options"
read -ra extract_words <<<"$extract_options"
read -ra predict_words <<<"$predict_options"
read -ra score_words <<<"$score_options"
read -ra seed_words <<<"$seeds"
((${#sets[@]})) || die "--data-sets is empty."
learnt_parts=() # parts to predict beside the tests
tests=("${sets[@]:2}") parts=("${sets[@]:2}") # the test sets, and the folders of their predictions
case ${#sets[@]} in
  1) tests=("${sets[0]}") parts=("test") ;;
  2) die "--data-sets is one cross-validated set, or training, validation and test sets, not '$data_sets'." ;;
esac
for word in "${seed_words[@]}"; do [[ $word =~ ^[0-9]+$ ]] || die "--seeds takes numbers, not '$word'."; done

want_files() { # option, file...: they must be there
  local file
  for file in "${@:2}"; do [[ -f $file ]] || die "$1: there is no file '$file' in $recipe_dir."; done
}

names=() tags=() checkpoints=() config_words=()
read_own_options
for name in ${names[@]+"${names[@]}"}; do
  [[ ! $name =~ ^(opensmile:|egemaps$|compare$) ]] || extras+=" opensmile"
done
[[ -z $db_root ]] || db_root=$(found "$db_root")
[[ -z $db_root || -d $db_root ]] || die "--db-root: there is no folder '$db_root'.${corpus_home:+ $corpus_home}"

remember "${user_options[@]}"
if [[ $stage == 1 && -n $corpus_home && -z $db_root && $dry_run == false ]] && [[ ! -f .marks/data.data || $force == true ]]; then
  die "where is the corpus? Give its folder: ./run.sh --db-root <folder>. $corpus_home"
fi

began=$SECONDS
export SER_INSTALL=${SER_INSTALL:-true} SER_EXTRAS=$extras SER_PYTHON=$python
[[ $dry_run == false ]] || SER_INSTALL=false
extract_cmd=run.sh train_cmd=run.sh finetune_cmd="" predict_cmd=run.sh
# shellcheck source=path.sh
. ./path.sh
# shellcheck source=cmd.sh
. ./cmd.sh
finetune_cmd=${finetune_cmd:-$train_cmd}
release=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$SER_ROOT/ser/__init__.py")

run_stages() { # from --stage to --stop-stage
  local number
  for ((number = stage; number <= stop_stage; number++)); do
    [[ $off$unused == *" $number "* ]] && continue
    stage_begin "$number" "${stage_names[number]}" "${stage_whats[number]}"
    "stage_${stage_names[number]}"
    stage_end
  done
  _stage=""
  if [[ $dry_run == false && -f RESULTS.md ]] && ((stop_stage == ${#stage_names[@]} - 1)); then
    say "done in $(seconds_as_text $((SECONDS - began))): $recipe_dir/RESULTS.md, results.csv, report.html"
  fi
}
