#!/usr/bin/env bash
# The stage engine of utterance-level recipes. A recipe's run.sh calls it:
#   ./ser.sh --upstreams "fbank mfcc" ... -- "$@"      # the recipe's settings, then the user's
# shellcheck disable=SC2317  # the exit at the end hides from it that functions are called by name
set -euo pipefail
PROGRAM=run.sh # what the user has called, for messages

stage=1
stop_stage=13
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
upstreams="fbank"
extract_options=
text_encoder=
text_options=
train_configs=
seeds=0
train_options=
predict_options=
score_options=
units=
units_options=
papt_upstream=
scratch_config=
papt_configs=
papt_data=
papt_options=
unseen=nearest
finetune_upstreams=
finetune_configs=
finetune_options=
adapt=
adapt_options=
calibrate=
calibrate_options=
fuse=
fuse_rules=weights
fuse_options=
title=
extras=
python=
help_message="Usage: ./run.sh [options]
From a corpus to a table of upstreams, in stages. What is done and made from the same is not done again.

What to run:
  --stage S, --stop-stage S   first and last stage, by number or name (./run.sh --list shows them)
  --list                      show the stages
  --dry-run                   show what would be done, and why
  --force                     do the stages asked for again, whatever their marks say
  --nj N                      jobs at once (0: one a core)
  --config FILE               read options from name=value lines

What it is run on:
  --db-root DIR               where the corpus lies
  --upstreams \"A B\"           fbank mfcc mel hubert_base ... (S3PRL), s3prl:<entry>:<checkpoint>,
                              hf:<folder or hub name>, egemaps, compare (openSMILE)
  --train-configs \"A B\"       one experiment for each upstream and each of these files
  --seeds \"0 1 2\"             seeds of the training
  --prepare-options \"...\"     for 'ser prepare <corpus>'
  --lint-options \"...\"        for 'ser lint': --allow speaker-overlap, --no-audio, --max-seconds 60
  --extract-options \"...\"     for 'ser extract': --skip-broken, --frames-layers 0,9, --whisper-context 30s, --device cuda
  --train-options \"...\"       for 'ser train', over the configuration
  --predict-options \"...\"     for 'ser predict'
  --score-options \"...\"       for 'ser score': --draws 1000

Pre-training, fine-tuning, calibration (recipes papt1; docs/recipes.md):
  --units \"A [B]\"             <upstream>:<layer>:<clusters>, mfcc:0:100; with --scratch-config, B may be own:<layer>:<clusters>
  --papt-upstream NAME        encoder to start from: hf:<folder>, s3prl:hubert_local:<file>, scratch:small
  --scratch-config FILE       of the first pre-training of a scratch:<size>
  --papt-configs \"A B\"        one encoder for each of these files
  --papt-data \"A B\"           sets to pre-train on (all)
  --unseen RULE               embedding of other sets' speakers: nearest, knn, mean, zero
  --finetune-upstreams \"A B\"  further encoders to fine-tune, as they are (docs/finetuning.md)
  --finetune-configs \"A B\"    one experiment end to end for each encoder and each of these files
  --adapt \"A B\"               strategies of 'ser adapt': unique, oversampling, weighting
  --calibrate \"A B\"           shifts of 'ser calibrate': sigma, mu, both
  --units-options, --papt-options, --finetune-options, --adapt-options, --calibrate-options \"...\"

Words (docs/conditioning.md):
  --text-encoder NAME         hf:<folder or hub name>: embeddings of transcripts, for configurations with text.fusion
  --text-options \"...\"        for 'ser text': --normalise true

Fusion (docs/fusion.md):
  --fuse \"A B\"                <name>=<experiment>+<experiment>..., both=fbank_emotion+mfcc_emotion: exp/both_weights
  --fuse-rules \"A B\"          weights, mean, rank, vote: one experiment for each fusion and rule
  --fuse-options \"...\"        for 'ser fuse': --metric UAR

What a recipe sets:
  --local-data \"COMMAND\"      writes data/<set> for every set; {sets} in it stands for --data-sets, with commas
  --local-models \"COMMAND\"    writes the folders of models that options name as hf:exp/models/<name>, in stage 1
  --data-sets \"all\"           a cross-validated corpus (data/all/utt2fold), or \"train validation test\", the rest being tests
  --corpus-home \"TEXT\"        where the corpus is to be had, if it is not made
  --title TEXT                of the table
  --extras \"A B\"              parts of the environment: espeak, opensmile (added for egemaps and compare)
  --python P                  the Python to build the environment with"

template=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")") # where the files of further stages are
recipe_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$recipe_dir"
# shellcheck source=utils/parse_options.sh
. utils/parse_options.sh # the recipe's own, up to --
user_options=("$@")
# shellcheck source=utils/parse_options.sh
. utils/parse_options.sh # the user's
# shellcheck source=utils/stages.sh
. utils/stages.sh
# shellcheck source=utils/upstream_names.sh
. utils/upstream_names.sh
(($# == 0)) || die "'$1' is no option. See './run.sh --help'."

stage_names=(- data lint extract extract-text units papt adapt-extract train predict calibrate fuse score benchmark)
stage_whats=(- "the corpus to data directories" "checks of the data directories" "audio to features"
  "transcripts to features" "frames to units" "pre-training on units, adapted" "features of the adapted encoder"
  "features to trained folds" "trained folds to predictions" "calibrated predictions" "several systems as one"
  "predictions to scores with intervals" "all experiments to RESULTS.md, results.csv, report.html")
off=""    # later releases fill them
unused="" # not in this recipe
[[ -n $text_encoder ]] || unused+=" 4 "
[[ -n $units ]] || unused+=" 5 "
[[ -n $papt_upstream ]] || unused+=" 6 7 "
[[ -n $calibrate ]] || unused+=" 10 "
[[ -n $fuse ]] || unused+=" 11 "

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
read -ra config_words <<<"$train_configs"
((${#sets[@]})) || die "--data-sets is empty."
learnt_parts=() # parts to predict beside the tests
tests=("${sets[@]:2}") parts=("${sets[@]:2}") # the test sets, and the folders of their predictions
case ${#sets[@]} in
  1) tests=("${sets[0]}") parts=("test") ;;
  2) die "--data-sets is one cross-validated set, or training, validation and test sets, not '$data_sets'." ;;
esac
for word in "${seed_words[@]}"; do [[ $word =~ ^[0-9]+$ ]] || die "--seeds takes numbers, not '$word'."; done

names=() tags=() checkpoints=()
if [[ -n $upstreams$train_configs ]]; then names_and_tags "$upstreams" "$extract_options"; fi
for name in "${names[@]}"; do
  [[ ! $name =~ ^(opensmile:|egemaps$|compare$) ]] || extras+=" opensmile"
done
for config in "${config_words[@]}"; do [[ -f $config ]] || die "--train-configs: there is no file '$config' in $recipe_dir."; done
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

make_models() { # of the recipe's own, which options name
  local command name word
  read -ra command <<<"$local_models"
  item models
  setting command "${command[*]}"
  setting release "$release"
  for word in "${command[@]}"; do [[ ! -f $word ]] || from 0 "$word"; done
  for name in $upstreams $finetune_upstreams $text_encoder; do
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

# shellcheck source=../../TEMPLATE/ser1/experiment_stages.sh
. "$template/experiment_stages.sh"
if [[ -n $text_encoder ]]; then
  # shellcheck source=../../TEMPLATE/ser1/text_stages.sh
  . "$template/text_stages.sh"
fi
if [[ -n $finetune_configs$finetune_upstreams$papt_upstream ]]; then
  # shellcheck source=../../TEMPLATE/ser1/finetune_stages.sh
  . "$template/finetune_stages.sh"
fi
if [[ -n $units$papt_upstream$papt_configs$adapt ]]; then
  # shellcheck source=../../TEMPLATE/ser1/papt_stages.sh
  . "$template/papt_stages.sh"
fi
if [[ -n $calibrate ]]; then
  # shellcheck source=../../TEMPLATE/ser1/calibrate_stages.sh
  . "$template/calibrate_stages.sh"
fi
if [[ -n $fuse ]]; then
  # shellcheck source=../../TEMPLATE/ser1/fuse_stages.sh
  . "$template/fuse_stages.sh"
fi

{ # Read as a whole, so that a run goes on as it began when this file changes under it.
  for ((number = stage; number <= stop_stage; number++)); do
    [[ $off$unused == *" $number "* ]] && continue
    stage_begin "$number" "${stage_names[number]}" "${stage_whats[number]}"
    "stage_${stage_names[number]}"
    stage_end
  done
  _stage=""
  if [[ $dry_run == false && $stop_stage == 13 && -f RESULTS.md ]]; then
    say "done in $(seconds_as_text $((SECONDS - began))): $recipe_dir/RESULTS.md, results.csv, report.html"
  fi
  exit 0
}
