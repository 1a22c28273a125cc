#!/usr/bin/env bash
# Trains with several processes on all nodes of the Slurm job that it is called in: srun starts torchrun on each
# node, and torchrun its processes. 'slurm.sh --nodes 2 --processes-per-node 4' calls it; by hand:
#   sbatch --nodes 2 --ntasks-per-node 1 --cpus-per-task 16 --gres gpu:4 --wrap "utils/torchrun_slurm.sh 4 ser papt ..."
# Usage: torchrun_slurm.sh PROCESSES_PER_NODE COMMAND [ARGUMENT ...]
set -euo pipefail
if (($# < 2)) || [[ ! $1 =~ ^[1-9][0-9]*$ ]]; then
  sed -n '/^# Usage/s/^# //p' "${BASH_SOURCE[0]}" >&2
  exit 2
fi
if [[ -z ${SLURM_JOB_NODELIST-} ]]; then
  echo "torchrun_slurm.sh: error: this is no Slurm job. Call it by sbatch or slurm.sh." >&2
  exit 2
fi
processes=$1
shift

# The first node is where all meet, at a port of the job's own.
meet=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1):$((20000 + SLURM_JOB_ID % 20000))
exec srun --nodes "$SLURM_JOB_NUM_NODES" --ntasks-per-node 1 --cpus-per-task "${SLURM_CPUS_PER_TASK:-1}" --kill-on-bad-exit=1 \
  python -m torch.distributed.run --nnodes "$SLURM_JOB_NUM_NODES" --nproc-per-node "$processes" \
  --rdzv-backend c10d --rdzv-endpoint "$meet" --rdzv-id "$SLURM_JOB_ID" --no-python "$@"
