#!/usr/bin/env bash
# IEMOCAP's dialogues, five folds by session, with and without memory. Needs --db-root <folder>; options: ./run.sh --help
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

exec ./mal.sh \
  --title "IEMOCAP, dialogues, five folds by session: memory, and what it is compared with" \
  --corpus-home "IEMOCAP is to be had by request at https://sail.usc.edu/iemocap/iemocap_release.htm; the folder is the one that holds Session1 to Session5." \
  --local-data "ser prepare iemocap" \
  --data-sets all \
  --upstreams "fbank" \
  --memory-configs "conf/memory.yaml conf/memory_dialogue.yaml conf/mean.yaml conf/gru.yaml conf/concatenated.yaml conf/none.yaml" \
  --host-configs "conf/qwen2_audio.yaml conf/qwen2_audio_layer.yaml conf/qwen2_audio_head.yaml conf/qwen2_audio_none.yaml" \
  --ablate-configs "conf/memory.yaml conf/qwen2_audio.yaml" \
  -- "$@"
