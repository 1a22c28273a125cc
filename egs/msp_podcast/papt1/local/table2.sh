#!/usr/bin/env bash
# Table 2 of Tran et al. (Interspeech 2023): Vanilla-FT, B2, TAPT-FT, PAPT-FT and PLDC, with the paper's figures beside ours.
#   local/table2.sh --db-root <folder> ...       # options as ./run.sh takes them
set -euo pipefail
[[ ${1-} != -h && ${1-} != --help ]] || { sed -n '2,3s/^# //p' "${BASH_SOURCE[0]}" && exit 0; }
# shellcheck source=../../../TEMPLATE/papt1/local/common.sh
. "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../../TEMPLATE/papt1/local/common.sh"

./run.sh --finetune-configs conf/finetune.yaml --adapt weighting --calibrate "sigma mu both" --stop-stage score "$@"
# shellcheck source=../../../TEMPLATE/ser1/path.sh
SER_INSTALL=false . ./path.sh

# Our rows of test-b alone, in a folder of their own: the whole table is ./run.sh's.
out=exp/table2
rm -rf "$out"
experiments=()
for scores in exp/*_finetune/scores_test-b.json exp/*_adapt_weighting/scores_test-b.json \
  exp/papt_finetune_pldc_*/scores_test-b.json; do
  [[ -f $scores ]] || die "there is no $scores: ./run.sh has not come to its end."
  name=${scores%/*} name=$out/${name##*/}
  mkdir -p "$name"
  cp "$scores" "$name/"
  experiments+=("$name")
done
ser benchmark table "${experiments[@]}" --out "$out" --title "PAPT and PLDC, test-b" --command "local/table2.sh" \
  --quoted conf/quoted.yaml
