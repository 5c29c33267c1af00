// Certificates made on the spot, for tests of TLS. Header-only; nothing but tests includes it.
#pragma once

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

namespace narthex::net {

struct IdentityForTest {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  IdentityForTest() = default;
  IdentityForTest(const IdentityForTest&) = delete;
  ~IdentityForTest() {
    EVP_PKEY_free(key);
    X509_free(certificate);
  }

  template <typename Write>
  static std::string Pem(const Write& write) {
    BIO* bio = BIO_new(BIO_s_mem());
    write(bio);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string text(data, static_cast<size_t>(size));
    BIO_free(bio);
    return text;
  }
  std::string CertificatePem() const {
    return Pem([&](BIO* bio) { PEM_write_bio_X509(bio, certificate); });
  }
  std::string KeyPem() const {
    return Pem([&](BIO* bio) {
      PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
    });
  }
};

// `issuer` null: signed by itself, an authority.
inline std::unique_ptr<IdentityForTest> MakeIdentityForTest(const std::string& name,
                                                            const std::string& sans,
                                                            const IdentityForTest* issuer,
                                                            long seconds_valid = 3600) {
  static long serial = 0;
  auto made = std::make_unique<IdentityForTest>();
  X509* x = made->certificate;
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x), -60);
  X509_gmtime_adj(X509_getm_notAfter(x), seconds_valid);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509* parent = issuer == nullptr ? x : issuer->certificate;
  X509_set_issuer_name(x, X509_get_subject_name(parent));
  X509_set_pubkey(x, made->key);
  const auto extend = [&](int nid, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
    X509_add_ext(x, extension, -1);
    X509_EXTENSION_free(extension);
  };
  if (issuer == nullptr) extend(NID_basic_constraints, "critical,CA:TRUE");
  if (!sans.empty()) extend(NID_subject_alt_name, sans);
  X509_sign(x, issuer == nullptr ? made->key : issuer->key, EVP_sha256());
  return made;
}

}  // namespace narthex::net
