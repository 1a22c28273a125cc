#!/usr/bin/env bash
# Write several data directories with the same labels.yaml as one.
# Usage: utils/combine_data.sh <dest> <src> [<src> ...]
set -euo pipefail

exec ser prepare combine "$@"
