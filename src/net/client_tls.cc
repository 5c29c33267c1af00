// Checks of the client's certificates, before any connection, with upstream's texts.
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

#include "net/file_cache.h"
#include "net/http_client.h"

namespace narthex::net {
namespace {

using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;
using CertificatePtr = std::unique_ptr<X509, decltype(&X509_free)>;
using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

BioPtr Source(const std::string& pem) {
  return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free};
}

CertificatePtr FirstCertificate(const std::string& pem) {
  const BioPtr source = Source(pem);
  CertificatePtr certificate(PEM_read_bio_X509(source.get(), nullptr, nullptr, nullptr),
                             &X509_free);
  ERR_clear_error();
  return certificate;
}

KeyPtr PrivateKey(const std::string& pem) {
  const BioPtr source = Source(pem);
  // An encrypted key must not ask the terminal for its password.
  const auto no_password = [](char*, int, int, void*) { return -1; };
  KeyPtr key(PEM_read_bio_PrivateKey(source.get(), nullptr, no_password, nullptr), &EVP_PKEY_free);
  ERR_clear_error();
  return key;
}

std::string Describe(const std::string& file) {
  return file.empty() ? "inline" : "file " + file;
}

Result<std::string> Load(const std::string& pem, const std::string& file) {
  if (file.empty()) return pem;
  FileCache files;
  Result<FileCache::Bytes> bytes = files.Read(file);
  if (!bytes.ok()) return bytes.status().WithPrefix(fmt::format("unable to read file {}: ", file));
  return **bytes;
}

// tls.X509KeyPair's checks.
Status CheckPair(const std::string& certificate_pem, const std::string& key_pem) {
  const auto invalid = [](std::string_view text) {
    return Status(ErrorCode::kInvalidInput, std::string(text));
  };
  const CertificatePtr certificate = FirstCertificate(certificate_pem);
  if (certificate == nullptr) {
    return invalid("tls: failed to find any PEM data in certificate input");
  }
  const KeyPtr key = PrivateKey(key_pem);
  if (key == nullptr) return invalid("tls: failed to find any PEM data in key input");
  const bool match = X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  return match ? Status() : invalid("tls: private key does not match public key");
}

}  // namespace

Status CheckTlsFiles(const HttpClientOptions& options) {
  if (!options.ca_pem.empty() || !options.ca_file.empty()) {
    const Result<std::string> ca = Load(options.ca_pem, options.ca_file);
    if (!ca.ok()) return ca.status().WithPrefix("unable to read CA cert: ");
    if (FirstCertificate(*ca) == nullptr) {
      return MakeError(ErrorCode::kInvalidInput, "unable to use specified CA cert {}",
                       Describe(options.ca_file));
    }
  }
  const bool has_certificate =
      !options.certificate_pem.empty() || !options.certificate_file.empty();
  const bool has_key = !options.key_pem.empty() || !options.key_file.empty();
  if (!has_certificate || !has_key) return {};
  const Result<std::string> certificate = Load(options.certificate_pem, options.certificate_file);
  if (!certificate.ok()) {
    return certificate.status().WithPrefix("unable to read specified client cert: ");
  }
  const Result<std::string> key = Load(options.key_pem, options.key_file);
  if (!key.ok()) return key.status().WithPrefix("unable to read specified client key: ");
  return CheckPair(*certificate, *key)
      .WithPrefix(fmt::format("unable to use specified client cert ({}) & key ({}): ",
                              Describe(options.certificate_file), Describe(options.key_file)));
}

}  // namespace narthex::net
