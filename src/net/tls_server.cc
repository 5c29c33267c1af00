#include "net/tls_server.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

#include "util/log.h"
#include "util/strings.h"

namespace narthex::net {
namespace {

template <typename T, void (*kFree)(T*)>
struct Free {
  void operator()(T* object) const { kFree(object); }
};
using X509Ptr = std::unique_ptr<X509, Free<X509, X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY, EVP_PKEY_free>>;
struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using BioPtr = std::unique_ptr<BIO, FreeBio>;

BioPtr Reader(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}
// An encrypted key must not ask the terminal for its password.
int NoPassword(char*, int, int, void*) {
  return -1;
}

std::vector<X509Ptr> ReadCertificates(std::string_view pem) {
  std::vector<X509Ptr> found;
  const BioPtr reader = Reader(pem);
  while (X509* certificate = PEM_read_bio_X509(reader.get(), nullptr, NoPassword, nullptr)) {
    found.emplace_back(certificate);
  }
  ERR_clear_error();
  return found;
}

// What the verification callback of a context needs; freed with the context.
struct VerifyRules {
  bool verify = false;
  std::optional<std::vector<std::string>> allowed_sans;
};

int RulesIndex() {
  static const int index = SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* rules, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<VerifyRules*>(rules);
      });
  return index;
}

std::vector<std::string> SubjectNames(X509* certificate) {
  std::vector<std::string> names;
  auto* list = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(list); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(list, i);
    const ASN1_STRING* text = nullptr;
    if (name->type == GEN_DNS) text = name->d.dNSName;
    if (name->type == GEN_EMAIL) text = name->d.rfc822Name;
    if (name->type == GEN_URI) text = name->d.uniformResourceIdentifier;
    if (text != nullptr) {
      names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                         static_cast<size_t>(ASN1_STRING_length(text)));
    }
    if (name->type == GEN_IPADD) {
      char printed[INET6_ADDRSTRLEN] = "";
      const int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
      if (family == AF_INET || ASN1_STRING_length(name->d.iPAddress) == 16) {
        inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), printed, sizeof printed);
      }
      names.emplace_back(printed);
    }
  }
  GENERAL_NAMES_free(list);
  return names;
}

int VerifyClient(int verified, X509_STORE_CTX* store) {
  const auto* ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  const auto* rules =
      static_cast<const VerifyRules*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), RulesIndex()));
  if (rules->verify && verified == 0) return 0;
  if (!rules->allowed_sans || X509_STORE_CTX_get_error_depth(store) != 0) return 1;
  const std::vector<std::string>& allowed = *rules->allowed_sans;
  for (const std::string& name : SubjectNames(X509_STORE_CTX_get0_cert(store))) {
    if (std::find(allowed.begin(), allowed.end(), name) != allowed.end()) return 1;
  }
  LOG_WARN(
      fmt::format("could not find allowed SANs in client cert, found: [{}]", Join(allowed, " ")));
  X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

// HTTP/2 where it is switched on and the client offers it, otherwise HTTP/1.1; other offers go
// unanswered.
int ChooseProtocol(SSL*, const unsigned char** chosen, unsigned char* size,
                   const unsigned char* offered, unsigned int offered_size, void* http2) {
  static constexpr unsigned char kBoth[] = "\x02h2\x08http/1.1";
  const unsigned char* own = http2 != nullptr ? kBoth : kBoth + 3;
  const auto own_size = static_cast<unsigned int>(sizeof kBoth - 1 - (http2 != nullptr ? 0 : 3));
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, size, own, own_size, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

int VersionNumber(std::string_view name) {
  if (name == "TLS10") return TLS1_VERSION;
  if (name == "TLS11") return TLS1_1_VERSION;
  if (name == "TLS12") return TLS1_2_VERSION;
  return TLS1_3_VERSION;
}

// OpenSSL's name of a TLS 1.2 suite; "" for suites of TLS 1.3, which are always on.
std::string_view CipherName(std::string_view name) {
  struct Pair {
    std::string_view go, openssl;
  };
  static constexpr std::array<Pair, 10> kNames = {{
      {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA"},
      {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA"},
      {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"},
      {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"},
      {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"},
      {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"},
      {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"},
      {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"},
      {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"},
      {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"},
  }};
  for (const Pair& pair : kNames) {
    if (pair.go == name) return pair.openssl;
  }
  return {};
}

Status KeyPairError(std::string_view what) {
  ERR_clear_error();
  return MakeError(ErrorCode::kInvalidInput, "failed to load X509KeyPair: tls: {}", what);
}

Status LoadKeyPair(const TlsServerOptions& options, SSL_CTX* context) {
  const std::vector<X509Ptr> chain = ReadCertificates(options.certificate_pem);
  if (chain.empty()) return KeyPairError("failed to find any PEM data in certificate input");
  const KeyPtr key(
      PEM_read_bio_PrivateKey(Reader(options.key_pem).get(), nullptr, NoPassword, nullptr));
  if (key == nullptr) {
    return KeyPairError(options.key_pem.find("-----BEGIN") == std::string::npos
                            ? "failed to find any PEM data in key input"
                            : "failed to parse private key");
  }
  if (X509_check_private_key(chain.front().get(), key.get()) != 1) {
    return KeyPairError("private key does not match public key");
  }
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return KeyPairError("the certificate cannot be used");
  }
  for (size_t i = 1; i < chain.size(); ++i) SSL_CTX_add1_chain_cert(context, chain[i].get());
  return {};
}

void SetClientCertificates(const TlsServerOptions& options, SSL_CTX* context) {
  if (options.client_certificates == ClientCertificates::kNone) return;
  const ClientCertificates kind = options.client_certificates;
  const bool required =
      kind == ClientCertificates::kRequireAny || kind == ClientCertificates::kRequireAndVerify;
  const bool verify =
      kind == ClientCertificates::kVerifyIfGiven || kind == ClientCertificates::kRequireAndVerify;
  SSL_CTX_set_ex_data(context, RulesIndex(), new VerifyRules{verify, options.client_allowed_sans});
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                     &VerifyClient);
  // A resumed session would carry over what an older configuration let in.
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context, 0);
  if (options.client_ca_pem.empty()) {
    SSL_CTX_set_default_verify_paths(context);
    return;
  }
  for (const X509Ptr& authority : ReadCertificates(options.client_ca_pem)) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get());
    SSL_CTX_add_client_CA(context, authority.get());
  }
  ERR_clear_error();
}

Status SetAlgorithms(const TlsServerOptions& options, SSL_CTX* context) {
  int min_version = VersionNumber(options.min_version);
  std::string ciphers;
  for (const std::string& name : options.cipher_suites) {
    const std::string_view known = CipherName(name);
    if (known.empty()) continue;
    if (!ciphers.empty()) ciphers += ':';
    ciphers += known;
  }
  // Only suites of TLS 1.3 were named, so nothing older can be spoken.
  if (ciphers.empty() && !options.cipher_suites.empty()) min_version = TLS1_3_VERSION;
  if (ciphers.empty()) ciphers = "DEFAULT";
  // OpenSSL itself holds versions before 1.2 for too weak.
  if (min_version < TLS1_2_VERSION) ciphers += ":@SECLEVEL=0";
  std::string groups;
  for (const std::string& curve : options.curve_preferences) {
    if (!groups.empty()) groups += ':';
    groups += curve == "X25519" ? "X25519" : "P-" + curve.substr(std::string_view("CurveP").size());
  }
  if (SSL_CTX_set_min_proto_version(context, min_version) != 1 ||
      SSL_CTX_set_max_proto_version(context, VersionNumber(options.max_version)) != 1 ||
      SSL_CTX_set_cipher_list(context, ciphers.c_str()) != 1 ||
      (!groups.empty() && SSL_CTX_set1_groups_list(context, groups.c_str()) != 1)) {
    ERR_clear_error();
    return Status(ErrorCode::kInvalidInput, "tls: versions, ciphers or curves cannot be used");
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<ssl_ctx_st>> MakeTlsServerContext(const TlsServerOptions& options) {
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  if (context == nullptr) return Status(ErrorCode::kInternal, "tls: cannot create a context");
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  static char on;  // Only its address counts.
  SSL_CTX_set_alpn_select_cb(context.get(), &ChooseProtocol, options.http2 ? &on : nullptr);
  NARTHEX_RETURN_IF_ERROR(LoadKeyPair(options, context.get()));
  SetClientCertificates(options, context.get());
  NARTHEX_RETURN_IF_ERROR(SetAlgorithms(options, context.get()));
  return context;
}

}  // namespace narthex::net
