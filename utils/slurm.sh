#!/usr/bin/env bash
# The dispatcher for a Slurm cluster: runs a command, or an array of jobs, on its nodes. docs/cluster.md
#
# It takes what utils/run.sh takes, and leaves the same logs, messages and exit codes. A job that fails is
# submitted again alone (--retries), and so is one that the cluster has lost. How a job ended is told by a file
# that it writes near its log, looked for every second; the queue is asked, every --poll seconds, for those
# that are gone without one.
set -euo pipefail
PROGRAM=slurm.sh

partition=
time=
mem=
cpus=1
gpus=0
nodes=1
processes_per_node=1
sbatch=
max_jobs=0
threads=0
retries=0
lost_retries=2
poll=10
show=false
quiet=false
help_message="Usage: slurm.sh [options] [JOB=1:4] LOG COMMAND [ARGUMENT ...]
 e.g.: slurm.sh --partition cpu --mem 8G JOB=1:4 log/extract.JOB.log ser extract data/all feats/fbank/all --nj 4 --job JOB

Submits COMMAND, or one COMMAND for each value of JOB as an array, and waits for the end of all. Output goes to LOG,
which must lie on a file system that the nodes share, as must the folder it is called in. The word JOB is
replaced by the job's number in LOG and in every argument. Ctrl-C cancels.

Options:
  --partition P, --time T, --mem M   of each job, as sbatch takes them
  --cpus N             cores of each job, or of each process of a training (1)
  --gpus N             GPUs of each job, on each of its nodes (0)
  --sbatch \"WORDS\"     further options of sbatch: --sbatch \"--account=x --constraint=a100\"
  --nodes N, --processes-per-node N  more than one: COMMAND is a training and is started so often, by torchrun
  --max-jobs N         how many jobs of the array run at once (0: as many as the cluster lets)
  --threads N          threads of each process, as OMP_NUM_THREADS (0: its value now, or --cpus)
  --retries N          how often a failed job is submitted again; exit code 2, a mistake in its input, is final
  --lost-retries N     the same for a job that was lost: a node failed, it was preempted or killed (2)
  --poll N             seconds between two looks at the queue (10)
  --show               print the output of the command when it has ended well (one job only)
  --quiet              no progress"
utils=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=parse_options.sh
. "$utils/parse_options.sh"
# shellcheck source=dispatch.sh
. "$utils/dispatch.sh"

for number in "$cpus" "$gpus" "$nodes" "$processes_per_node" "$max_jobs" "$threads" "$retries" "$lost_retries" "$poll"; do
  [[ $number =~ ^[0-9]+$ ]] || die "'$number' is not a number."
done
((cpus && nodes && processes_per_node)) || die "--cpus, --nodes and --processes-per-node are 1 or more."
read_call "$@"
for program in sbatch squeue scancel; do
  command -v $program >/dev/null || die "there is no $program on this machine; run.sh in cmd.sh does without a cluster."
done
((nodes * processes_per_node == 1)) || command=("$utils/torchrun_slurm.sh" "$processes_per_node" "${command[@]}")
if ((threads)); then
  export OMP_NUM_THREADS=$threads
else
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$cpus}
fi

# Whatever this call submits has a name of its own, by which it is found again.
name=$(basename "$log_pattern" .log)-$(cksum <<<"$(pwd -P) $log_pattern" | cut -d' ' -f1)
name=${name//[^A-Za-z0-9._-]/_}
for ((job = first; job <= last; job++)); do
  replace "$log_pattern" "$job"
  log_of[$job]=$replaced
  mkdir -p "$(dirname "$replaced")"
done
mkdir -p "$(dirname "${log_of[$first]}")/.slurm"
folder=$(cd "$(dirname "${log_of[$first]}")/.slurm" && pwd)
exec 9>"$folder/$name.lock"
if command -v flock >/dev/null && ! flock -w 3 9; then die "another slurm.sh writes to $log_pattern."; fi

declare -A id_of=()                          # job -> <array>_<task>, as long as it has not ended
declare -A attempts=() failures=() losses=() # job -> how many
declare -A queued=() missed=()               # <array>_<task> -> state and reason; how often it was not there
silent=false                                 # whether Slurm does not answer

look() { # sets queued: what the queue holds of this name
  local text id about
  if ! text=$(squeue --noheader --array --user "$UID" --name "$name" --format '%F_%K %T %r' 2>&1); then
    [[ $silent == true ]] || tell 'squeue does not answer (%s); waiting' "$(tail -n 1 <<<"$text")"
    silent=true
    return 1
  fi
  silent=false queued=()
  while read -r id about; do
    [[ $id != *_* ]] || queued[$id]=$about
  done <<<"$text"
}

cancel_earlier() { # jobs of a dispatcher that was killed: the new ones wait for their end; sets after
  local ids
  after=""
  rm -rf "$folder/$name".??????
  until look; do sleep "$((poll + 1))"; done
  ((${#queued[@]})) || return 0
  ids=$(printf '%s\n' "${!queued[@]}" | sed 's/_.*//' | sort -u)
  tell 'cancelling what is left of an earlier call: %s' "${ids//$'\n'/ }"
  scancel --user "$UID" --name "$name" || true
  after=${ids//$'\n'/:}
}

submit() { # tasks (1-4, 3), attempt, ids to wait for or nothing: sets submitted, the array's id
  local answer id try options output
  replace "${log_pattern//%/%%}" %a
  output=$replaced
  options=(--parsable --job-name "$name" --array "$1$( ((!max_jobs)) || echo "%$max_jobs")" --chdir "$PWD" --export ALL
    --output "$output" --open-mode append --no-requeue --nodes "$nodes" --ntasks-per-node 1
    --cpus-per-task $((cpus * processes_per_node)) ${3:+--dependency "afterany:$3"}
    ${partition:+--partition "$partition"} ${time:+--time "$time"} ${mem:+--mem "$mem"})
  ((!gpus)) || options+=(--gres "gpu:$gpus")
  read -ra more <<<"$sbatch"
  for try in 1 2 3 4 5; do
    if answer=$(sbatch "${options[@]}" ${more[@]+"${more[@]}"} "$utils/slurm_task.sh" "$state" "$2" 2>"$state/sbatch" 9>&-); then
      submitted=${answer%%;*}
      [[ $submitted =~ ^[0-9]+$ ]] || die "sbatch answered '$answer'."
      return
    fi
    answer=$(tail -n 1 "$state/sbatch")
    answer=${answer#sbatch: } answer=${answer#error: }
    grep -Eqi 'contact slurm controller|timed out|temporar|try again' "$state/sbatch" || die "sbatch: $answer"
    ((try < 5)) || break
    tell 'sbatch: %s; trying again' "$answer"
    sleep "$((poll + 1))"
    look || continue
    for id in "${!queued[@]}"; do # it may have arrived all the same
      [[ " ${known[*]-} " == *" ${id%_*} "* ]] || { submitted=${id%_*} && return; }
    done
  done
  die "sbatch: $answer"
}

state=""
stop() { # exit code
  trap '' INT TERM HUP
  [[ -z $state ]] || rm -rf "$state" # what starts now finds nothing to do
  scancel --user "$UID" --name "$name" 2>/dev/null || true
  tell 'stopped%s; the logs are in %s' "${known[*]:+, jobs ${known[*]} cancelled}" "$log_pattern"
  for _ in {1..20}; do
    look && ((!${#queued[@]})) && break
    sleep 0.5
  done
  exit "$1"
}
trap 'stop 130' INT
trap 'stop 143' TERM
trap 'stop 129' HUP
trap '[[ -z $state ]] || rm -rf "$state"; ((!${#id_of[@]})) || scancel --user "$UID" --name "$name"' EXIT

again() { # job, why: it alone, once the attempt before has left its node
  attempts[$1]=$((attempts[$1] + 1))
  submit "$1" "${attempts[$1]}" "${id_of[$1]}"
  known+=("$submitted")
  tell 'job %d %s, submitted again as %s' "$1" "$2" "$submitted"
  id_of[$1]=${submitted}_$1
}

lose() { # job, why: an attempt has ended by no fault of its own
  losses[$1]=$((losses[$1] + 1))
  printf '# Lost (%s) at %s, submitted again (%d of %d)\n' "$2" "$(date)" "${losses[$1]}" "$lost_retries" >>"${log_of[$1]}"
  again "$1" "was lost ($2)"
}

settle() { # job code: an attempt has ended
  if (($2 == 137 && losses[$1] < lost_retries)); then
    lose "$1" "killed"
    return
  fi
  if (($2 == 0 || $2 == 2 || $2 == 126 || $2 == 127 || failures[$1] >= retries)); then
    unset "id_of[$1]"
    note_end "$1" "$2"
    return
  fi
  failures[$1]=$((failures[$1] + 1))
  printf '# Attempt %d of %d\n' $((failures[$1] + 1)) $((retries + 1)) >>"${log_of[$1]}"
  again "$1" "failed (exit code $2)"
}

collect() { # takes note of the attempts that have told how they ended
  local file job attempt code
  for file in "$state"/*.code; do
    [[ -f $file ]] || continue
    read -r code <"$file"
    job=${file##*/}
    attempt=${job#*.} job=${job%%.*}
    rm "$file"
    [[ ${attempt%.code} != "${attempts[$job]}" || -z ${id_of[$job]-} ]] || settle "$job" "$code"
  done
}

what_slurm_says() { # <array>_<task>: prints the state of a job that is not in the queue
  local text
  text=$(scontrol --oneliner show job "$1" 2>/dev/null) || true
  if [[ $text =~ JobState=([A-Z_]+) ]]; then
    echo "${BASH_REMATCH[1]}"
  else
    text=$(sacct --noheader --allocations --parsable2 --jobs "$1" --format State 2>/dev/null | tail -n 1) || true
    echo "${text%% *}"
  fi
}

find_lost() { # those that two looks have not found, and that have not told how they ended
  local job id why
  for job in "${!id_of[@]}"; do
    id=${id_of[$job]}
    [[ -z ${queued[$id]-} ]] || continue
    missed[$id]=$((${missed[$id]:-0} + 1))
    ((missed[$id] >= 2)) || continue
    why=$(what_slurm_says "$id")
    case $why in
      CANCELLED | DEADLINE) end_by_slurm "$job" 143 "$why" ;;
      OUT_OF_MEMORY) end_by_slurm "$job" 125 "$why" ;;
      TIMEOUT)
        ended_by_slurm "$job" 124 "$why"
        settle "$job" 124
        ;;
      *)
        if ((losses[$job] < lost_retries)); then
          lose "$job" "${why:-UNKNOWN}"
        else
          end_by_slurm "$job" 1 "lost once more, ${why:-UNKNOWN}"
        fi
        ;;
    esac
  done
}

ended_by_slurm() { # job code why
  printf '# Ended (code %d) at %s, by Slurm: %s\n' "$2" "$(date)" "$3" >>"${log_of[$1]}"
}

end_by_slurm() { # job code why: and it is not tried again
  ended_by_slurm "$@"
  unset "id_of[$1]"
  note_end "$1" "$2"
}

show_queue() { # progress of those that run, and how many wait for what
  local job about logs=() waiting=0 reason=""
  for job in "${!id_of[@]}"; do
    about=${queued[${id_of[$job]}]-}
    case $about in
      PENDING*) waiting=$((waiting + 1)) reason=${about#* } ;;
      *) logs+=("${log_of[$job]}") ;;
    esac
  done
  ((!waiting)) || reason="$waiting waiting ($reason)"
  show_progress "$reason" ${logs[@]+"${logs[@]}"}
}

known=() # arrays of this call
{ # read as a whole, so that a call goes on as it began when this file changes under it
  begin_progress
  cancel_earlier
  state=$(mktemp -d "$folder/$name.XXXXXX")
  declare -p utils variable log_pattern command >"$state/job"
  for ((job = first; job <= last; job++)); do
    : >"${log_of[$job]}"
    attempts[$job]=0 failures[$job]=0 losses[$job]=0
  done
  submit "$first-$last" 0 "$after"
  known+=("$submitted")
  for ((job = first; job <= last; job++)); do id_of[$job]=${submitted}_$job; done

  looked=$SECONDS
  while ((ended < jobs)); do
    if ((SECONDS - began < 5)); then sleep 0.2; else sleep 1; fi
    collect
    if ((SECONDS - looked >= poll)) && ((ended < jobs)); then
      looked=$SECONDS
      if look; then find_lost; fi
    fi
    show_queue
  done
  finish
}
