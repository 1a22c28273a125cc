#!/usr/bin/env bash
# Sourced by a stage engine (egs/TEMPLATE/*/ser.sh): stages, the items of work in them, their marks.
#
#   stage_begin 3 extract "audio to features"
#   item fbank/train
#   from 1 data/train/wav.scp            # inputs (files, patterns) and the stage that makes them; 0: the user
#   setting upstream fbank               # whatever else decides the result
#   promise feats/fbank/train/meta.yaml  # outputs: it is not done before they are there
#   clear_if_forced feats/fbank/train    # removed first under --force, for commands that go on where they were
#   if todo; then
#     work "run.sh --retries 1" JOB=1:4 log/fbank.JOB.log ser extract ... --job JOB
#     item_end
#   fi
#   stage_end
#
# After todo, item_outdated tells whether what was there had been made from other inputs. A command
# that goes on where it was must see that for itself: a mistyped option costs nobody's results.
# The engine sets force and dry_run (true or false), stage_names and stage_whats (by number), off
# (" 4 5 ": the stages of later releases) and unused (the same: those that a recipe does not switch on).

# Who calls a recipe from a program sets SER_JOURNAL to a file: it gets a line a fact, tabs between state, stage, item,
# reason, log. States: done, todo, outdated, waiting (for another stage), no-corpus, finished, failed.

# shellcheck source=likely_cause.sh
. "$(dirname "${BASH_SOURCE[0]}")/likely_cause.sh"
stage_names=() stage_whats=() off="" unused=""
: "${force:=false}" "${dry_run:=false}"
_marks=(python3 -I "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../ser/core/marks.py")

say() { printf '%s\n' "$*"; }

die() { # message: a mistake that the user can mend
  printf '%s: error: %s\n' "${PROGRAM:-${0##*/}}" "$*" >&2
  exit 2
}

journal() { # state [reason [log]]: a fact on the item, for whoever set SER_JOURNAL
  local reason=${2-}
  [[ -n ${SER_JOURNAL-} ]] || return 0
  printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$_stage_name" "$_item" "${reason//[$'\n\t']/ }" "${3-}" >>"$SER_JOURNAL"
}

list_stages() {
  local number note
  for number in "${!stage_names[@]}"; do
    ((number)) || continue
    note=""
    [[ $off == *" $number "* ]] && note="   (not in this release)"
    [[ $unused == *" $number "* ]] && note="   (off in this recipe)"
    printf '%3d %-14s %s\n' "$number" "${stage_names[number]}" "${stage_whats[number]}$note"
  done
}

number_of() { # a stage's number or name, as its number
  local number
  for number in "${!stage_names[@]}"; do
    ((number)) || continue
    if [[ $1 == "$number" || $1 == "${stage_names[number]}" ]]; then
      [[ $off == *" $number "* ]] && die "stage $number ${stage_names[number]} is not in this release. See './run.sh --list'."
      [[ $unused == *" $number "* ]] && die "stage $number ${stage_names[number]} is off in this recipe. See './run.sh --list'."
      printf '%d\n' "$number"
      return
    fi
  done
  die "there is no stage '$1'. Stages: ${stage_names[*]:1}"
}

remember() { # the user's options: sets resume_options, what goes on after a failure
  resume_options=""
  while (($#)); do
    case $1 in
      --stage) shift ;;
      --stage=* | --force=*) ;;
      --force) [[ ! ${2-} =~ ^(true|false)$ ]] || shift ;;
      *) resume_options+="${resume_options:+ }$(printf '%q' "$1")" ;;
    esac
    shift
  done
}

seconds_as_text() {
  if (($1 < 120)); then printf '%d s' "$1"; else printf '%d min %d s' $(($1 / 60)) $(($1 % 60)); fi
}

stage_begin() { # number name what
  _stage=$1 _stage_name=$2 _stage_what=$3 _stage_began=$SECONDS _stage_shown=false _stage_held=()
}

_stage_say() { # line: shown under the stage's header, which comes first
  if [[ $_stage_shown == false ]]; then
    say "stage $_stage $_stage_name: $_stage_what"
    _stage_shown=true
    for line in ${_stage_held[@]+"${_stage_held[@]}"}; do say "    $line"; done
  fi
  say "    $1"
}

stage_end() {
  if [[ $_stage_shown == false && $dry_run == true && -n $_any_todo ]]; then
    say "stage $_stage $_stage_name: up to date, unless stage $_any_todo changes what it reads"
  elif [[ $_stage_shown == false ]]; then
    say "stage $_stage $_stage_name: up to date"
  elif [[ $dry_run == false ]]; then
    say "stage $_stage $_stage_name: done in $(seconds_as_text $((SECONDS - _stage_began)))"
  fi
}

item() { # name
  _item=$1 _mark=.marks/$_stage_name.${1//\//.}
  _inputs=() _named=() _settings=() _outputs=() _clear=() _absent=()
  item_outdated=false
}

expand() { # pattern: prints the files it stands for, or itself when there are none
  local path any=false
  while IFS= read -r path; do
    [[ $path != "$1" && -d $path ]] && continue
    printf '%s\n' "$path"
    any=true
  done < <(compgen -G "$1" | LC_ALL=C sort)
  [[ $any == true ]] || printf '%s\n' "$1"
}

from() { # stage path...: inputs, made by that stage (its number, or its name)
  local stage=$1 pattern path number
  shift
  for number in "${!stage_names[@]}"; do [[ ${stage_names[number]} != "$stage" ]] || stage=$number; done
  for pattern in "$@"; do
    while IFS= read -r path; do
      if [[ -e $path ]]; then _inputs+=("$path"); else _absent+=("$stage $path"); fi
    done < <(expand "$pattern")
  done
}

from_named() { # name path: an input that lies outside of the recipe, under a name that stays when it moves
  if [[ -e $2 ]]; then _named+=(--input-as "$1" "$2"); else _absent+=("0 $2"); fi
}

setting() { _settings+=("$1=$2"); }

promise() { _outputs+=("$@"); }

clear_if_forced() { _clear+=("$@"); }

_lacks() { # "stage path": what to do about an input that is not there
  local stage=${1%% *} path=${1#* }
  if ((stage == 0)); then
    echo "stage $_stage $_stage_name wants $path, which is not there"
  else
    echo "stage $_stage $_stage_name wants $path, which stage $stage (${stage_names[stage]}) makes: run ./run.sh --stage $stage"
  fi
}

todo() { # whether the item is to be done; notes its inputs as they are now
  local reason code=0 options=(--config ${_settings[@]+"${_settings[@]}"} --input ${_inputs[@]+"${_inputs[@]}"})
  if ((${#_absent[@]})); then
    [[ $dry_run == false || ${_absent[0]} == "0 "* ]] && die "$(_lacks "${_absent[0]}")"
    _stage_say "$_item: to do, after stage ${_absent[0]%% *}"
    journal waiting "after stage ${_absent[0]%% *}"
    _any_todo=$_stage
    return 0
  fi
  [[ $force == true ]] && options+=(--force)
  if [[ $dry_run == false ]]; then
    options+=(--begin)
    mkdir -p .marks
    _lock
  fi
  reason=$("${_marks[@]}" check "$_mark" "${options[@]}" ${_named[@]+"${_named[@]}"}) || code=$?
  case $code in
    0)
      journal "done"
      if [[ $_stage_shown == true ]]; then say "    $_item: up to date"; else _stage_held+=("$_item: up to date"); fi
      return 1
      ;;
    10 | 11)
      journal "$( ((code == 10)) && echo todo || echo outdated)" "$reason"
      _stage_say "$_item: $reason"
      ;;
    *) die "stage $_stage $_stage_name, $_item: the mark could not be checked: $reason" ;;
  esac
  if [[ $dry_run == false && $force == true ]]; then rm -rf ${_clear[@]+"${_clear[@]}"}; fi
  # shellcheck disable=SC2034  # for the engine
  if [[ $force == false && $code == 11 ]]; then item_outdated=true; fi
  _any_todo=$_stage
  _item_began=$SECONDS
}

_lock() { # two runs must not work on one item; the lock goes with the process, however that ends
  command -v flock >/dev/null || return 0
  exec 8>"${_mark%/*}/.${_mark##*/}.lock"
  flock -n 8 || die "another run is working on stage $_stage $_stage_name, $_item."
}

work() { # dispatcher [JOB=1:N] log command...: runs it, or shows it
  local dispatcher job=() log code=0
  mapfile -t dispatcher < <(xargs printf '%s\n' <<<"$1") # in quotes, one word: slurm.sh --sbatch '--account=x --qos=y'
  shift
  if [[ $1 == JOB=* ]]; then
    job=("$1")
    shift
  fi
  log=$1
  shift
  if [[ $dry_run == true ]]; then
    say "        $(printf '%q ' ${job[@]+"${job[@]}"} "$@")"
    return 0
  fi
  # In the background, so that a signal to this shell is heard at once and handed on.
  "${dispatcher[@]}" ${job[@]+"${job[@]}"} "$log" "$@" 8>&- &
  _child=$!
  wait "$_child" || code=$?
  _child=""
  ((code == 0)) || _stage_failed "$code" "$log"
}

_go_on() { printf './run.sh --stage %s%s' "$_stage" "${resume_options:+ $resume_options}"; }

_stage_failed() { # exit code, log: the last words of a run
  local cause logs
  mapfile -t logs < <(for log in $(compgen -G "${2//JOB/*}" | sort -V); do grep -L '^# Ended (code 0)' "$log"; done)
  cause=$(likely_cause ${logs[@]+"${logs[@]}"})
  journal failed "$cause" "$PWD/${logs[0]-$2}"
  {
    say "${PROGRAM:-${0##*/}}: stage $_stage $_stage_name failed at $_item"
    say "    likely cause: ${cause:-not known; the log tells more}"
    say "    log:          ${logs[0]-$2}"
    say "    to go on:     $(_go_on)"
  } >&2
  exit "$1"
}

_child="" _any_todo=""
_stopped() { # exit code
  trap '' INT TERM HUP
  if [[ -n $_child ]]; then
    kill -TERM "$_child" 2>/dev/null || true
    wait "$_child" 2>/dev/null || true
  fi
  if [[ -n ${_stage-} ]]; then
    printf '\n%s: stopped in stage %s %s; to go on: %s\n' "${PROGRAM:-${0##*/}}" "$_stage" "$_stage_name" "$(_go_on)" >&2
  fi
  exit "$1"
}
trap '_stopped 130' INT
trap '_stopped 143' TERM
trap '_stopped 129' HUP

item_end() { # the item's work is done: mark it, if all it promised is there
  local pattern outputs=() absent
  [[ $dry_run == true ]] && return 0
  for pattern in ${_outputs[@]+"${_outputs[@]}"}; do mapfile -t -O "${#outputs[@]}" outputs < <(expand "$pattern"); done
  if ! absent=$("${_marks[@]}" finish "$_mark" --output ${outputs[@]+"${outputs[@]}"}); then
    die "stage $_stage $_stage_name, $_item: ended without an error and did not write ${absent//$'\n'/, }"
  fi
  journal finished
  _stage_say "$_item: $(seconds_as_text $((SECONDS - _item_began)))"
}
