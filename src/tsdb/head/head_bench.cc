// What does the head cost: nanoseconds a sample when pages of known series arrive, microseconds to
// make a series, resident bytes a series, seconds to replay?
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tsdb/head/churn_testing.h"
#include "tsdb/head/head.h"
#include "util/log.h"

namespace narthex::tsdb {
namespace {

constexpr int kSeriesPerTarget = 1000;
constexpr int64_t kIntervalMs = 15'000;

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t pages = 0;
  int64_t resident = 0;
  statm >> pages >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

// Eight labels, of the shape a scrape of application metrics has: a name, two labels of the target,
// five of the metric.
Labels SeriesLabels(int target, int i) {
  return Labels{{"__name__", "http_requests_" + std::to_string(i / 20) + "_total"},
                {"code", std::to_string(200 + i % 4)},
                {"handler", "/api/v1/resource/" + std::to_string(i % 5)},
                {"instance", "10.0." + std::to_string(target / 250) + "." +
                                 std::to_string(target % 250) + ":9100"},
                {"job", "node-" + std::to_string(target % 10)},
                {"method", i % 2 == 0 ? "GET" : "POST"},
                {"region", "eu-west-" + std::to_string(target % 3)},
                {"zone", std::to_string(i % 20)}};
}

struct Store {
  explicit Store(bool with_wal) {
    HeadOptions options;
    options.directory = directory.path();
    if (with_wal) {
      wal = *Wal::Open(FileSystem::Posix(), JoinPath(directory.path(), "wal"), {});
      options.wal = wal.get();
    }
    head = std::make_unique<Head>(options);
    if (with_wal) {
      std::optional<WalCorruption> corruption;
      if (!head->Replay(INT64_MIN, &corruption).ok()) std::abort();
    }
  }
  void MakeSeries(int series, int64_t t) {
    refs.reserve(static_cast<size_t>(series));
    for (int target = 0; target < series / kSeriesPerTarget; ++target) {
      auto appender = head->NewAppender();
      for (int i = 0; i < kSeriesPerTarget; ++i) {
        refs.push_back(*appender->Append(0, SeriesLabels(target, i), t, 1, {}));
      }
      if (!appender->Commit().ok()) std::abort();
    }
  }
  // One scrape of every target: two thirds counters that move, one third that rest.
  void Scrape(int64_t t, std::mt19937_64& random) {
    page.resize(kSeriesPerTarget);
    outcomes.resize(kSeriesPerTarget);
    values.resize(refs.size());
    for (size_t first = 0; first < refs.size(); first += kSeriesPerTarget) {
      for (size_t i = 0; i < kSeriesPerTarget; ++i) {
        double& value = values[first + i];
        if (i % 3 != 0) value += static_cast<double>(random() % 100);
        page[i] = {refs[first + i], t, value};
      }
      auto appender = head->NewAppender();
      appender->AppendFloats(page, outcomes);
      if (!appender->Commit().ok()) std::abort();
    }
  }

  TemporaryDirectory directory;
  std::unique_ptr<Wal> wal;
  std::unique_ptr<Head> head;
  std::vector<storage::SeriesRef> refs;
  std::vector<double> values;
  std::vector<storage::RefSample> page;
  std::vector<storage::AppendOutcome> outcomes;
};

void BM_AppendFloats(benchmark::State& state) {
  SetLogLevel(LogLevel::kError);
  Store store(state.range(1) != 0);
  std::mt19937_64 random(42);
  int64_t t = kIntervalMs;
  store.MakeSeries(static_cast<int>(state.range(0)), t);
  int64_t samples = 0;
  for (auto _ : state) {
    t += kIntervalMs;
    store.Scrape(t, random);
    samples += static_cast<int64_t>(store.refs.size());
    if (!store.head->MapFullChunks().ok()) std::abort();
  }
  state.SetItemsProcessed(samples);
  state.counters["ns_per_sample"] =
      benchmark::Counter(static_cast<double>(samples) * 1e-9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_AppendFloats)
    ->Args({10'000, 0})
    ->Args({10'000, 1})
    ->Args({200'000, 0})
    ->Args({200'000, 1})
    ->Unit(benchmark::kMillisecond);

void BM_MakeSeries(benchmark::State& state) {
  SetLogLevel(LogLevel::kError);
  for (auto _ : state) {
    Store store(false);
    store.MakeSeries(static_cast<int>(state.range(0)), kIntervalMs);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_MakeSeries)->Arg(100'000)->Iterations(3)->Unit(benchmark::kMillisecond);

// Resident bytes a series after `scrapes` rounds, everything of the process counted.
void BM_BytesPerSeries(benchmark::State& state) {
  SetLogLevel(LogLevel::kError);
  for (auto _ : state) {
    const int64_t before = ResidentBytes();
    Store store(true);
    std::mt19937_64 random(42);
    store.MakeSeries(static_cast<int>(state.range(0)), kIntervalMs);
    const double after_making = static_cast<double>(ResidentBytes() - before);
    for (int64_t i = 2; i <= state.range(1); ++i) {
      store.Scrape(i * kIntervalMs, random);
      if (!store.head->MapFullChunks().ok()) std::abort();
    }
    const double count = static_cast<double>(store.refs.size());
    // The bench's own tables: reference and value.
    const double own = 16 * count;
    state.counters["made"] = (after_making - own / 2) / count;
    state.counters["bytes"] = (static_cast<double>(ResidentBytes() - before) - own) / count;
    state.counters["slabs"] = static_cast<double>(store.head->slab_bytes()) / count;
  }
}
BENCHMARK(BM_BytesPerSeries)
    ->Args({1'000'000, 9})
    ->Args({1'000'000, 60})
    ->Iterations(1)
    ->Unit(benchmark::kSecond);

void BM_Replay(benchmark::State& state) {
  SetLogLevel(LogLevel::kError);
  Store store(true);
  std::mt19937_64 random(42);
  store.MakeSeries(static_cast<int>(state.range(0)), kIntervalMs);
  for (int64_t i = 2; i <= 9; ++i) store.Scrape(i * kIntervalMs, random);
  for (auto _ : state) {
    HeadOptions options;
    options.directory = store.directory.path();
    options.wal = store.wal.get();
    Head head(options);
    std::optional<WalCorruption> corruption;
    if (!head.Replay(INT64_MIN, &corruption).ok()) std::abort();
    if (head.series_count() != store.refs.size()) std::abort();
  }
  state.SetItemsProcessed(state.iterations() * 9 * state.range(0));
}
BENCHMARK(BM_Replay)->Arg(1'000'000)->Iterations(1)->Unit(benchmark::kSecond)->UseRealTime();

// An hour in which every series is replaced every five minutes: what is held after the cuts, and
// how long a commit of 1000 samples and a query of one series took at most, during collections and
// not.
void BM_Churn(benchmark::State& state) {
  SetLogLevel(LogLevel::kError);
  for (auto _ : state) {
    const ChurnResult result = RunChurn(static_cast<int>(state.range(0)), 60, false);
    if (!result.ok || result.series.size() < 2) std::abort();
    const auto ms = [](int64_t nanos) { return static_cast<double>(nanos) * 1e-6; };
    state.counters["append_ms"] = ms(result.append_nanos_max[0]);
    state.counters["append_gc_ms"] = ms(result.append_nanos_max[1]);
    state.counters["query_ms"] = ms(result.query_nanos_max[0]);
    state.counters["query_gc_ms"] = ms(result.query_nanos_max[1]);
    state.counters["append_cpu_ms"] = ms(result.append_cpu_max);
    state.counters["hold_cpu_ms"] = ms(result.hold_cpu_max);
    state.counters["collect_cpu_ms"] = ms(result.collect_cpu_max);
    state.counters["collect_ms"] = ms(result.collect_nanos_max);
    for (size_t i = 0; i < result.series.size(); ++i) {
      std::printf("cut %zu: %zu series, %.1f MB slabs, %.1f MB symbols\n", i + 1, result.series[i],
                  static_cast<double>(result.slab_bytes[i]) * 1e-6,
                  static_cast<double>(result.symbol_bytes[i]) * 1e-6);
    }
  }
  state.counters["resident_MB"] = static_cast<double>(ResidentBytes()) * 1e-6;
}
BENCHMARK(BM_Churn)->Arg(200'000)->Iterations(1)->Unit(benchmark::kSecond)->UseRealTime();

}  // namespace
}  // namespace narthex::tsdb
