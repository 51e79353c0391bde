#include "services/tls/socket_bio.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>

#include "services/tls/test_handshakes.h"

namespace gatepost::tls::internal {
namespace {

// A connection whose end the BIO reads and whose other end says what it likes. No TLS: the BIO knows none.
class SocketBioTest : public HandshakeTest {
 protected:
  void SetUp() override {
    HandshakeTest::SetUp();
    client_ = Dial();
    context_ssl_.reset(SSL_CTX_new(TLS_method()));
    ssl_.reset(SSL_new(context_ssl_.get()));
    bio_ = std::make_unique<SocketBio>(*accepted_);
    bio_->Serve(ssl_.get());
  }
  void Say(std::string_view octets) {
    ASSERT_EQ(::send(client_->descriptor(), octets.data(), octets.size(), MSG_NOSIGNAL), static_cast<ssize_t>(octets.size()));
  }
  // What the socket holds that was not read ahead.
  size_t InSocket() {
    std::string space(100'000, '\0');
    const ssize_t n = ::recv(accepted_->descriptor(), space.data(), space.size(), MSG_PEEK | MSG_DONTWAIT);
    return n > 0 ? static_cast<size_t>(n) : 0;
  }
  // As BoringSSL asks; "": nothing is there.
  std::string Read(int size) {
    std::string octets(static_cast<size_t>(size), '\0');
    result_ = BIO_read(SSL_get_rbio(ssl_.get()), octets.data(), size);
    octets.resize(static_cast<size_t>(std::max(result_, 0)));
    return octets;
  }
  bool ShouldWait() { return BIO_should_read(SSL_get_rbio(ssl_.get())) != 0; }

  std::unique_ptr<net::TcpStream> client_;
  bssl::UniquePtr<SSL_CTX> context_ssl_;
  std::unique_ptr<SocketBio> bio_;
  bssl::UniquePtr<SSL> ssl_;
  int result_ = 0;
};

TEST_F(SocketBioTest, AHeaderTakesWhatIsBehindItOffTheSocket) {
  Say("12345body12345tail");
  EXPECT_EQ(Read(5), "12345");
  EXPECT_EQ(InSocket(), 0u);
  EXPECT_TRUE(bio_->HasInput());
  EXPECT_EQ(Read(4), "body");
  EXPECT_EQ(Read(5), "12345");
  EXPECT_EQ(Read(100), "tail");
  EXPECT_FALSE(bio_->HasInput());
}

TEST_F(SocketBioTest, NoMemoryIsHeldWhenAllIsTaken) {
  EXPECT_EQ(Read(5), "");
  EXPECT_EQ(bio_->capacity(), 0u);
  Say("12345body");
  bio_->Expect();
  EXPECT_EQ(Read(5), "12345");
  EXPECT_EQ(bio_->capacity(), SocketBio::kAhead);
  EXPECT_EQ(Read(4), "body");
  EXPECT_EQ(bio_->capacity(), 0u);
}

TEST_F(SocketBioTest, WithALargeBodyComeTheRecordsBehindIt) {
  const std::string body(16'000, 'x');
  Say("12345");
  EXPECT_EQ(Read(5), "12345");
  Say(body + "67890" + body + "last");
  bio_->Expect();
  while (InSocket() < 2 * body.size() + 9) {  // the kernel delivers it
  }
  EXPECT_TRUE(Read(16'000) == body);
  EXPECT_EQ(InSocket(), 0u);
  EXPECT_EQ(bio_->capacity(), SocketBio::kAheadInBulk);
  EXPECT_EQ(Read(5), "67890");
  EXPECT_TRUE(Read(16'000) == body);
  EXPECT_EQ(Read(5), "last");
  EXPECT_EQ(bio_->capacity(), 0u);
}

TEST_F(SocketBioTest, ASocketThatGaveLessIsAskedAgainOnlyWhenOctetsAreExpected) {
  Say("12345");
  EXPECT_EQ(Read(5), "12345");
  Say("body");
  while (InSocket() < 4) {  // the kernel delivers it
  }
  EXPECT_EQ(Read(4), "");
  EXPECT_TRUE(ShouldWait());
  bio_->Expect();
  EXPECT_EQ(Read(4), "body");
}

TEST_F(SocketBioTest, FillTakesWhatIsThereAndSaysWhetherSomethingIs) {
  EXPECT_FALSE(bio_->Fill());
  EXPECT_EQ(bio_->capacity(), 0u);
  Say("12345");
  bio_->Expect();
  EXPECT_TRUE(bio_->Fill());
  EXPECT_EQ(InSocket(), 0u);
  EXPECT_TRUE(bio_->Fill());
  EXPECT_EQ(Read(5), "12345");
}

TEST_F(SocketBioTest, OctetsComeBeforeTheEndAndTheEndIsSaidEveryTime) {
  Say("12345body");
  client_->Close();
  EXPECT_TRUE(bio_->Fill());
  EXPECT_EQ(Read(5), "12345");
  EXPECT_EQ(Read(4), "body");
  for (int i = 0; i < 2; ++i) {
    bio_->Expect();
    EXPECT_TRUE(bio_->Fill());
    EXPECT_EQ(Read(5), "");
    EXPECT_EQ(result_, 0);
    EXPECT_FALSE(ShouldWait());
  }
}

// A socket tells its error once; who filled in vain must not take it from who reads.
TEST_F(SocketBioTest, AnErrorIsSaidEveryTime) {
  const linger off{1, 0};
  ASSERT_EQ(::setsockopt(client_->descriptor(), SOL_SOCKET, SO_LINGER, &off, sizeof off), 0);
  client_->Close();
  EXPECT_TRUE(bio_->Fill());
  for (int i = 0; i < 2; ++i) {
    bio_->Expect();
    errno = 0;
    EXPECT_EQ(Read(5), "");
    EXPECT_EQ(result_, -1);
    EXPECT_EQ(errno, ECONNRESET);
    EXPECT_FALSE(ShouldWait());
  }
}

}  // namespace
}  // namespace gatepost::tls::internal
