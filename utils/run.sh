#!/usr/bin/env bash
# The local dispatcher: runs a command, or an array of jobs, on this machine.
#
# It takes what utils/slurm.sh-like dispatchers take, so that cmd.sh can put one in its place:
# options, an optional JOB=FIRST:LAST, the log, the command. Exit code 0 when all jobs ended well.
set -euo pipefail

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

die() {
  printf 'run.sh: error: %s\n' "$1" >&2
  exit 2
}

for number in "$max_jobs" "$threads" "$retries"; do
  [[ $number =~ ^[0-9]+$ ]] || die "'$number' is not a number."
done
variable="" first=1 last=1
if [[ ${1-} =~ ^([A-Za-z_]+)=([0-9]+)(:([0-9]+))?$ ]]; then
  variable=${BASH_REMATCH[1]} first=$((10#${BASH_REMATCH[2]})) last=$((10#${BASH_REMATCH[4]:-${BASH_REMATCH[2]}}))
  ((first >= 1 && first <= last)) || die "$1 is not a range of jobs such as JOB=1:4."
  shift
fi
(($# >= 2)) || { printf '%s\n' "$help_message" >&2 && exit 2; }
log_pattern=$1
shift
command=("$@")
jobs=$((last - first + 1))
if ((jobs > 1)) && [[ $log_pattern != *"$variable"* ]]; then
  die "the log '$log_pattern' has no $variable in it: the jobs would write over each other."
fi

# nproc heeds OMP_NUM_THREADS, which is not what is asked here.
cores=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
((max_jobs)) || max_jobs=$cores
((max_jobs <= jobs)) || max_jobs=$jobs
if ((threads)); then
  export OMP_NUM_THREADS=$threads
else
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores > max_jobs ? cores / max_jobs : 1))}
fi

replace() { # text job: sets $replaced; JOB is a word of its own, so that the folder JOBS stays
  local rest=$1 before after
  replaced=
  while [[ -n $variable && $rest == *"$variable"* ]]; do
    before=${rest%%"$variable"*} after=${rest#*"$variable"}
    if [[ $before =~ [A-Za-z0-9]$ || $after =~ ^[A-Za-z0-9] ]]; then
      replaced+=$before$variable
    else
      replaced+=$before$2
    fi
    rest=$after
  done
  replaced+=$rest
}

attempts() { # log command...: one job, tried until it ends well; runs in a process group of its own
  local log=$1 attempt code started line
  shift
  line=$(printf ' %q' "$@")
  line=${line# }
  # shellcheck disable=SC2094  # the log is looked at only between two commands
  for ((attempt = 0; ; attempt++)); do
    started=$SECONDS
    printf '# %s\n# Started at %s\n#\n' "$line" "$(date)"
    code=0
    "$@" </dev/null || code=$?
    [[ -z $(tail -c 1 "$log") ]] || echo
    printf '# Ended (code %d) at %s, elapsed time %d seconds\n' "$code" "$(date)" $((SECONDS - started))
    ((code == 0 || code == 2 || code >= 126 || attempt >= retries)) && exit "$code"
    printf '# Attempt %d of %d\n' $((attempt + 2)) $((retries + 1))
  done >"$log" 2>&1
}

declare -A job_of=() log_of=() code_of=()
failed=() ended=0 began=$SECONDS shown=$SECONDS
terminal=false
[[ -t 2 && $quiet == false ]] && terminal=true
columns=$(stty size 2>/dev/null </dev/tty | cut -d' ' -f2) || true
columns=$((${columns:-80} > 1 ? ${columns:-80} - 1 : 79))

stop() { # exit code: ends the jobs, all their processes
  local pid
  trap '' INT TERM HUP
  for pid in "${!job_of[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
  for _ in {1..50}; do
    [[ -n $(jobs -rp) ]] || break
    sleep 0.1
  done
  for pid in $(jobs -rp); do kill -KILL -- "-$pid" 2>/dev/null || true; done
  [[ $terminal == true ]] && printf '\r\033[K' >&2
  printf 'run.sh: stopped; the logs are in %s\n' "$log_pattern" >&2
  exit "$1"
}
trap 'stop 130' INT
trap 'stop 143' TERM
trap 'stop 129' HUP

start() { # job
  local log pid word words=()
  replace "$log_pattern" "$1"
  log=$replaced
  for word in "${command[@]}"; do
    replace "$word" "$1"
    words+=("$replaced")
  done
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
    code_of[$job]=$code
    ended=$((ended + 1))
    ((code == 0)) && continue
    failed+=("$job")
    if ((jobs > 1 && ended < jobs)); then
      [[ $terminal == true ]] && printf '\r\033[K' >&2
      printf 'run.sh: job %d failed (exit code %d), the others go on; see %s\n' "$job" "$code" "${log_of[$job]}" >&2
    fi
  done
}

clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

show_progress() { # one line from the last `progress LABEL: N %, ... gone, T left` of the running jobs' logs
  local every=15 line logs=() pid
  [[ $terminal == true ]] && every=1
  ((SECONDS - shown >= every)) || return 0
  shown=$SECONDS
  for pid in "${!job_of[@]}"; do logs+=("${log_of[${job_of[$pid]}]}"); done
  ((${#logs[@]})) || return 0
  line=$(tail -q -v -c 600 "${logs[@]}" 2>/dev/null | awk -v ended=$ended -v jobs=$jobs '
    /^==> .* <==$/ { log_number++ }
    /^progress .*: [0-9]+ %, .* left/ {
      label = $0; sub(/^progress /, "", label); sub(/: [0-9]+ %,.*/, "", label)
      share = $0; sub(/.*: /, "", share); shares[log_number] = share + 0
      left = $0; sub(/ left.*/, "", left); sub(/.* /, "", left); lefts[log_number] = left
    }
    END {
      for (n in lefts) {
        parts = split(lefts[n], part, ":"); seconds = 0
        for (i = 1; i <= parts; i++) seconds = 60 * seconds + part[i]
        if (seconds >= longest) { longest = seconds; longest_left = lefts[n] }
        total += shares[n]; known++
      }
      if (known) printf "%s: %d %%, about %s left", label, (total + 100 * ended) / jobs, longest_left
    }')
  ((jobs > 1)) && line="${line:+$line, }$ended of $jobs jobs done"
  line="    $(clock $((SECONDS - began))) ${line:-running}"
  if [[ $terminal == true ]]; then
    printf '\r\033[K%.*s' "$columns" "$line" >&2
  else
    printf '%s\n' "$line" >&2
  fi
}

next=$first
while ((ended < jobs)); do
  while ((next <= last && ${#job_of[@]} < max_jobs)); do
    start "$next"
    next=$((next + 1))
  done
  sleep 0.1
  collect
  [[ $quiet == true ]] || show_progress
done
[[ $terminal == true ]] && printf '\r\033[K' >&2

own_output() { # log: what the command itself wrote in its last attempt
  awk '/^# Started at / { n = 0; getline; next } /^# Ended \(code / || /^progress / { next } { line[++n] = $0 }
       END { for (i = 1; i <= n; i++) print line[i] }' "$1"
}

if ((${#failed[@]} == 0)); then
  if [[ $show == true && $jobs == 1 ]]; then own_output "${log_of[$first]}"; fi
  exit 0
fi
{
  ((jobs > 1)) && printf 'run.sh: %d of %d jobs failed: %s\n' "${#failed[@]}" "$jobs" "${failed[*]}"
  job=${failed[0]}
  log=${log_of[$job]}
  printf 'run.sh: command failed with exit code %d:\n    %s\n' "${code_of[$job]}" "$(sed -n 's/^# //p;q' "$log")"
  printf 'run.sh: the end of %s:\n' "$log"
  own_output "$log" | tail -n 12 | cut -c1-400 | sed 's/^/    /'
} >&2
code=${code_of[${failed[0]}]}
exit "$((code > 0 && code < 256 ? code : 1))"
