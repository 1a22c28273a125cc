#!/usr/bin/env bash
# Sourced by ser.sh for recipes that fuse systems: stage 11, and the scores of what it makes. Off where a recipe
# names no --fuse.
#
#   exp/<name>_<rule>      a fusion of experiments, by 'ser fuse'

# shellcheck disable=SC2154  # ser.sh has read the options and defined the rest
read -ra fusions <<<"$fuse"
read -ra fuse_rule_words <<<"$fuse_rules"
read -ra fuse_words <<<"$fuse_options"
for word in "${fusions[@]}"; do
  [[ $word =~ ^[A-Za-z0-9_.-]+=[^+/=]+(\+[^+/=]+)+$ ]] ||
    die "--fuse: '$word' is not <name>=<experiment>+<experiment>, such as both=fbank_emotion+mfcc_emotion."
done
for word in "${fuse_rule_words[@]}"; do
  [[ " weights mean rank vote " == *" $word "* ]] || die "--fuse-rules: '$word' is none of weights, mean, rank, vote."
done
((${#fuse_rule_words[@]})) || die "--fuse-rules is empty."

each_fusion() { # function: calls it for every fusion and rule
  local word rule members
  for word in "${fusions[@]}"; do
    IFS=+ read -ra members <<<"${word#*=}"
    for rule in "${fuse_rule_words[@]}"; do "$1" "exp/${word%%=*}_$rule" "$rule" "${members[@]/#/exp/}"; done
  done
}

fuse_one() { # fused experiment, rule, experiments...
  local out=$1 rule=$2 member made seed part set
  shift 2
  item "${out#exp/}"
  for member in "$@"; do
    case $member in
      *_pldc_*) made=10 ;; # which predict as well
      *_adapt_*) made=8 ;;
      *) made=9 ;;
    esac
    from 8 "$member/config.yaml" "$member/info.yaml"
    for seed in "${seed_words[@]}"; do
      for part in "${parts[@]}"; do from "$made" "$member/seed$seed/*/$part/pred.scp" "$member/seed$seed/*/$part/pred.ark"; done
      [[ $rule != weights ]] || from 8 "$member/seed$seed/*/validation/pred.scp" "$member/seed$seed/*/validation/pred.ark"
    done
  done
  for set in "${sets[@]}"; do from 1 "data/$set/utt2*" "data/$set/labels.yaml"; done
  for seed in "${seed_words[@]}"; do
    for part in "${parts[@]}"; do promise "$out/seed$seed/*/$part/pred.scp"; done
  done
  promise "$out/info.yaml"
  setting members "$*"
  setting "fuse options" "$fuse_options"
  setting release "$release"
  if todo; then
    [[ $dry_run == true || -f $out/fusion.yaml ]] || rm -rf "$out" # half written
    work "run.sh --show" "log/${out#exp/}.log" ser fuse "$@" --out "$out" --rule "$rule" ${fuse_words[@]+"${fuse_words[@]}"}
    item_end
  fi
}

score_fusion() { score_one "" "" "$1" 11; } # fused experiment

stage_fuse() { each_fusion fuse_one; }
score_fusions() { each_fusion score_fusion; }
