#!/usr/bin/env bash
# Sourced: who runs the jobs. cmd=run.sh: processes of this machine; cmd="slurm.sh --partition cpu --mem 8G": jobs of
# a Slurm cluster (docs/cluster.md). Options may follow: "run.sh --max-jobs 8 --retries 1". Both take [options]
# [JOB=1:4] LOG COMMAND, as any other dispatcher that is named here.
cmd=${SER_CMD:-run.sh}

# shellcheck disable=SC2034  # used by the stage engine
{
  extract_cmd=$cmd  # an array of jobs, each a share of the utterances; units, speakers' vectors and text
  train_cmd=$cmd    # an array of jobs, each a share of the folds
  finetune_cmd=$cmd # trainings of encoders and with language models, shared by processes: --nodes 2 --processes-per-node 4 --gpus 4
  predict_cmd=$cmd  # one job an experiment, an ablation, a check of leaks
}
