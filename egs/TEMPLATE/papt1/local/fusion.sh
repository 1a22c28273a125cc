#!/usr/bin/env bash
# Where the speaker's embedding enters the encoder: table 4 of Tran et al. (Interspeech 2023).
#   local/fusion.sh --db-root <folder> ...       # options as ./run.sh takes them
# Pre-trains and fine-tunes with fusion Last (conf/papt.yaml), First, Prefix and without speakers (conf/tapt.yaml),
# scores all, and prints the table with the paper's figures (conf/quoted_fusion.yaml) beside ours.
set -euo pipefail
[[ ${1-} != -h && ${1-} != --help ]] || { sed -n '2,5s/^# //p' "${BASH_SOURCE[0]}" && exit 0; }
# shellcheck source=common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/common.sh"

./run.sh --papt-configs "conf/papt.yaml conf/papt_first.yaml conf/papt_prefix.yaml conf/tapt.yaml" \
  --finetune-configs conf/finetune.yaml --calibrate "" --stop-stage score "$@"
# shellcheck source=../../ser1/path.sh
SER_INSTALL=false . ./path.sh

out=exp/fusion
mkdir -p "$out"
{ # The loss of the last validation of pre-training, in nats a masked frame.
  printf 'encoder\tfusion\tvalidation loss\n'
  for name in papt papt_first papt_prefix tapt; do
    fusion=$(sed -n 's/^fusion: *//p' "exp/papt/$name/encoder/config.yaml")
    loss=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "validation_loss") column = i; next }
      $column != "" { loss = $column } END { print loss }' "exp/papt/$name/curve.csv")
    printf '%s\t%s\t%s\n' "$name" "$fusion" "${loss:-none}"
  done
} >"$out/pretraining.tsv.new"
mv "$out/pretraining.tsv.new" "$out/pretraining.tsv"
mapfile -t experiments < <(compgen -G "exp/*_finetune/scores*.json" | sed 's#/[^/]*$##' | LC_ALL=C sort -u)
quoted=()
if [[ -f conf/quoted_fusion.yaml ]]; then quoted=(--quoted conf/quoted_fusion.yaml); fi
ser benchmark table "${experiments[@]}" --out "$out" --title "Where the speaker enters the encoder" \
  --command "$PROGRAM" ${quoted[@]+"${quoted[@]}"}
column -t -s $'\t' "$out/pretraining.tsv" 2>/dev/null || cat "$out/pretraining.tsv"
