// A program as written for prometheus-cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/gateway.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/info.h>
#include <prometheus/registry.h>
#include <prometheus/summary.h>
#include <prometheus/text_serializer.h>

#include "http_client.h"
#include "http_text.h"
#include "narthex/client/exposer.h"

namespace {

using namespace prometheus;
using testing::HasSubstr;

std::string Text(const Registry& registry) {
  return TextSerializer().Serialize(registry.Collect());
}

TEST(PrometheusCpp, CountsAndSerializes) {
  Registry registry;
  auto& packets = BuildCounter()
                      .Name("observed_packets_total")
                      .Help("Number of observed packets")
                      .Labels({{"host", "a"}})
                      .Register(registry);
  Counter& tcp = packets.Add({{"protocol", "tcp"}, {"direction", "rx"}});
  tcp.Increment();
  tcp.Increment(1.5);
  tcp.Increment(-1);
  EXPECT_EQ(tcp.Value(), 2.5);
  EXPECT_EQ(&packets.Add({{"direction", "rx"}, {"protocol", "tcp"}}), &tcp);
  Counter& other = packets.Add({{"any", "labels"}});
  EXPECT_TRUE(packets.Has({{"any", "labels"}}));
  Gauge& gauge = BuildGauge().Name("g").Help("G.").Register(registry).Add({}, 4.0);
  gauge.Decrement();
  Histogram& histogram = BuildHistogram().Name("h").Help("H.").Register(registry).Add(
      {}, Histogram::BucketBoundaries{0, 1, 2});
  histogram.Observe(1.5);
  histogram.ObserveMultiple({5, 9, 3, 2}, 20);
  EXPECT_THROW(histogram.ObserveMultiple({5}, 20), std::length_error);
  Summary& summary = BuildSummary().Name("s").Help("S.").Register(registry).Add(
      {}, Summary::Quantiles{{0.5, 0.05}});
  summary.Observe(200);
  BuildInfo().Name("build").Help("B.").Register(registry).Add({{"version", "1"}});
  EXPECT_EQ(Text(registry),
            "# HELP observed_packets_total Number of observed packets\n"
            "# TYPE observed_packets_total counter\n"
            "observed_packets_total{any=\"labels\",host=\"a\"} 0\n"
            "observed_packets_total{direction=\"rx\",host=\"a\",protocol=\"tcp\"} 2.5\n"
            "# HELP g G.\n# TYPE g gauge\ng 3\n"
            "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"0\"} 5\nh_bucket{le=\"1\"} 14\n"
            "h_bucket{le=\"2\"} 18\nh_bucket{le=\"+Inf\"} 20\nh_sum 21.5\nh_count 20\n"
            "# HELP s S.\n# TYPE s summary\ns{quantile=\"0.5\"} 200\ns_sum 200\ns_count 1\n"
            "# HELP build_info B.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n");
  packets.Remove(&other);
  EXPECT_FALSE(packets.Has({{"any", "labels"}}));
  EXPECT_TRUE(registry.Remove(packets));
  EXPECT_THAT(Text(registry), testing::StartsWith("# HELP g"));
}

TEST(PrometheusCpp, ThrowsAsBefore) {
  Registry registry;
  auto& family = BuildCounter().Name("c").Help("C.").Register(registry);
  EXPECT_EQ(&BuildCounter().Name("c").Help("C.").Register(registry), &family);
  EXPECT_THROW(BuildGauge().Name("c").Help("C.").Register(registry), std::invalid_argument);
  EXPECT_THROW(BuildGauge().Name("0").Help("C.").Register(registry), std::invalid_argument);
  EXPECT_THROW(family.Add({{"0", "x"}}), std::invalid_argument);
  EXPECT_THROW(family.Add({{"__a", "x"}}), std::invalid_argument);
  EXPECT_THROW(Histogram({2, 1}), std::invalid_argument);
  Registry strict(Registry::InsertBehavior::Throw);
  BuildCounter().Name("c").Help("C.").Register(strict);
  EXPECT_THROW(BuildCounter().Name("c").Help("C.").Register(strict), std::invalid_argument);
  EXPECT_THROW(Exposer("nonsense:x"), std::runtime_error);
  EXPECT_THROW(Exposer(std::vector<std::string>{"access_log_file", "x"}), std::runtime_error);
}

class OneFamily : public Collectable {
 public:
  std::vector<MetricFamily> Collect() const override {
    MetricFamily family{"custom", "Made by hand.", MetricType::Gauge, {}};
    ClientMetric metric;
    metric.label = {{"a", "b"}};
    metric.gauge.value = 7;
    family.metric.push_back(metric);
    return {family};
  }
};

std::string Get(int port, const std::string& path, const std::string& user = {}) {
  narthex::client::ClientRequest request;
  request.method = "GET";
  request.url = *narthex::client::ParseUrl("http://127.0.0.1:" + std::to_string(port) + path);
  if (!user.empty()) {
    request.headers = {{"Authorization", "Basic " + narthex::client::EncodeBase64(
                                                        user, narthex::client::Base64::kStandard)}};
  }
  const auto response = narthex::client::SendHttp(request);
  return response.ok() ? std::to_string(response->status) + " " + response->body
                       : response.status().message();
}

TEST(PrometheusCpp, Exposes) {
  Exposer exposer("127.0.0.1:0", 1);
  const int port = exposer.GetListeningPorts().at(0);
  auto registry = std::make_shared<Registry>();
  BuildCounter().Name("c_total").Help("C.").Register(*registry).Add({}).Increment();
  auto custom = std::make_shared<OneFamily>();
  exposer.RegisterCollectable(registry);
  exposer.RegisterCollectable(custom);
  exposer.RegisterCollectable(custom, "/other");
  const std::string page = Get(port, "/metrics");
  EXPECT_THAT(page, HasSubstr("c_total 1\n"));
  EXPECT_THAT(page, HasSubstr("custom{a=\"b\"} 7\n"));
  EXPECT_THAT(Get(port, "/metrics"), HasSubstr("exposer_scrapes_total 1\n"));
  exposer.RegisterAuth([](const std::string& u, const std::string& p) { return u + p == "me1"; },
                       "here", "/other");
  EXPECT_THAT(Get(port, "/other"), testing::StartsWith("401"));
  EXPECT_THAT(Get(port, "/other", "me:1"), HasSubstr("custom{a=\"b\"} 7\n"));
  EXPECT_THAT(Get(port, "/none"), testing::StartsWith("404"));
  exposer.RemoveCollectable(custom);
  registry.reset();  // Only borrowed.
  const std::string rest = Get(port, "/metrics");
  EXPECT_THAT(rest, testing::Not(HasSubstr("custom")));
  EXPECT_THAT(rest, testing::Not(HasSubstr("c_total")));
}

TEST(PrometheusCpp, Pushes) {
  // A gateway that remembers who came.
  std::vector<std::string> asked;
  narthex::client::Registry nothing;
  narthex::client::ExposerOptions options;
  options.fallback = [&](const narthex::client::HttpRequest& request) {
    asked.push_back(request.method + " " + request.path);
    return narthex::client::HttpResponse{202, {}, {}};
  };
  const auto server = *narthex::client::Exposer::Start("127.0.0.1:0", nothing, options);
  auto registry = std::make_shared<Registry>();
  Gateway gateway("127.0.0.1", std::to_string(server->port()), "j", Gateway::GetInstanceLabel("h"));
  gateway.RegisterCollectable(registry);
  // Bodies are refused by this server; that tells the status too.
  BuildCounter().Name("c_total").Help("C.").Register(*registry).Add({}).Increment();
  EXPECT_EQ(gateway.Push(), 413);
  EXPECT_EQ(gateway.AsyncPushAdd().get(), 413);
  EXPECT_EQ(gateway.Delete(), 202);
  EXPECT_EQ(gateway.AsyncDeleteForInstance().get(), 202);
  EXPECT_THAT(asked,
              testing::ElementsAre("DELETE /metrics/job/j", "DELETE /metrics/job/j/instance/h"));
  EXPECT_EQ(Gateway("127.0.0.1", "1", "j").Delete(), -1);
}

}  // namespace
