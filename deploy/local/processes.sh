# Sourced by `up` and `down`: the state folder, and processes known by pid and start time.
#
# A process is "ours" only if the recorded pid exists and started at the recorded clock tick: a pid that the kernel has
# given to somebody else meanwhile is never signalled. run/NAME holds "PID START"; run/NAME.command what it was started with.
# Callers set `state` and define die(). Nothing here changes anything but what lies in $state/run.
# shellcheck shell=bash

# default_state: where the state folder is without --state. For root outside of /root, which is closed to Postfix's user.
default_state() {
  if [[ -n ${XDG_STATE_HOME:-} ]]; then echo "$XDG_STATE_HOME/gatepost"
  elif [[ $EUID == 0 ]]; then echo /var/lib/gatepost-local
  else echo "$HOME/.local/state/gatepost"; fi
}

# absolute PATH: resolved, whether it exists or not; refuses what cannot be written into configuration files unquoted.
absolute() {
  local path
  path=$(realpath -m -- "$1") || die "cannot resolve $1"
  [[ $path =~ ^/[A-Za-z0-9._/@+-]+$ ]] || die "the state folder '$path' has characters other than A-Z a-z 0-9 . _ / @ + -: choose another with --state"
  echo "$path"
}

# start_time PID: the clock tick since boot at which it started (field 22 of /proc/PID/stat; the name may hold spaces).
start_time() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  # A zombie has ended, though it still has its number.
  [[ $1 != Z ]] || return 1
  echo "${20}"
}

# record NAME PID COMMAND-LINE
record() {
  printf '%s\n' "$3" > "$state/run/$1.command"
  echo "$2 $(start_time "$2")" > "$state/run/$1"
}

# our_pid NAME: its pid, if the process that we started still runs.
our_pid() {
  local pid started
  [[ -r $state/run/$1 ]] || return 1
  read -r pid started < "$state/run/$1" || return 1
  [[ $pid =~ ^[0-9]+$ && $started =~ ^[0-9]+$ && $(start_time "$pid") == "$started" ]] || return 1
  echo "$pid"
}

# stop NAME SECONDS: SIGTERM, wait, then SIGKILL and say so. Fails when it lives even then.
stop() {
  local name=$1 seconds=$2 pid signal
  if pid=$(our_pid "$name"); then
    local as_root=()
    [[ -O /proc/$pid || $EUID == 0 ]] || as_root=(sudo)
    for signal in TERM KILL; do
      "${as_root[@]}" kill "-$signal" "$pid" 2>/dev/null || true
      if ended_within "$seconds" "$name"; then break; fi
      [[ $signal == TERM ]] || { echo "$name ($pid) cannot be ended" >&2; return 1; }
      echo "$name ($pid) did not end within $seconds s of SIGTERM: killed" >&2
      seconds=5
    done
  fi
  rm -f "$state/run/$name" "$state/run/$name.command"
}

# ended_within SECONDS NAME
ended_within() {
  local deadline=$((SECONDS + $1))
  while our_pid "$2" >/dev/null; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}
