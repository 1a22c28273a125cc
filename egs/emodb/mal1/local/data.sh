#!/usr/bin/env bash
# EmoDB with utt2dialogue and utt2turn: pseudo-dialogues of up to 12 utterances of one speaker, in an order drawn by seed.
# Called by stage 1 with --db-root and --out.
set -euo pipefail
out=data options=()
while (($#)); do
  case $1 in
    --out) out=$2 && shift ;;
    --out=*) out=${1#--out=} ;;
    -h | --help)
      echo "Usage: local/data.sh --db-root <folder> [--out data]; called by stage 1"
      exit 0
      ;;
    *) options+=("$1") ;;
  esac
  shift
done
ser prepare emodb --out "$out/emodb" ${options[@]+"${options[@]}"}
ser prepare pseudo "$out/emodb/all" "$out/all" --turns 12
