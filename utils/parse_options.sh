#!/usr/bin/env bash
# Option parsing for shell scripts, after the idea of Kaldi's parse_options.sh.
#
#   nj=4                        # every variable assigned at the start of a line above the
#   force=false                 # sourcing line is an option: --nj 8, --nj=8, --force
#   help_message="Usage: ..."   # what --help prints
#   . utils/parse_options.sh    # what is left in "$@" are the positional arguments
#
# A dash in an option's name is an underscore in the variable's. An option whose default is true
# or false may stand alone (--force is --force true). Unknown options are refused. --config FILE
# reads name=value lines before the command line is applied, so that the command line wins. The
# options end at `--` or at the first word that is none. Values are assigned, never evaluated.

# shellcheck disable=SC2034  # the variables belong to the script that sources this one
_po_name=${PROGRAM:-${0##*/}}
_po_file=${BASH_SOURCE[1]}
[[ -f $_po_file ]] || _po_file=$OLDPWD/$_po_file # called by a path from the folder that it has left
_po_known=$(sed -n -e '/^\(\.\|source\) .*parse_options\.sh/q' -e '/^help_message=/d' \
  -e 's/^\([a-z][a-z0-9_]*\)=.*/\1/p' "$_po_file")

_po_die() { # message
  printf '%s: error: %s\n' "$_po_name" "$1" >&2
  exit 2
}

_po_nearest() { # prints the option that is fewest edits away from $1, if that is near
  awk -v want="$1" '
    function least(a, b) { return a < b ? a : b }
    function edits(s, t,   i, j, row, above, kept) {
      for (j = 0; j <= length(t); j++) row[j] = j
      for (i = 1; i <= length(s); i++) {
        above = row[0]; row[0] = i
        for (j = 1; j <= length(t); j++) {
          kept = row[j]
          row[j] = least(least(row[j], row[j - 1]) + 1, above + (substr(s, i, 1) != substr(t, j, 1)))
          above = kept
        }
      }
      return row[length(t)]
    }
    { d = edits(want, $0); if (NR == 1 || d < best) { best = d; name = $0 } }
    END { if (best <= 1 + length(want) / 3) { gsub("_", "-", name); print name } }' <<<"$_po_known"
}

_po_check() { # name where ("file:line: " or nothing): refuses a name that is no option
  local name=${1//-/_} near
  [[ $'\n'$_po_known$'\n' == *$'\n'"$name"$'\n'* && $name == [a-z]* ]] && return
  near=$(_po_nearest "$name")
  _po_die "${2}unknown option --$1${near:+, did you mean --$near}. See '$_po_name --help'."
}

_po_set() { # name value where: assigns
  local name=${1//-/_}
  _po_check "$1" "$3"
  if [[ ${!name} =~ ^(true|false)$ && ! $2 =~ ^(true|false)$ ]]; then
    _po_die "${3}--$1 takes true or false, not '$2'."
  fi
  printf -v "$name" '%s' "$2"
}

_po_read() { # file: applies its name=value lines
  local line number=0 name value
  [[ -r $1 ]] || _po_die "--config: there is no file '$1'."
  while IFS= read -r line || [[ -n $line ]]; do
    number=$((number + 1))
    [[ $line =~ ^[[:space:]]*(#|$) ]] && continue
    [[ $line =~ ^([A-Za-z0-9_-]+)=(.*)$ ]] || _po_die "$1:$number: not a name=value line: '$line'."
    name=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
    value=${value%"${value##*[![:space:]]}"}
    [[ $value =~ ^\"(.*)\"$ || $value =~ ^\'(.*)\'$ ]] && value=${BASH_REMATCH[1]}
    _po_set "$name" "$value" "$1:$number: "
  done <"$1"
}

# First read, then apply: a configuration file counts before the command line wherever it stands in it.
_po_names=() _po_values=() _po_files=()
while (($#)); do
  case $1 in
    --) shift && break ;;
    -h | --help)
      printf '%s\n' "${help_message:-$_po_name has no help.}"
      exit 0
      ;;
    --*=*) _po_option=${1%%=*} _po_value=${1#*=} _po_words=1 ;;
    --*) _po_option=$1 _po_value=${2-} _po_words=2 ;;
    -?*) _po_die "unknown option $1. See '$_po_name --help'." ;;
    *) break ;;
  esac
  if [[ $_po_option == --config ]]; then
    _po_files+=("$_po_value")
  else
    _po_check "${_po_option#--}" ""
    _po_variable=${_po_option#--}
    _po_variable=${_po_variable//-/_}
    if [[ $_po_words == 2 && ${!_po_variable} =~ ^(true|false)$ && ! $_po_value =~ ^(true|false)$ ]]; then
      _po_value=true _po_words=1
    fi
    _po_names+=("${_po_option#--}")
    _po_values+=("$_po_value")
  fi
  (($# >= _po_words)) || _po_die "$_po_option needs a value."
  shift "$_po_words"
done

for _po_file in ${_po_files[@]+"${_po_files[@]}"}; do _po_read "$_po_file"; done
for ((_po_i = 0; _po_i < ${#_po_names[@]}; _po_i++)); do
  _po_set "${_po_names[_po_i]}" "${_po_values[_po_i]}" ""
done
