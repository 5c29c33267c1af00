#include "notifier/notifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace narthex::notifier {
namespace {

// Answers nothing by itself: the test decides when and how.
struct FakeTransport {
  struct Pending {
    PostRequest request;
    std::function<void(Status)> done;
  };
  std::vector<Pending> pending;

  Post post() {
    return [this](PostRequest request, std::function<void(Status)> done) {
      pending.push_back({std::move(request), std::move(done)});
    };
  }
  void Answer(size_t index, Status status = {}) {
    const auto done = std::move(pending[index].done);
    pending[index].done = nullptr;
    done(std::move(status));
  }
};

TargetSets OneSet(const std::vector<std::string>& addresses) {
  auto group = std::make_shared<TargetGroup>();
  for (const std::string& address : addresses) group->targets.push_back(AddressOnly(address));
  return {{"config-0", {group}}};
}

AlertingConfig OneSection() {
  AlertingConfig config;
  config.alertmanagers.emplace_back();
  return config;
}

Alert MakeAlert(std::string_view name) {
  Alert alert;
  alert.labels = Labels{{"alertname", name}};
  alert.annotations = Labels{{"summary", "<b>"}};
  alert.starts_at_nanos = 1'500'000'000;
  alert.ends_at_nanos = 61'500'000'000;
  alert.generator_url = "http://h/graph?g0.expr=up&g0.tab=1";
  return alert;
}

TEST(AlertsJson, HasUpstreamsFieldsInOrder) {
  EXPECT_EQ(AlertsJson({MakeAlert("A")}),
            R"([{"annotations":{"summary":"\u003cb\u003e"},"endsAt":"1970-01-01T00:01:01.500Z",)"
            R"("startsAt":"1970-01-01T00:00:01.500Z",)"
            R"("generatorURL":"http://h/graph?g0.expr=up\u0026g0.tab=1",)"
            R"("labels":{"alertname":"A"}}])");
}

TEST(Notifier, SendsToEveryAlertmanagerAndAddsExternalLabels) {
  FakeTransport transport;
  Notifier notifier({}, transport.post());
  std::vector<std::string> observed;
  std::vector<std::string> forgotten;
  notifier.observe_latency = [&](const std::string& url, double) { observed.push_back(url); };
  notifier.forget_alertmanager = [&](const std::string& url) { forgotten.push_back(url); };
  notifier.ApplyConfig(OneSection(), Labels{{"region", "eu"}, {"alertname", "ignored"}});
  notifier.ApplyTargets(OneSet({"a:9093", "b:9093"}));
  notifier.Send({MakeAlert("A")});
  ASSERT_EQ(transport.pending.size(), 2u);
  EXPECT_EQ(transport.pending[0].request.url, "http://a:9093/api/v2/alerts");
  EXPECT_EQ(transport.pending[1].request.url, "http://b:9093/api/v2/alerts");
  EXPECT_NE(transport.pending[0].request.body.find(R"({"alertname":"A","region":"eu"})"),
            std::string::npos);
  transport.Answer(0);
  transport.Answer(1, Status(ErrorCode::kIo, "bad response status 500"));
  const auto counters = notifier.Counters();
  EXPECT_EQ(counters.at("http://a:9093/api/v2/alerts").errors, 0u);
  EXPECT_EQ(counters.at("http://a:9093/api/v2/alerts").sent, 1u);
  // What failed counts as an error and as dropped, not as sent, and has no latency.
  EXPECT_EQ(counters.at("http://b:9093/api/v2/alerts").sent, 0u);
  EXPECT_THAT(observed, testing::ElementsAre("http://a:9093/api/v2/alerts"));
  notifier.ApplyTargets(OneSet({"b:9093"}));
  EXPECT_THAT(forgotten, testing::ElementsAre("http://a:9093/api/v2/alerts"));
  EXPECT_EQ(counters.at("http://b:9093/api/v2/alerts").errors, 1u);
  EXPECT_EQ(counters.at("http://b:9093/api/v2/alerts").dropped, 1u);
}

TEST(Notifier, OneThatHangsLosesItsOldestAlertsOnly) {
  FakeTransport transport;
  NotifierOptions options;
  options.queue_capacity = 2;
  options.drain_timeout_nanos = 0;
  Notifier notifier(options, transport.post());
  notifier.ApplyConfig(OneSection(), {});
  notifier.ApplyTargets(OneSet({"hangs:1", "works:1"}));
  for (const char* name : {"A", "B", "C", "D"}) {
    notifier.Send({MakeAlert(name)});
    transport.Answer(transport.pending.size() - 1);  // The one that works.
  }
  const auto counters = notifier.Counters();
  EXPECT_EQ(counters.at("http://hangs:1/api/v2/alerts").queue_length, 2u);
  EXPECT_EQ(counters.at("http://hangs:1/api/v2/alerts").dropped, 1u);
  EXPECT_EQ(counters.at("http://works:1/api/v2/alerts").sent, 4u);
  // The batch after the hung one holds the two newest.
  const size_t before = transport.pending.size();
  transport.Answer(0);
  ASSERT_EQ(transport.pending.size(), before + 1);
  const std::string& body = transport.pending.back().request.body;
  EXPECT_EQ(body.find("\"B\""), std::string::npos);
  EXPECT_NE(body.find("\"C\""), std::string::npos);
  EXPECT_NE(body.find("\"D\""), std::string::npos);
  transport.Answer(before);
}

TEST(Notifier, KeepsQueuesOfUnchangedSectionsAndJoinsPathPrefixes) {
  FakeTransport transport;
  Notifier notifier({}, transport.post());
  AlertingConfig config = OneSection();
  config.alertmanagers[0].path_prefix = "am/";
  notifier.ApplyConfig(config, {});
  notifier.ApplyTargets(OneSet({"a:1"}));
  EXPECT_EQ(notifier.Alertmanagers().active,
            std::vector<std::string>{"http://a:1/am/api/v2/alerts"});
  notifier.Send({MakeAlert("A")});
  notifier.ApplyConfig(config, {});
  transport.Answer(0);
  EXPECT_EQ(notifier.Counters().at("http://a:1/am/api/v2/alerts").sent, 1u);
}

}  // namespace
}  // namespace narthex::notifier
