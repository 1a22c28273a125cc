#!/usr/bin/env bash
# Sourced: who runs the jobs. A dispatcher takes [options] [JOB=1:4] LOG COMMAND, as utils/run.sh does;
# to use a cluster, name its dispatcher here. Options may follow: "run.sh --max-jobs 8 --retries 1".

# shellcheck disable=SC2034  # used by the stage engine
extract_cmd="run.sh" # an array of jobs, each a share of the utterances
# shellcheck disable=SC2034
train_cmd="run.sh" # an array of jobs, each a share of the folds
