// BoringSSL's way to a socket; inside tls/ only. It reads ahead: a record's header, its body and what comes right behind are one
// system call, and a socket that gave less than was asked for is not asked again in vain. The body of a large record goes
// straight to where BoringSSL decrypts it, and the records behind it come with it.
//
// What was read ahead is TLS's: ciphertext that nobody else can reach. It is at most kAhead or kAheadInBulk octets, in memory that
// is given back as soon as they are taken. Thread rule: the stream's.
#pragma once

#include "services/tls/boringssl.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <memory>

#include "services/net/tcp_stream.h"

namespace gatepost::tls::internal {

class SocketBio {
 public:
  // Two short messages, or a group of commands and the message behind it.
  static constexpr size_t kAhead = 8192;
  // Behind the body of a large record: three more, and the header of the next.
  static constexpr size_t kAheadInBulk = 3 * (SSL3_RT_HEADER_LENGTH + SSL3_RT_MAX_PLAIN_LENGTH + 17) + SSL3_RT_HEADER_LENGTH;

  // The stream outlives it.
  explicit SocketBio(net::TcpStream& tcp) : tcp_(tcp) {}
  SocketBio(const SocketBio&) = delete;
  SocketBio& operator=(const SocketBio&) = delete;

  // Must outlive the SSL, or the SSL's last read and write.
  void Serve(SSL* ssl);

  // Something is here that BoringSSL has not taken: octets, or the news that there will be no more.
  bool HasInput() const { return begin_ != end_ || ended_; }
  // Reads what the socket has; false: nothing, one has to wait.
  bool Fill();
  // The socket, though it was drained, may have something again.
  void Expect() { drained_ = false; }

  // What is written may wait for what is written next (MSG_MORE), or for the FIN.
  void set_more(bool more) { more_ = more; }

  // Octets of memory held for reading ahead.
  size_t capacity() const { return capacity_; }

 private:
  static const BIO_METHOD* Method();
  static int OnRead(BIO* bio, char* out, int size);
  static int OnWrite(BIO* bio, const char* octets, int size);
  static long OnControl(BIO* bio, int command, long number, void* pointer);

  // As recv(2): octets, 0 at the end, -1 with errno.
  int Read(char* out, size_t size);
  int Take(char* out, size_t size);
  void Release();
  // From the socket into `out` and, behind it, `ahead` octets of ours. What both got, or 0 or -1 as recv(2).
  ssize_t Receive(char* out, size_t size, size_t ahead);

  net::TcpStream& tcp_;
  std::unique_ptr<char[]> ahead_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool drained_ = false;  // the socket gave less than it was asked for
  bool ended_ = false;    // by `error_`, or by a FIN
  int error_ = 0;
  bool more_ = false;
};

}  // namespace gatepost::tls::internal
