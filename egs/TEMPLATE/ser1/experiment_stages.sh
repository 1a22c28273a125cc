#!/usr/bin/env bash
# Sourced by ser.sh: which experiments there are for stages 8, 9, 12 and 13. What is done with one: experiments.sh.

# What further files of stages have more of: finetune_stages.sh, papt_stages.sh, calibrate_stages.sh, fuse_stages.sh.
each_finetuned() { :; }
each_adapted() { :; }
score_calibrated() { :; }
score_fusions() { :; }

stage_train() {
  each_experiment train_one
  each_finetuned finetune_one
  each_adapted adapt_one
}

stage_predict() {
  each_experiment predict_one
  each_finetuned predict_one from_encoder
}

stage_score() {
  each_experiment score_one
  each_finetuned score_one
  each_adapted score_one 8
  each_experiment score_calibrated
  each_finetuned score_calibrated
  score_fusions
}

stage_benchmark() { make_table; }
