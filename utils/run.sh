#!/usr/bin/env bash
# The local dispatcher: runs a command, or an array of jobs, on this machine.
#
# It takes what utils/slurm.sh takes, so that cmd.sh can put one in the other's place: options, an
# optional JOB=FIRST:LAST, the log, the command. Exit code 0 when all jobs ended well.
set -euo pipefail
PROGRAM=run.sh

max_jobs=0
threads=0
retries=0
show=false
quiet=false
help_message="Usage: run.sh [options] [JOB=1:4] LOG COMMAND [ARGUMENT ...]
 e.g.: run.sh --retries 1 JOB=1:4 log/extract.JOB.log ser extract data/all feats/fbank/all --nj 4 --job JOB

Runs COMMAND, or one COMMAND for each value of JOB, with all its output in LOG. The word JOB is
replaced by the job's number in LOG and in every argument.

Options:
  --max-jobs N   how many jobs run at once (0: as many as there are cores)
  --threads N    threads of each job, as OMP_NUM_THREADS (0: its value now, or cores / jobs at once)
  --retries N    how often a failed job is tried again; exit code 2, a mistake in its input, is final
  --show         print the output of the command when it has ended well (one job only)
  --quiet        no progress"
# shellcheck source=parse_options.sh
. "$(dirname "${BASH_SOURCE[0]}")/parse_options.sh"
# shellcheck source=dispatch.sh
. "$(dirname "${BASH_SOURCE[0]}")/dispatch.sh"

for number in "$max_jobs" "$threads" "$retries"; do
  [[ $number =~ ^[0-9]+$ ]] || die "'$number' is not a number."
done
read_call "$@"

# nproc heeds OMP_NUM_THREADS, which is not what is asked here.
cores=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
((max_jobs)) || max_jobs=$cores
((max_jobs <= jobs)) || max_jobs=$jobs
if ((threads)); then
  export OMP_NUM_THREADS=$threads
else
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores > max_jobs ? cores / max_jobs : 1))}
fi

attempts() { # log command...: one job, tried until it ends well; runs in a process group of its own
  local log=$1 attempt code
  shift
  # shellcheck disable=SC2094  # the log is looked at only between two commands
  for ((attempt = 0; ; attempt++)); do
    code=0
    run_logged "$log" "" "$@" || code=$?
    ((code == 0 || code == 2 || code >= 126 || attempt >= retries)) && exit "$code"
    printf '# Attempt %d of %d\n' $((attempt + 2)) $((retries + 1))
  done >"$log" 2>&1
}

declare -A job_of=() # by process id
begin_progress

stop() { # exit code: ends the jobs, all their processes
  local pid
  trap '' INT TERM HUP
  for pid in "${!job_of[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
  for _ in {1..50}; do
    [[ -n $(jobs -rp) ]] || break
    sleep 0.1
  done
  for pid in $(jobs -rp); do kill -KILL -- "-$pid" 2>/dev/null || true; done
  tell 'stopped; the logs are in %s' "$log_pattern"
  exit "$1"
}
trap 'stop 130' INT
trap 'stop 143' TERM
trap 'stop 129' HUP

start() { # job
  local log pid
  replace "$log_pattern" "$1"
  log=$replaced
  replace_all "$1"
  mkdir -p "$(dirname "$log")"
  : >"$log"
  set -m # a process group for each job, so that stop reaches the job's own children
  (
    trap - INT TERM HUP
    attempts "$log" "${words[@]}"
  ) &
  pid=$!
  set +m
  job_of[$pid]=$1
  log_of[$1]=$log
}

collect() { # takes note of the jobs that have ended
  local pid job code running
  running=" $(jobs -rp | tr '\n' ' ') "
  for pid in "${!job_of[@]}"; do
    [[ $running == *" $pid "* ]] && continue
    code=0
    wait "$pid" 2>/dev/null || code=$?
    job=${job_of[$pid]}
    unset "job_of[$pid]"
    note_end "$job" "$code"
  done
}

next=$first
while ((ended < jobs)); do
  while ((next <= last && ${#job_of[@]} < max_jobs)); do
    start "$next"
    next=$((next + 1))
  done
  sleep 0.1
  collect
  logs=()
  for pid in "${!job_of[@]}"; do logs+=("${log_of[${job_of[$pid]}]}"); done
  show_progress "" ${logs[@]+"${logs[@]}"}
done
finish
