#!/usr/bin/env bash
# Writes the data directories: first a table of the corpus's files and labels, then `ser prepare csv` of it.
# The stage engine calls it as local/data.sh --db-root <folder> --out data.
set -euo pipefail
db_root=
out=data
allow_partial=false
help_message="Usage: local/data.sh --db-root DIR [--out data] [--allow-partial]"
# shellcheck source=../utils/parse_options.sh
. utils/parse_options.sh
[[ -d $db_root ]] || { echo "local/data.sh: error: --db-root is no folder: '$db_root'." >&2 && exit 2; }
mkdir -p "$out"

# This example understands <speaker>/<emotion>_<anything>.wav: change it to what your corpus has. A column more,
# say split or text, is one more value in header and printf. Any program that prints such a table will do.
table() {
  echo path,speaker,emotion
  (cd "$db_root" && find . -name '*.wav') | sed 's|^\./||' | LC_ALL=C sort |
    awk -F/ '{ split($NF, name, "_"); printf "\"%s\",%s,%s\n", $0, $1, name[1] }'
}

table >"$out/files.csv"
options=()
[[ $allow_partial == false ]] || options+=(--allow-partial)
ser prepare csv "$out/files.csv" --db-root "$db_root" --out "$out" --corpus @CORPUS@ ${options[@]+"${options[@]}"}
