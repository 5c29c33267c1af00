// The engine's behaviour as a program: limits, cancellation, statistics, and that neither threads
// nor the way of asking change an answer. What queries mean is tested by the scripts.
#include "promql/engine/engine.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "promql/script/memory_store.h"
#include "util/numbers.h"
#include "util/thread_pool.h"
#include "util/time.h"

namespace narthex::promql {
namespace {

constexpr int64_t kStepMs = 15'000;

Labels Series(std::string_view name, int i) {
  return Labels({{"__name__", name},
                 {"instance", "host-" + std::to_string(i)},
                 {"job", i % 3 == 0 ? "api" : "db"}});
}

// Counters with resets, gauges with NaN and infinities, gaps, stale markers, histograms.
void Fill(MemoryStore* store, int series, int samples) {
  std::mt19937_64 random(42);
  for (int i = 0; i < series; ++i) {
    double counter = 0;
    for (int s = 0; s < samples; ++s) {
      const int64_t time = s * kStepMs + static_cast<int64_t>(random() % 1000);
      if (random() % 10 == 0) continue;
      counter = random() % 50 == 0 ? 0 : counter + static_cast<double>(random() % 100) / 7;
      store->AppendFloat(Series("requests_total", i), time, counter);
      double gauge = std::sin(static_cast<double>(s + i)) * 100;
      if (random() % 60 == 0) gauge = std::nan("");
      if (random() % 90 == 0) gauge = std::numeric_limits<double>::infinity();
      if (random() % 40 == 0) gauge = StaleNan();
      store->AppendFloat(Series("temperature", i), time, gauge);
      FloatHistogram histogram;
      histogram.count = counter;
      histogram.sum = counter * 2;
      histogram.positive_spans = {{0, 2}};
      histogram.positive_buckets = {counter / 2, counter / 2};
      store->AppendHistogram(Series("latency", i), time, histogram);
    }
  }
}

const char* const kQueries[] = {
    "temperature",
    "rate(requests_total[2m])",
    "sum(rate(requests_total[1m]))",
    "sum by (job) (increase(requests_total[5m]))",
    "avg by (instance) (temperature)",
    "stddev without (instance) (temperature)",
    "quantile by (job) (0.9, temperature)",
    "max by (job) (max_over_time(temperature[3m]))",
    "sum(avg_over_time(temperature[90s]))",
    "topk(2, temperature)",
    "count_values by (job) (\"v\", floor(temperature / 50))",
    "temperature > 10",
    "requests_total / on (instance, job) temperature",
    "temperature and on (instance) (requests_total > 50)",
    "temperature or requests_total",
    "sum(rate(latency[2m]))",
    "histogram_quantile(0.9, sum by (job) (rate(latency[2m])))",
    "max_over_time(sum(rate(requests_total[1m]))[3m:20s])",
    "deriv(temperature[4m]) * 3 - 1",
    "changes(temperature[3m]) + resets(requests_total[3m])",
    "clamp(temperature offset 1m, -5, 5)",
    "absent(temperature > 90)",
    "label_replace(temperature, \"host\", \"$1\", \"instance\", \"host-(.*)\")",
};

bool SameBits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

void ExpectSame(const std::vector<RangeSeries>& a, const std::vector<RangeSeries>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].labels.ToString(), b[i].labels.ToString());
    ASSERT_EQ(a[i].samples.timestamps_ms, b[i].samples.timestamps_ms);
    for (size_t s = 0; s < a[i].samples.size(); ++s) {
      ASSERT_TRUE(SameBits(a[i].samples.values[s], b[i].samples.values[s]));
      const FloatHistogram* x = a[i].samples.histogram(s);
      const FloatHistogram* y = b[i].samples.histogram(s);
      ASSERT_EQ(x == nullptr, y == nullptr);
      if (x != nullptr) {
        ASSERT_EQ(x->ToString(), y->ToString());
      }
    }
  }
}

TEST(Engine, ThreadsDoNotChangeAResult) {
  MemoryStore store;
  Fill(&store, 150, 120);
  ThreadPool pool("test", 3);
  Engine serial({});
  Engine parallel({.pool = &pool});
  for (const char* query : kQueries) {
    SCOPED_TRACE(query);
    const auto a = serial.Range(store, query, 300'000, 1'700'000, 7'000);
    const auto b = parallel.Range(store, query, 300'000, 1'700'000, 7'000);
    ASSERT_TRUE(a.ok()) << a.status().message();
    ASSERT_TRUE(b.ok()) << b.status().message();
    ExpectSame(a->matrix, b->matrix);
    EXPECT_EQ(a->warnings, b->warnings);
    EXPECT_EQ(a->infos, b->infos);
    EXPECT_EQ(a->stats.total_queryable_samples, b->stats.total_queryable_samples);
    EXPECT_EQ(a->stats.samples_read, b->stats.samples_read);
    EXPECT_EQ(a->stats.peak_samples, b->stats.peak_samples);
  }
}

TEST(Engine, EachStepOfARangeEqualsTheInstantQuery) {
  MemoryStore store;
  Fill(&store, 9, 100);
  Engine engine({});
  for (const char* query : kQueries) {
    SCOPED_TRACE(query);
    const auto range = engine.Range(store, query, 250'000, 1'300'000, 70'000);
    ASSERT_TRUE(range.ok()) << range.status().message();
    for (int64_t time = 250'000; time <= 1'300'000; time += 70'000) {
      SCOPED_TRACE(time);
      const auto instant = engine.Instant(store, query, time);
      ASSERT_TRUE(instant.ok()) << instant.status().message();
      std::vector<RangeSeries> at_instant;
      for (const InstantSample& sample : instant->vector) {
        at_instant.push_back({sample.labels, {}});
        if (sample.histogram != nullptr) {
          at_instant.back().samples.AddHistogram(time, sample.histogram);
        } else {
          at_instant.back().samples.AddFloat(time, sample.value);
        }
      }
      std::sort(at_instant.begin(), at_instant.end(),
                [](const RangeSeries& a, const RangeSeries& b) { return a.labels < b.labels; });
      std::vector<RangeSeries> in_range;
      for (const RangeSeries& series : range->matrix) {
        for (size_t s = 0; s < series.samples.size(); ++s) {
          if (series.samples.timestamps_ms[s] != time) continue;
          in_range.push_back({series.labels, {}});
          if (series.samples.histogram(s) != nullptr) {
            in_range.back().samples.AddHistogram(time, series.samples.histograms[s]);
          } else {
            in_range.back().samples.AddFloat(time, series.samples.values[s]);
          }
        }
      }
      ExpectSame(at_instant, in_range);
    }
  }
}

TEST(Engine, LimitsAreRefusedInUpstreamsWords) {
  MemoryStore store;
  for (int i = 0; i < 60; ++i) store.AppendFloat(Series("m", 0), i * kStepMs, i);
  Engine engine({.samples_max = 20});
  const auto too_many = engine.Instant(store, "sum_over_time(m[10m])", 800'000);
  EXPECT_EQ(too_many.status(),
            Status(ErrorCode::kExecution,
                   "query processing would load too many samples into memory in query execution"));
  EXPECT_TRUE(engine.Instant(store, "sum_over_time(m[4m])", 800'000).ok());

  const auto timed_out = engine.Instant(store, "m", 800'000, {.timeout_ns = 1});
  EXPECT_EQ(timed_out.status().code(), ErrorCode::kTimeout);
  EXPECT_TRUE(timed_out.status().message().starts_with("query timed out in "));

  std::stop_source stop;
  stop.request_stop();
  const auto canceled = engine.Instant(store, "m", 800'000, {.stop = stop.get_token()});
  EXPECT_EQ(canceled.status(),
            Status(ErrorCode::kCanceled, "query was canceled in query execution"));

  EXPECT_EQ(engine.Range(store, "m[5m]", 0, 1000, 1000).status(),
            Status(ErrorCode::kInvalidInput,
                   "invalid expression type \"range vector\" for range query, must be Scalar or "
                   "instant Vector"));
  EXPECT_EQ(engine.Range(store, "\"text\"", 0, 1000, 1000).status().code(),
            ErrorCode::kInvalidInput);
  EXPECT_EQ(engine.Instant(store, "m[", 0).status().code(), ErrorCode::kInvalidInput);
}

TEST(Engine, SubqueriesThatAreMuchTooFineAreRefused) {
  MemoryStore store;
  for (int i = 0; i < 60; ++i) store.AppendFloat(Series("m", 0), i * kStepMs, i);
  Engine engine({});
  EXPECT_EQ(engine.Instant(store, "max_over_time(m[100y:1ms])", 800'000).status(),
            Status(ErrorCode::kExecution,
                   "query processing would load too many samples into memory in query execution"));
  EXPECT_TRUE(engine.Range(store, "max_over_time(m[1y:1m])", 0, 800'000, 10'000).ok());
}

TEST(Engine, QueryCostLimitsOnlyTighten) {
  MemoryStore store;
  for (int i = 0; i < 5; ++i) store.AppendFloat(Series("m", i), 1000, i);
  std::string rejected;
  Engine engine(
      {.query_cost = true,
       .on_finished = [&rejected](const QueryStats&, std::string_view by) { rejected = by; }});
  EXPECT_TRUE(engine.Instant(store, "m", 1000).ok());
  EXPECT_EQ(engine.Instant(store, "m", 1000, {.cost = {.series_max = 4}}).status(),
            Status(ErrorCode::kLimitExceeded,
                   "query would load too many series into memory in query execution"));
  EXPECT_EQ(rejected, "max_series");
  EXPECT_EQ(engine.Instant(store, "m", 1000, {.cost = {.samples_read_max = 4}}).status(),
            Status(ErrorCode::kLimitExceeded,
                   "query would read too many samples in query "
                   "execution"));
  EXPECT_EQ(rejected, "max_samples_read");
  engine.SetQueryCostLimits({.series_max = 10});
  EXPECT_EQ(engine.Instant(store, "m", 1000, {.cost = {.series_max = 11}}).status(),
            Status(ErrorCode::kInvalidInput,
                   "requested max_series of 11 exceeds the server limit of 10"));
  EXPECT_TRUE(engine.Instant(store, "m", 1000, {.cost = {.series_max = 10}}).ok());
}

TEST(Engine, StatisticsCountAsUpstream) {
  MemoryStore store;
  for (int i = 0; i < 20; ++i) store.AppendFloat(Series("m", 0), i * kStepMs, i);
  Engine engine({.per_step_stats = true});
  // Windows of four samples; each later step reads one new sample.
  const auto result = engine.Range(store, "sum_over_time(m[1m])", 60'000, 120'000, 15'000,
                                   {.per_step_stats = true});
  ASSERT_TRUE(result.ok());
  const QueryStats& stats = result->stats;
  EXPECT_EQ(stats.total_queryable_samples, 20);
  EXPECT_EQ(stats.samples_read, 8);
  EXPECT_EQ(stats.series_touched, 1);
  EXPECT_EQ(stats.peak_samples, 9);  // Five results and the last window.
  EXPECT_EQ(stats.total_queryable_samples_per_step,
            (StepSamples{{60'000, 4}, {75'000, 4}, {90'000, 4}, {105'000, 4}, {120'000, 4}}));
  EXPECT_EQ(stats.samples_read_per_step,
            (StepSamples{{60'000, 4}, {75'000, 1}, {90'000, 1}, {105'000, 1}, {120'000, 1}}));
}

TEST(Engine, TakesAParsedTreeAsOftenAsWanted) {
  MemoryStore store;
  store.AppendFloat(Series("m", 0), 1000, 3);
  Engine engine({});
  const ExprPtr expr = *ParseExpr("m * time() + rate(m[5m] @ end())");
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(engine.Instant(store, *expr, "q", 2000).ok());
    EXPECT_TRUE(engine.Range(store, *expr, "q", 1000, 3000, 1000).ok());
  }
}

TEST(Engine, AnnotationsAreLimitedForTheApi) {
  std::vector<std::string> texts(13, "text");
  EXPECT_EQ(LimitAnnotations(texts, "warning").back(), "3 more warning annotations omitted");
  EXPECT_EQ(LimitAnnotations(texts, "warning").size(), 11u);
  texts.resize(10);
  EXPECT_EQ(LimitAnnotations(texts, "info").size(), 10u);
}

}  // namespace
}  // namespace narthex::promql
