#!/usr/bin/env bash
# Runs these tests with transformers 4.57 instead of the environment's: tests/memory/hosts/with_transformers_4.sh [FOLDER]
# It is installed into FOLDER (a new temporary one, deleted afterwards, when none is given), beside everything else of
# the environment; a FOLDER that has it is used as it is. PYTHON names the environment's Python (default: python).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
python=${PYTHON:-python}

if (($#)); then
  mkdir -p "$1"
  folder=$(cd "$1" && pwd)
else
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
fi
if [[ ! -e $folder/transformers/__init__.py ]]; then
  # Without dependencies: torch and the rest are the environment's. These three go with one another.
  "$python" -m pip install --quiet --no-deps --target "$folder" \
    "transformers==4.57.*" "huggingface_hub>=0.34,<1" "tokenizers>=0.22,<0.23"
fi

export PYTHONPATH=$folder:$root${PYTHONPATH:+:$PYTHONPATH}
"$python" -c 'import transformers; assert transformers.__version__.startswith("4.57."), transformers.__version__'
"$python" -m pytest --rootdir "$root" -c "$root/pyproject.toml" "$root/tests/memory/hosts"
