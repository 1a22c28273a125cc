#!/usr/bin/env bash
# Makes a recipe for another corpus: utils/new_recipe.sh [options] egs/<corpus>/ser1. docs/new_corpus.md walks through it.
set -euo pipefail
PROGRAM=new_recipe.sh # for messages
csv=
range=
data_sets=
help_message="Usage: utils/new_recipe.sh [options] egs/<corpus>/ser1
A recipe that runs: links to the stage engine, run.sh, conf/, README.md, and local/.

  --csv FILE             a table of the corpus (columns path, speaker, emotion, arousal, ...); it is copied to
                         local/labels.csv, and no code is to be written. Without it there is a local/data.sh to change.
  --range \"arousal=1:5,...\"           on which scales the table's attributes were rated
  --data-sets \"train validation test\" the sets, where the table has a column split, or local/data.sh writes several"

# shellcheck source=parse_options.sh
. "$(dirname "${BASH_SOURCE[0]}")/parse_options.sh"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

die() { # message
  printf '%s: error: %s\n' "$PROGRAM" "$*" >&2
  exit 2
}

(($# == 1)) || die "it takes one folder, egs/<corpus>/<recipe>. See 'utils/new_recipe.sh --help'."
folder=${1%/}
[[ $folder =~ ^egs/([a-z][a-z0-9_]*)/[a-z][a-z0-9_]*$ ]] ||
  die "'$1' is not egs/<corpus>/<recipe> in small letters, digits and underscores, for example egs/my_corpus/ser1."
corpus=${BASH_REMATCH[1]}
[[ ! -e $root/$folder ]] || die "there is a folder $folder already."

columns=" "
if [[ -n $csv ]]; then
  [[ -f $csv && -r $csv ]] || die "--csv: there is no file '$csv'."
  columns=" $(head -n 1 "$csv" | tr -d '"\r' | sed $'s/^\xef\xbb\xbf//; s/ *, */ /g') "
fi
has() { [[ $columns == *" $1 "* ]]; } # column

local_data=local/data.sh train_configs=conf/emotion.yaml attributes="arousal, valence, dominance"
if [[ -n $csv ]]; then
  has path || die "--csv: the first line of $csv has no column path."
  rated=() train_configs=""
  for name in arousal valence dominance; do
    has "$name" || continue
    [[ ,$range == *,"$name="* ]] || die "--range: on which scale was $name rated? For example --range $name=1:5."
    rated+=("$name")
  done
  ! has emotion || train_configs="conf/emotion.yaml"
  if ((${#rated[@]})); then
    train_configs+="${train_configs:+ }conf/attributes.yaml"
    printf -v attributes '%s, ' "${rated[@]}"
    attributes=${attributes%, }
  fi
  [[ -n $train_configs ]] || die "--csv: $csv has none of the columns emotion, arousal, valence, dominance."
  if has split; then
    [[ -n $data_sets ]] || die "--data-sets: $csv has a column split; name its sets, for example --data-sets \"train validation test\"."
  else
    [[ -z $data_sets || $data_sets == all ]] || die "--data-sets: $csv has no column split, so there is one set, all."
  fi
  local_data="ser prepare csv local/labels.csv --corpus $corpus${range:+ --range ${range// /}}"
elif [[ -n $range ]]; then
  die "--range goes with --csv; local/data.sh passes its own to 'ser prepare csv'."
fi

fill() { # file: fills in what the template leaves open
  local text
  text=$(cat "$1" && echo .)
  text=${text//@CORPUS@/"$corpus"}
  text=${text//@LOCAL_DATA@/"$local_data"}
  text=${text//@DATA_SETS@/"${data_sets:-all}"}
  text=${text//@TRAIN_CONFIGS@/"$train_configs"}
  text=${text//@ATTRIBUTES@/"$attributes"}
  printf '%s' "${text%.}" >"$1"
}

# It is built beside its place and moved there as a whole.
mkdir -p "$root/egs/$corpus"
new=$(mktemp -d "$root/egs/$corpus/.new.XXXXXX")
trap 'rm -rf "$new"; rmdir "$root/egs/$corpus" 2>/dev/null || true' EXIT
cp -R "$root/egs/TEMPLATE/ser1/new/." "$new"
if [[ -n $csv ]]; then
  rm "$new/local/data.sh"
  cp "$csv" "$new/local/labels.csv"
fi
for name in "$new"/run.sh "$new"/README.md "$new"/conf/*.yaml "$new"/local/*.sh; do
  [[ ! -f $name ]] || fill "$name"
done
for name in ser path cmd; do ln -s "../../TEMPLATE/ser1/$name.sh" "$new/$name.sh"; done
ln -s ../../../utils "$new/utils"
chmod 755 "$new"
mv "$new" "$root/$folder"

echo "$folder is made. Next:"
[[ -n $csv ]] || echo "  change $folder/local/data.sh to what the corpus looks like"
echo "  $folder/run.sh --db-root <folder> --stop-stage lint   # until the data directories are right"
echo "  $folder/run.sh --db-root <folder>                     # everything, to RESULTS.md"
