#!/usr/bin/env bash
# Runs tests with packages that the environment does not have, or has in another version:
#   tests/beside.sh FOLDER "REQUIREMENT REQUIREMENT ..." [arguments of pytest]
# They are installed into FOLDER, without what they depend on, which is the environment's or must be named; a FOLDER that
# was filled so before is used as it is. PYTHON names the environment's Python (default: python).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python}
if (($# < 2)); then
  echo "tests/beside.sh: want a folder and what is installed into it, see the head of this file" >&2
  exit 2
fi
folder=$1
read -ra wanted <<<"$2"
shift 2

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
if [[ $(cat "$folder/.filled" 2>/dev/null) != "${wanted[*]}" ]]; then
  "$python" -m pip install --quiet --no-deps --upgrade --target "$folder" "${wanted[@]}"
  echo "${wanted[*]}" >"$folder/.filled"
fi

export PYTHONPATH=$folder:$root${PYTHONPATH:+:$PYTHONPATH}
"$python" - "$folder" <<'PY'
import sys
from importlib.metadata import distributions, version
for own in distributions(path=[sys.argv[1]]):
    print(f"beside the environment: {own.name} {own.version}")
    assert version(own.name) == own.version, f"{own.name} {version(own.name)} hides it"
PY
"$python" -m pytest --rootdir "$root" -c "$root/pyproject.toml" -rs "$@"
