#!/usr/bin/env bash
# The dialogues of 'ser prepare mini' as data/{train,validation,test}, by the set of their speakers, with utt2ambiguous:
# 1 where the turn alone cannot tell its label. Called by stage 1 with --out data and further options of 'ser prepare mini'.
set -euo pipefail
out=data options=()
while (($#)); do
  case $1 in
    --out) out=$2 && shift ;;
    --out=*) out=${1#--out=} ;;
    -h | --help)
      echo "Usage: local/data.sh [--out data] [options of ser prepare mini]; called by stage 1"
      exit 0
      ;;
    *) options+=("$1") ;;
  esac
  shift
done

mini=$out/mini # its own train, validation and test are single utterances
ser prepare mini --speakers 60 --utterances 60 --dialogues 240 --turns 24 --out "$mini" ${options[@]+"${options[@]}"}

truth() { # column: prints utterance and its value, of all turns in the planted truth
  awk -F, -v column="$1" '
    NR == 1 { for (i = 1; i <= NF; i++) place[$i] = i; if (!(column in place)) exit 1; next }
    { print $place["utterance"], $place[column] }' "$mini/truth/dialogues.csv" | LC_ALL=C sort
}
truth true_ambiguous >"$mini/dialogues/utt2ambiguous"
for set in train validation test; do
  truth set | awk -v set="$set" '$2 == set { print $1 }' >"$mini/$set.list"
  ser prepare subset "$mini/dialogues" "$out/$set" --utt-list "$mini/$set.list"
done
