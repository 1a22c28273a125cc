#!/usr/bin/env bash
# Sourced. likely_cause LOG...: one line on what the end of the logs points to, or nothing.

# Extended regular expression, then what it means. The first that is found counts; <1> is its first group.
_likely_causes=(
  '^ser: error: (.*)$' '<1>'
  'by Slurm: TIMEOUT|DUE TO TIME LIMIT' 'it took longer than its time on the cluster: --time in cmd.sh (docs/cluster.md)'
  'by Slurm: OUT_OF_MEMORY|oom[-_]kill event' 'it took more memory than it was given on the cluster: --mem in cmd.sh (docs/cluster.md)'
  'by Slurm: lost once more, ([A-Z_]+)' 'the cluster has lost it too often (<1>): --lost-retries in cmd.sh, or other nodes (docs/cluster.md)'
  'by Slurm: CANCELLED' 'it was cancelled from outside (scancel)'
  'CUDA out of memory|torch\.OutOfMemoryError' 'the GPU has too little memory: smaller batches (--extract-options "--batch-seconds 60"), or --nj 1'
  'MemoryError|bad_alloc|Cannot allocate memory|can.t allocate memory|Ended \(code 137\)|Out of memory' 'out of memory: fewer jobs at once (--nj 1), or smaller batches (--extract-options "--batch-seconds 60")'
  'No space left on device|Disk quota exceeded' 'the disk is full'
  "No module named '?(opensmile|espeakng_loader)" 'the optional package <1> is not installed: tools/install.sh --extras "opensmile espeak"'
  "No module named '?([A-Za-z0-9_.]+)" 'the package <1> is missing from the environment: tools/install.sh, then tools/check_install'
  'ser: command not found' 'the environment is not there: tools/install.sh'
  "([^ ']+): command not found" 'there is no program <1> on this machine'
  "No such file or directory: '?([^']+\.(wav|flac|ogg|mp3|sph))" 'the audio file <1> is gone'
  "No such file or directory: '?([^']+)" 'the file <1> is not there'
  'Permission denied' 'a file or folder may not be read or written'
  'Too many open files' 'the limit of open files is too low: ulimit -n 4096'
  'Ended \(code 132\)|Illegal instruction' 'a package was built for another processor'
  'Ended \(code 139\)|Segmentation fault' 'a library crashed: tools/check_install tells the versions; --nj 1 may do'
  'no kernel image|driver version is insufficient|CUDA error' 'this build of torch does not fit the GPU or its driver: --extract-options "--device cpu" goes without'
  'Temporary failure in name resolution|NameResolutionError|LocalEntryNotFound|Max retries exceeded' 'the model hub cannot be reached: name a folder with the model, --upstreams "hf:<folder>"'
  'Ended \(code 14[13]\)|Terminated' 'it was stopped from outside'
)

likely_cause() {
  local text i match
  text=$(tail -q -n 80 "$@" 2>/dev/null) || true
  for ((i = 0; i < ${#_likely_causes[@]}; i += 2)); do
    match=$(grep -E -m 1 -e "${_likely_causes[i]}" <<<"$text") || continue
    [[ $match =~ ${_likely_causes[i]} ]] || true
    printf '%s\n' "${_likely_causes[i + 1]//<1>/${BASH_REMATCH[1]-}}" | cut -c1-500
    return
  done
}
