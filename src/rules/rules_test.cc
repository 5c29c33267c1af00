#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "promql/parser/parser.h"
#include "rules/dependencies.h"
#include "rules/group.h"
#include "rules/rule.h"
#include "util/numbers.h"
#include "util/time.h"

namespace narthex::rules {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kSecond = kNanosPerSecond;

class FixedClock : public Clock {
 public:
  int64_t NowNanos() const override { return now_nanos; }
  int64_t now_nanos = 0;
};

// Remembers what was committed as "series@milliseconds=value".
class FakeStore : public storage::Appendable {
 public:
  class FakeAppender : public storage::Appender {
   public:
    explicit FakeAppender(FakeStore& store) : store_(store) {}
    Result<storage::SeriesRef> Append(storage::SeriesRef, const Labels& labels,
                                      int64_t timestamp_ms, double value,
                                      const storage::AppendOptions&) override {
      if (store_.refusal) return *store_.refusal;
      pending_.push_back(fmt::format("{}@{}={}", labels.ToString(), timestamp_ms,
                                     IsStaleNan(value) ? "stale" : FormatFloatG(value)));
      return storage::SeriesRef{1};
    }
    Result<storage::SeriesRef> AppendHistogram(storage::SeriesRef, const Labels&, int64_t,
                                               const Histogram&,
                                               const storage::AppendOptions&) override {
      return storage::SeriesRef{1};
    }
    Result<storage::SeriesRef> AppendFloatHistogram(storage::SeriesRef, const Labels& labels,
                                                    int64_t timestamp_ms, const FloatHistogram&,
                                                    const storage::AppendOptions&) override {
      pending_.push_back(fmt::format("{}@{}=histogram", labels.ToString(), timestamp_ms));
      return storage::SeriesRef{1};
    }
    void AppendFloats(std::span<const storage::RefSample>,
                      std::span<storage::AppendOutcome>) override {}
    Status AppendExemplar(storage::SeriesRef, const Labels&, const Exemplar&) override {
      return {};
    }
    Status UpdateMetadata(storage::SeriesRef, const Labels&, const Metadata&) override {
      return {};
    }
    Result<storage::SeriesRef> AppendStartZero(storage::SeriesRef, const Labels&, int64_t, int64_t,
                                               const FloatHistogram*) override {
      return storage::SeriesRef{1};
    }
    Status Commit() override {
      const std::lock_guard lock(store_.mutex);
      for (std::string& text : pending_) store_.written.push_back(std::move(text));
      return {};
    }
    Status Rollback() override { return {}; }

   private:
    FakeStore& store_;
    std::vector<std::string> pending_;
  };

  std::unique_ptr<storage::Appender> NewAppender() override {
    return std::make_unique<FakeAppender>(*this);
  }
  std::vector<std::string> Take() { return std::exchange(written, {}); }

  std::mutex mutex;
  std::vector<std::string> written;
  std::optional<Status> refusal;
};

class RulesTest : public ::testing::Test {
 protected:
  RulesTest() {
    environment_.query = [this](const promql::Expr&, std::string_view, int64_t time_ms,
                                const auto&) -> Result<promql::QueryResult> {
      if (!query_error_.ok()) return query_error_;
      promql::QueryResult result;
      result.type = promql::ValueType::kVector;
      for (const auto& [labels, value] : vector_) {
        result.vector.push_back({labels, time_ms, value, nullptr});
      }
      return result;
    };
    environment_.appendable = &store_;
    environment_.expand = [](std::string_view, std::string_view text,
                             const TemplateData& data) -> Result<std::string> {
      if (text == "bad") return Status(ErrorCode::kExecution, "no such function");
      if (text == "{{ $value }}") return FormatFloatG(data.value);
      return std::string(text);
    };
    environment_.send = [this](const std::vector<Alert>& alerts, const std::string&) {
      for (const Alert& alert : alerts) {
        sent_.push_back(fmt::format("{} {}", alert.labels.ToString(),
                                    alert.resolved_at_nanos != 0 ? "resolved" : "firing"));
      }
    };
  }

  static promql::ExprPtr Parse(std::string_view query) {
    auto expr = promql::ParseExpr(query);
    EXPECT_TRUE(expr.ok()) << expr.status().message();
    return *std::move(expr);
  }

  std::unique_ptr<Group> MakeGroup(std::unique_ptr<Rule> rule, size_t limit = 0) {
    GroupOptions options;
    options.name = "g";
    options.file = "f.yml";
    options.interval_nanos = 10 * kSecond;
    options.limit = limit;
    std::vector<std::unique_ptr<Rule>> rules;
    rules.push_back(std::move(rule));
    return std::make_unique<Group>(std::move(options), std::move(rules),
                                   std::make_shared<RuleEnvironment>(environment_), clock_);
  }

  std::unique_ptr<AlertingRule> MakeAlert(int64_t hold_seconds, int64_t keep_seconds = 0,
                                          Labels labels = {}) {
    AlertingRuleOptions options;
    options.hold_nanos = hold_seconds * kSecond;
    options.keep_firing_for_nanos = keep_seconds * kSecond;
    options.annotations = Labels{{"value", "{{ $value }}"}, {"wrong", "bad"}};
    return std::make_unique<AlertingRule>("Down", Parse("up == 0"), std::move(labels),
                                          std::move(options));
  }

  FixedClock clock_;
  FakeStore store_;
  RuleEnvironment environment_;
  std::vector<std::pair<Labels, double>> vector_;
  Status query_error_;
  std::vector<std::string> sent_;
};

TEST_F(RulesTest, RecordsWithLabelsAndMarksWhatEndedStale) {
  auto group = MakeGroup(std::make_unique<RecordingRule>("job:up:sum", Parse("sum by (job) (up)"),
                                                         Labels{{"team", "x"}}));
  vector_ = {{Labels{{"job", "a"}}, 1}, {Labels{{"job", "b"}}, 2}};
  group->Evaluate(10 * kSecond);
  EXPECT_THAT(store_.Take(), ElementsAre(R"({__name__="job:up:sum", job="a", team="x"}@10000=1)",
                                         R"({__name__="job:up:sum", job="b", team="x"}@10000=2)"));
  vector_.pop_back();
  group->Evaluate(20 * kSecond);
  EXPECT_THAT(store_.Take(),
              ElementsAre(R"({__name__="job:up:sum", job="a", team="x"}@20000=1)",
                          R"({__name__="job:up:sum", job="b", team="x"}@20000=stale)"));
  group->WriteStaleMarkers(50 * kSecond);
  EXPECT_THAT(store_.Take(),
              ElementsAre(R"({__name__="job:up:sum", job="a", team="x"}@50000=stale)"));
}

TEST_F(RulesTest, ReportsErrorsInUpstreamsWords) {
  auto group = MakeGroup(std::make_unique<RecordingRule>("r", Parse("up"), Labels{{"job", "same"}}),
                         /*limit=*/1);
  const Rule& rule = *group->rules()[0];
  vector_ = {{Labels{{"job", "a"}}, 1}, {Labels{{"job", "b"}}, 2}};
  group->Evaluate(10 * kSecond);
  EXPECT_EQ(rule.health().error,
            "vector contains metrics with the same labelset after applying rule labels");
  vector_ = {{Labels{{"x", "a"}}, 1}, {Labels{{"x", "b"}}, 2}};
  group->Evaluate(20 * kSecond);
  EXPECT_EQ(rule.health().error, "exceeded limit of 1 with 2 series");
  query_error_ = Status(ErrorCode::kTimeout, "query timed out in expression evaluation");
  group->Evaluate(30 * kSecond);
  EXPECT_EQ(rule.health().status, "err");
  EXPECT_EQ(group->counters().failures.load(), 3u);
  EXPECT_THAT(store_.Take(), IsEmpty());
  query_error_ = {};
  vector_.pop_back();
  store_.refusal = Status(ErrorCode::kOutOfOrderSample, "out of order sample");
  group->Evaluate(40 * kSecond);
  EXPECT_EQ(rule.health().error, "out of order sample");
  // The evaluation itself did not fail, and its result counts.
  EXPECT_EQ(group->counters().failures.load(), 3u);
  EXPECT_EQ(group->counters().last_samples.load(), 1u);
}

TEST_F(RulesTest, RestoresEvenWhenThePastCannotBeRead) {
  struct BrokenStore : storage::Queryable {
    Result<std::unique_ptr<storage::Querier>> OpenQuerier(TimeRange) override {
      return Status(ErrorCode::kIo, "disk gone");
    }
  } broken;
  environment_.queryable = &broken;
  AlertingRuleOptions options;
  options.restored = false;
  AlertingRule rule("Down", Parse("up == 0"), {}, options);
  vector_ = {{Labels{{"job", "a"}}, 0}};
  const auto evaluate = [&] { return rule.Evaluate({10 * kSecond, 0}, {}, 0, environment_); };
  EXPECT_EQ(evaluate()->size(), 0u);
  EXPECT_EQ(rule.Restore(20 * kSecond, environment_).message(), "disk gone");
  EXPECT_EQ(evaluate()->size(), 2u);
}

TEST_F(RulesTest, SplitsRulesByWhatTheyRead) {
  struct Case {
    std::string name;
    std::vector<std::string> rules;  // "record = expr", or "!alert = expr".
    std::vector<std::vector<size_t>> want;
  };
  for (const Case& c : {
           Case{"one rule", {"a = b"}, {{0}}},
           Case{"independent", {"a = x", "b = y", "c = 1"}, {{0, 1, 2}}},
           Case{"a chain", {"a = x", "b = a", "c = b"}, {{0}, {1}, {2}}},
           Case{"ends of chains", {"a = x", "b = a", "c = a", "d = y"}, {{0, 3}, {1, 2}}},
           Case{"later rules do not count", {"a = b", "b = x"}, {{0, 1}}},
           Case{"a pattern of names", {"a:x = x", "b = {__name__=~\"a:.+\"}"}, {{0}, {1}}},
           Case{"a selector for anything", {"a = x", "b = {job=\"x\"}"}, {}},
           Case{"alerts", {"!A = x", "b = ALERTS"}, {{0}, {1}}},
           Case{"one alert", {"!A = x", "b = ALERTS_FOR_STATE{alertname=\"A\"}"}, {{0}, {1}}},
           Case{"another alert", {"!A = x", "b = ALERTS{alertname=\"B\"}"}, {{0, 1}}},
           Case{"subqueries", {"a = x", "b = max_over_time(rate(a[1m])[5m:])"}, {{0}, {1}}},
       }) {
    SCOPED_TRACE(c.name);
    std::vector<std::unique_ptr<Rule>> rules;
    for (const std::string& text : c.rules) {
      const size_t equals = text.find(" = ");
      const std::string name = text.substr(0, equals);
      promql::ExprPtr expr = Parse(std::string_view(text).substr(equals + 3));
      if (name[0] == '!') {
        rules.push_back(std::make_unique<AlertingRule>(name.substr(1), std::move(expr), Labels(),
                                                       AlertingRuleOptions()));
      } else {
        rules.push_back(std::make_unique<RecordingRule>(name, std::move(expr), Labels()));
      }
    }
    EXPECT_EQ(SplitIntoBatches(rules), c.want);
  }
}

TEST_F(RulesTest, RunsIndependentRulesTogetherAndDependentOnesAfterwards) {
  std::mutex mutex;
  std::condition_variable both;
  int waiting = 0;
  std::vector<std::string> order;
  environment_.query = [&](const promql::Expr&, std::string_view query, int64_t time_ms,
                           const auto&) -> Result<promql::QueryResult> {
    std::unique_lock lock(mutex);
    if (query != "a + b") {
      // Each waits until the other runs, too.
      ++waiting;
      both.notify_all();
      both.wait(lock, [&] { return waiting == 2; });
    }
    order.emplace_back(query);
    promql::QueryResult result;
    result.type = promql::ValueType::kVector;
    result.vector.push_back({Labels(), time_ms, 1, nullptr});
    return result;
  };
  std::vector<std::unique_ptr<Rule>> rules;
  rules.push_back(std::make_unique<RecordingRule>("a", Parse("x"), Labels()));
  rules.push_back(std::make_unique<RecordingRule>("c", Parse("a + b"), Labels()));
  rules.push_back(std::make_unique<RecordingRule>("b", Parse("y"), Labels()));
  // In file order "b" comes after its reader, so only "a" is a dependency of "c".
  GroupOptions options;
  options.interval_nanos = 10 * kSecond;
  Group group(std::move(options), std::move(rules), std::make_shared<RuleEnvironment>(environment_),
              clock_);
  ThreadPool pool("test", 1);
  group.concurrency = &pool;
  group.Evaluate(10 * kSecond);
  ASSERT_EQ(order.size(), 3u);
  EXPECT_EQ(order.back(), "a + b");
  EXPECT_EQ(group.counters().evaluations.load(), 3u);
  EXPECT_EQ(group.counters().last_samples.load(), 3u);
}

TEST_F(RulesTest, StopsBetweenRules) {
  Group* running = nullptr;
  std::thread stopper;
  int queries = 0;
  environment_.query = [&](const promql::Expr&, std::string_view, int64_t,
                           const auto&) -> Result<promql::QueryResult> {
    ++queries;
    stopper = std::thread([&] { running->Stop(); });
    while (!running->stopping()) std::this_thread::yield();
    promql::QueryResult result;
    result.type = promql::ValueType::kVector;
    return result;
  };
  std::vector<std::unique_ptr<Rule>> rules;
  rules.push_back(std::make_unique<RecordingRule>("a", Parse("x"), Labels()));
  rules.push_back(std::make_unique<RecordingRule>("b", Parse("y"), Labels()));
  GroupOptions options;
  options.interval_nanos = 10 * kSecond;
  Group group(std::move(options), std::move(rules), std::make_shared<RuleEnvironment>(environment_),
              clock_);
  running = &group;
  clock_.now_nanos = group.FirstDue() + 10 * kSecond;
  EXPECT_NE(group.RunDue(), 0);
  stopper.join();
  EXPECT_EQ(queries, 1);
  EXPECT_EQ(group.RunDue(), 0);
}

TEST_F(RulesTest, AlertGoesFromPendingToFiringToResolved) {
  auto group = MakeGroup(MakeAlert(/*hold_seconds=*/20, 0, Labels{{"severity", "page"}}));
  auto& rule = static_cast<AlertingRule&>(*group->rules()[0]);
  EXPECT_EQ(rule.state(), AlertState::kUnknown);
  vector_ = {{Labels{{"__name__", "up"}, {"job", "a"}}, 0}};
  group->Evaluate(100 * kSecond);
  EXPECT_EQ(rule.state(), AlertState::kPending);
  EXPECT_THAT(
      store_.Take(),
      ElementsAre(
          R"({__name__="ALERTS", alertname="Down", alertstate="pending", job="a", severity="page"}@100000=1)",
          R"({__name__="ALERTS_FOR_STATE", alertname="Down", job="a", severity="page"}@100000=100)"));
  EXPECT_THAT(sent_, IsEmpty());
  group->Evaluate(110 * kSecond);
  group->Evaluate(120 * kSecond);
  EXPECT_EQ(rule.state(), AlertState::kFiring);
  EXPECT_THAT(sent_, ElementsAre(R"({alertname="Down", job="a", severity="page"} firing)"));
  ASSERT_EQ(rule.ActiveAlerts().size(), 1u);
  const Alert alert = rule.ActiveAlerts()[0];
  EXPECT_EQ(alert.annotations.Get("value"), "0");
  EXPECT_EQ(alert.annotations.Get("wrong"), "<error expanding template: no such function>");
  EXPECT_EQ(alert.valid_until_nanos, (120 + 240) * kSecond);
  // Sent again only after the resend delay.
  group->Evaluate(180 * kSecond);
  EXPECT_EQ(sent_.size(), 1u);
  group->Evaluate(190 * kSecond);
  EXPECT_EQ(sent_.size(), 2u);
  vector_.clear();
  store_.Take();
  group->Evaluate(200 * kSecond);
  EXPECT_EQ(rule.state(), AlertState::kInactive);
  EXPECT_THAT(rule.ActiveAlerts(), IsEmpty());
  EXPECT_EQ(sent_.back(), R"({alertname="Down", job="a", severity="page"} resolved)");
  EXPECT_EQ(store_.Take().size(), 2u);  // Both series end with a stale marker.
}

TEST_F(RulesTest, KeepsFiringForAWhile) {
  auto group = MakeGroup(MakeAlert(/*hold_seconds=*/0, /*keep_seconds=*/30));
  auto& rule = static_cast<AlertingRule&>(*group->rules()[0]);
  vector_ = {{Labels{{"job", "a"}}, 0}};
  group->Evaluate(100 * kSecond);
  EXPECT_EQ(rule.state(), AlertState::kFiring);
  vector_.clear();
  for (const int64_t at : {110, 120, 130}) {
    group->Evaluate(at * kSecond);
    EXPECT_EQ(rule.state(), AlertState::kFiring) << at;
  }
  group->Evaluate(140 * kSecond);
  EXPECT_EQ(rule.state(), AlertState::kInactive);
}

TEST_F(RulesTest, TooManyAlertsClearAll) {
  auto group = MakeGroup(MakeAlert(0), /*limit=*/1);
  vector_ = {{Labels{{"job", "a"}}, 0}, {Labels{{"job", "b"}}, 0}};
  group->Evaluate(100 * kSecond);
  EXPECT_EQ(group->rules()[0]->health().error, "exceeded limit of 1 with 2 alerts");
  EXPECT_THAT(sent_, IsEmpty());
}

TEST_F(RulesTest, CountsMissedSlotsAndJumpsToTheLatest) {
  auto group = MakeGroup(std::make_unique<RecordingRule>("r", Parse("1"), Labels()));
  clock_.now_nanos = 1'000'003 * kSecond;
  const int64_t first = group->FirstDue();
  EXPECT_EQ(first, group->SlotAt(clock_.now_nanos) + 10 * kSecond);
  clock_.now_nanos = first + 35 * kSecond;
  EXPECT_EQ(group->RunDue(), first + 40 * kSecond);
  EXPECT_EQ(group->counters().iterations_missed.load(), 3u);
  EXPECT_EQ(group->counters().iterations.load(), 4u);
  // When it really ran, not the slot.
  EXPECT_EQ(group->rules()[0]->health().at_nanos, clock_.now_nanos);
  EXPECT_EQ(group->counters().last_evaluation_nanos.load(), clock_.now_nanos);
}

TEST_F(RulesTest, ReplacedGroupKeepsAlertsAndEndsSeriesOfRemovedRules) {
  vector_ = {{Labels{{"job", "a"}}, 0}};
  auto first = MakeGroup(MakeAlert(20));
  first->Evaluate(100 * kSecond);
  auto same = MakeGroup(MakeAlert(10));
  same->CopyStateFrom(*first);
  same->Evaluate(110 * kSecond);
  EXPECT_EQ(static_cast<AlertingRule&>(*same->rules()[0]).state(), AlertState::kFiring);
  store_.Take();
  auto other = MakeGroup(std::make_unique<RecordingRule>("r", Parse("up"), Labels()));
  other->CopyStateFrom(*same);
  other->Evaluate(120 * kSecond);
  EXPECT_THAT(
      store_.Take(),
      ::testing::UnorderedElementsAre(
          R"({__name__="r", job="a"}@120000=0)",
          R"({__name__="ALERTS", alertname="Down", alertstate="firing", job="a"}@120000=stale)",
          R"({__name__="ALERTS_FOR_STATE", alertname="Down", job="a"}@120000=stale)"));
}

// A reload before the second evaluation must not leave alerts that never write their series.
TEST_F(RulesTest, GroupReplacedBeforeItWasRestoredIsRestoredAfterwards) {
  struct EmptyStore : storage::Queryable {
    Result<std::unique_ptr<storage::Querier>> OpenQuerier(TimeRange) override {
      ++asked;
      return Status(ErrorCode::kIo, "nothing to read");
    }
    int asked = 0;
  } past;
  environment_.queryable = &past;
  vector_ = {{Labels{{"job", "a"}}, 0}};
  const auto make = [&](bool restore) {
    AlertingRuleOptions alert;
    alert.restored = !restore;
    std::vector<std::unique_ptr<Rule>> rules;
    rules.push_back(std::make_unique<AlertingRule>("Down", Parse("up == 0"), Labels(), alert));
    GroupOptions options;
    options.name = "g";
    options.interval_nanos = 10 * kSecond;
    options.restore = restore;
    return std::make_unique<Group>(std::move(options), std::move(rules),
                                   std::make_shared<RuleEnvironment>(environment_), clock_);
  };
  clock_.now_nanos = 1000 * kSecond;
  const auto first = make(true);
  clock_.now_nanos = first->FirstDue();
  clock_.now_nanos = first->RunDue();
  EXPECT_THAT(store_.Take(), IsEmpty());
  const auto second = make(false);
  second->CopyStateFrom(*first);
  second->FirstDue();
  clock_.now_nanos = second->RunDue();
  EXPECT_EQ(past.asked, 1);
  second->RunDue();
  EXPECT_EQ(store_.Take().size(), 2u);  // ALERTS and ALERTS_FOR_STATE.
}

}  // namespace
}  // namespace narthex::rules
