#!/usr/bin/env bash
# Write some utterances of a data directory as another.
# Usage: utils/subset_data_dir.sh (--utt-list F | --spk-list F | --speakers a,b | --first N | --per-class N) <src> <dest>
set -euo pipefail

exec ser prepare subset "$@"
