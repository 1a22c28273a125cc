#!/usr/bin/env bash
# Sourced by ser.sh for recipes that calibrate: stage 10, and what stages 9 and 12 do for it.
#
#   exp/<experiment>_pldc_<shift>                     calibrated

# shellcheck disable=SC2154  # ser.sh has read the options and defined the rest
read -ra shifts <<<"$calibrate"
read -ra calibrate_words <<<"$calibrate_options"

learnt_parts=(train)
((${#sets[@]} == 1)) || learnt_parts+=(validation)
predict_options+="${predict_options:+ }--parts [train,validation,test]"
predict_words+=(--parts "[train,validation,test]")

enrolment="" # a test set that calibration learns speakers from is not calibrated
[[ ! " $calibrate_options " =~ \ --enrolment[\ =]([^\ ]+) ]] || enrolment=${BASH_REMATCH[1]}

calibrate_one() { # tag config experiment
  local shift part seed out
  for shift in "${shifts[@]}"; do
    out=$3_pldc_$shift
    item "${out#exp/}"
    for seed in "${seed_words[@]}"; do
      for part in "${learnt_parts[@]}" "${parts[@]}"; do
        from 9 "$3/seed$seed/*/$part/"{pred,emb}.{scp,ark}
        [[ " train validation $enrolment " == *" $part "* ]] || promise "$out/seed$seed/*/$part/pred.scp"
      done
    done
    for part in "${sets[@]}"; do from 1 "data/$part/utt2spk" "data/$part/labels.yaml" "data/$part/utt2*"; done
    setting "calibrate options" "$calibrate_options"
    setting release "$release"
    promise "$out/info.yaml"
    if todo; then
      [[ $dry_run == true || -f $out/calibration.yaml ]] || rm -rf "$out" # half written
      work run.sh "log/${out#exp/}.log" ser calibrate "$3" --out "$out" --shift "$shift" ${calibrate_words[@]+"${calibrate_words[@]}"}
      item_end
    fi
  done
}

stage_calibrate() {
  each_experiment calibrate_one
  each_finetuned calibrate_one
}

score_calibrated() { # tag config experiment
  local shift
  for shift in ${shifts[@]+"${shifts[@]}"}; do score_one "$1" "$2" "$3_pldc_$shift" 10 "$enrolment"; done
}
