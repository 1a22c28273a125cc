#!/usr/bin/env bash
# MSP-Podcast: arousal, valence, dominance, and 8 classes. Needs --db-root <folder>; options: ./run.sh --help
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

exec ./ser.sh \
  --title "MSP-Podcast: upstreams" \
  --corpus-home "MSP-Podcast is licensed by UT Dallas: https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html; the folder is the one that holds Audios." \
  --local-data "ser prepare msp_podcast --sets {sets}" \
  --data-sets "train validation test1 test2 test3" \
  --upstreams "fbank" \
  --train-configs "conf/attributes.yaml conf/emotion.yaml" \
  -- "$@"
