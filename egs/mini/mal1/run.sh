#!/usr/bin/env bash
# Dialogues of synthetic speech in which half of the labels can be known only from a speaker's earlier turns.
# Needs nothing; options: ./run.sh --help
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

kinds=(memory memory_dialogue depth2 depth3 no_momentum no_forgetting frames mean gru concatenated none)

# Frames of layer 0 are what conf/frames.yaml reads: filter banks have no other layer.
exec ./mal.sh \
  --title "mini (synthetic speech), dialogues: memory, and what it is compared with" \
  --extras espeak \
  --local-data "bash local/data.sh" \
  --data-sets "train validation test" \
  --upstreams fbank \
  --extract-options "--frames-layers 0" \
  --memory-configs "$(printf 'conf/%s.yaml ' "${kinds[@]}")" \
  --ablate-configs conf/memory.yaml \
  --where "ambiguous=1" \
  -- "$@"
