#!/usr/bin/env bash
# The stage engine of recipes for conversations: memory in an encoder or in an audio language model. A recipe's
# run.sh calls it as others call ser.sh, with whose files of stages it shares data, lint, extract and experiments:
#   ./mal.sh --upstreams fbank --memory-configs "conf/memory.yaml conf/none.yaml" ... -- "$@"
# shellcheck disable=SC2317  # the exit at the end hides from it that functions are called by name
set -euo pipefail
PROGRAM=run.sh # what the user has called, for messages

stage=1
stop_stage=7
list=false
dry_run=false
force=false
nj=0
db_root=
corpus_home=
local_data=
local_models=
prepare_options=
lint_options=
data_sets=all
upstreams=
extract_options=
memory_configs=
hosts=
host_configs=
host_jobs=1
seeds=0
# shellcheck disable=SC2034  # train_seeds reads it by its verb's name
train_options=
predict_options=
ablate_configs=
ablations="no_reads no_writes reset no_momentum no_forgetting shuffled other_dialogue"
score_options=
cluster=dialogue
where=
title=
extras=
python=
help_message="Usage: ./run.sh [options]
From a corpus of dialogues to a table of what memory does, in stages. What is done and made from the same is not done again.

What to run:
  --stage S, --stop-stage S   first and last stage, by number or name (./run.sh --list shows them)
  --list                      show the stages
  --dry-run                   show what would be done, and why
  --force                     do the stages asked for again, whatever their marks say
  --nj N                      jobs at once (0: one a core)
  --config FILE               read options from name=value lines

What it is run on:
  --db-root DIR               where the corpus lies
  --upstreams \"A B\"           encoders whose features memory is put upon: fbank hubert_base ..., hf:<folder or hub name>
  --memory-configs \"A B\"      one experiment for each upstream and each of these files; the first is what all are compared with
  --hosts \"A B\"               audio language models, folders or hub names
  --host-configs \"A B\"        one experiment for each host and each of these files; the first as above
  --host-jobs N               folds of a host that are trained at once: each job holds the model
  --seeds \"0 1 2\"             seeds of the training
  --prepare-options \"...\"     for 'ser prepare <corpus>'
  --lint-options \"...\"        for 'ser lint'
  --extract-options \"...\"     for 'ser extract': --frames-layers 0, for configurations with tokens: frames
  --train-options \"...\"       for 'ser memory-train', over the configuration
  --predict-options \"...\"     for 'ser memory-predict', also of ablations: --generate

What is shown of it:
  --ablate-configs \"A B\"      those of the configurations whose experiments are predicted again with an intervention
  --ablations \"A B\"           which: no_reads no_writes reset no_momentum no_forgetting shuffled other_dialogue
  --cluster WHAT              intervals and tests are over dialogue, speaker or session
  --where \"TABLE=VALUE\"       compare also where utt2<table> has that value: ambiguous=1; several are compared apart
  --score-options \"...\"       for 'ser score': --draws 1000

What a recipe sets:
  --local-data \"COMMAND\"      writes data/<set> for every set, with utt2dialogue and utt2turn; {sets} stands for --data-sets
  --local-models \"COMMAND\"    writes models to exp/models/<name>, in stage 1; options name them hf:exp/models/<name>
  --data-sets \"all\"           a cross-validated corpus (data/all/utt2fold), or \"train validation test\", the rest being tests
  --corpus-home \"TEXT\"        where the corpus is to be had, if it is not made
  --title TEXT                of the table
  --extras \"A B\"              parts of the environment: espeak, opensmile
  --python P                  the Python to build the environment with"

template=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
shared=$template/../ser1 # what it has in common with ser.sh
recipe_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$recipe_dir"
# shellcheck source=../../../utils/parse_options.sh
. utils/parse_options.sh # the recipe's own, up to --
user_options=("$@")
# shellcheck source=../../../utils/parse_options.sh
. utils/parse_options.sh # the user's
# shellcheck source=../../../utils/stages.sh
. utils/stages.sh
# shellcheck source=../../../utils/upstream_names.sh
. utils/upstream_names.sh

stage_names=(- data lint extract train predict ablate score)
stage_whats=(- "the corpus to data directories" "checks of the data directories" "audio to features"
  "dialogues to trained folds" "trained folds to predictions, dialogue by dialogue"
  "the same folds with an intervention, and whether anything leaks"
  "predictions to scores with intervals, RESULTS.md, and paired comparisons")
off="" unused="" # not in this recipe
[[ -n $upstreams ]] || unused+=" 3 "
[[ -n $ablate_configs ]] || unused+=" 6 "

train_verb=memory-train predict_verb=memory-predict
read_own_options() {
  read -ra config_words <<<"$memory_configs"
  read -ra host_config_words <<<"$host_configs"
  read -ra ablate_words <<<"$ablate_configs"
  read -ra ablation_words <<<"$ablations"
  read -ra where_words <<<"$where"
  [[ -n $upstreams$hosts ]] || die "--upstreams and --hosts are both empty: what is memory to be put upon?"
  [[ -z $upstreams || -n $memory_configs ]] || die "--upstreams wants --memory-configs: which memory?"
  [[ -z $hosts || -n $host_configs ]] || die "--hosts wants --host-configs: which memory?"
  [[ -z $upstreams ]] || names_and_tags "$upstreams" "$extract_options"
  want_files --memory-configs ${config_words[@]+"${config_words[@]}"}
  want_files --host-configs ${host_config_words[@]+"${host_config_words[@]}"}
  model_options=$upstreams
  host_names=() host_tags=() host_checkpoints=()
  [[ -z $hosts ]] || name_hosts
  for tag in ${host_tags[@]+"${host_tags[@]}"}; do
    [[ " ${tags[*]-} " != *" $tag "* ]] || die "--hosts: '$tag' is an upstream's name as well."
  done
  [[ $host_jobs =~ ^[1-9][0-9]*$ ]] || die "--host-jobs takes a number above 0, not '$host_jobs'."
  reads_frames=false
  if [[ -n $upstreams ]] && grep -Eqs '^ +tokens: *frames' "${config_words[@]}"; then
    reads_frames=true
    [[ " $extract_options " == *" --frames-layers"* ]] ||
      die "a configuration has tokens: frames, which stage 3 keeps with --extract-options \"--frames-layers <layer>\"."
  fi
  check_shown
}

name_hosts() { # as the user sees them: a folder, or a name on the hub
  local names tags checkpoints words
  read -ra words <<<"$hosts"
  names_and_tags "${words[*]/#/hf:}" "" --hosts
  host_names=("${names[@]#hf:}") host_tags=("${tags[@]}") host_checkpoints=("${checkpoints[@]}")
  model_options+=" ${words[*]/#/hf:}"
}

check_shown() { # what stages 6 and 7 are asked for
  local word
  for word in ${ablate_words[@]+"${ablate_words[@]}"}; do
    [[ " $memory_configs $host_configs " == *" $word "* ]] ||
      die "--ablate-configs: '$word' is none of --memory-configs and --host-configs."
  done
  for word in ${ablation_words[@]+"${ablation_words[@]}"}; do
    [[ " no_reads no_writes reset no_momentum no_forgetting shuffled other_dialogue " == *" $word "* ]] ||
      die "--ablations: '$word' is none of no_reads, no_writes, reset, no_momentum, no_forgetting, shuffled, other_dialogue."
  done
  [[ $cluster =~ ^(dialogue|speaker|session)$ ]] || die "--cluster is dialogue, speaker or session, not '$cluster'."
  for word in ${where_words[@]+"${where_words[@]}"}; do
    [[ $word =~ ^[A-Za-z0-9_-]+=[A-Za-z0-9_.-]+$ ]] || die "--where: '$word' is not <table>=<value>, such as ambiguous=1."
  done
  score_options="--cluster $cluster${score_options:+ $score_options}"
  read -ra score_words <<<"$score_options"
}

# shellcheck source=../../TEMPLATE/ser1/engine.sh
. "$shared/engine.sh"
# shellcheck source=../../TEMPLATE/ser1/data_stages.sh
. "$shared/data_stages.sh"
# shellcheck source=../../TEMPLATE/ser1/experiments.sh
. "$shared/experiments.sh"
# shellcheck source=../../TEMPLATE/mal1/memory_stages.sh
. "$template/memory_stages.sh"

{ # Read as a whole, so that a run goes on as it began when this file changes under it.
  run_stages
  exit 0
}
