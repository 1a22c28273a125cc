#!/usr/bin/env bash
# MELD's dialogues, the corpus's own split, with and without memory. Needs --db-root <folder>; options: ./run.sh --help
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

# The clips are mp4: where the PATH has no ffmpeg, a static build comes with the environment.
extras=
command -v ffmpeg >/dev/null || extras=ffmpeg

# The six main characters speak in all three sets: that is how the corpus was split.
exec ./mal.sh \
  --title "MELD, dialogues, seven emotions: memory, and what it is compared with" \
  --corpus-home "MELD is described at https://affective-meld.github.io and https://github.com/declare-lab/MELD; the folder is the one that MELD.Raw.tar.gz and the archives in it were unpacked to." \
  --extras "$extras" \
  --local-data "ser prepare meld" \
  --data-sets "train validation test" \
  --lint-options "--allow speaker-overlap" \
  --upstreams "fbank" \
  --memory-configs "conf/memory.yaml conf/memory_dialogue.yaml conf/mean.yaml conf/gru.yaml conf/concatenated.yaml conf/none.yaml" \
  --host-configs "conf/qwen2_audio.yaml conf/qwen2_audio_layer.yaml conf/qwen2_audio_head.yaml conf/qwen2_audio_none.yaml" \
  --ablate-configs "conf/memory.yaml conf/qwen2_audio.yaml" \
  -- "$@"
