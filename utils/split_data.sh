#!/usr/bin/env bash
# Write the parts of a data directory for N jobs: <data-dir>/sdata/<N>/1 and on.
# Usage: utils/split_data.sh [--per-spk] <data-dir> <N>
set -euo pipefail

exec ser prepare split "$@"
