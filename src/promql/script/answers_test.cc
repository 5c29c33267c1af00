// What scripts cannot say: annotations with their places and numbers, and the order of elements of
// an instant vector, as the API shows them. Each row was found by comparison with Prometheus.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "promql/engine/engine.h"
#include "promql/script/memory_store.h"

namespace narthex::promql {
namespace {

using Texts = std::vector<std::string>;

constexpr int64_t kMinute = 60'000;

Labels Bucket(std::string_view name, std::string_view le) {
  return Labels({{"__name__", name}, {"le", le}});
}

FloatHistogram Custom(std::vector<double> bounds) {
  FloatHistogram histogram;
  histogram.schema = kCustomBucketsSchema;
  histogram.custom_values = std::move(bounds);
  histogram.positive_spans = {{0, 2}};
  histogram.positive_buckets = {1, 2};
  histogram.count = 3;
  histogram.sum = 4;
  return histogram;
}

class Answers : public ::testing::Test {
 protected:
  QueryResult Range(std::string_view query, int64_t end_ms, int64_t step_ms) {
    Result<QueryResult> result = engine_.Range(store_, query, 0, end_ms, step_ms);
    EXPECT_TRUE(result.ok()) << result.status().message();
    return result.ok() ? *std::move(result) : QueryResult();
  }

  MemoryStore store_;
  Engine engine_{EngineOptions{.parser = {.experimental_functions = true}}};
};

// Upstream merges a call's annotations into themselves at every step.
TEST_F(Answers, ForcedMonotonicityDoublesItsSamplesWithEveryStep) {
  for (int64_t t = 0; t <= 10 * kMinute; t += kMinute) {
    store_.AppendFloat(Bucket("b", "1"), t, 5);
    store_.AppendFloat(Bucket("b", "2"), t, 3);
    store_.AppendFloat(Bucket("b", "+Inf"), t, 6);
  }
  const auto text = [](std::string_view count, std::string_view end, std::string_view place) {
    return Texts{
        "PromQL info: input to histogram_quantile needed to be fixed for monotonicity "
        "(see https://prometheus.io/docs/prometheus/latest/querying/functions/"
        "#histogram_quantile), from buckets 2 to 2, with a max diff of 2, over " +
        std::string(count) + " samples from 1970-01-01T00:00:00Z to 1970-01-01T" +
        std::string(end) + "Z (" + std::string(place) + ")"};
  };
  const std::string_view one = "histogram_quantile(0.5, b)";
  EXPECT_EQ(Range(one, 0, kMinute).infos, text("1", "00:00:00", "1:25"));
  // (1 + 1) * 2, then (4 + 1) * 2.
  EXPECT_EQ(Range(one, kMinute, kMinute).infos, text("4", "00:01:00", "1:25"));
  EXPECT_EQ(Range(one, 2 * kMinute, kMinute).infos, text("10", "00:02:00", "1:25"));
  // Each operand has its own, and the sum of both is told.
  EXPECT_EQ(
      Range("histogram_quantile(0.5, b) + histogram_quantile(0.9, b)", kMinute, kMinute).infos,
      text("8", "00:01:00", "1:25"));
  // The count wraps around.
  EXPECT_EQ(Range(one, 10 * kMinute, 5000).infos, text("-2", "00:10:00", "1:25"));
}

TEST_F(Answers, OfEqualTextsTheOuterPlaceCounts) {
  for (int64_t t = 0; t <= 10 * kMinute; t += kMinute) {
    for (const std::string_view i : {"a", "b", "c"}) {
      store_.AppendHistogram(Labels({{"__name__", "h"}, {"i", i}}), t,
                             t % (2 * kMinute) == 0 ? Custom({1, 2}) : Custom({1, 3}));
    }
    store_.AppendHistogram(Labels({{"__name__", "h"}, {"i", "d"}}), t, Custom({1, 3}));
  }
  EXPECT_EQ(Range("sum(avg_over_time(h[2m]))", 10 * kMinute, kMinute).infos,
            Texts{"PromQL info: mismatched custom buckets were reconciled during aggregation "
                  "(1:5)"});
}

// Where start timestamps are not known nothing is given, and so nothing can collide.
TEST_F(Answers, NoStartTimestampsOfSeveralMetrics) {
  store_.AppendFloat(Labels({{"__name__", "a"}}), 0, 1);
  store_.AppendFloat(Labels({{"__name__", "b"}}), 0, 1);
  const std::string_view query = "start_timestamp({__name__=~\"a|b\"})";
  EXPECT_TRUE(Range(query, kMinute, kMinute).matrix.empty());
  const Result<QueryResult> known =
      engine_.Range(store_, query, 0, kMinute, kMinute, {.use_start_timestamps = true});
  ASSERT_FALSE(known.ok());
  EXPECT_EQ(known.status().message(), "vector cannot contain metrics with the same labelset");
}

// More than twelve elements: pattern-defeating quicksort, whose order of equals is Go's.
TEST_F(Answers, EqualValuesLeaveSortAsTheyLeaveGos) {
  for (int i = 0; i < 20; ++i) {
    store_.AppendFloat(
        Labels({{"__name__", "m"}, {"i", std::string(1, static_cast<char>('a' + i))}}), 0, i % 3);
  }
  const auto order = [this](std::string_view query) {
    Result<QueryResult> result = engine_.Instant(store_, query, 0);
    EXPECT_TRUE(result.ok());
    std::string letters;
    for (const InstantSample& sample : result->vector) letters += sample.labels.Get("i");
    return letters;
  };
  EXPECT_EQ(order("sort(m)"), "jspdmagkhenqbtiflocr");
  EXPECT_EQ(order("sort_desc(m)"), "ircolfkqtbhenmdpajsg");
  EXPECT_EQ(order("topk(15, m)"), "rocflintekqhbgm");
  EXPECT_EQ(order("bottomk(15, m)"), "dsgmajphnqkbteo");
}

}  // namespace
}  // namespace narthex::promql
