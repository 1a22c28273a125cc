#!/usr/bin/env bash
# Check every rule of a data directory: Kaldi's own, and those of the labels.
# Usage: utils/validate_data_dir.sh [--no-wav] <data-dir>
set -euo pipefail

exec ser prepare validate "$@"
