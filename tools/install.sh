#!/usr/bin/env bash
# Builds the one virtual environment that all recipes and tests use. No root, no account, no hub.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

extras=
python=
help_message="Usage: tools/install.sh [options]

Makes a virtual environment in .venv of the checkout (or in \$SER_VENV) and installs the package 'ser'
with what it needs, by pip, under your own pip settings. From nothing: about 80 s and 1.5 GB with a
CPU build of torch; the CUDA build that PyPI serves takes several GB. When nothing is to be done, it says
nothing and returns at once.

Options:
  --extras \"A B\"   optional parts: espeak (the audio of egs/mini), opensmile (egemaps, compare; its
                   licence is for research), ffmpeg (a static one, for MELD's clips), test. What was
                   installed earlier stays.
  --python P       the Python, 3.10 or newer, to build it with (default: the first that fits)"
# shellcheck source=../utils/parse_options.sh
. "$root/utils/parse_options.sh"

venv=${SER_VENV:-$root/.venv}
stamp=$venv/.ser-installed # written last: without it the environment is not believed
begun=$venv/.ser-begun     # there while pip works; left behind by a kill
made=$venv/.ser-made       # the environment is our own: it may be deleted and built anew
log=$venv.log

die() {
  printf 'install.sh: error: %s\n' "$1" >&2
  exit 1
}
say() { printf 'install.sh: %s\n' "$1" >&2; }

version_of() { "$1" -c 'import sys; print(*sys.version_info[:2], sep=".")' 2>/dev/null; }

wanted() { # extras...: what the stamp says when these are installed, now and here
  printf 'root %s\nsetup %s\npython %s\n' "$root" "$(cksum <"$root/setup.py")" "$(version_of "$venv/bin/python")"
  if (($#)); then printf 'extra %s\n' "$@"; fi
}

union() { # prints the extras asked for and those that are there, one a line
  # shellcheck disable=SC2086  # a list of words
  { printf "%s\n" $extras; sed -n "s/^extra //p" "$stamp" 2>/dev/null || true; } | sed '/^$/d' | LC_ALL=C sort -u
}

up_to_date() {
  [[ -f $stamp && ! -e $begun ]] || return 1
  # shellcheck disable=SC2046  # a list of words
  [[ $(wanted $(union)) == "$(<"$stamp")" ]] || return 1
  [[ -z $python ]] || usable
}

usable() { # the environment's Python runs, has pip, and is the one asked for
  "$venv/bin/python" -c 'import pip' 2>/dev/null &&
    [[ -z $python || $(version_of "$python") == "$(version_of "$venv/bin/python")" ]]
}

find_python() { # prints the first Python that is new enough
  local candidate
  for candidate in ${python:-python3 python3.13 python3.12 python3.11 python3.10}; do
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || continue
    printf '%s\n' "$candidate"
    return
  done
  die "${python:-python3} is $("${python:-python3}" --version 2>&1 || true): Python 3.10 or newer is needed. Install one and name it with --python."
}

likely_cause() { # prints what the end of pip's log points to
  case $(tail -n 60 "$log") in
    *"No space left on device"*) echo "the disk is full (pip unpacks in ${TMPDIR:-/tmp}, the environment is in $venv)" ;;
    *"Temporary failure in name resolution"* | *"NewConnectionError"* | *"ConnectTimeoutError"* | *"Network is unreachable"*)
      echo "the package index cannot be reached; pip config list shows which one pip asks" ;;
    *"HTTP error 403"* | *"401 Client Error"*) echo "the package index refuses; pip config list shows which one pip asks" ;;
    *"No matching distribution found"* | *"Could not find a version"*)
      echo "the index has no build for this Python ($("$venv/bin/python" --version 2>&1)) or system ($(uname -sm)); another Python may do: --python" ;;
    *"CERTIFICATE_VERIFY_FAILED"*) echo "the certificate of the index, or of a proxy, is not trusted (PIP_CERT)" ;;
    *"Permission denied"*) echo "no right to write in $venv" ;;
    *"Killed"* | *"MemoryError"*) echo "out of memory" ;;
    *) echo "see the log" ;;
  esac
}

follow() { # pid: shows how far pip is until it ends
  local every=10 shown=0 line
  [[ -t 2 ]] && every=1
  while kill -0 "$1" 2>/dev/null; do
    sleep 0.5
    ((SECONDS - shown >= every)) || continue
    shown=$SECONDS
    line=$(grep -E '^ *(Collecting|Downloading|Installing|Building|Successfully)' "$log" | tail -n 1 | cut -c1-70 || true)
    line=$(printf '%3d s  %s' "$SECONDS" "${line#"${line%%[! ]*}"}")
    if [[ -t 2 ]]; then printf '\r\033[K    %s' "$line" >&2; else printf '    %s\n' "$line" >&2; fi
  done
  if [[ -t 2 ]]; then printf '\r\033[K' >&2; fi
}

up_to_date && exit 0

# One at a time: the lock goes with the process that holds it, however that ends.
mkdir -p "$(dirname "$venv")"
if command -v flock >/dev/null; then
  exec 9>"$venv.lock"
  if ! flock -n 9; then
    say "another installation is going on; waiting for it"
    flock 9
  fi
  up_to_date && exit 0
fi

if [[ ! -e $venv/pyvenv.cfg && ! -e $made && -n $(ls -A "$venv" 2>/dev/null) ]]; then
  die "$venv is a folder with something else in it; name another with SER_VENV."
fi
list=$(union | tr '\n' ' ')
list=${list% }
why=
if [[ -e $begun ]]; then
  why="the last installation was interrupted"
elif [[ -e $venv/pyvenv.cfg ]] && ! usable; then
  why="its Python is gone, or is not the one asked for"
fi
if [[ -n $why ]]; then
  say "$venv is to be made anew: $why"
  [[ -e $made ]] || die "$venv was not made by tools/install.sh: delete it yourself, or name another with SER_VENV."
  rm -rf "$venv"
fi
complete=false
[[ -f $stamp ]] && complete=true

if [[ ! -e $venv/pyvenv.cfg ]]; then
  base=$(find_python)
  say "building the environment in $venv with $("$base" --version)${list:+, extras $list}: about 80 s and 1.5 GB (log: $log)"
  mkdir -p "$venv"
  : >"$made"
  : >"$begun"
  if ! problem=$("$base" -m venv "$venv" 2>&1); then
    rm -rf "$venv"
    [[ $problem == *ensurepip* || $problem == *"No module named venv"* ]] &&
      die "$base has no module venv. On Debian or Ubuntu: apt install python3-venv; without root, name a Python from pyenv or conda with --python."
    die "python -m venv failed: ${problem##*$'\n'}"
  fi
else
  say "bringing $venv up to date${list:+, extras $list} (log: $log)"
fi

: >"$begun"
: >"$log"
"$venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
  -e "$root${list:+[${list// /,}]}" >>"$log" 2>&1 & # it keeps the lock should this script be killed
pip=$!
trap 'kill "$pip" 2>/dev/null; wait "$pip" 2>/dev/null; say "interrupted; the next call starts anew"; exit 130' INT TERM HUP
follow "$pip"
code=0
wait "$pip" || code=$?
if ((code)); then
  # pip undoes an installation that failed: what was there before still is.
  if [[ $complete == true || ! -e $made ]]; then rm -f "$begun"; fi
  tail -n 8 "$log" | cut -c1-300 | sed 's/^/    /' >&2
  die "pip failed (exit code $code). Likely cause: $(likely_cause). Log: $log"
fi
# shellcheck disable=SC2086  # a list of words
wanted $list >"$stamp.new"
mv "$stamp.new" "$stamp"
rm -f "$begun"
say "done in $SECONDS s; tools/check_install tells what is there"
