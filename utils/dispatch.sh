#!/usr/bin/env bash
# Sourced by the dispatchers, run.sh and slurm.sh: how they are called, what stands in a log, progress, failure.
#
# A dispatcher sets PROGRAM, its options (quiet, show among them) and help_message, reads them with
# parse_options.sh, and calls read_call "$@". Then $command is to be run for each job from $first to $last.

# shellcheck disable=SC2154,SC2034  # the dispatcher has read its options, and uses what is set here
:

die() { # message: a mistake that the user can mend
  printf '%s: error: %s\n' "$PROGRAM" "$1" >&2
  exit 2
}

read_call() { # [JOB=1:4] LOG COMMAND [ARGUMENT ...]: sets variable, first, last, jobs, log_pattern, command
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
}

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

replace_all() { # job: sets $words, the job's command
  local word
  words=()
  for word in "${command[@]}"; do
    replace "$word" "$1"
    words+=("$replaced")
  done
}

run_logged() { # log where command...: runs it once; prints, into the log, what is told of a command
  local log=$1 where=$2 started=$SECONDS code=0 line
  shift 2
  line=$(printf ' %q' "$@")
  printf '# %s\n# Started at %s%s\n#\n' "${line# }" "$(date)" "$where"
  "$@" </dev/null || code=$?
  [[ -z $(tail -c 1 "$log") ]] || echo
  printf '# Ended (code %d) at %s, elapsed time %d seconds\n' "$code" "$(date)" $((SECONDS - started))
  return "$code"
}

own_output() { # log: what the command itself wrote in its last attempt
  awk '/^# Started at / { n = 0; getline; next } /^# Ended \(code / || /^progress / { next } { line[++n] = $0 }
       END { for (i = 1; i <= n; i++) print line[i] }' "$1"
}

clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

begin_progress() {
  ended=0 began=$SECONDS shown=$SECONDS terminal=false
  [[ -t 2 && $quiet == false ]] && terminal=true
  columns=$(stty size 2>/dev/null </dev/tty | cut -d' ' -f2) || true
  columns=$((${columns:-80} > 1 ? ${columns:-80} - 1 : 79))
}

show_progress() { # note log...: one line from the last `progress LABEL: N %, ... gone, T left` of the running jobs' logs
  local every=15 note=$1 line
  shift
  [[ $quiet == false ]] || return 0
  [[ $terminal == true ]] && every=1
  ((SECONDS - shown >= every)) || return 0
  shown=$SECONDS
  (($#)) || [[ -n $note ]] || return 0
  line=$(tail -q -v -c 600 /dev/null "$@" 2>/dev/null | awk -v ended="$ended" -v jobs="$jobs" '
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
  line="    $(clock $((SECONDS - began))) ${line:-running}${note:+, $note}"
  if [[ $terminal == true ]]; then
    printf '\r\033[K%.*s' "$columns" "$line" >&2
  else
    printf '%s\n' "$line" >&2
  fi
}

clear_progress() {
  if [[ $terminal == true ]]; then printf '\r\033[K' >&2; fi
}

tell() { # format argument...: a line of the dispatcher's own
  clear_progress
  # shellcheck disable=SC2059  # the format is ours
  printf "$PROGRAM: $1\n" "${@:2}" >&2
}

declare -A log_of=() code_of=() # by job
failed=()
note_end() { # job code: one has ended for good
  code_of[$1]=$2
  ended=$((ended + 1))
  (($2 == 0)) && return
  failed+=("$1")
  if ((jobs > 1 && ended < jobs)); then
    tell 'job %d failed (exit code %d), the others go on; see %s' "$1" "$2" "${log_of[$1]}"
  fi
}

finish() { # all jobs have ended: the last words, and the exit code
  local job log code
  clear_progress
  if ((${#failed[@]} == 0)); then
    if [[ $show == true && $jobs == 1 ]]; then own_output "${log_of[$first]}"; fi
    exit 0
  fi
  job=${failed[0]}
  log=${log_of[$job]} code=${code_of[$job]}
  if ((jobs > 1)); then tell '%d of %d jobs failed: %s' "${#failed[@]}" "$jobs" "${failed[*]}"; fi
  tell 'command failed with exit code %d:\n    %s' "$code" "$(sed -n 's/^# //p;q' "$log")"
  tell 'the end of %s:' "$log"
  own_output "$log" | tail -n 12 | cut -c1-400 | sed 's/^/    /' >&2
  exit "$((code > 0 && code < 256 ? code : 1))"
}
