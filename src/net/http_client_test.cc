// What one request is: credentials, headers, redirects, proxies, TLS and tokens, against servers of
// our own; and the parts that decide about them, as tables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "net/crypto.h"
#include "net/event_loop.h"
#include "net/http1_reader.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/oauth2.h"
#include "net/proxy.h"
#include "net/reactor.h"
#include "net/redirect.h"
#include "net/sigv4.h"
#include "net/tls_for_test.h"
#include "net/url.h"
#include "util/thread_pool.h"

namespace narthex::net {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// ---------------------------------------------------------------------------------------------
// Tables
// ---------------------------------------------------------------------------------------------

TEST(Http1Reader, ReadsAnswersInPartsOfAnySize) {
  struct Case {
    std::string text;
    std::string want;  // "status body" or the error.
  };
  const std::string broken = "net/http: HTTP/1.x transport connection broken: ";
  for (const Case& c : {
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200 OK hello"},
           Case{"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "200 OK hello"},
           Case{"HTTP/1.0 200 OK\r\n\r\nto the end", "200 OK to the end"},
           Case{"HTTP/1.1 204 No Content\r\n\r\n", "204 No Content "},
           Case{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
                "200 OK x"},
           Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                "3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n",
                "200 OK abc0123456789"},
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "unexpected EOF"},
           Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", "unexpected EOF"},
           Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
                "invalid byte in chunk length"},
           Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
                "malformed chunked encoding"},
           Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n",
                "http chunk length too large"},
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + std::string(99, 'x'),
                "body size limit exceeded"},
           Case{"", "EOF"},
           Case{"SSH-2.0-OpenSSH\r\n", broken + "malformed HTTP response \"SSH-2.0-OpenSSH\""},
           Case{"HTTP/1.1 200", broken + "unexpected EOF"},
           Case{"HTTP/2.0 200 OK\r\n\r\n", broken + "malformed HTTP version \"HTTP/2.0\""},
           Case{"HTTP/1.1 2x0 OK\r\n\r\n", broken + "malformed HTTP status code \"2x0\""},
           Case{"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
                broken + "bad Content-Length \"-5\""},
           Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: zip\r\n\r\n",
                broken + "unsupported transfer encoding: \"zip\""},
           Case{"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
                broken + "malformed MIME header: missing colon: \"no colon\""},
       }) {
    for (const size_t part : {size_t{1}, size_t{3}, size_t{1000}}) {
      for (const bool direct : {false, true}) {
        SCOPED_TRACE(fmt::format("{} in parts of {}", c.text.substr(0, 60), part));
        BodyBuffers buffers;
        Http1Reader reader;
        reader.Begin(/*head_request=*/false, /*body_bytes_max=*/64, nullptr, &buffers);
        std::string_view rest = c.text;
        Status status;
        while (!rest.empty() && status.ok() && !reader.done()) {
          std::string_view bytes = rest.substr(0, part);
          if (const std::span<char> place = reader.Direct(); direct && !place.empty()) {
            bytes = bytes.substr(0, place.size());
            std::copy(bytes.begin(), bytes.end(), place.begin());
            status = reader.ReceivedDirect(bytes.size());
          } else {
            const Result<size_t> taken = reader.Consume(bytes);
            status = taken.status();
            if (taken.ok()) bytes = bytes.substr(0, *taken);
          }
          rest.remove_prefix(bytes.size());
        }
        if (status.ok() && !reader.done()) status = reader.EndOfConnection();
        if (!status.ok()) {
          EXPECT_EQ(status.message(), c.want);
          continue;
        }
        const HttpClientResponse response = reader.TakeResponse();
        EXPECT_EQ(response.status_text + " " + response.body, c.want);
      }
    }
  }
}

TEST(Http1Reader, LeavesWhatFollowsAnAnswer) {
  BodyBuffers buffers;
  Http1Reader reader;
  reader.Begin(false, 0, nullptr, &buffers);
  const std::string_view text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 No\r\n";
  EXPECT_EQ(*reader.Consume(text), text.find("HTTP/1.1 500"));
  EXPECT_TRUE(reader.done());
  EXPECT_TRUE(reader.keep_alive());
}

TEST(Http1Reader, BoundsHeads) {
  BodyBuffers buffers;
  Http1Reader reader;
  reader.Begin(false, 0, nullptr, &buffers);
  Status status = reader.Consume("HTTP/1.1 200 OK\r\n").status();
  const std::string field = "X: " + std::string(1 << 20, 'x') + "\r\n";
  for (int i = 0; i < 20 && status.ok(); ++i) status = reader.Consume(field).status();
  EXPECT_THAT(status.message(), HasSubstr("server response headers exceeded 10485760 bytes"));
}

TEST(Proxy, DecidesAsGo) {
  struct Case {
    std::string no_proxy;
    std::string url;
    bool direct;
  };
  for (const Case& c : {
           Case{"", "http://example.org/", false},
           Case{"", "http://localhost:9090/", true},
           Case{"", "http://127.1.2.3/", true},
           Case{"", "http://[::1]/", true},
           Case{"*", "http://example.org/", true},
           Case{"example.org", "http://example.org/", true},
           Case{"example.org", "http://EXAMPLE.org/", true},
           Case{"example.org", "http://a.example.org/", true},
           Case{"example.org", "http://badexample.org/", false},
           Case{".example.org", "http://example.org/", false},
           Case{".example.org", "http://a.example.org/", true},
           Case{"*.example.org", "http://a.example.org/", true},
           Case{"example.org:8080", "http://example.org/", false},
           Case{"example.org:8080", "http://example.org:8080/", true},
           Case{"example.org:443", "https://example.org/", true},
           Case{"10.0.0.0/8", "http://10.1.2.3/", true},
           Case{"10.0.0.0/8", "http://11.1.2.3/", false},
           Case{"x, 10.1.2.3", "http://10.1.2.3:9100/", true},
           Case{"10.1.2.3:80", "http://10.1.2.3:9100/", false},
           Case{"2001:db8::/32", "http://[2001:db8::5]/", true},
           Case{"[2001:db8::5]:80", "http://[2001:db8::5]/", true},
           Case{"10.0.0.0/33", "http://10.1.2.3/", false},
       }) {
    SCOPED_TRACE(c.no_proxy + " " + c.url);
    EXPECT_EQ(BypassesProxy(c.no_proxy, *ParseUrl(c.url)), c.direct);
  }
}

TEST(Proxy, ComesFromTheEnvironment) {
  const auto proxy = [](const std::map<std::string, std::string>& variables,
                        const std::string& url) {
    return ProxyFor({.from_environment = true}, *ParseUrl(url), [variables](const char* name) {
      const auto found = variables.find(name);
      return found == variables.end() ? "" : found->second;
    });
  };
  EXPECT_EQ(*proxy({}, "http://a/"), "");
  EXPECT_EQ(*proxy({{"HTTP_PROXY", "p:3128"}}, "http://a/"), "http://p:3128");
  EXPECT_EQ(*proxy({{"HTTP_PROXY", "p:3128"}}, "https://a/"), "");
  EXPECT_EQ(*proxy({{"https_proxy", "http://q"}, {"HTTPS_PROXY", "r"}}, "https://a/"), "http://q");
  EXPECT_EQ(*proxy({{"http_proxy", "p"}, {"NO_PROXY", "a"}}, "http://a/"), "");
  EXPECT_THAT(
      proxy({{"http_proxy", "p"}, {"REQUEST_METHOD", "GET"}}, "http://a/").status().message(),
      StartsWith("refusing to use HTTP_PROXY value in CGI environment"));
  // A configured proxy takes loopback addresses too, unless no_proxy is set.
  EXPECT_EQ(*ProxyFor({.url = "http://p"}, *ParseUrl("http://127.0.0.1/")), "http://p");
  EXPECT_EQ(*ProxyFor({.url = "http://p", .no_proxy = "x"}, *ParseUrl("http://127.0.0.1/")), "");
}

TEST(Redirect, ResolvesLocations) {
  struct Case {
    std::string location;
    std::string want;
  };
  for (const Case& c : {
           Case{"/x?y=1#f", "http://h:1/x?y=1"},
           Case{"x", "http://h:1/a/x"},
           Case{"../x/./y", "http://h:1/x/y"},
           Case{"?q", "http://h:1/a/b?q"},
           Case{"//other/z", "http://other/z"},
           Case{"https://o:2/", "https://o:2/"},
           Case{"../../../x", "http://h:1/x"},
           Case{"..", "http://h:1/"},
       }) {
    SCOPED_TRACE(c.location);
    EXPECT_EQ(*ResolveLocation("http://h:1/a/b?old", c.location), c.want);
  }
  EXPECT_EQ(*ResolveLocation("http://h", "x"), "http://h/x");
  EXPECT_FALSE(ResolveLocation("http://h/", "http://a:b/").ok());
}

TEST(Redirect, KnowsWhoMayGetCredentials) {
  EXPECT_TRUE(MayGetCredentials("a.org", "a.org"));
  EXPECT_TRUE(MayGetCredentials("x.a.org", "a.org"));
  EXPECT_FALSE(MayGetCredentials("ba.org", "a.org"));
  EXPECT_FALSE(MayGetCredentials("a.org", "x.a.org"));
  EXPECT_FALSE(MayGetCredentials("::1%.a.org", "a.org"));
  EXPECT_EQ(WithoutPassword("http://u:p@h/x@y"), "http://u:***@h/x@y");
  EXPECT_EQ(WithoutUser("http://u:p@h/x@y"), "http://h/x@y");
}

// ---------------------------------------------------------------------------------------------
// Over connections
// ---------------------------------------------------------------------------------------------

// Tells what it was asked: "METHOD path?query Name=value …" of the fields that matter here.
std::string Describe(const HttpRequest& request) {
  std::string text = request.method + " " + request.path;
  if (!request.query.empty()) text += "?" + request.query;
  for (const std::string_view name :
       {"Authorization", "X-Test", "Cookie", "Referer", "Proxy-Authorization", "X-Amz-Date"}) {
    for (const auto& [field, value] : request.headers.fields()) {
      if (field == name) text += fmt::format(" {}={}", name, value);
    }
  }
  if (!request.body.empty()) text += " " + request.body;
  return text;
}

class ClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "clientXXXXXX";
    directory_ = mkdtemp(pattern.data());
    server_ = Start({});
    base_ = "http://" + server_->addresses()[0];
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<HttpServer> Start(std::function<Result<TlsServerOptions>()> tls) {
    HttpServerOptions options;
    options.listen_addresses = {"127.0.0.1:0"};
    options.body_bytes_max = 8 << 20;
    options.stream_buffer_bytes = 64 << 10;
    options.tls_source = std::move(tls);
    auto server = HttpServer::Start(
        loop_, std::move(options),
        [this](std::shared_ptr<HttpExchange> exchange) { Handle(std::move(exchange)); });
    EXPECT_TRUE(server.ok()) << server.status().message();
    return *std::move(server);
  }

  void Handle(std::shared_ptr<HttpExchange> exchange) {
    const std::string path = exchange->request().path;
    if (path == "/stream") {
      pool_.Submit([exchange] {
        exchange->StartStream({});
        for (int i = 0; i < 500; ++i) {
          if (!exchange->Write(std::string(10'000, static_cast<char>('a' + i % 26))).ok()) return;
        }
        exchange->Finish();
      });
    } else if (path == "/broken") {
      pool_.Submit([exchange]() mutable {
        exchange->StartStream({});
        static_cast<void>(exchange->Write("part"));
        exchange.reset();
      });
    } else if (path == "/wait") {
      pool_.Submit([this, exchange] {
        waiting_ = true;
        while (!exchange->stop_token().stop_requested()) std::this_thread::yield();
        HttpResponse response;
        response.body = "stopped";
        exchange->Respond(std::move(response));
      });
    } else {
      exchange->Respond(Answer(exchange->request()));
    }
  }

  HttpResponse Answer(const HttpRequest& request) {
    HttpResponse response;
    const auto to = [&](int status, std::string location) {
      response.status = status;
      response.headers.Add("Location", std::move(location));
    };
    if (request.path == "/token") {
      ++token_requests_;
      last_token_request_ = Describe(request);
      response.status = token_status_;
      response.headers.Add("Content-Type", token_type_);
      response.body = token_answer_;
    } else if (request.path == "/302") {
      to(302, "/end?moved");
    } else if (request.path == "/307") {
      to(307, "end");
    } else if (request.path == "/loop") {
      to(302, "/loop");
    } else if (request.path == "/protocol") {
      // Names of fields come in lower case over HTTP/2, as they were sent over HTTP/1.1.
      const bool lower = request.headers.fields().front().first != "Host";
      response.body = std::string(lower ? "HTTP/2" : "HTTP/1.1") +
                      " host=" + std::string(request.headers.Get("Host"));
    } else if (request.path == "/bare") {
      response.status = 302;
    } else if (request.path == "/away") {
      // The same server under another name.
      to(302, "http://localhost" + base_.substr(base_.rfind(':')) + "/back");
    } else if (request.path == "/back") {
      to(302, base_ + "/end");
    } else {
      response.body = Describe(request);
    }
    return response;
  }

  HttpClientResponse Fetch(const std::string& url, HttpClientOptions options = {},
                           const std::string& method = "GET", const std::string& body = "") {
    HttpClientRequest request;
    request.method = method;
    request.url = url.starts_with('/') ? base_ + url : url;
    request.body = body;
    request.timeout_nanos = 10'000'000'000;
    request.options = std::make_shared<const HttpClientOptions>(std::move(options));
    return client_.FetchSync(std::move(request));
  }
  std::string Body(const std::string& url, HttpClientOptions options = {},
                   const std::string& method = "GET", const std::string& body = "") {
    const HttpClientResponse response = Fetch(url, std::move(options), method, body);
    return response.error.ok() ? response.body : "error: " + response.error.message();
  }
  std::string File(const std::string& name, const std::string& text) {
    std::ofstream(directory_ + "/" + name) << text;
    return directory_ + "/" + name;
  }

  ThreadPool pool_{"test", 2};
  EventLoop loop_;
  std::atomic<bool> waiting_{false};
  std::string directory_;
  std::unique_ptr<HttpServer> server_;
  std::string base_;
  std::atomic<int> token_requests_{0};
  std::string last_token_request_;
  int token_status_ = 200;
  std::string token_type_ = "application/json";
  std::string token_answer_ = R"({"access_token":"t1","token_type":"bearer","expires_in":3600})";
  HttpClient client_;
};

TEST_F(ClientTest, SendsCredentialsAndFields) {
  EXPECT_EQ(Body("/x", {.basic_user = "u", .basic_password = "p"}),
            "GET /x Authorization=Basic " + Base64Encode("u:p"));
  EXPECT_EQ(Body("/x", {.authorization_type = "Token", .authorization_credentials = "c"}),
            "GET /x Authorization=Token c");
  EXPECT_EQ(Body("/x", {.use_authorization = true}), "GET /x Authorization=Bearer");
  EXPECT_EQ(Body("http://us%20er:p@" + base_.substr(7) + "/x", {.authorization_credentials = "c"}),
            "GET /x Authorization=Basic " + Base64Encode("us er:p"));
  EXPECT_EQ(Body("/x", {.headers = {{"X-Test", "1", ""}, {"X-Test", "2", ""}}}),
            "GET /x X-Test=1 X-Test=2");
  EXPECT_EQ(Body("/x", {}, "PUT", "data"), "PUT /x data");
}

TEST_F(ClientTest, ReadsFilesForEveryRequest) {
  const std::string file = File("secret", " one\n");
  const std::string user = File("user", "me\n");
  HttpClientOptions bearer{.authorization_credentials_file = file};
  EXPECT_EQ(Body("/x", bearer), "GET /x Authorization=Bearer one");
  File("secret", "two");
  EXPECT_EQ(Body("/x", bearer), "GET /x Authorization=Bearer two");
  EXPECT_EQ(Body("/x", {.basic_user_file = user, .basic_password_file = file}),
            "GET /x Authorization=Basic " + Base64Encode("me:two"));
  EXPECT_EQ(Body("/x", {.headers = {{"X-Test", "", file}}}), "GET /x X-Test=two");
  std::filesystem::remove(file);
  const std::string prefix = "error: Get \"" + base_ + "/x\": ";
  const std::string missing = "open " + file + ": no such file or directory";
  EXPECT_EQ(Body("/x", bearer), prefix +
                                    "unable to read authorization credentials: unable to read "
                                    "file " +
                                    file + ": " + missing);
  EXPECT_EQ(
      Body("/x", {.basic_user = "u", .basic_password_file = file}),
      prefix + "unable to read basic auth password: unable to read file " + file + ": " + missing);
  EXPECT_EQ(Body("/x", {.headers = {{"X-Test", "", file}}}),
            prefix + "unable to read headers file " + file + ": " + missing);
}

TEST_F(ClientTest, FollowsRedirectsAsGo) {
  const std::string referer = " Referer=" + base_;
  EXPECT_EQ(Body("/302"), "GET /end?moved" + referer + "/302");
  EXPECT_EQ(Body("/302", {}, "POST", "data"), "GET /end?moved" + referer + "/302");
  EXPECT_EQ(Body("/307", {}, "POST", "data"), "POST /end" + referer + "/307 data");
  EXPECT_EQ(Fetch("/302", {.follow_redirects = false}).status, 302);
  EXPECT_EQ(Fetch("/bare").status, 302);
  EXPECT_EQ(Fetch("/loop").error.message(), "Get \"/loop\": stopped after 10 redirects");
}

TEST_F(ClientTest, LeavesCredentialsBehindForGoodWhenARedirectLeavesTheHost) {
  const std::vector<HeaderSource> fields = {{"Cookie", "c", ""}, {"X-Test", "kept", ""}};
  const std::string end = Body("/away", {.authorization_credentials = "c", .headers = fields});
  EXPECT_THAT(end, StartsWith("GET /end X-Test=kept Referer=http://localhost"));
  EXPECT_THAT(Body("/302", {.authorization_credentials = "c", .headers = fields}),
              StartsWith("GET /end?moved Authorization=Bearer c X-Test=kept Cookie=c"));
}

TEST_F(ClientTest, RefusesOddUrls) {
  EXPECT_EQ(Body("ftp://h/x"), "error: Get \"ftp://h/x\": unsupported protocol scheme \"ftp\"");
  EXPECT_EQ(Body("http:///x"), "error: Get \"http:///x\": http: no Host in request URL");
  EXPECT_THAT(Body("http://h:99999/x"), HasSubstr("invalid port"));
  EXPECT_EQ(Body("http://u:secret@does-not-exist.invalid/x"),
            "error: Get \"http://u:***@does-not-exist.invalid/x\": dial tcp: lookup "
            "does-not-exist.invalid: no such host");
}

TEST_F(ClientTest, SpeaksOverUnixSocketsAndNamesTheirErrors) {
  HttpClientRequest request;
  request.url = "http://localhost/x";
  request.unix_socket = directory_ + "/none.sock";
  EXPECT_EQ(client_.FetchSync(std::move(request)).error.message(),
            "Get \"http://localhost/x\": dial unix " + directory_ +
                "/none.sock: connect: no such file or directory");
}

TEST_F(ClientTest, GoesThroughAProxy) {
  // The server takes the whole URL for a path, which shows that it was asked as a proxy.
  EXPECT_THAT(Body("http://example.invalid/x", {.proxy = {.url = base_}}),
              HasSubstr("example.invalid/x"));
  EXPECT_THAT(Body("http://example.invalid/x", {.proxy = {.url = "http://u:p@" + base_.substr(7)}}),
              HasSubstr("Proxy-Authorization=Basic " + Base64Encode("u:p")));
  EXPECT_EQ(Body("/x", {.proxy = {.url = "http://127.0.0.1:1", .no_proxy = "else"}}), "GET /x");
  EXPECT_EQ(Body("http://example.invalid/x", {.proxy = {.url = "http://127.0.0.1:1"}}),
            "error: Get \"http://example.invalid/x\": proxyconnect tcp: dial tcp 127.0.0.1:1: "
            "connect: connection refused");
}

// ---------------------------------------------------------------------------------------------
// OAuth2
// ---------------------------------------------------------------------------------------------

class OAuth2Test : public ClientTest {
 protected:
  OAuth2Options Config() {
    OAuth2Options options;
    options.client_id = "me";
    options.secret = "s&t";
    options.token_url = base_ + "/token";
    options.http = std::make_shared<HttpClientOptions>();
    options.unix_seconds = [this] { return now_.load(); };
    return options;
  }
  HttpClientOptions With(OAuth2Options options) {
    return {.authorizer = MakeOAuth2Authorizer(std::move(options))};
  }
  std::atomic<int64_t> now_{1'700'000'000};
};

TEST_F(OAuth2Test, KeepsATokenUntilShortlyBeforeItEnds) {
  OAuth2Options config = Config();
  config.scopes = {"a", "b"};
  config.endpoint_params = {{"audience", "x y"}};
  const HttpClientOptions options = With(config);
  EXPECT_EQ(Body("/x", options), "GET /x Authorization=Bearer t1");
  EXPECT_EQ(last_token_request_, "POST /token Authorization=Basic " + Base64Encode("me:s%26t") +
                                     " audience=x+y&grant_type=client_credentials&scope=a+b");
  now_ += 3590;
  EXPECT_EQ(Body("/x", options), "GET /x Authorization=Bearer t1");
  EXPECT_EQ(token_requests_, 1);
  now_ += 1;
  token_answer_ = R"({"access_token":"t2","token_type":"Custom"})";
  EXPECT_EQ(Body("/x", options), "GET /x Authorization=Custom t2");
  now_ += 1'000'000;
  EXPECT_EQ(Body("/x", options), "GET /x Authorization=Custom t2");
  EXPECT_EQ(token_requests_, 2);
  EXPECT_THAT(Body("/away", options), StartsWith("GET /end Referer="));
}

TEST_F(OAuth2Test, AsksOnceForAllWhoWait) {
  const auto options = std::make_shared<const HttpClientOptions>(With(Config()));
  std::atomic<int> good{0};
  std::atomic<int> done{0};
  for (int i = 0; i < 20; ++i) {
    HttpClientRequest request;
    request.url = base_ + "/x";
    request.options = options;
    client_.Fetch(std::move(request), [&](const HttpClientResponse& response) {
      if (response.body == "GET /x Authorization=Bearer t1") ++good;
      ++done;
    });
  }
  while (done < 20) std::this_thread::yield();
  EXPECT_EQ(good, 20);
  EXPECT_EQ(token_requests_, 1);
}

TEST_F(OAuth2Test, WordsErrorsAsGo) {
  struct Case {
    int status;
    std::string type;
    std::string answer;
    std::string want;
  };
  const std::string json = "application/json; charset=utf-8";
  for (const Case& c : {
           Case{401, "text/html", "no",
                "oauth2: cannot fetch token: 401 Unauthorized\nResponse: no"},
           Case{400, json, R"({"error":"invalid_client","error_description":"who?"})",
                "oauth2: \"invalid_client\" \"who?\""},
           Case{200, json, R"({"error":"e","error_uri":"u"})", "oauth2: \"e\" \"u\""},
           Case{200, json, "{}", "oauth2: server response missing access_token"},
           Case{200, json, "", "oauth2: cannot parse json: unexpected end of JSON input"},
           Case{200, json, "<html>",
                "oauth2: cannot parse json: invalid character '<' looking for beginning of value"},
           Case{200, "text/plain", "access_token=%zz",
                "oauth2: cannot parse response: invalid URL escape \"%zz\""},
       }) {
    SCOPED_TRACE(c.answer);
    token_status_ = c.status;
    token_type_ = c.type;
    token_answer_ = c.answer;
    EXPECT_EQ(Body("/x", With(Config())), "error: Get \"" + base_ + "/x\": " + c.want);
  }
  token_status_ = 200;
  token_type_ = "application/x-www-form-urlencoded";
  token_answer_ = "access_token=f&token_type=mac&expires_in=60";
  EXPECT_EQ(Body("/x", With(Config())), "GET /x Authorization=MAC f");
  OAuth2Options refused = Config();
  refused.endpoint_params = {{"scope", "x"}};
  refused.scopes = {"a"};
  EXPECT_THAT(Body("/x", With(refused)), HasSubstr("oauth2: cannot overwrite parameter \"scope\""));
  OAuth2Options nobody = Config();
  nobody.token_url = "http://127.0.0.1:1/token";
  EXPECT_EQ(Body("/x", With(nobody)), "error: Get \"" + base_ +
                                          "/x\": Post \"http://127.0.0.1:1/token\": dial tcp "
                                          "127.0.0.1:1: connect: connection refused");
}

TEST_F(OAuth2Test, TriesTheSecretInTheFormToo) {
  // The first way fails, the second is remembered.
  token_status_ = 401;
  const HttpClientOptions options = With(Config());
  EXPECT_THAT(Body("/x", options), HasSubstr("401 Unauthorized"));
  EXPECT_EQ(token_requests_, 2);
  EXPECT_EQ(last_token_request_,
            "POST /token client_id=me&client_secret=s%26t&grant_type=client_credentials");
}

TEST_F(OAuth2Test, ForgetsTheTokenWhenTheSecretFileChanges) {
  OAuth2Options config = Config();
  config.secret.clear();
  config.secret_file = File("oauth", "one\n");
  const HttpClientOptions options = With(config);
  EXPECT_EQ(Body("/x", options), "GET /x Authorization=Bearer t1");
  token_answer_ = R"({"access_token":"t2","expires_in":"60"})";
  File("oauth", "other");
  EXPECT_EQ(Body("/x", options), "GET /x Authorization=Bearer t2");
  EXPECT_THAT(last_token_request_, HasSubstr(Base64Encode("me:other")));
  std::filesystem::remove(config.secret_file);
  EXPECT_THAT(Body("/x", options),
              HasSubstr("unable to read oauth2 client secret: unable to read file "));
}

TEST_F(OAuth2Test, SignsAssertions) {
  EVP_PKEY* key = EVP_RSA_gen(2048);
  const std::string pem = IdentityForTest::Pem(
      [&](BIO* bio) { PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr); });
  EVP_PKEY_free(key);
  OAuth2Options config = Config();
  config.jwt_bearer = true;
  config.secret = pem;
  config.key_id = "k1";
  config.signature_algorithm = "RS384";
  config.scopes = {"a"};
  config.claims = {{"iss", "\"other\""}, {"deep", R"({"x":[1]})"}};
  EXPECT_EQ(Body("/x", With(config)), "GET /x Authorization=Bearer t1");
  FormValues form;
  ASSERT_TRUE(form.Parse(last_token_request_.substr(12)).ok());
  EXPECT_EQ(form.Get("grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
  EXPECT_EQ(form.Get("scope"), "a");
  const std::string assertion(form.Get("assertion"));
  const size_t dot = assertion.find('.');
  const size_t last = assertion.rfind('.');
  const auto decode = [](std::string text) {
    std::replace(text.begin(), text.end(), '-', '+');
    std::replace(text.begin(), text.end(), '_', '/');
    return *Base64Decode(text);
  };
  EXPECT_EQ(decode(assertion.substr(0, dot)), R"({"alg":"RS384","kid":"k1","typ":"JWT"})");
  const boost::json::value claims =
      boost::json::parse(decode(assertion.substr(dot + 1, last - dot - 1)));
  EXPECT_EQ(claims.at("iss").as_string(), "other");
  EXPECT_EQ(claims.at("sub").as_string(), "me");
  EXPECT_EQ(claims.at("aud").as_string(), config.token_url);
  EXPECT_EQ(claims.at("iat").as_int64(), now_);
  EXPECT_EQ(claims.at("exp").as_int64(), now_ + 600);
  EXPECT_EQ(claims.at("jti").as_string().size(), 36u);
  EXPECT_EQ(claims.at("deep").at("x").at(0).as_int64(), 1);
  EXPECT_EQ(decode(assertion.substr(last + 1)), *RsaSign(pem, "SHA384", assertion.substr(0, last)));
  config.secret = "no key";
  EXPECT_THAT(Body("/x", With(config)),
              HasSubstr("invalid key: Key must be a PEM encoded PKCS1 or PKCS8 key"));
}

TEST_F(ClientTest, SignsForAws) {
  SigV4Options config;
  config.aws.region = "eu-west-1";
  config.aws.access_key = "AKID";
  config.aws.secret_key = "secret";
  config.aws.unix_seconds = [] { return int64_t{1'700'000'000}; };
  const HttpClientOptions options = {.authorizer = MakeSigV4Authorizer(config, client_)};
  const Result<HeaderFields> want =
      SignAwsRequest("POST", base_ + "/x?a=1", {}, "data", {"AKID", "secret", "", 0},
                     {"eu-west-1", "aps"}, 1'700'000'000);
  EXPECT_EQ(
      Body("/x?a=1", options, "POST", "data"),
      "POST /x?a=1 Authorization=" + want->back().second + " X-Amz-Date=20231114T221320Z data");
}

// ---------------------------------------------------------------------------------------------
// TLS
// ---------------------------------------------------------------------------------------------

class TlsTest : public ClientTest {
 protected:
  void Serve(const IdentityForTest& identity) {
    certificate_ = identity.CertificatePem();
    key_ = identity.KeyPem();
    if (tls_server_ != nullptr) return;
    tls_server_ = Start([this]() -> Result<TlsServerOptions> {
      TlsServerOptions options;
      options.certificate_pem = certificate_;
      options.key_pem = key_;
      options.http2 = http2_;
      return options;
    });
    tls_base_ = "https://" + tls_server_->addresses()[0];
  }

  std::unique_ptr<IdentityForTest> authority_ = MakeIdentityForTest("ca", "", nullptr);
  std::string certificate_, key_;
  std::atomic<bool> http2_{true};
  std::unique_ptr<HttpServer> tls_server_;
  std::string tls_base_;
};

TEST_F(TlsTest, VerifiesServers) {
  Serve(*MakeIdentityForTest("server", "IP:127.0.0.1,DNS:here.example", authority_.get()));
  const std::string ca = authority_->CertificatePem();
  const std::string prefix = "error: Get \"" + tls_base_ + "/x\": ";
  const std::string unverified = prefix + "tls: failed to verify certificate: x509: ";
  EXPECT_EQ(Body(tls_base_ + "/x", {.ca_pem = ca}), "GET /x");
  EXPECT_EQ(Body(tls_base_ + "/x", {.ca_pem = ca, .server_name = "here.example"}), "GET /x");
  EXPECT_EQ(Body(tls_base_ + "/x", {.insecure_skip_verify = true}), "GET /x");
  EXPECT_EQ(Body(tls_base_ + "/x"), unverified + "certificate signed by unknown authority");
  EXPECT_EQ(Body(tls_base_ + "/x", {.ca_pem = ca, .server_name = "there.example"}),
            unverified + "certificate is not valid for there.example");
  EXPECT_EQ(Body("https" + base_.substr(4) + "/x"),
            "error: Get \"https" + base_.substr(4) +
                "/x\": http: server gave HTTP response to HTTPS client");
  EXPECT_THAT(Body(tls_base_ + "/x", {.ca_pem = ca, .tls_max_version = "TLS11"}),
              StartsWith(prefix));
}

TEST_F(TlsTest, SpeaksHttp2WhereBothWant) {
  Serve(*MakeIdentityForTest("server", "IP:127.0.0.1", authority_.get()));
  HttpClientOptions options = {.ca_pem = authority_->CertificatePem()};
  const auto protocol = [&] { return Body(tls_base_ + "/protocol", options); };
  EXPECT_EQ(protocol(), "HTTP/2 host=" + tls_base_.substr(8));
  options.enable_http2 = false;
  EXPECT_EQ(protocol(), "HTTP/1.1 host=" + tls_base_.substr(8));
  options.enable_http2 = true;
  http2_ = false;
  options.server_name = "127.0.0.1";
  EXPECT_EQ(Fetch(tls_base_ + "/x", options).status_text, "200 OK");
}

TEST_F(TlsTest, CarriesBodiesStreamsAndErrorsOverHttp2) {
  Serve(*MakeIdentityForTest("server", "IP:127.0.0.1", authority_.get()));
  const HttpClientOptions options = {.ca_pem = authority_->CertificatePem()};
  const std::string large(3 << 20, 'x');
  EXPECT_EQ(Body(tls_base_ + "/x", options, "POST", large), "POST /x " + large);
  const std::string stream = Body(tls_base_ + "/stream", options);
  EXPECT_EQ(stream.size(), 5'000'000u);
  EXPECT_EQ(stream[4'999'999], static_cast<char>('a' + 499 % 26));
  const HttpClientResponse missing = Fetch(tls_base_ + "/bare", options);
  EXPECT_EQ(missing.status_text, "302 Found");
  EXPECT_EQ(Fetch(tls_base_ + "/x", options, "HEAD").body, "");
  EXPECT_EQ(Fetch(tls_base_ + "/x", options, "POST", std::string(9 << 20, 'x')).status, 413);
  // A stream that its handler gives up must not look whole.
  EXPECT_FALSE(Fetch(tls_base_ + "/broken", options).error.ok());
  // Many at once, over one connection or few.
  const auto shared = std::make_shared<const HttpClientOptions>(options);
  std::atomic<int> good{0};
  std::atomic<int> done{0};
  for (int i = 0; i < 50; ++i) {
    HttpClientRequest request;
    request.url = tls_base_ + "/many?" + std::to_string(i);
    request.options = shared;
    client_.Fetch(std::move(request), [&, i](const HttpClientResponse& response) {
      if (response.body == "GET /many?" + std::to_string(i)) ++good;
      ++done;
    });
  }
  while (done < 50) std::this_thread::yield();
  EXPECT_EQ(good, 50);
}

TEST_F(TlsTest, EndsHttp2ConnectionsWhenTheServerStops) {
  Serve(*MakeIdentityForTest("server", "IP:127.0.0.1", authority_.get()));
  HttpClientRequest request;
  request.url = tls_base_ + "/wait";
  HttpClientOptions options = {.ca_pem = authority_->CertificatePem()};
  request.options = std::make_shared<const HttpClientOptions>(options);
  std::promise<HttpClientResponse> answer;
  client_.Fetch(std::move(request),
                [&](const HttpClientResponse& response) { answer.set_value(response); });
  while (!waiting_) std::this_thread::yield();
  tls_server_->Stop(5'000'000'000);
  EXPECT_EQ(answer.get_future().get().body, "stopped");
  EXPECT_EQ(tls_server_->connection_count(), 0u);
}

TEST_F(TlsTest, ConnectsAnewWhenTheAuthorityChanges) {
  Serve(*MakeIdentityForTest("server", "IP:127.0.0.1", authority_.get()));
  const HttpClientOptions options = {.ca_file = File("ca.pem", authority_->CertificatePem())};
  EXPECT_EQ(Body(tls_base_ + "/x", options), "GET /x");
  File("ca.pem", MakeIdentityForTest("other ca", "", nullptr)->CertificatePem());
  EXPECT_THAT(Body(tls_base_ + "/x", options), HasSubstr("signed by unknown authority"));
  std::filesystem::remove(options.ca_file);
  EXPECT_THAT(Body(tls_base_ + "/x", options),
              HasSubstr("unable to read CA cert: unable to read file " + options.ca_file));
}

TEST_F(TlsTest, ChecksFilesBeforehand) {
  const auto identity = MakeIdentityForTest("a", "", nullptr);
  const auto other = MakeIdentityForTest("b", "", nullptr);
  const std::string empty = File("empty.pem", "");
  EXPECT_TRUE(CheckTlsFiles({}).ok());
  EXPECT_TRUE(CheckTlsFiles({.ca_pem = identity->CertificatePem(),
                             .certificate_pem = identity->CertificatePem(),
                             .key_pem = identity->KeyPem()})
                  .ok());
  EXPECT_EQ(CheckTlsFiles({.ca_file = empty}).message(),
            "unable to use specified CA cert file " + empty);
  EXPECT_EQ(CheckTlsFiles({.ca_pem = "x"}).message(), "unable to use specified CA cert inline");
  EXPECT_EQ(CheckTlsFiles({.ca_file = "/none"}).message(),
            "unable to read CA cert: unable to read file /none: open /none: no such file or "
            "directory");
  EXPECT_EQ(CheckTlsFiles({.certificate_file = empty, .key_pem = identity->KeyPem()}).message(),
            "unable to use specified client cert (file " + empty +
                ") & key (inline): tls: failed to find any PEM data in certificate input");
  EXPECT_EQ(
      CheckTlsFiles({.certificate_pem = identity->CertificatePem(), .key_pem = other->KeyPem()})
          .message(),
      "unable to use specified client cert (inline) & key (inline): tls: private key does "
      "not match public key");
}

}  // namespace
}  // namespace narthex::net
