#!/usr/bin/env bash
# Sourced from a recipe's folder: finds the checkout, builds the environment if need be, sets the paths.

SER_ROOT=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../.." && pwd)
export SER_ROOT
export SER_VENV=${SER_VENV:-$SER_ROOT/.venv}
export PATH=$SER_VENV/bin:$SER_ROOT/utils:$PATH

# Kaldi's order of keys, whatever the user's language is; texts are UTF-8 all the same.
export LC_ALL=C PYTHONUTF8=1
# glibc hands large blocks back to the system at once, and encoders ask for them again at every
# layer: kept instead, extraction gains nearly what jemalloc gains.
export MALLOC_MMAP_MAX_=${MALLOC_MMAP_MAX_:-0} MALLOC_TRIM_THRESHOLD_=${MALLOC_TRIM_THRESHOLD_:-100000000000}
export TOKENIZERS_PARALLELISM=false MPLBACKEND=Agg

# SER_INSTALL=false leaves the environment as it is (--list and --dry-run need none).
if [[ ${SER_INSTALL:-true} == true ]]; then
  "$SER_ROOT/tools/install.sh" --extras "${SER_EXTRAS-}" --python "${SER_PYTHON-}" || return 1
fi
