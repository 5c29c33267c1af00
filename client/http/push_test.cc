// Pushing to a gateway and to Graphite.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <future>

#include "narthex/client.h"
#include "narthex/client/graphite.h"
#include "narthex/client/push.h"
#include "test_peer.h"

namespace narthex::client {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kAccepted = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

PushOptions To(uint16_t port) {
  PushOptions options;
  options.url = "127.0.0.1:" + std::to_string(port);
  options.job = "j";
  options.backoff = milliseconds(1);
  options.format = FormatType::kText;
  return options;
}

struct OneGauge {
  Registry registry;
  Gauge gauge{registry, {"g", "G."}};
};

TEST(Pusher, BuildsPathsAsUpstream) {
  struct Case {
    const char* url;
    const char* job;
    Labels grouping;
    const char* want;
  };
  for (const Case& c : {
           Case{"gw:9091", "j", {}, "http://gw:9091/metrics/job/j"},
           Case{"http://gw/sub/", "my job", {{"a", "b"}}, "http://gw/sub/metrics/job/my+job/a/b"},
           Case{"gw",
                "a/b",
                {{"path", "/var/tmp"}},
                "http://gw/metrics/job@base64/YS9i/path@base64/L3Zhci90bXA"},
           Case{"gw", "j", {{"empty", ""}}, "http://gw/metrics/job/j/empty@base64/="},
           Case{"gw", "j", {{"u", "ü"}}, "http://gw/metrics/job/j/u/%C3%BC"},
       }) {
    PushOptions options;
    options.url = c.url;
    options.job = c.job;
    options.grouping = c.grouping;
    EXPECT_EQ(Pusher(options).Url(), c.want);
  }
}

TEST(Pusher, SendsWhatWasAskedFor) {
  ScriptedServer server({kAccepted, kOk, kAccepted});
  OneGauge metrics;
  PushOptions options = To(server.port());
  options.grouping = {{"zone", "a"}};
  options.user = "me";
  options.password = "secret";
  options.headers = {{"X-Scope", "t1"}};
  const Pusher pusher(options);
  EXPECT_EQ(pusher.Push(metrics.registry).message(), "");
  EXPECT_EQ(pusher.Add(metrics.registry).message(), "");
  EXPECT_EQ(pusher.Delete().message(), "");
  const std::string rest = " /metrics/job/j/zone/a HTTP/1.1\r\nHost: " + options.url +
                           "\r\nConnection: close\r\nUser-Agent: narthex-client\r\n"
                           "X-Scope: t1\r\nAuthorization: Basic bWU6c2VjcmV0\r\n";
  const std::string body =
      "Content-Type: text/plain; version=0.0.4; charset=utf-8; escaping=underscores\r\n"
      "Content-Length: 31\r\n\r\n# HELP g G.\n# TYPE g gauge\ng 0\n";
  EXPECT_THAT(server.Requests(),
              ElementsAre("PUT" + rest + body, "POST" + rest + body, "DELETE" + rest + "\r\n"));
}

TEST(Pusher, RefusesWhatTheGatewayWould) {
  OneGauge metrics;
  const auto push = [&](const std::function<void(PushOptions&)>& change) {
    PushOptions options = To(1);
    change(options);
    return Pusher(options).Push(metrics.registry).message();
  };
  EXPECT_EQ(push([](PushOptions& o) { o.job = ""; }), "job name is empty");
  EXPECT_EQ(push([](PushOptions& o) { o.grouping = {{"", "x"}}; }),
            "grouping label has invalid name: ");
  EXPECT_EQ(push([](PushOptions& o) { o.url = "ftp://x"; }), "invalid URL \"ftp://x\"");
  EXPECT_EQ(push([](PushOptions& o) { o.headers = {{"A", "b\r\nC: d"}}; }),
            "header A has a line end");
  EXPECT_EQ(push([](PushOptions& o) { o.url = "https://127.0.0.1:1"; }),
            "https needs a channel factory: see MakeTlsClient");
  const Gauge job(metrics.registry, {"with_job", "W.", {}, {{"job", "x"}}});
  EXPECT_EQ(push([](PushOptions&) {}),
            "pushed metric with_job (label:{name:\"job\" value:\"x\"} gauge:{value:0}) already "
            "contains a job label");
  const Gauge zone(metrics.registry, {"a_zone", "A.", {}, {{"zone", "x"}}});
  EXPECT_EQ(push([](PushOptions& o) { o.grouping = {{"zone", "y"}}; }),
            "pushed metric a_zone (label:{name:\"zone\" value:\"x\"} gauge:{value:0}) already "
            "contains grouping label zone");
}

TEST(Pusher, TriesAgainWhatMayPass) {
  const std::string busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
  const std::string chunked =
      "HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno \r\n5\r\ngood\n\r\n"
      "0\r\n\r\n";
  OneGauge metrics;
  {
    SCOPED_TRACE("the third attempt succeeds; one answer was no HTTP");
    ScriptedServer server({busy, "nonsense", kOk});
    EXPECT_EQ(Pusher(To(server.port())).Push(metrics.registry).message(), "");
    EXPECT_EQ(server.Requests().size(), 3u);
  }
  {
    SCOPED_TRACE("attempts run out");
    ScriptedServer server({busy, busy, busy});
    const Pusher pusher(To(server.port()));
    EXPECT_EQ(pusher.Push(metrics.registry).message(),
              "unexpected status code 503 while pushing to " + pusher.Url() + ": busy");
    EXPECT_EQ(server.Requests().size(), 3u);
  }
  {
    SCOPED_TRACE("a refusal is final; its chunks are put together");
    ScriptedServer server({chunked});
    const Pusher pusher(To(server.port()));
    EXPECT_EQ(pusher.Add(metrics.registry).message(),
              "unexpected status code 400 while pushing to " + pusher.Url() + ": no good\n");
  }
  {
    SCOPED_TRACE("deleting accepts 202 only");
    ScriptedServer server({kOk});
    const Pusher pusher(To(server.port()));
    EXPECT_EQ(pusher.Delete().message(),
              "unexpected status code 200 while deleting " + pusher.Url() + ": ");
  }
  {
    SCOPED_TRACE("nobody listens");
    uint16_t port = 0;
    {
      port = ScriptedServer({}).port();
    }
    PushOptions options = To(port);
    options.attempts = 2;
    EXPECT_EQ(Pusher(options).Push(metrics.registry).message(),
              "connect to 127.0.0.1:" + std::to_string(port) + ": Connection refused");
  }
}

TEST(PeriodicPusher, PushesUntilTheEnd) {
  ScriptedServer server({kOk, "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", kOk});
  OneGauge metrics;
  std::vector<std::string> errors;
  {
    std::promise<void> failed;
    const PeriodicPusher periodic(Pusher(To(server.port())), metrics.registry, milliseconds(5),
                                  [&](const Status& error) {
                                    errors.push_back(error.message());
                                    metrics.gauge.Set(7);
                                    failed.set_value();
                                    std::this_thread::sleep_for(milliseconds(50));
                                  });
    failed.get_future().wait();
  }
  // The last push is made at the end, whatever the interval.
  const std::vector<std::string> requests = server.Requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_THAT(requests[2], testing::EndsWith("g 7\n"));
  EXPECT_THAT(errors, ElementsAre(HasSubstr("unexpected status code 400")));
}

TEST(Graphite, WritesLinesAsUpstream) {
  Registry registry;
  const Family<Counter> requests(registry, {"requests_total", "R."}, {"path", "code"});
  requests.WithLabels({"/a//b c", "200"}).Inc(3);
  const Summary summary(registry, {"s", "S."}, SummaryOptions{{{0.5, 0.05}}});
  summary.Observe(2);
  const Histogram histogram(registry, {"h", "H."}, HistogramOptions{}.WithBuckets({0.5, 1e6}));
  histogram.Observe(7);
  ASSERT_TRUE(registry
                  .Register(MakeCollector([](std::vector<MetricFamily>& out) {
                    out.push_back(MakeFamily(MetricType::kGauge, "timed", "T."));
                    AddSample(out.back(), {}, 1.5, {99'999, {}, {}});
                  }))
                  .ok());
  GraphiteOptions options;
  EXPECT_EQ(GraphiteLines(registry.Gather().families, options, 1000),
            "h_bucket.le.0_5 0 1000\nh_bucket.le.1e_06 1 1000\nh_sum 7 1000\nh_count 1 1000\n"
            "h_bucket.le._Inf 1 1000\n"
            "requests_total.code.200.path._a_b.c 3 1000\n"
            "s.quantile.0_5 2 1000\ns_sum 2 1000\ns_count 1 1000\n"
            "timed 1.5 99\n");
  options.prefix = "p.q";
  options.tags = true;
  EXPECT_THAT(GraphiteLines(registry.Gather().families, options, 1000),
              HasSubstr("\np.q.requests_total;code=200;path=/a//b_c 3 1000\n"));
}

TEST(Graphite, SendsToItsListener) {
  OneGauge metrics;
  GraphiteOptions options;
  Result<Listener> listener = Listen("127.0.0.1", "0");
  ASSERT_TRUE(listener.ok());
  options.address = "127.0.0.1:" + std::to_string(listener->port);
  EXPECT_EQ(SendToGraphite(metrics.registry, options).message(), "");
  {
    options.interval = std::chrono::hours(1);
    const GraphiteBridge bridge(metrics.registry, options);
    metrics.gauge.Set(5);
  }
  for (const char* want : {"g 0 ", "g 5 "}) {
    const Fd fd(accept(listener->fd.get(), nullptr, nullptr));
    char buffer[100];
    const ssize_t got = recv(fd.get(), buffer, sizeof buffer, 0);
    ASSERT_GT(got, 0);
    EXPECT_THAT(std::string(buffer, static_cast<size_t>(got)), StartsWith(want));
  }
  listener->fd = Fd();
  EXPECT_THAT(SendToGraphite(metrics.registry, options).message(), HasSubstr("Connection refused"));
}

}  // namespace
}  // namespace narthex::client
