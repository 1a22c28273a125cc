#!/usr/bin/env bash
# Sourced by a stage engine, in the recipe's folder: upstreams as the user names them, and their short names.
# The package says the same (ser.upstream.tag_of), but --dry-run works before there is a package.

made_here() { # path: whether the recipe makes this model for itself, in stage 1
  [[ -n ${local_models-} && $1 == exp/models/* ]]
}

found() { # path: prints it absolute, if it is there where the command was typed or in the recipe's folder
  local folder
  if [[ $1 == /* ]] || made_here "$1"; then
    printf '%s\n' "$1"
    return
  fi
  for folder in "${SER_CALLER_DIR:-$PWD}" "$PWD"; do
    if [[ -e $folder/$1 ]]; then
      (cd "$folder" && cd "$(dirname "$1")" && printf '%s/%s\n' "$PWD" "$(basename "$1")")
      return
    fi
  done
  printf '%s\n' "$1"
}

tag_of() { # upstream, options of ser extract: prints its short name
  local name=$1 tag
  case $name in
    hf:*) tag=$(basename "${name#hf:}") ;;
    papt:*) tag=${name#papt:} && tag=${tag%/} && tag=$(basename "${tag%/encoder}") ;;
    s3prl:*:*) tag=$(basename "${name#s3prl:*:}") tag=${name#s3prl:} && tag=${tag%%:*}-$(basename "${name#s3prl:*:}" | sed 's/\.[^.]*$//') ;;
    s3prl:fbank | s3prl:mfcc | s3prl:mel | s3prl:linear | s3prl:spectrogram) tag=${name#s3prl:}-cmvn ;;
    *) tag=${name#*:} ;;
  esac
  [[ $name == hf:* && " $2 " =~ \ --whisper-context[\ =]30s\  ]] && tag+=-30s
  printf '%s\n' "$tag" | sed -E 's/[^A-Za-z0-9_.-]+/-/g; s/^[-.]+|[-.]+$//g'
}

names_and_tags() { # upstreams, options of ser extract, [the option that names them]: sets names, tags and checkpoints (the local file or folder, or nothing)
  local name checkpoint tag words option=${3:---upstreams}
  names=() tags=() checkpoints=()
  read -ra words <<<"$1"
  for name in ${words[@]+"${words[@]}"}; do
    checkpoint=""
    case $name in
      hf:* | papt:*) checkpoint=$(found "${name#*:}") && name=${name%%:*}:$checkpoint ;;
      s3prl:*:*) checkpoint=$(found "${name#s3prl:*:}") && name=${name%":${name#s3prl:*:}"}:$checkpoint ;;
    esac
    tag=$(tag_of "$name" "$2")
    [[ -n $tag ]] || die "$option: '$name' names nothing."
    [[ " ${tags[*]-} " != *" $tag "* ]] || die "$option: two would be called '$tag': $1"
    [[ -e $checkpoint ]] || made_here "$checkpoint" || checkpoint=""
    names+=("$name") tags+=("$tag") checkpoints+=("$checkpoint")
  done
  ((${#names[@]})) || die "$option is empty."
}
