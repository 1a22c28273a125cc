#!/usr/bin/env bash
# Write a data directory as another, with prefixes or suffixes for its ids.
# Usage: utils/copy_data_dir.sh [--spk-prefix P] [--spk-suffix S] [--utt-prefix P] [--utt-suffix S] <src> <dest>
set -euo pipefail

exec ser prepare copy "$@"
