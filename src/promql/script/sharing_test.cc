// Parts that stand in a query twice are evaluated once. With and without that, answers, refusals,
// annotations and counts must be the same; explain must tell what was shared.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "promql/engine/engine.h"
#include "promql/engine/explain.h"
#include "promql/script/memory_store.h"
#include "util/numbers.h"
#include "util/thread_pool.h"

namespace narthex::promql {
namespace {

constexpr int64_t kStepMs = 15'000;

// Counters with resets, gauges, histograms of both kinds, a metric that mixes them; gaps and stale
// markers.
void Fill(MemoryStore* store) {
  std::mt19937_64 random(11);
  for (int i = 0; i < 6; ++i) {
    const auto named = [i](std::string_view name) {
      return Labels(
          {{"__name__", name}, {"i", std::to_string(i)}, {"job", i % 2 == 0 ? "api" : "db"}});
    };
    double count = 0;
    for (int s = 0; s < 60; ++s) {
      const int64_t t = s * kStepMs;
      if (random() % 12 == 0) continue;
      count = random() % 30 == 0 ? 0 : count + static_cast<double>(random() % 64) / 4;
      store->AppendFloat(named("requests_total"), t, count);
      store->AppendFloat(named("load"), t,
                         random() % 20 == 0 ? StaleNan() : static_cast<double>(random() % 99) / 8);
      FloatHistogram histogram;
      histogram.count = count;
      histogram.sum = count * 2;
      histogram.positive_spans = {{0, 2}};
      histogram.positive_buckets = {count / 2, count / 2};
      store->AppendHistogram(named("latency"), t, histogram);
      if (s % 2 == 0) store->AppendHistogram(named("mixed"), t, histogram);
      if (s % 2 == 1) store->AppendFloat(named("mixed"), t, count);
      histogram.schema = kCustomBucketsSchema;
      histogram.custom_values = i < 3 ? std::vector<double>{1, 2} : std::vector<double>{1, 4};
      store->AppendHistogram(named("sizes"), t, histogram);
    }
  }
}

// Expressions out of few parts, so that the same ones meet again and again.
class Expressions {
 public:
  explicit Expressions(uint64_t seed) : random_(seed) {}

  std::string Vector(int depth) {
    if (depth == 0) return Leaf();
    if (!made_.empty() && random_() % 3 == 0) return made_[random_() % made_.size()];
    std::string made;
    switch (random_() % 8) {
      case 0:
      case 1:
        made = fmt::format("{} {}({})", Pick({"sum", "count", "avg", "max", "stddev", "group"}),
                           Pick({"", "by (job) ", "without (i) ", "by (i) "}), Vector(depth - 1));
        break;
      case 2:
        made = fmt::format("topk {}(2, {})", Pick({"", "by (job) "}), Vector(depth - 1));
        break;
      case 3:
        made = fmt::format("{}(({})[{}:{}]{})",
                           Pick({"max_over_time", "sum_over_time", "rate", "count_over_time"}),
                           Vector(depth - 1), Pick({"2m", "1m"}), Pick({"15s", "20s"}),
                           Pick({"", " offset 1m", " @ 500"}));
        break;
      case 4:
        made = fmt::format("{}({})", Pick({"abs", "histogram_count", "histogram_sum", "-", "sort"}),
                           Vector(depth - 1));
        break;
      case 5:
        made = fmt::format("histogram_quantile({}, {})", Pick({"0.9", "scalar(sum(load))"}),
                           Vector(depth - 1));
        break;
      default:
        made = fmt::format("({} {} {}{})", Vector(depth - 1),
                           Pick({"+", "-", "/", "*", ">", "== bool", "and", "or", "unless"}),
                           Pick({"", "", "on (i) ", "on (job) "}), Vector(depth - 1));
    }
    made_.push_back(made);
    return made;
  }

 private:
  std::string Pick(const std::vector<std::string>& from) { return from[random_() % from.size()]; }
  std::string Leaf() {
    const std::string metric =
        Pick({"requests_total", "load", "latency", "mixed", "sizes", "{__name__=~\"lo.*|mixed\"}"});
    const std::string at = Pick({"", "", "", " offset 1m", " @ 400", " @ end()"});
    if (random_() % 2 == 0) return metric + at;
    return fmt::format("{}({}[{}]{})",
                       Pick({"rate", "increase", "delta", "sum_over_time", "last_over_time",
                             "count_over_time", "changes", "absent_over_time"}),
                       metric, Pick({"1m", "2m"}), at);
  }

  std::mt19937_64 random_;
  std::vector<std::string> made_;
};

void ExpectSame(const QueryResult& a, const QueryResult& b) {
  ASSERT_EQ(a.warnings, b.warnings);
  ASSERT_EQ(a.infos, b.infos);
  ASSERT_EQ(a.stats.peak_samples, b.stats.peak_samples);
  ASSERT_EQ(a.stats.total_queryable_samples, b.stats.total_queryable_samples);
  ASSERT_EQ(a.stats.samples_read, b.stats.samples_read);
  ASSERT_EQ(a.stats.series_touched, b.stats.series_touched);
  ASSERT_EQ(a.stats.total_queryable_samples_per_step, b.stats.total_queryable_samples_per_step);
  ASSERT_EQ(a.matrix.size(), b.matrix.size());
  for (size_t i = 0; i < a.matrix.size(); ++i) {
    ASSERT_EQ(a.matrix[i].labels, b.matrix[i].labels);
    const storage::SampleColumns& x = a.matrix[i].samples;
    const storage::SampleColumns& y = b.matrix[i].samples;
    ASSERT_EQ(x.timestamps_ms, y.timestamps_ms);
    for (size_t k = 0; k < x.size(); ++k) {
      ASSERT_EQ(std::bit_cast<uint64_t>(x.values[k]), std::bit_cast<uint64_t>(y.values[k]));
      ASSERT_EQ(x.histogram(k) == nullptr, y.histogram(k) == nullptr);
      if (x.histogram(k) == nullptr) continue;
      ASSERT_EQ(x.histogram(k)->ToString(), y.histogram(k)->ToString());
    }
  }
}

bool AnyReused(const ExplainNode& node) {
  if (node.profile.has_value() && node.profile->reused) return true;
  for (const ExplainNode& child : node.children) {
    if (AnyReused(child)) return true;
  }
  return false;
}

class Sharing : public ::testing::TestWithParam<uint64_t> {};

TEST_P(Sharing, ChangesNothingButTheWork) {
  MemoryStore store;
  Fill(&store);
  ThreadPool pool("sharing", 1);
  // Few samples are allowed, so that refusals must come at the same place as well.
  const bool few = GetParam() % 2 == 0;
  EngineOptions options{.samples_max = few ? 1'500u : 50'000'000u,
                        .delayed_name_removal = GetParam() % 3 == 0,
                        .per_step_stats = true,
                        .pool = &pool};
  Engine sharing(options);
  options.share_results = false;
  Engine plain(options);
  std::mt19937_64 random(GetParam());
  int answered = 0;
  int refused = 0;
  int annotated = 0;
  int reused = 0;
  for (int n = 0; n < 300; ++n) {
    Expressions expressions(random());
    const std::string query = expressions.Vector(static_cast<int>(2 + random() % 3));
    const auto start = static_cast<int64_t>(random() % 900) * 1000;
    const int64_t step = random() % 2 == 0 ? kStepMs : 37'000;
    const int64_t end = start + step * static_cast<int64_t>(random() % 6);
    SCOPED_TRACE(fmt::format("{} from {} to {} step {}", query, start, end, step));
    const Result<QueryResult> a =
        sharing.Range(store, query, start, end, step, {.per_step_stats = true});
    const Result<QueryResult> b =
        plain.Range(store, query, start, end, step, {.per_step_stats = true});
    ASSERT_EQ(a.ok(), b.ok()) << a.status().message() << b.status().message();
    if (!a.ok()) {
      ASSERT_EQ(a.status().message(), b.status().message());
      ++refused;
      continue;
    }
    ++answered;
    annotated += !a->warnings.empty() || !a->infos.empty();
    ASSERT_NO_FATAL_FAILURE(ExpectSame(*a, *b));
    const auto explained = sharing.Explain(store, query, start, end, step, /*analyze=*/true);
    ASSERT_TRUE(explained.ok()) << explained.status().message();
    reused += AnyReused(explained->root);
  }
  // The grammar is worth something.
  EXPECT_GT(answered, 40);
  EXPECT_GT(refused, 20);
  EXPECT_GT(annotated, 10);
  EXPECT_GT(reused, 20);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Sharing, ::testing::Values(1, 2, 3, 4, 5, 6));

TEST(SharingPlan, NumbersTheHighestEqualParts) {
  MemoryStore store;
  Fill(&store);
  Engine engine({});
  struct Case {
    const char* query;
    bool reused;
  };
  const Case cases[] = {
      {"sum(load) / (sum(load) + 1)", true},
      {"sum by (job) (rate(requests_total[1m])) / ignoring (job) group_left "
       "count(rate(requests_total[1m]))",
       true},
      {"load - load offset 1m", false},
      {"load / (load + load)", true},
      {"sum(load) / count(load{job=\"api\"})", false},
      // The same text at other steps, or of histograms looked at in another way.
      {"load + max_over_time(load[1m:15s])", false},
      {"histogram_count(latency) + histogram_quantile(0.5, latency)", false},
      {"load + load @ 400", false},
      // What leaves an annotation is evaluated where it stands.
      {"rate(load[1m]) + rate(load[1m])", false},
  };
  for (const Case& c : cases) {
    const auto explained = engine.Explain(store, c.query, 300'000, 600'000, 15'000, true);
    ASSERT_TRUE(explained.ok()) << explained.status().message();
    EXPECT_EQ(AnyReused(explained->root), c.reused) << c.query;
  }
}

}  // namespace
}  // namespace narthex::promql
