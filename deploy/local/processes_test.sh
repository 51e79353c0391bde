#!/usr/bin/env bash
# processes.sh: a process is ours by pid and start time, and nobody else's is ever signalled.
set -euo pipefail
state=$(mktemp -d)
trap 'kill "$other" 2>/dev/null || true; rm -rf "$state"' EXIT
mkdir "$state/run"
die() { echo "$*" >&2; exit 1; }
failed() { echo "FAILED: $*" >&2; exit 1; }
# shellcheck source=deploy/local/processes.sh
. "$1"

sleep 1000 &
other=$!
bash -c 'exec -a "odd ) name (" sleep 1000' &
mine=$!
record mine "$mine" "sleep 1000"
[[ $(our_pid mine) == "$mine" ]] || failed "a recorded process is ours"

# The kernel gave the pid to somebody else: same number, other start time.
echo "$other 1" > "$state/run/reused"
touch "$state/run/reused.command"
if our_pid reused >/dev/null; then failed "a reused pid is not ours"; fi
stop reused 1
kill -0 "$other" || failed "stop ended a process that is not ours"
[[ ! -e $state/run/reused && ! -e $state/run/reused.command ]] || failed "a stale record stays"

stop mine 5
if kill -0 "$mine" 2>/dev/null; then failed "stop did not end our process"; fi
if our_pid mine >/dev/null; then failed "an ended process is still ours"; fi

# One that ignores SIGTERM is killed, and that is said.
bash -c 'trap "" TERM; echo ready > "$0/ready"; while :; do sleep 0.05; done' "$state" &
stubborn=$!
until [[ -e $state/ready ]]; do sleep 0.01; done
record stubborn "$stubborn" "stubborn"
said=$(stop stubborn 1 2>&1)
[[ $said == *"did not end within 1 s of SIGTERM: killed"* ]] || failed "nothing was said of the kill: $said"
if our_pid stubborn >/dev/null; then failed "the stubborn one lives"; fi

for bad in "" "x y" "12" "1 2 3 4"; do
  echo "$bad" > "$state/run/bad"
  if our_pid bad >/dev/null; then failed "a damaged record ('$bad') names a process"; fi
done

[[ $(XDG_STATE_HOME=/x default_state) == /x/gatepost ]] || failed "XDG_STATE_HOME"
[[ $(absolute /a/../b/./c) == /b/c ]] || failed "absolute"
if (absolute "/a b" 2>/dev/null); then failed "a space in the state folder's name"; fi
echo PASSED
