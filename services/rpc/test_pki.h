// A CA in a folder of the test's own, with leaves as good or as bad as a test needs them.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "services/base/file.h"
#include "services/base/ip_address.h"
#include "services/rpc/identity_files.h"
#include "services/tls/certificate.h"

namespace gatepost::rpc {

class TestPki {
 public:
  TestPki() {
    const char* base = std::getenv("TEST_TMPDIR");
    folder_ = std::string(base != nullptr ? base : "/tmp") + "/pki.XXXXXX";
    if (mkdtemp(folder_.data()) == nullptr) std::abort();
    ca_key_ = tls::GenerateKey(tls::KeyType::kEcdsaP256).value();
    ca_ = tls::MakeCa(ca_key_, {.common_name = "test"}).value();
  }
  ~TestPki() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  TestPki(const TestPki&) = delete;
  TestPki& operator=(const TestPki&) = delete;

  const std::string& folder() const { return folder_; }
  const std::string& ca() const { return ca_; }

  // For spiffe://test/gatepost/{who}, dialled as 127.0.0.1 and localhost.
  static tls::LeafOptions Leaf(const std::string& who) {
    tls::LeafOptions leaf;
    leaf.common_name = "leaf";
    leaf.uris = {"spiffe://test/gatepost/" + who};
    leaf.dns_names = {"localhost"};
    leaf.addresses = {*base::IpAddress::Parse("127.0.0.1")};
    return leaf;
  }
  std::string IssuePem(const tls::LeafOptions& leaf, std::string* key) const {
    *key = tls::GenerateKey(tls::KeyType::kEcdsaP256).value();
    return tls::IssueLeaf(ca_, ca_key_, *key, leaf).value();
  }
  // Files of a new leaf; `bundle`: whom it trusts, if not this CA.
  IdentityFiles Issue(const tls::LeafOptions& leaf, const std::string& bundle = "") {
    IdentityFiles files;
    const std::string stem = folder_ + "/" + std::to_string(issued_++);
    files.cert = stem + ".crt";
    files.key = stem + ".key";
    files.ca = stem + ".ca";
    files.reload_seconds = 1;
    Replace(files, leaf, bundle);
    return files;
  }
  IdentityFiles Issue(const std::string& who) { return Issue(Leaf(who)); }
  // Puts a new leaf, and the bundle, in the place of the old.
  void Replace(const IdentityFiles& files, const tls::LeafOptions& leaf, const std::string& bundle = "") {
    std::string key;
    const std::string cert = IssuePem(leaf, &key);
    Write(files.ca, bundle.empty() ? ca_ : bundle);
    Write(files.key, key);
    Write(files.cert, cert);
  }
  static void Write(const std::string& path, const std::string& text) {
    if (!base::WriteFileAtomically(path, text).ok()) std::abort();
  }

 private:
  std::string folder_;
  std::string ca_key_;
  std::string ca_;
  int issued_ = 0;
};

}  // namespace gatepost::rpc
