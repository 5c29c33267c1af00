// TLS and stored passwords, with certificates made on the spot.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "http_client.h"
#include "http_text.h"
#include "narthex/client.h"
#include "narthex/client/exposer.h"
#include "narthex/client/tls.h"
#include "test_peer.h"

namespace narthex::client {
namespace {

using testing::HasSubstr;

// A certificate for `names` that has signed itself, and its key, in one file.
void WritePair(const std::string& path, const std::string& names) {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* const name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_EXTENSION* const alternative =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
  X509_add_ext(certificate, alternative, -1);
  X509_sign(certificate, key, EVP_sha256());
  BIO* const file = BIO_new_file(path.c_str(), "w");
  PEM_write_bio_X509(file, certificate);
  PEM_write_bio_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  BIO_free(file);
  X509_EXTENSION_free(alternative);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

class Tls : public testing::Test {
 protected:
  Tls()
      : folder_(std::filesystem::temp_directory_path() / ("tls_test." + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~Tls() override { std::filesystem::remove_all(folder_); }

  std::string File(const std::string& name) const { return folder_ / name; }
  std::string Get(uint16_t port, ChannelFactory* channels, const std::string& host = "127.0.0.1") {
    ClientRequest request;
    request.method = "GET";
    request.url = *ParseUrl("https://" + host + ":" + std::to_string(port) + "/metrics");
    request.channels = channels;
    const Result<ClientResponse> response = SendHttp(request);
    return response.ok() ? response->body : response.status().message();
  }

  const std::filesystem::path folder_;
};

TEST_F(Tls, ServesAndVerifies) {
  WritePair(File("server.pem"), "IP:127.0.0.1,DNS:localhost");
  WritePair(File("other.pem"), "DNS:elsewhere");
  Registry registry;
  // Larger than one record and than the socket's buffers.
  const Family<Gauge> family(registry, {"g", "G."}, {"i"});
  for (int i = 0; i < 2000; ++i) family.WithLabels({std::to_string(i)});
  ExposerOptions options;
  options.channels = *MakeTlsServer({File("server.pem"), File("server.pem"), ""});
  const auto exposer = *Exposer::Start("127.0.0.1:0", registry, options);
  const uint16_t port = exposer->port();

  const auto good = *MakeTlsClient({File("server.pem")});
  RawClient client(port, good.get());
  for (int i = 0; i < 2; ++i) {
    client.Send("GET /metrics HTTP/1.1\r\n\r\n");
    EXPECT_THAT(client.ReadAnswer(), HasSubstr("g{i=\"999\"} 0\n"));
  }
  EXPECT_THAT(Get(port, good.get()), HasSubstr("g{i=\"1\"} 0\n"));

  EXPECT_THAT(Get(port, MakeTlsClient({File("other.pem")})->get()),
              HasSubstr("certificate: self-signed certificate"));
  TlsClientOptions other_name{File("server.pem")};
  other_name.server_name = "elsewhere";
  EXPECT_THAT(Get(port, MakeTlsClient(other_name)->get()),
              HasSubstr("certificate: hostname mismatch"));
  TlsClientOptions careless;
  careless.insecure_skip_verify = true;
  EXPECT_THAT(Get(port, MakeTlsClient(careless)->get()), HasSubstr("g{i=\"1\"} 0\n"));

  // Plain text to a TLS port ends that connection only.
  RawClient plain(port);
  plain.Send("GET /metrics HTTP/1.1\r\n\r\n");
  EXPECT_THAT(plain.ReadAll(), testing::Not(HasSubstr("200 OK")));
  EXPECT_THAT(Get(port, good.get()), HasSubstr("g{i=\"1\"} 0\n"));
}

TEST_F(Tls, AsksForClientCertificates) {
  WritePair(File("server.pem"), "IP:127.0.0.1");
  WritePair(File("client.pem"), "DNS:client");
  Registry registry;
  const Gauge gauge(registry, {"g", "G."});
  ExposerOptions options;
  options.channels = *MakeTlsServer({File("server.pem"), File("server.pem"), File("client.pem")});
  const auto exposer = *Exposer::Start("127.0.0.1:0", registry, options);
  const auto nobody = *MakeTlsClient({File("server.pem")});
  EXPECT_THAT(Get(exposer->port(), nobody.get()), testing::Not(HasSubstr("g 0")));
  const auto known = *MakeTlsClient({File("server.pem"), File("client.pem")});
  EXPECT_THAT(Get(exposer->port(), known.get()), HasSubstr("g 0"));
}

TEST_F(Tls, SaysWhatItCannotLoad) {
  EXPECT_THAT(MakeTlsServer({File("none"), File("none"), ""}).status().message(),
              HasSubstr("certificate " + File("none") + ": "));
  std::ofstream(File("text")) << "no PEM";
  EXPECT_THAT(MakeTlsClient({File("text")}).status().message(),
              HasSubstr("authorities " + File("text") + ": "));
}

TEST(Bcrypt, ChecksAndRemembers) {
  // "secret", at the lowest cost.
  const Labels users = {{"me", "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"}};
  const auto made = MakeBcryptAuthenticator(users);
  ASSERT_TRUE(made.ok());
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE((*made)("me", "secret"));
    EXPECT_FALSE((*made)("me", "wrong"));
    EXPECT_FALSE((*made)("you", "secret"));
    EXPECT_FALSE((*made)("me", std::string_view("secret\0x", 8)));
  }
  EXPECT_EQ(MakeBcryptAuthenticator({{"me", "plain"}}).status().message(),
            "user me: not a bcrypt hash");
}

}  // namespace
}  // namespace narthex::client
