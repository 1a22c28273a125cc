#!/usr/bin/env bash
# Every option of fine-tuning, on synthetic speech and a tiny random WavLM. Needs nothing; options: ./run.sh --help
set -euo pipefail
export SER_CALLER_DIR=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

encoder=(frozen top no_cnn all two_phase gradual lora bottleneck augment)
frames=(weighted attm attentive)
told=(gender_concatenate gender_add text text_gender)
objectives=(soft multi_task)
configs=$(printf 'conf/%s.yaml ' "${encoder[@]}" "${frames[@]}" "${told[@]}" "${objectives[@]}")

exec ./ser.sh \
  --title "mini (synthetic speech), options of fine-tuning on a tiny random WavLM: that they run, not what they are worth" \
  --extras espeak \
  --local-data "ser prepare mini --speakers 12 --utterances 144 --dialogues 0 --raters 5" \
  --local-models "python local/tiny_models.py --out exp/models" \
  --data-sets "train validation test" \
  --upstreams fbank \
  --train-configs conf/features.yaml \
  --finetune-upstreams hf:exp/models/wavlm \
  --finetune-configs "$configs" \
  --text-encoder hf:exp/models/text \
  --fuse "three=wavlm_frozen+wavlm_lora+wavlm_gradual" \
  --fuse-rules "weights mean rank vote" \
  -- "$@"
