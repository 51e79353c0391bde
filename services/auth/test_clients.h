// The clients' side of SCRAM and NTLM, for tests of the auth service.
#pragma once

#include <gsasl.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "services/base/base64.h"
#include "services/sasl/nt_hash.h"
#include "services/sasl/ntlm_message.h"

namespace gatepost::auth {

// GNU SASL's client.
class ScramClient {
 public:
  ScramClient(const char* mechanism, const std::string& login, const std::string& password,
              const std::string& authzid = "", const std::string& exporter = "") {
    EXPECT_EQ(gsasl_init(&context_), GSASL_OK);
    EXPECT_EQ(gsasl_client_start(context_, mechanism, &session_), GSASL_OK);
    gsasl_property_set(session_, GSASL_AUTHID, login.c_str());
    gsasl_property_set(session_, GSASL_PASSWORD, password.c_str());
    if (!authzid.empty()) gsasl_property_set(session_, GSASL_AUTHZID, authzid.c_str());
    if (!exporter.empty()) gsasl_property_set(session_, GSASL_CB_TLS_EXPORTER, base::Base64Encode(exporter).c_str());
  }
  ~ScramClient() {
    gsasl_finish(session_);
    gsasl_done(context_);
  }
  ScramClient(const ScramClient&) = delete;
  ScramClient& operator=(const ScramClient&) = delete;

  std::string Step(const std::string& in) {
    char* out = nullptr;
    size_t size = 0;
    code_ = gsasl_step(session_, in.data(), in.size(), &out, &size);
    std::string octets = out == nullptr ? std::string() : std::string(out, size);
    gsasl_free(out);
    return octets;
  }
  int code() const { return code_; }

 private:
  Gsasl* context_ = nullptr;
  Gsasl_session* session_ = nullptr;
  int code_ = GSASL_OK;
};

inline std::string LittleEndian(uint64_t value, size_t octets) {
  std::string out;
  for (size_t i = 0; i < octets; ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  return out;
}

// A NEGOTIATE.
inline std::string NtlmHello() {
  return std::string("NTLMSSP\0\1\0\0\0", 12) + LittleEndian(sasl::kNtlmUnicode | sasl::kNtlmNtlm, 4) +
         std::string(16, '\0');
}

// An AUTHENTICATE without a MIC.
inline std::string NtlmAnswer(const std::string& challenge, const std::string& user, const std::string& password) {
  const std::string blob = "\1\1" + std::string(26, '\0') + std::string(8, '\0');
  const sasl::Md5 key = sasl::NtlmV2Key(sasl::NtHashOf(password), sasl::ToUtf16(user), "");
  const auto text = [](const sasl::Md5& digest) {
    return std::string(reinterpret_cast<const char*>(digest.data()), digest.size());
  };
  const std::string response = text(sasl::HmacMd5(text(key), challenge.substr(24, 8) + blob)) + blob;
  std::string out("NTLMSSP\0\3\0\0\0", 12), payload;
  for (const std::string& field :
       {std::string(), response, std::string(), sasl::ToUtf16(user), std::string(), std::string()}) {
    out += LittleEndian(field.size(), 2) + LittleEndian(field.size(), 2) + LittleEndian(64 + payload.size(), 4);
    payload += field;
  }
  return out + LittleEndian(sasl::kNtlmUnicode | sasl::kNtlmNtlm, 4) + payload;
}

}  // namespace gatepost::auth
