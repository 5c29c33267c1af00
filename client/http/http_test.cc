// The handler and its texts, the exposer and its bounds, the adapters.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <atomic>
#include <boost/beast/http.hpp>
#include <future>

#include "http_client.h"
#include "http_text.h"
#include "narthex/client.h"
#include "narthex/client/adapters.h"
#include "narthex/client/exposer.h"
#include "narthex/client/instrument.h"
#include "narthex/client/testing.h"
#include "test_peer.h"

namespace narthex::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string Unpack(const std::string& packed) {
  z_stream stream{};
  inflateInit2(&stream, 15 + 16);
  std::string out(1 << 20, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

constexpr const char* kPage = "# HELP c_total C.\n# TYPE c_total counter\nc_total 1\n";

struct OneCounter {
  OneCounter() { counter.Inc(); }
  Registry registry;
  Counter counter{registry, {"c_total", "C."}};
};

TEST(HttpText, Gzip) {
  const std::string text(100'000, 'x');
  EXPECT_EQ(Unpack(Gzip(text)), text);
  for (const auto& [header, want] :
       std::vector<std::pair<const char*, bool>>{{"gzip", true},
                                                 {"deflate, GZIP;q=0.5", true},
                                                 {"", false},
                                                 {"br", false},
                                                 {"gzip;q=0", false},
                                                 {"*", false},
                                                 {"gzip, identity", false},
                                                 {"gzip, identity;q=0.5", true},
                                                 {"gzip;q=0.5, *", false}}) {
    EXPECT_EQ(PrefersGzip(header), want) << header;
  }
}

TEST(HttpText, Base64AndQueryEscape) {
  for (const auto& [bytes, standard, url] :
       std::vector<std::tuple<std::string, const char*, const char*>>{
           {"", "", ""},
           {"f", "Zg==", "Zg"},
           {"fo", "Zm8=", "Zm8"},
           {"foo", "Zm9v", "Zm9v"},
           {"\xfb\xff/", "+/8v", "-_8v"}}) {
    EXPECT_EQ(EncodeBase64(bytes, Base64::kStandard), standard);
    EXPECT_EQ(EncodeBase64(bytes, Base64::kUrlWithoutPadding), url);
    EXPECT_EQ(DecodeBase64(standard), bytes);
  }
  EXPECT_EQ(DecodeBase64("a*b"), std::nullopt);
  EXPECT_EQ(QueryEscape("aZ0-_.~ /ä"), "aZ0-_.~+%2F%C3%A4");
}

TEST(HttpText, Addresses) {
  const auto split = [](const std::string& text) {
    const auto result = SplitAddress(text);
    return result.ok() ? result->first + "|" + result->second : result.status().message();
  };
  EXPECT_EQ(split("host:80"), "host|80");
  EXPECT_EQ(split(":8080"), "|8080");
  EXPECT_EQ(split("[::1]:9"), "::1|9");
  for (const char* bad : {"host", "host:", "host:65536", "host:8x", "::1:80", "[::1:80"}) {
    EXPECT_EQ(split(bad), std::string("address \"") + bad + "\": not host:port");
  }
  const auto url = [](const std::string& text) {
    const Result<Url> u = ParseUrl(text);
    if (!u.ok()) return u.status().message();
    return (u->secure ? "s " : "") + u->host + "|" + u->port + "|" + u->authority + "|" + u->path;
  };
  EXPECT_EQ(url("http://h"), "h|80|h|");
  EXPECT_EQ(url("https://h:1/a/b"), "s h|1|h:1|/a/b");
  EXPECT_EQ(url("http://[::1]/"), "::1|80|[::1]|/");
  for (const char* bad : {"h", "ftp://h", "http://", "http://u:p@h", "http://h/a b", "http://h/?q",
                          "http://h\r\nX: y", "http://h:99999"}) {
    EXPECT_EQ(url(bad), std::string("invalid URL \"") + bad + "\"");
  }
}

TEST(MetricsHandler, NegotiatesAndCompresses) {
  OneCounter metrics;
  MetricsHandler handler(metrics.registry);
  HttpResponse plain = handler.Handle("", "");
  EXPECT_EQ(plain.status, 200);
  EXPECT_EQ(plain.Header("content-type"),
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores");
  EXPECT_EQ(plain.Header("Vary"), "Accept, Accept-Encoding");
  EXPECT_EQ(plain.body, kPage);
  const HttpResponse packed = handler.Handle("*/*", "gzip");
  EXPECT_EQ(packed.Header("Content-Encoding"), "gzip");
  EXPECT_EQ(Unpack(packed.body), kPage);
  EXPECT_EQ(handler.Handle("application/openmetrics-text;version=1.0.0;escaping=dots", "")
                .Header("Content-Type"),
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=dots");
  const HttpResponse post = handler.Handle(HttpRequest{"POST"});
  EXPECT_EQ(post.status, 405);
  EXPECT_EQ(post.Header("Allow"), "GET, HEAD");
}

TEST(MetricsHandler, SaysWhatIsWrongAndCountsIt) {
  OneCounter metrics;
  ASSERT_TRUE(metrics.registry
                  .Register(MakeCollector([](std::vector<MetricFamily>& out) {
                    out.push_back(MakeFamily(MetricType::kCounter, "bad", "Bad."));
                    out.back().metrics.push_back({{}, GaugeValue{1}, {}});
                  }))
                  .ok());
  Registry own;
  HandlerOptions options;
  options.self_metrics = &own;
  std::vector<std::string> logged;
  options.log = [&](const std::string& error) { logged.push_back(error); };
  MetricsHandler strict(metrics.registry, options);
  const std::string error = "collected metric \"bad\" { gauge:{value:1}} is not a COUNTER";
  EXPECT_EQ(strict.Handle("", "").body,
            "An error has occurred while serving metrics:\n\n" + error + "\n");
  EXPECT_THAT(logged, testing::ElementsAre(error));
  options.on_error = HandlerOptions::OnError::kContinue;
  MetricsHandler lenient(metrics.registry, options);
  EXPECT_EQ(lenient.Handle("", "").body, kPage);
  EXPECT_EQ(Scrape(own, "").body,
            "# HELP promhttp_metric_handler_errors_total Total number of internal errors "
            "encountered by the promhttp metric handler.\n"
            "# TYPE promhttp_metric_handler_errors_total counter\n"
            "promhttp_metric_handler_errors_total{cause=\"encoding\"} 0\n"
            "promhttp_metric_handler_errors_total{cause=\"gathering\"} 2\n"
            "# HELP promhttp_metric_handler_requests_in_flight Current number of scrapes being "
            "served.\n"
            "# TYPE promhttp_metric_handler_requests_in_flight gauge\n"
            "promhttp_metric_handler_requests_in_flight 0\n"
            "# HELP promhttp_metric_handler_requests_total Total number of scrapes by HTTP status "
            "code.\n"
            "# TYPE promhttp_metric_handler_requests_total counter\n"
            "promhttp_metric_handler_requests_total{code=\"200\"} 1\n"
            "promhttp_metric_handler_requests_total{code=\"500\"} 1\n"
            "promhttp_metric_handler_requests_total{code=\"503\"} 0\n");
}

TEST(MetricsHandler, LimitsRequestsInFlight) {
  Registry registry;
  std::promise<void> entered;
  std::promise<void> release;
  const GaugeFunc slow(registry, {"slow", "Slow."}, [&] {
    entered.set_value();
    release.get_future().wait();
    return 1;
  });
  HandlerOptions options;
  options.in_flight_max = 1;
  MetricsHandler handler(registry, options);
  auto first = std::async(std::launch::async, [&] { return handler.Handle("", "").status; });
  entered.get_future().wait();
  const HttpResponse refused = handler.Handle("", "");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.body, "Limit of concurrent requests reached (1), try again later.\n");
  release.set_value();
  EXPECT_EQ(first.get(), 200);
}

TEST(HttpMetrics, MeasuresHandlers) {
  Registry registry;
  const HttpMetrics metrics(registry, "http");
  const HttpHandler ok = metrics.Wrap("/a", [&](const HttpRequest&) {
    EXPECT_EQ(SampleValue(registry, "http_requests_in_flight", {{"handler", "/a"}}), 1);
    return HttpResponse{201, {}, "12345"};
  });
  ok(HttpRequest{"POST"});
  ok(HttpRequest{"BREW"});
  const HttpHandler throws = metrics.Wrap(
      "/b", [](const HttpRequest&) -> HttpResponse { throw std::runtime_error("no"); });
  EXPECT_THROW(throws(HttpRequest{}), std::runtime_error);
  struct Case {
    const char* name;
    Labels labels;
    double want;
  };
  for (const Case& c : {
           Case{"http_requests_total", {{"handler", "/a"}, {"method", "post"}, {"code", "201"}}, 1},
           Case{"http_requests_total",
                {{"handler", "/a"}, {"method", "unknown"}, {"code", "201"}},
                1},
           Case{"http_requests_total", {{"handler", "/b"}, {"method", "get"}, {"code", "500"}}, 1},
           Case{"http_request_duration_seconds_count", {{"handler", "/a"}, {"method", "post"}}, 1},
           Case{"http_response_size_bytes_sum", {{"handler", "/a"}}, 10},
           Case{"http_requests_in_flight", {{"handler", "/a"}}, 0},
       }) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(SampleValue(registry, c.name, c.labels), c.want);
  }
}

TEST(Adapters, Beast) {
  namespace http = boost::beast::http;
  OneCounter metrics;
  MetricsHandler handler(metrics.registry);
  http::request<http::empty_body> request{http::verb::get, "/metrics", 11};
  request.set(http::field::accept, "application/openmetrics-text;version=1.0.0");
  request.set(http::field::accept_encoding, "gzip");
  http::response<http::string_body> response{http::status::ok, 11};
  AnswerBeast(handler, request, response);
  EXPECT_EQ(response.result_int(), 200u);
  EXPECT_EQ(response["Content-Encoding"], "gzip");
  EXPECT_EQ(response["Content-Length"], std::to_string(response.body().size()));
  EXPECT_THAT(Unpack(response.body()), HasSubstr("c_total 1.0\n# EOF\n"));
}

// An exposer with one counter.
struct Exposed : OneCounter {
  explicit Exposed(ExposerOptions options = {})
      : exposer(*Exposer::Start("127.0.0.1:0", registry, std::move(options))) {}
  std::string Ask(const std::string& request) {
    RawClient client(exposer->port());
    client.Send(request);
    return client.ReadAll();
  }
  std::unique_ptr<Exposer> exposer;
};

TEST(Exposer, Answers) {
  ExposerOptions options;
  options.handlers["/-/healthy"] = [](const HttpRequest& request) {
    return HttpResponse{200, {{"X-Query", request.query}}, "Healthy.\n"};
  };
  options.handlers["/throws"] = [](const HttpRequest&) -> HttpResponse {
    throw std::runtime_error("no luck");
  };
  options.header_bytes_max = 1000;
  options.fallback = [](const HttpRequest& request) {
    return request.path == "/fallback" ? HttpResponse{200, {}, "fallback"}
                                       : HttpResponse{404, {}, "none"};
  };
  Exposed e(options);
  const std::string close = "\r\nConnection: close\r\n\r\n";
  struct Case {
    std::string request;
    std::string begins;
    std::string ends;
  };
  for (const Case& c : {
           Case{"GET /metrics HTTP/1.1" + close, "HTTP/1.1 200 OK\r\nContent-Type: text/plain",
                std::string("\r\n\r\n") + kPage},
           Case{"GET /metrics?x=1 HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", kPage},
           Case{"HEAD /metrics HTTP/1.1" + close, "HTTP/1.1 200 OK\r\n",
                "Content-Length: 51\r\nConnection: close\r\n\r\n"},
           Case{"POST /metrics HTTP/1.1" + close, "HTTP/1.1 405 Method Not Allowed\r\n",
                "Method Not Allowed\n"},
           Case{"GET /other HTTP/1.1" + close, "HTTP/1.1 404 Not Found\r\n", "none"},
           Case{"GET /fallback HTTP/1.1" + close, "HTTP/1.1 200 OK\r\n", "fallback"},
           Case{"GET /-/healthy?a=b HTTP/1.1" + close, "HTTP/1.1 200 OK\r\nX-Query: a=b\r\n",
                "Healthy.\n"},
           Case{"GET /throws HTTP/1.1" + close, "HTTP/1.1 500 Internal", "no luck\n"},
           // These end the connection without being asked to.
           Case{"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 413 ",
                "a request for metrics has no body\n"},
           Case{"GET /metrics\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "Bad Request\n"},
           Case{"GET metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", "Bad Request\n"},
           Case{"GET / HTTP/2.0\r\n\r\n", "HTTP/1.1 400 ", "Bad Request\n"},
           Case{"GET / HTTP/1.1\r\nno header\r\n\r\n", "HTTP/1.1 400 ", "Bad Request\n"},
           Case{"GET / HTTP/1.1\r\nX: " + std::string(2000, 'x'), "HTTP/1.1 431 ",
                "Request Header Fields Too Large\n"},
       }) {
    SCOPED_TRACE(c.request.substr(0, 60));
    const std::string answer = e.Ask(c.request);
    EXPECT_THAT(answer, StartsWith(c.begins));
    EXPECT_THAT(answer, testing::EndsWith(c.ends));
  }
}

TEST(Exposer, KeepsConnectionsAndTakesRequestsInARow) {
  Exposed e;
  RawClient client(e.exposer->port());
  client.Send("GET /metrics HTTP/1.1\r\n\r\nHEAD /metrics HTTP/1.1\r\n\r\nGET /met");
  EXPECT_THAT(client.ReadAnswer(), testing::EndsWith(kPage));
  EXPECT_THAT(client.ReadAnswer(false), HasSubstr("200 OK"));
  client.Send("rics HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), testing::EndsWith(kPage));
}

TEST(Exposer, AuthenticatesUsers) {
  ExposerOptions options;
  options.authenticate = [](std::string_view user, std::string_view password) {
    return user == "scraper" && password == "a:b";
  };
  Exposed e(options);
  const auto ask = [&](const std::string& header) {
    return e.Ask("GET /metrics HTTP/1.1\r\n" + header + "Connection: close\r\n\r\n");
  };
  const auto basic = [](const std::string& pair) {
    return "Authorization: basic " + EncodeBase64(pair, Base64::kStandard) + "\r\n";
  };
  EXPECT_THAT(ask(basic("scraper:a:b")), HasSubstr("c_total 1"));
  for (const std::string& header :
       {std::string(), basic("scraper:wrong"), basic("nocolon"),
        std::string("Authorization: Basic *\r\n"), std::string("Authorization: Bearer x\r\n")}) {
    const std::string answer = ask(header);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 401 Unauthorized\r\n"));
    EXPECT_THAT(answer, HasSubstr("WWW-Authenticate: Basic\r\n"));
    EXPECT_THAT(answer, Not(HasSubstr("c_total")));
  }
}

TEST(Exposer, EndsWhatTakesTooLong) {
  ExposerOptions options;
  options.read_timeout = milliseconds(50);
  options.idle_timeout = milliseconds(50);
  Exposed e(options);
  RawClient silent(e.exposer->port());
  RawClient half(e.exposer->port());
  half.Send("GET /metrics HTTP/1.1\r\n");
  RawClient idle(e.exposer->port());
  idle.Send("GET /metrics HTTP/1.1\r\n\r\n");
  EXPECT_THAT(idle.ReadAnswer(), HasSubstr("200 OK"));
  EXPECT_EQ(silent.ReadAll(), "");
  EXPECT_THAT(half.ReadAll(), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(idle.ReadAll(), "");
}

TEST(Exposer, GivesUpOnPagesThatTakeTooLong) {
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  ExposerOptions options;
  options.handler_timeout = milliseconds(30);
  options.handlers["/slow"] = [released](const HttpRequest&) {
    released.wait();
    return HttpResponse{200, {}, "late"};
  };
  Exposed e(options);
  EXPECT_THAT(e.Ask("GET /slow HTTP/1.1\r\n\r\n"),
              testing::EndsWith("Exceeded configured timeout of 30ms.\n"));
  // The only worker is still busy; a scraper in a hurry is told before our own limit.
  RawClient hasty(e.exposer->port());
  hasty.Send("GET /metrics HTTP/1.1\r\nX-Prometheus-Scrape-Timeout-Seconds: 0.01\r\n\r\n");
  EXPECT_THAT(hasty.ReadAll(), StartsWith("HTTP/1.1 503 "));
  release.set_value();
  // The late answers find nobody, and the next one is served.
  EXPECT_THAT(e.Ask("GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n"), HasSubstr("c_total 1"));
}

TEST(Exposer, BoundsConnections) {
  ExposerOptions options;
  options.connections_max = 4;
  Exposed e(options);
  std::vector<std::unique_ptr<RawClient>> clients;
  // More than there is room for: the idle ones go, oldest first.
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<RawClient>(e.exposer->port()));
    clients.back()->Send("GET /metrics HTTP/1.1\r\n\r\n");
    EXPECT_THAT(clients.back()->ReadAnswer(), HasSubstr("200 OK")) << i;
  }
  for (int i = 0; i < 16; ++i) EXPECT_EQ(clients[static_cast<size_t>(i)]->ReadAll(), "") << i;
  clients.back()->Send("GET /metrics HTTP/1.1\r\n\r\n");
  EXPECT_THAT(clients.back()->ReadAnswer(), HasSubstr("200 OK"));
}

TEST(Exposer, ServesManyAtATimeAndStops) {
  ExposerOptions options;
  options.threads = 3;
  Exposed e(options);
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      RawClient client(e.exposer->port());
      for (int i = 0; i < 50; ++i) {
        client.Send("GET /metrics HTTP/1.1\r\n\r\n");
        good += client.ReadAnswer().find("c_total 1\n") != std::string::npos;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 400);
  const uint16_t port = e.exposer->port();
  e.exposer.reset();
  EXPECT_FALSE(
      Connect("127.0.0.1", std::to_string(port), std::chrono::steady_clock::now() + seconds(1))
          .ok());
}

TEST(Exposer, SaysWhyItCannotStart) {
  Exposed e;
  const std::string taken = "127.0.0.1:" + std::to_string(e.exposer->port());
  EXPECT_EQ(Exposer::Start(taken, e.registry).status().message(),
            "listen on " + taken + ": Address already in use");
  EXPECT_EQ(Exposer::Start("nonsense", e.registry).status().message(),
            "address \"nonsense\": not host:port");
}

}  // namespace
}  // namespace narthex::client
