#!/usr/bin/env bash
# The program as a shell sees it: exit codes, where text goes, completion scripts that their shells accept, no secrets as arguments.
set -euo pipefail
ctl=$(realpath "$1")
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
for name in $(compgen -e | grep ^GATEPOSTCTL || true); do unset "$name"; done
fail() { echo "FAILED: $*" >&2; exit 1; }
# expect CODE PATTERN ARGUMENT...: exit code, and a pattern in what it prints; stdout stays empty on failure.
expect() {
  local code=$1 pattern=$2 status=0
  shift 2
  "$ctl" "$@" >out 2>err </dev/null || status=$?
  [[ $status == "$code" ]] || fail "$*: exit $status, not $code: $(cat out err)"
  grep -qE -- "$pattern" out err || fail "$*: no '$pattern' in: $(cat out err)"
  [[ $code == 0 || ! -s out ]] || fail "$*: an error on standard output: $(cat out)"
  [[ $code != 2 || $(wc -l <err) == 1 ]] || fail "$*: more than one line: $(cat err)"
}

expect 0 'virtual-server +SMTP services' --help
expect 0 'Example:' virtual-server create --help
expect 2 'what shall be done\? One of virtual-server, certificate, user, group, credential, throttle, edge, simulate, apply, import, pki, completion'
expect 2 "there is no 'frobnicate' here, only virtual-server" frobnicate
expect 2 'see: gatepostctl user create --help' user create alice
expect 2 '--output: xml not in' edge list --output xml
expect 2 '--timeout: .*9999' --timeout 9999 edge list
expect 2 'who are you\? --cert, --key and --ca' edge list
expect 2 'nothing to change' virtual-server update a
expect 2 '--add-relay-entry takes an address' virtual-server update a --add-relay-entry mail.example.com
expect 2 'has bits beyond its mask; the subnet is 10.0.0.0/8' virtual-server create a --connection-entry 10.0.0.1/8
expect 2 'not both at once' virtual-server update a --set relay.entries='[]' --remove-relay-entry 10.0.0.0/8
expect 2 '--protocol-log: loud not in' virtual-server update a --protocol-log loud
expect 2 'who are you' virtual-server check-dns mail.example.com
expect 2 "there is no field 'fqdnn'" virtual-server update a --set fqdnn=x
expect 2 '--listen takes ADDRESS:PORT' virtual-server create a --listen 25
expect 2 'behind the comma stands none, starttls or implicit' virtual-server create a --listen 127.0.0.1:25,tls
expect 2 '--client is required' simulate mail --sender a@example.com
expect 2 '--tls: 1.1 not in' simulate mail --client 192.0.2.7 --sender a@example.com --tls 1.1
expect 1 'cannot read /nonexistent' apply -f /nonexistent

# Passwords come from the terminal, a file or standard input. There is no terminal here.
expect 2 'not expected: .*--password' user create alice --login a@example.com --password secret
if command -v setsid >/dev/null; then
  status=0; setsid -w "$ctl" user create alice --login a@example.com >out 2>err </dev/null || status=$?
  [[ $status == 2 ]] || fail "asks without a terminal: exit $status"
  grep -q 'no terminal to ask' err || fail "asks without a terminal: $(cat err)"
fi
expect 2 'a password is not set here' user update alice --set password=secret
expect 2 'nothing to change' user update alice
expect 2 'nothing to change' group update staff
expect 2 'nothing to change' credential update alice scanner
expect 2 "--expires takes a time as RFC 3339 has it, .* not 'tomorrow'" credential create alice scanner --expires tomorrow
printf 'login,ntlm\nalice@example.com,perhaps\n' > users.csv
expect 2 'users.csv: line 2: ntlm is yes or no' user import users.csv
expect 1 'cannot read /nonexistent' user import /nonexistent
expect 2 'not both' user set-password alice --password-stdin --password-file x

# Identities, and what a variable and a file of options do.
expect 0 'certificate authority' pki init p
expect 1 'is there already: nothing was changed' pki init p
expect 2 'is no role' pki issue --dir p root me
expect 2 'needs the names under which it is dialled' pki issue --dir p config main
expect 0 'spiffe://gatepost.internal/gatepost/admin/me' pki issue --dir p admin me
expect 0 'spiffe://gatepost.internal/gatepost/admin/you' pki issue --dir p admin you
expect 0 'admin-me.crt expires in 397 days' pki renew p
identity=(--cert p/admin-me.crt --key p/admin-me.key --ca p/ca.crt)
expect 1 'the config service at 127.0.0.1:1 cannot be reached: Connection refused' "${identity[@]}" --config-address 127.0.0.1:1 edge list
expect 1 'the auth service at 127.0.0.1:1 cannot be reached' "${identity[@]}" --auth-address 127.0.0.1:1 user list
expect 1 'is not the key of' --cert p/admin-me.crt --key p/admin-you.key --ca p/ca.crt edge list
printf 'cert=p/admin-me.crt\nkey=p/admin-me.key\nca=p/ca.crt\nconfig-address=127.0.0.1:1\n' > options
expect 1 'at 127.0.0.1:1 cannot be reached' --config-file options edge list
export GATEPOSTCTL_CERT=p/admin-me.crt GATEPOSTCTL_KEY=p/admin-me.key GATEPOSTCTL_CA=p/ca.crt GATEPOSTCTL_CONFIG_ADDRESS=127.0.0.1:1
expect 1 'at 127.0.0.1:1 cannot be reached' edge list
expect 1 'at 127.0.0.1:2 cannot be reached' edge list --config-address 127.0.0.1:2

# Completion: the shell takes the script, and it completes.
"$ctl" completion bash > completion.bash
bash -n completion.bash
got=$(bash -c '. ./completion.bash; COMP_WORDS=(gatepostctl virtual-server up); COMP_CWORD=2; _gatepostctl; echo "${COMPREPLY[*]}"')
[[ $got == update ]] || fail "bash completes 'virtual-server up' to '$got'"
got=$(bash -c '. ./completion.bash; COMP_WORDS=(gatepostctl edge list --output y); COMP_CWORD=4; _gatepostctl; echo "${COMPREPLY[*]}"')
[[ $got == yaml ]] || fail "bash completes '--output y' to '$got'"
for shell in zsh fish; do
  "$ctl" completion $shell > completion.$shell
  if command -v $shell >/dev/null; then $shell -n completion.$shell; fi
done
expect 2 'tcsh' completion tcsh
echo PASSED
