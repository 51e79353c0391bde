// The only way to BoringSSL's headers. Where libssl-dev is installed, /usr/include/openssl is OpenSSL's: a target that forgets its
// dependency would compile against the wrong headers without a word.
#pragma once

#include <openssl/base.h>

#ifndef OPENSSL_IS_BORINGSSL
#error "OpenSSL's headers instead of BoringSSL's: depend on @boringssl//:ssl"
#endif
