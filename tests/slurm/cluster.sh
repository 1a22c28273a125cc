#!/usr/bin/env bash
# A Slurm cluster of one node on loopback, for tests: munged, slurmctld and slurmd started by hand, with all
# their files in one folder. Needs Debian's slurm-wlm and munge; root installs them where they are absent.
# Usage: cluster.sh start FOLDER    then: export SLURM_CONF=FOLDER/slurm.conf
#        cluster.sh stop FOLDER
# Exit code 77: there is no Slurm here, and why.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin
if (($# != 2)) || [[ $1 != start && $1 != stop ]]; then
  sed -n 's/^# Usage: //p' "${BASH_SOURCE[0]}" >&2
  exit 2
fi

fail() {
  echo "cluster.sh: $*" >&2
  exit 1
}

skip() {
  echo "cluster.sh: skipped: $*" >&2
  exit 77
}

wait_for() { # what command...: until it succeeds, 30 seconds at most
  local what=$1
  shift
  for _ in {1..300}; do
    "$@" >/dev/null 2>&1 && return
    sleep 0.1
  done
  tail -n 20 "$folder"/*.log >&2 || true
  fail "$what within 30 s"
}

gone() { ! kill -0 "$1" 2>/dev/null; }

stop() { # in the order of who needs whom; what does not end is killed
  local name pid
  for name in slurmd slurmctld munged; do
    [[ -s $folder/$name.pid ]] || continue
    pid=$(<"$folder/$name.pid")
    kill "$pid" 2>/dev/null || continue
    for _ in {1..100}; do
      gone "$pid" && break
      sleep 0.1
    done
    gone "$pid" || kill -KILL "$pid" 2>/dev/null || true
    rm -f "$folder/$name.pid"
  done
}

install() {
  local missing=()
  for name in munged slurmctld slurmd sbatch srun; do command -v "$name" >/dev/null || missing+=("$name"); done
  ((${#missing[@]})) || return 0
  ((UID == 0)) || skip "there is no ${missing[*]}, and only root may install slurm-wlm and munge"
  command -v apt-get >/dev/null || skip "there is no ${missing[*]}, and no apt-get to install slurm-wlm and munge"
  echo "cluster.sh: installing slurm-wlm and munge"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends slurm-wlm munge; } \
    >"$folder/install.log" 2>&1 || skip "slurm-wlm and munge cannot be installed: $(tail -n 1 "$folder/install.log")"
}

free_ports() { # prints two
  python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(each.getsockname()[1] for each in sockets))'
}

configure() {
  local user ports
  user=$(id -un)
  read -ra ports < <(free_ports)
  mkdir -p "$folder"/{state,spool}
  (umask 077 && head -c 1024 /dev/urandom >"$folder/munge.key")
  cat >"$folder/slurm.conf" <<END
ClusterName=ser
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmdPort=${ports[1]}
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
NodeName=localhost NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP
END
}

mkdir -p "$2"
folder=$(cd "$2" && pwd)
export SLURM_CONF=$folder/slurm.conf
if [[ $1 == stop ]]; then
  stop
  exit
fi

install
configure
trap '(($? == 0)) || stop' EXIT
# --force: nobody else needs to reach the socket, so its folder may be private.
munged --force --key-file "$folder/munge.key" --socket "$folder/munge.socket" --pid-file "$folder/munged.pid" \
  --log-file "$folder/munged.log" --seed-file "$folder/munge.seed"
wait_for "munged did not answer" munge --socket "$folder/munge.socket" --no-input
slurmctld
wait_for "slurmctld did not answer" scontrol ping
slurmd -N localhost
idle() { [[ $(sinfo --noheader --format %T) == idle ]]; }
wait_for "the node did not come up" idle
echo "cluster.sh: a cluster of one node runs: export SLURM_CONF=$SLURM_CONF"
