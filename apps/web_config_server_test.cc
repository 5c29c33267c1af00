// The web configuration file in force: users, headers, rate limit and TLS, over real connections
// with certificates made here.
#include "apps/web_config_server.h"

#include <crypt.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "net/crypto.h"
#include "net/http_client.h"
#include "net/tls_for_test.h"
#include "util/file.h"

namespace narthex::apps {
namespace {

using ::testing::HasSubstr;

using Identity = net::IdentityForTest;

std::unique_ptr<Identity> MakeIdentity(const std::string& name, const std::string& sans,
                                       const Identity* issuer) {
  return net::MakeIdentityForTest(name, sans, issuer);
}

std::string Hash(const std::string& password, const std::string& prefix = "$2b$04$") {
  crypt_data data{};
  return crypt_r(password.c_str(), (prefix + "abcdefghijklmnopqrstuu").c_str(), &data);
}

class WebConfigServer : public ::testing::Test {
 protected:
  void SetUp() override { path_ = directory_.path() + "/web.yml"; }
  void TearDown() override { server_.reset(); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(directory_.path() + "/" + name) << text;
  }
  Status Start(const std::string& yaml) {
    Write("web.yml", yaml);
    server_.reset();
    net::HttpServerOptions options;
    options.listen_addresses = {"127.0.0.1:0"};
    Result<std::unique_ptr<net::HttpServer>> started = StartWebServer(
        loop_, std::move(options), path_, [this](std::shared_ptr<net::HttpExchange> exchange) {
          ++handled_;
          host_ = exchange->request().headers.Get("Host");
          net::HttpResponse response;
          response.body = body_;
          exchange->Respond(std::move(response));
        });
    if (!started.ok()) return started.status();
    server_ = *std::move(started);
    return {};
  }
  net::HttpClientResponse Get(std::shared_ptr<net::HttpClientOptions> options = {},
                              const std::string& scheme = "http") {
    net::HttpClient client;  // A new one, so that each request has its own handshake.
    net::HttpClientRequest request;
    request.url = scheme + "://" + server_->addresses()[0] + "/-/healthy";
    request.timeout_nanos = 10'000'000'000;
    request.options = std::move(options);
    return client.FetchSync(std::move(request));
  }
  int GetAs(const std::string& user, const std::string& password) {
    auto options = std::make_shared<net::HttpClientOptions>();
    options->basic_user = user;
    options->basic_password = password;
    return Get(options).status;
  }

  TemporaryDirectory directory_;
  std::string path_;
  net::EventLoop loop_;
  std::string body_ = "hello";
  std::atomic<int> handled_{0};
  std::string host_;  // Of the last request; read after its answer.
  std::unique_ptr<net::HttpServer> server_;
};

TEST_F(WebConfigServer, ChecksPasswordsAndReadsTheFileAnew) {
  const std::string users = "basic_auth_users:\n  ann: " + Hash("secret") +
                            "\n  bob: " + Hash("böb", "$2y$04$") +
                            "\n  eve: " + Hash(std::string(72, 'x'), "$2a$04$") + "\n";
  ASSERT_TRUE(Start(users).ok());
  const net::HttpClientResponse refused = Get();
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.body, "Unauthorized\n");
  EXPECT_EQ(refused.headers.Get("WWW-Authenticate"), "Basic");
  struct Case {
    std::string user, password;
    int status;
  };
  for (const Case& c : std::vector<Case>{{"ann", "secret", 200},
                                         {"ann", "secret", 200},  // From the cache.
                                         {"ann", "Secret", 401},
                                         {"ann", "Secret", 401},
                                         {"ann", "", 401},
                                         {"ann", Hash("secret"), 401},
                                         {"bob", "böb", 200},
                                         {"bob", "secret", 401},
                                         {"eve", std::string(80, 'x'), 200},
                                         {"eve", std::string(71, 'x'), 401},
                                         {"nobody", "secret", 401},
                                         {"ann", std::string(5000, 'x'), 401}}) {
    EXPECT_EQ(GetAs(c.user, c.password), c.status) << c.user << ":" << c.password;
  }
  EXPECT_EQ(handled_, 4);
  const auto raw = [&](const std::string& type, const std::string& credentials) {
    auto options = std::make_shared<net::HttpClientOptions>();
    options->authorization_type = type;
    options->authorization_credentials = credentials;
    return Get(options).status;
  };
  EXPECT_EQ(raw("bASIC", net::Base64Encode("ann:secret")), 200);
  EXPECT_EQ(raw("Basic", net::Base64Encode(std::string("ann:secret\0x", 12))), 401);
  EXPECT_EQ(raw("Basic", "%%%"), 401);
  EXPECT_EQ(raw("Basic", net::Base64Encode("ann")), 401);
  EXPECT_EQ(raw("Bearer", net::Base64Encode("ann:secret")), 401);

  Write("web.yml", "basic_auth_users:\n  ann: " + Hash("new") + "\n");
  EXPECT_EQ(GetAs("ann", "secret"), 401);
  EXPECT_EQ(GetAs("ann", "new"), 200);
  Write("web.yml", "{}");
  EXPECT_EQ(Get().status, 200);
  Write("web.yml", "nonsense: 1");
  EXPECT_EQ(Get().status, 500);
  std::filesystem::remove(path_);
  EXPECT_EQ(Get().status, 500);
}

TEST_F(WebConfigServer, AddsHeadersAndLimitsTheRate) {
  ASSERT_TRUE(Start("http_server_config:\n  headers:\n    X-Frame-Options: deny\n"
                    "rate_limit:\n  burst: 2\n  interval: 1h\n")
                  .ok());
  EXPECT_EQ(Get().headers.Get("X-Frame-Options"), "deny");
  EXPECT_EQ(Get().status, 200);
  const net::HttpClientResponse limited = Get();
  EXPECT_EQ(limited.status, 429);
  EXPECT_EQ(limited.body, "Too Many Requests\n");
}

TEST_F(WebConfigServer, RefusesWhatCannotServe) {
  const auto one = MakeIdentity("one", "", nullptr);
  const auto two = MakeIdentity("two", "", nullptr);
  Write("c.pem", one->CertificatePem());
  Write("k.pem", one->KeyPem());
  Write("other.pem", two->KeyPem());
  Write("empty", "");
  struct Case {
    std::string yaml, error;
  };
  const std::string good = "cert_file: c.pem, key_file: k.pem";
  for (const Case& c : std::vector<Case>{
           {"tls_server_config: {key_file: k.pem}", "missing one of cert or cert_file"},
           {"tls_server_config: {cert_file: c.pem}", "missing one of key or key_file"},
           {"tls_server_config: {cert_file: no.pem, key_file: k.pem}",
            "failed to read cert_file (" + directory_.path() + "/no.pem): open " +
                directory_.path() + "/no.pem: no such file or directory"},
           {"tls_server_config: {cert_file: c.pem, key_file: other.pem}",
            "failed to load X509KeyPair: tls: private key does not match public key"},
           {"tls_server_config: {cert_file: empty, key_file: k.pem}",
            "failed to load X509KeyPair: tls: failed to find any PEM data in certificate input"},
           {"tls_server_config: {cert_file: c.pem, key_file: empty}",
            "failed to load X509KeyPair: tls: failed to find any PEM data in key input"},
           {"tls_server_config: {" + good + ", client_auth_type: X}", "invalid ClientAuth: X"},
           {"tls_server_config: {" + good + ", client_ca_file: c.pem}",
            "client CA's have been configured without a Client Auth Policy"},
           {"basic_auth_users: {a: b}",
            "crypto/bcrypt: hashedSecret too short to be a bcrypted password"}}) {
    EXPECT_EQ(Start(c.yaml).message(), c.error);
  }
}

TEST_F(WebConfigServer, SpeaksTls) {
  const auto authority = MakeIdentity("ca", "", nullptr);
  const auto serving = MakeIdentity("server", "DNS:narthex.test,IP:127.0.0.1", authority.get());
  Write("ca.pem", authority->CertificatePem());
  Write("c.pem", serving->CertificatePem());
  Write("k.pem", serving->KeyPem());
  const auto trusting = [&] {
    auto options = std::make_shared<net::HttpClientOptions>();
    options->ca_file = directory_.path() + "/ca.pem";
    return options;
  };
  ASSERT_TRUE(Start("tls_server_config: {cert_file: c.pem, key_file: k.pem, min_version: TLS12, "
                    "max_version: TLS12, curve_preferences: [CurveP384], "
                    "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]}")
                  .ok());
  EXPECT_TRUE(WebConfigEnablesTls(path_));
  EXPECT_EQ(Get(trusting(), "https").body, "hello");
  EXPECT_FALSE(Get({}, "https").error.ok());  // An authority nobody knows.
  const net::HttpClientResponse plain = Get();
  EXPECT_EQ(plain.status, 400);
  EXPECT_EQ(plain.body, "Client sent an HTTP request to an HTTPS server.\n");
  auto modern = trusting();
  modern->tls_min_version = "TLS13";
  EXPECT_FALSE(Get(modern, "https").error.ok());

  // Whole answers, whatever their size.
  for (const size_t size : {0, 1, 16'000, 17'000, 70'000, 9'000'000}) {
    body_ = std::string(size, 'x');
    const net::HttpClientResponse whole = Get(trusting(), "https");
    EXPECT_TRUE(whole.error.ok()) << size << ": " << whole.error.message();
    EXPECT_EQ(whole.body.size(), size);
  }

  // The name to verify may be another than the one to connect to; Host stays the latter.
  auto named = trusting();
  named->server_name = "narthex.test";
  EXPECT_EQ(Get(named, "https").status, 200);
  EXPECT_EQ(host_, server_->addresses()[0]);
  named->server_name = "else.test";
  EXPECT_FALSE(Get(named, "https").error.ok());

  // A renewed certificate is in force at once; a broken one refuses and does no more harm.
  const auto renewed = MakeIdentity("server", "DNS:else.test", authority.get());
  Write("c.pem", renewed->CertificatePem());
  EXPECT_FALSE(Get(trusting(), "https").error.ok());  // The key does not match yet.
  Write("k.pem", renewed->KeyPem());
  EXPECT_FALSE(Get(trusting(), "https").error.ok());  // The name does not.
  Write("c.pem", serving->CertificatePem());
  Write("k.pem", serving->KeyPem());
  EXPECT_EQ(Get(trusting(), "https").status, 200);
}

TEST_F(WebConfigServer, AsksForClientCertificates) {
  const auto authority = MakeIdentity("ca", "", nullptr);
  const auto serving = MakeIdentity("server", "IP:127.0.0.1", authority.get());
  const auto friendly = MakeIdentity("friend", "DNS:friend.test,URI:spiffe://a/b", authority.get());
  const auto strange = MakeIdentity("stranger", "DNS:friend.test", nullptr);
  Write("ca.pem", authority->CertificatePem());
  Write("c.pem", serving->CertificatePem());
  Write("k.pem", serving->KeyPem());
  const auto accepted = [&](const Identity* who) {
    auto options = std::make_shared<net::HttpClientOptions>();
    options->ca_pem = authority->CertificatePem();
    if (who != nullptr) {
      options->certificate_pem = who->CertificatePem();
      options->key_pem = who->KeyPem();
    }
    return Get(options, "https").status == 200;
  };
  struct Case {
    std::string type, sans;
    bool none, known, unknown;
  };
  for (const Case& c :
       std::vector<Case>{{"NoClientCert", "", true, true, true},
                         {"RequestClientCert", "", true, true, true},
                         {"RequireAnyClientCert", "", false, true, true},
                         {"RequireClientCert", "", false, true, true},
                         {"VerifyClientCertIfGiven", "", true, true, false},
                         {"RequireAndVerifyClientCert", "", false, true, false},
                         {"RequireAndVerifyClientCert", "[\"spiffe://a/b\"]", false, true, false},
                         {"RequireAndVerifyClientCert", "[friend.test]", false, true, false},
                         {"RequireAndVerifyClientCert", "[foe.test]", false, false, false},
                         {"RequireAnyClientCert", "[\"spiffe://a/b\"]", false, true, false}}) {
    std::string yaml =
        "tls_server_config:\n  cert_file: c.pem\n  key_file: k.pem\n  client_auth_type: " + c.type;
    if (c.type != "NoClientCert") yaml += "\n  client_ca_file: ca.pem";
    if (!c.sans.empty()) yaml += "\n  client_allowed_sans: " + c.sans;
    ASSERT_TRUE(Start(yaml).ok()) << yaml;
    EXPECT_EQ(accepted(nullptr), c.none) << yaml;
    EXPECT_EQ(accepted(friendly.get()), c.known) << yaml;
    EXPECT_EQ(accepted(strange.get()), c.unknown) << yaml;
  }
}

}  // namespace
}  // namespace narthex::apps
