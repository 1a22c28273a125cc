#!/usr/bin/env bash
# egs/mini/ser1 from nothing on a Slurm cluster of one node (cluster.sh), with one job that fails and is tried again,
# one that is killed and submitted again, and the whole run killed and started again: its predictions and scores are
# those of a local run. Then fine-tuning with two processes, started by srun and torchrun, is that with one.
# Usage: tests/slurm/run.sh     Exit code 77: skipped, because there is no Slurm here.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/tests/slurm
SER_EXTRAS="test espeak"
# shellcheck source=../../egs/TEMPLATE/ser1/path.sh
. "$root/egs/TEMPLATE/ser1/path.sh"
export SER_INSTALL=false OMP_NUM_THREADS=1

work=$(mktemp -d)
running="" # the recipe's run, while there is one in the background
clean() {
  local code=$?
  if [[ -n $running ]]; then
    kill -TERM "$running" 2>/dev/null || true
    { wait "$running" || true; } 2>/dev/null
  fi
  "$here/cluster.sh" stop "$work/cluster"
  if ((code == 0 || code == 77)); then rm -rf "$work"; else echo "tests/slurm/run.sh: what was made stays in $work" >&2; fi
}
trap clean EXIT
trap 'exit 143' INT TERM HUP

fail() {
  echo "tests/slurm/run.sh: $*" >&2
  exit 1
}
step() { printf '== %s (%d s)\n' "$*" "$SECONDS"; }
wait_for() { # what seconds command...
  local what=$1 seconds=$2
  shift 2
  for ((; seconds > 0; seconds--)); do
    "$@" && return
    sleep 1
  done
  fail "waited in vain for $what"
}

step "a cluster of one node"
"$here/cluster.sh" start "$work/cluster"
export SLURM_CONF=$work/cluster/slurm.conf

copy() { # folder: the recipe as it was never run
  local recipe=egs/mini/ser1 part
  mkdir -p "$1/$recipe" "$1/egs/TEMPLATE"
  cp -a "$root/utils" "$1/utils"
  cp -a "$root/egs/TEMPLATE/ser1" "$1/egs/TEMPLATE/ser1"
  for part in run.sh ser.sh path.sh cmd.sh utils conf; do cp -a "$root/$recipe/$part" "$1/$recipe/$part"; done
  ln -s "$root/ser" "$root/tools" "$1/"
}
options=(--upstreams fbank --prepare-options "--speakers 16 --utterances 416 --dialogues 0" --nj 2)

step "egs/mini/ser1 on this machine"
copy "$work/local"
local_run=$work/local/egs/mini/ser1
"$local_run/run.sh" "${options[@]}" >"$work/local.log" 2>&1 || { tail -n 30 "$work/local.log" >&2 && fail "the local run failed"; }

# In place of ser, on the cluster: every mishap happens once.
copy "$work/cluster_run"
recipe=$work/cluster_run/egs/mini/ser1
mkdir "$work/mishaps"
REAL_SER=$(command -v ser)
export REAL_SER MISHAPS=$work/mishaps
cat >"$MISHAPS/ser" <<'END'
#!/usr/bin/env bash
once() { mkdir "$MISHAPS/$1" 2>/dev/null; }
case "$*" in
  "extract data/train "*"--job 2") ! once failed || { echo "this job is made to fail" && exit 1; } ;;
  "train "*"--exp exp/fbank_emotion "*)
    if once killed; then
      "$REAL_SER" "$@" &
      until [[ -e exp/fbank_emotion/seed0/fold0/train.log ]] || ! kill -0 $! 2>/dev/null; do sleep 0.02; done
      kill -KILL $! "$PPID" $$
    fi
    ;;
  "train "*"--exp exp/fbank_attributes "*) ! once hung || sleep 1000 ;;
esac
exec "$REAL_SER" "$@"
END
chmod +x "$MISHAPS/ser"
# shellcheck disable=SC2016  # for the recipe to expand
echo 'export PATH=$MISHAPS:$PATH' >>"$work/cluster_run/egs/TEMPLATE/ser1/cmd.sh"
export SER_CMD="slurm.sh --poll 1 --retries 1"

step "egs/mini/ser1 on the cluster, until its second training runs"
setsid "$recipe/run.sh" "${options[@]}" >"$work/cluster1.log" 2>&1 &
running=$!
hung() {
  kill -0 "$running" 2>/dev/null || { tail -n 30 "$work/cluster1.log" >&2 && fail "the run on the cluster ended early"; }
  [[ -d $MISHAPS/hung ]]
}
wait_for "the second training" 900 hung
kill -KILL -- "-$running"
{ wait "$running" || true; } 2>/dev/null
running=""
[[ -n $(squeue --noheader) ]] || fail "nothing of the killed run is left on the cluster: this tests nothing"

step "the run was killed with a job on the cluster; again"
"$recipe/run.sh" "${options[@]}" >"$work/cluster2.log" 2>&1 || { tail -n 30 "$work/cluster2.log" >&2 && fail "the second run failed"; }
grep -q 'cancelling what is left of an earlier call' "$work/cluster2.log" || fail "the killed run's job was not cancelled"
grep -q '^# Attempt 2 of 2' "$recipe/log/extract_fbank_train.2.log" || fail "the job that failed was not tried again"
if grep -q '^# Attempt' "$recipe/log/extract_fbank_train.1.log"; then fail "the other job was tried again as well"; fi
grep -q '^# Lost (' "$recipe/log/train_fbank_emotion_seed0.1.log" || fail "the job that was killed was not noticed"
[[ -z $(squeue --noheader) ]] || fail "jobs are left on the cluster"

step "is its result that of the local run?"
python "$here/same.py" results "$local_run" "$recipe" || fail "the cluster's result is another"

step "fine-tuning with two processes, and with one"
cd "$recipe"
# shellcheck source=../../egs/TEMPLATE/ser1/path.sh
. ./path.sh
python "$root/egs/mini/finetune1/local/tiny_models.py" --out exp/models >log/models.log 2>&1
finetune=(
  ser finetune --config "$root/egs/mini/finetune1/conf/all.yaml" --upstream hf:exp/models/wavlm --data data/validation
  --validation-data data/test --test-data '[data/test]' --optimizer.epochs 1
  --batches.micro_seconds 3 --exp
)
run.sh log/one.log "${finetune[@]}" exp/one
GLOO_SOCKET_IFNAME=lo slurm.sh --poll 1 --processes-per-node 2 log/two.log "${finetune[@]}" exp/two
python "$here/same.py" model exp/one exp/two --processes 1 2 || fail "two processes have trained another model"
step "passed"
