#!/usr/bin/env bash
# MSP-Podcast with the splits of the PAPT paper, end to end. Needs --db-root <folder>; options: ./run.sh --help
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

exec ./ser.sh \
  --title "MSP-Podcast, the splits of Tran et al. 2023: PAPT, TAPT, PLDC" \
  --corpus-home "MSP-Podcast is licensed by UT Dallas: https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html; the folder is the one that holds Audios." \
  --local-data "ser prepare msp_podcast --protocol papt --sets {sets}" \
  --data-sets "train validation test-a test-b" \
  --upstreams "compare" \
  --units "hf:facebook/hubert-base-ls960:9:500" \
  --papt-upstream hf:facebook/hubert-large-ll60k \
  --scratch-config conf/scratch.yaml \
  --papt-configs "conf/papt.yaml conf/tapt.yaml" \
  --papt-data "train validation test-a" \
  --train-configs "conf/attributes.yaml" \
  --finetune-configs "conf/finetune.yaml" \
  --adapt weighting \
  --calibrate "sigma mu both" \
  -- "$@"
