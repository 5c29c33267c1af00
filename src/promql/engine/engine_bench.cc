// Questions: what does a range query cost by the kind of expression, and how much of it is the
// aggregation of what the range function made? 10,000 series, one sample every 15 s, 1,200 steps of
// 15 s, as a dashboard asks for five hours.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "promql/engine/engine.h"
#include "storage/storage.h"
#include "util/thread_pool.h"

namespace narthex::promql {
namespace {

constexpr int64_t kIntervalMs = 15'000;
constexpr int64_t kStartMs = 1'700'000'000'000;

// Series whose columns lie ready, so that the engine is measured and not a store.
class BenchStore : public storage::Queryable {
 public:
  BenchStore(size_t series, size_t samples) {
    for (size_t i = 0; i < series; ++i) {
      auto data = std::make_shared<Data>();
      data->labels = Labels({{"__name__", "requests_total"},
                             {"instance", "host-" + std::to_string(i / 10) + ":9100"},
                             {"job", "job-" + std::to_string(i % 7)},
                             {"code", std::to_string(200 + i % 10)}});
      double value = static_cast<double>(i);
      for (size_t s = 0; s < samples; ++s) {
        value += static_cast<double>((s * 7 + i) % 13) * 0.5;
        // A restart now and then.
        if ((s + i) % 700 == 699) value = 0;
        data->columns.AddFloat(kStartMs + static_cast<int64_t>(s) * kIntervalMs, value);
      }
      series_.push_back(std::move(data));
    }
  }

  Result<std::unique_ptr<storage::Querier>> OpenQuerier(TimeRange) override {
    return std::unique_ptr<storage::Querier>(std::make_unique<BenchQuerier>(&series_));
  }

 private:
  struct Data {
    Labels labels;
    storage::SampleColumns columns;
  };
  using List = std::vector<std::shared_ptr<const Data>>;

  class BenchSeries : public storage::Series {
   public:
    BenchSeries(const Data* data, int64_t start, int64_t end)
        : data_(data), start_(start), end_(end) {}
    const Labels& labels() const override { return data_->labels; }
    Status Read(storage::SampleColumns* out) const override {
      const auto& times = data_->columns.timestamps_ms;
      const auto from = std::lower_bound(times.begin(), times.end(), start_) - times.begin();
      const auto to = std::upper_bound(times.begin(), times.end(), end_) - times.begin();
      out->timestamps_ms.assign(times.begin() + from, times.begin() + to);
      out->values.assign(data_->columns.values.begin() + from, data_->columns.values.begin() + to);
      return {};
    }

   private:
    const Data* data_;
    int64_t start_;
    int64_t end_;
  };
  class BenchSet : public storage::SeriesSet {
   public:
    BenchSet(const List* series, int64_t start, int64_t end)
        : series_(series), start_(start), end_(end) {}
    std::unique_ptr<storage::Series> Next() override {
      if (next_ == series_->size()) return nullptr;
      return std::make_unique<BenchSeries>((*series_)[next_++].get(), start_, end_);
    }

   private:
    const List* series_;
    int64_t start_;
    int64_t end_;
    size_t next_ = 0;
  };
  class BenchQuerier : public storage::Querier {
   public:
    explicit BenchQuerier(const List* series) : series_(series) {}
    Result<std::unique_ptr<storage::SeriesSet>> Select(storage::SeriesOrder,
                                                       const storage::SelectHints& hints,
                                                       std::span<const Matcher>) override {
      return std::unique_ptr<storage::SeriesSet>(
          std::make_unique<BenchSet>(series_, hints.start_ms, hints.end_ms));
    }
    Result<std::vector<std::string>> LabelValues(std::string_view, const storage::LabelQueryHints&,
                                                 std::span<const Matcher>) override {
      return std::vector<std::string>();
    }
    Result<std::vector<std::string>> LabelNames(const storage::LabelQueryHints&,
                                                std::span<const Matcher>) override {
      return std::vector<std::string>();
    }

   private:
    const List* series_;
  };

  List series_;
};

void RunQuery(benchmark::State& state, const std::string& query, size_t series, size_t steps,
              bool instant) {
  constexpr size_t kWarmup = 40;  // Samples before the first step: ten minutes.
  BenchStore store(series, steps + kWarmup);
  ThreadPool pool("bench", static_cast<size_t>(state.range(0)));
  Engine engine({.samples_max = 500'000'000,
                 .parser = {.experimental_functions = true},
                 .pool = state.range(0) == 0 ? nullptr : &pool});
  const int64_t start = kStartMs + static_cast<int64_t>(kWarmup) * kIntervalMs;
  const int64_t end = start + static_cast<int64_t>(steps - 1) * kIntervalMs;
  int64_t samples = 0;
  for (auto _ : state) {
    Result<QueryResult> result = instant ? engine.Instant(store, query, end)
                                         : engine.Range(store, query, start, end, kIntervalMs);
    if (!result.ok()) {
      state.SkipWithError(result.status().message().c_str());
      return;
    }
    samples += result->stats.samples_read;
    benchmark::DoNotOptimize(result->matrix.data());
  }
  state.SetItemsProcessed(samples);
}

// The argument is the number of threads beside the caller's own.
#define NARTHEX_QUERY_BENCH(name, query, series, steps, instant) \
  void name(benchmark::State& state) {                           \
    RunQuery(state, query, series, steps, instant);              \
  }                                                              \
  BENCHMARK(name)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)->UseRealTime()

NARTHEX_QUERY_BENCH(BM_SumRate, "sum(rate(requests_total[5m]))", 10'000, 1'200, false);
NARTHEX_QUERY_BENCH(BM_SumRateByJob, "sum by (job) (rate(requests_total[5m]))", 10'000, 1'200,
                    false);
NARTHEX_QUERY_BENCH(BM_SumByInstance, "sum by (instance) (requests_total)", 10'000, 1'200, false);
NARTHEX_QUERY_BENCH(BM_Rate, "rate(requests_total[5m])", 1'000, 1'200, false);
NARTHEX_QUERY_BENCH(BM_MaxOverTime, "max(max_over_time(requests_total[5m]))", 1'000, 1'200, false);
NARTHEX_QUERY_BENCH(BM_AvgOverTime, "sum(avg_over_time(requests_total[5m]))", 1'000, 1'200, false);
NARTHEX_QUERY_BENCH(BM_Deriv, "sum(deriv(requests_total[5m]))", 1'000, 1'200, false);
NARTHEX_QUERY_BENCH(BM_QuantileOverTime, "sum(quantile_over_time(0.9, requests_total[5m]))", 1'000,
                    1'200, false);
NARTHEX_QUERY_BENCH(BM_Ratio,
                    "sum by (job) (rate(requests_total[5m]))"
                    " / on (job) group_left () sum by (job) (requests_total)",
                    10'000, 1'200, false);
NARTHEX_QUERY_BENCH(BM_VectorArithmetic, "requests_total * 2 + requests_total", 1'000, 1'200,
                    false);
NARTHEX_QUERY_BENCH(BM_TopK, "topk(10, rate(requests_total[5m]))", 10'000, 240, false);
NARTHEX_QUERY_BENCH(BM_Subquery, "max_over_time(sum(rate(requests_total[5m]))[10m:15s])", 1'000,
                    1'200, false);
NARTHEX_QUERY_BENCH(BM_InstantSumRate, "sum(rate(requests_total[5m]))", 10'000, 40, true);
NARTHEX_QUERY_BENCH(BM_InstantSelector, "requests_total", 10'000, 40, true);

}  // namespace
}  // namespace narthex::promql
