#!/usr/bin/env bash
# MELD: emotion in conversation, the corpus's own split. Needs --db-root <folder>; options: ./run.sh --help
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

# The clips are mp4: where the PATH has no ffmpeg, a static build comes with the environment.
extras=
command -v ffmpeg >/dev/null || extras=ffmpeg

# The six main characters speak in all three sets: that is how the corpus was split.
exec ./ser.sh \
  --title "MELD, seven emotions: upstreams" \
  --corpus-home "MELD is described at https://affective-meld.github.io and https://github.com/declare-lab/MELD; the folder is the one that MELD.Raw.tar.gz and the archives in it were unpacked to." \
  --extras "$extras" \
  --local-data "ser prepare meld" \
  --data-sets "train validation test" \
  --lint-options "--allow speaker-overlap" \
  --upstreams "fbank" \
  --train-configs "conf/emotion.yaml" \
  -- "$@"
