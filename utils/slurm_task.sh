#!/usr/bin/env bash
# What slurm.sh submits: one job of its array, on the node that Slurm has found for it. Slurm runs a copy of
# this file and sends what it prints to the job's log. How the command has ended goes to STATE/<job>.<attempt>.code;
# where that does not appear, the job was lost.
# Usage: slurm_task.sh STATE ATTEMPT
set -uo pipefail
state=$1 attempt=$2 job=$SLURM_ARRAY_TASK_ID utils=""
[[ -f $state/job ]] || exit 0                            # slurm.sh was stopped: nobody waits for this
mkdir "$state/$job.$attempt.begun" 2>/dev/null || exit 0 # submitted twice, when an answer of Slurm's was lost
# shellcheck source=/dev/null
. "$state/job" # sets utils, variable, log_pattern, command
# shellcheck source=dispatch.sh
. "$utils/dispatch.sh"

stopped=false
trap 'stopped=true' TERM # from Slurm, which knows why: the end of its time, preemption, scancel
replace "$log_pattern" "$job"
log=$replaced
replace_all "$job"
code=0
run_logged "$log" " on $(hostname) as Slurm's job ${SLURM_ARRAY_JOB_ID}_$job" "${words[@]}" || code=$?
[[ $stopped == false ]] || exit 143
printf '%d\n' "$code" 2>/dev/null >"$state/$job.$attempt.new" && mv "$state/$job.$attempt."{new,code}
exit "$code"
