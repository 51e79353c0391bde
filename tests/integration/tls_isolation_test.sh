#!/usr/bin/env bash
# BoringSSL (static, hidden) and OpenSSL (gRPC's) do not meet: no program exports a TLS symbol, and at run time libgrpc's
# calls are bound to libssl.so.3 and libcrypto.so.3. ADR 002. Arguments: a probe that uses both, then programs.
set -euo pipefail
fail() { echo "FAILED: $*" >&2; exit 1; }
for program in "$@"; do
  exported=$(nm -D --defined-only "$program" | awk '{print $3}' | grep -E '^(SSL|EVP|X509|CRYPTO|RSA|EC|BIO|ERR|OPENSSL|PEM|ASN1|TLS|HMAC|SHA|AES|BN)_' || true)
  [[ -z $exported ]] || fail "$program exports TLS symbols: $(head -3 <<<"$exported" | tr '\n' ' ')"
  if readelf -d "$program" | grep -E 'NEEDED.*(libboringssl|android)'; then fail "$program links a shared BoringSSL"; fi
done
# The probe holds both: BoringSSL's code is inside, and gRPC's bindings leave the program.
[[ $(nm -C "$1" | grep -c 'bssl::') -gt 0 ]] || fail "$1 holds no BoringSSL: the test would show nothing"
bindings=$(mktemp); trap 'rm -f "$bindings"*' EXIT
LD_BIND_NOW=1 LD_DEBUG=bindings LD_DEBUG_OUTPUT=$bindings "$1" >/dev/null
grep -hE 'binding file \S*libgrpc\.so\S* .*to \S*libssl\.so\.3 .*(SSL_CTX_new|SSL_new)' "$bindings".* >/dev/null || fail "libgrpc's SSL_new is not bound to libssl.so.3"
wrong=$(grep -hE "binding file \S*lib(grpc|ssl|crypto)\S* .*to \S*$(basename "$1") .*\`(SSL|EVP|X509|CRYPTO)_" "$bindings".* || true)
[[ -z $wrong ]] || fail "bound into the program: $(head -3 <<<"$wrong")"
echo "PASSED"
