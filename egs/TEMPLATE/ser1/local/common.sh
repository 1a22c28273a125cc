#!/usr/bin/env bash
# Sourced by the scripts of local/ that recipes link to: what they share. They run from the recipe's folder.

# shellcheck disable=SC2034  # for parse_options.sh
PROGRAM=local/${0##*/}
cd "$(dirname "${BASH_SOURCE[1]}")/.." || exit 1

die() { # message: a mistake that the user can mend
  printf '%s: error: %s\n' "$PROGRAM" "$*" >&2
  exit 2
}

list() { # prefix name...: [prefix/a,prefix/b]
  local joined
  joined=$(printf ",$1/%s" "${@:2}")
  printf '[%s]\n' "${joined:1}"
}

score() { # experiment set...
  local set
  for set in "${@:2}"; do
    run.sh "log/${PROGRAM##*/}/score_${1##*/}_$set.log" ser score "$1" --data "data/$set" --set "$set"
  done
}
