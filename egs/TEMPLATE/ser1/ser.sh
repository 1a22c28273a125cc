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
# shellcheck disable=SC2034  # train_seeds reads it by its verb's name
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
# shellcheck disable=SC2034  # train_seeds reads it by its verb's name
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

train_verb=train predict_verb=predict
read_own_options() {
  read -ra config_words <<<"$train_configs"
  [[ -z $upstreams$train_configs ]] || names_and_tags "$upstreams" "$extract_options"
  want_files --train-configs "${config_words[@]}"
  model_options="$upstreams $finetune_upstreams $text_encoder"
}

# shellcheck source=../../TEMPLATE/ser1/engine.sh
. "$template/engine.sh"
# shellcheck source=../../TEMPLATE/ser1/data_stages.sh
. "$template/data_stages.sh"
# shellcheck source=../../TEMPLATE/ser1/experiments.sh
. "$template/experiments.sh"
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
  run_stages
  exit 0
}
