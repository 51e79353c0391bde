// Uses BoringSSL and Debian's gRPC (with its OpenSSL) in one process, as the edge does: a TLS context of the one, a TLS
// channel of the other that tries to connect. tls_isolation_test.sh looks at which library each symbol was bound to.
#include <grpcpp/grpcpp.h>
#include <openssl/ssl.h>

#include <chrono>
#include <cstdio>

#ifndef OPENSSL_IS_BORINGSSL
#error "compiled against OpenSSL's headers: the dependency on @boringssl//:ssl is missing"
#endif

int main() {
  SSL_CTX* context = SSL_CTX_new(TLS_method());
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) return 1;
  SSL* ssl = SSL_new(context);
  if (ssl == nullptr) return 1;
  auto channel = grpc::CreateChannel("127.0.0.1:1", grpc::SslCredentials({}));
  channel->GetState(/*try_to_connect=*/true);
  channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
  SSL_free(ssl);
  SSL_CTX_free(context);
  std::puts("both worked");
  return 0;
}
