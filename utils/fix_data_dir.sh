#!/usr/bin/env bash
# Sort the tables of a data directory and drop what does not fit; the old ones are kept in .backup.
# Usage: utils/fix_data_dir.sh [--durations] <data-dir>
set -euo pipefail

exec ser prepare fix "$@"
