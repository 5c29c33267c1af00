// What instrumentation costs. The contended runs use all cores of the machine; the naive baselines
// are what one would write without the library.
#include <benchmark/benchmark.h>

#include <atomic>
#include <mutex>
#include <string>

#include "narthex/client.h"

namespace narthex::client {
namespace {

// Question: what does an increment cost, alone and when threads fight over the counter?
void BM_CounterInc(benchmark::State& state) {
  static const Counter counter = *Counter::Declare(nullptr, {"c_total", "C."});
  for (auto _ : state) counter.Inc();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_CounterInc)->ThreadRange(1, 8);

void BM_CounterIncFraction(benchmark::State& state) {
  static const Counter counter = *Counter::Declare(nullptr, {"c_total", "C."});
  for (auto _ : state) counter.Inc(0.5);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_CounterIncFraction)->ThreadRange(1, 8);

// Baseline: the cheapest that counts rightly from all threads.
void BM_RelaxedAtomicAdd(benchmark::State& state) {
  static std::atomic<uint64_t> value{0};
  for (auto _ : state) value.fetch_add(1, std::memory_order_relaxed);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_RelaxedAtomicAdd)->ThreadRange(1, 8);

// Baseline: one atomic for everybody.
void BM_NaiveAtomicDouble(benchmark::State& state) {
  static std::atomic<double> value{0};
  for (auto _ : state) {
    double seen = value.load();
    while (!value.compare_exchange_weak(seen, seen + 1)) {
    }
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_NaiveAtomicDouble)->ThreadRange(1, 8);

void BM_GaugeSet(benchmark::State& state) {
  const Gauge gauge = *Gauge::Declare(nullptr, {"g", "G."});
  for (auto _ : state) gauge.Set(1);
}
BENCHMARK(BM_GaugeSet);

// Question: what does looking a child up cost compared with keeping its handle?
void BM_WithLabels(benchmark::State& state) {
  static const Family<Counter> family =
      *Family<Counter>::Declare(nullptr, {"f_total", "F."}, {"handler", "code"});
  for (auto _ : state) family.WithLabels({"/api/v1/query_range", "200"}).Inc();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_WithLabels)->ThreadRange(1, 4);

struct HandlerLabel {
  static constexpr std::string_view kName = "handler";
  enum Value { kQuery, kQueryRange };
  static constexpr std::string_view kValues[] = {"/api/v1/query", "/api/v1/query_range"};
};
struct CodeLabel {
  static constexpr std::string_view kName = "code";
  enum Value { k200, k400 };
  static constexpr std::string_view kValues[] = {"200", "400"};
};
void BM_TypedFamily(benchmark::State& state) {
  static const auto family =
      *TypedFamily<Counter, HandlerLabel, CodeLabel>::Declare(nullptr, {"f_total", "F."});
  for (auto _ : state) family(HandlerLabel::kQueryRange, CodeLabel::k200).Inc();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_TypedFamily)->ThreadRange(1, 4);

void BM_HistogramObserve(benchmark::State& state) {
  static const Histogram classic = *Histogram::Declare(nullptr, {"h", "H."});
  static const Histogram native =
      *Histogram::Declare(nullptr, {"h", "H."}, HistogramOptions{}.WithNative(1.1, 100));
  const Histogram& h = state.range(0) == 0 ? classic : native;
  double v = 0.001;
  for (auto _ : state) {
    h.Observe(v);
    v = v > 20 ? 0.001 : v * 1.1;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_HistogramObserve)->ArgName("native")->Arg(0)->Arg(1)->ThreadRange(1, 4);

// Baseline: a mutex around the numbers.
void BM_NaiveMutexHistogram(benchmark::State& state) {
  static std::mutex mutex;
  static uint64_t counts[12];
  static double sum = 0;
  double v = 0.001;
  for (auto _ : state) {
    const std::lock_guard lock(mutex);
    size_t i = 0;
    for (const double bound : DefaultBuckets()) i += !(v <= bound);
    ++counts[i];
    sum += v;
    v = v > 20 ? 0.001 : v * 1.1;
  }
  benchmark::DoNotOptimize(counts[0]);
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_NaiveMutexHistogram)->ThreadRange(1, 4);

void BM_SummaryObserve(benchmark::State& state) {
  SummaryOptions options;
  if (state.range(0) == 1) options.objectives = {{0.5, 0.05}, {0.9, 0.01}, {0.99, 0.001}};
  const Summary s = *Summary::Declare(nullptr, {"s", "S."}, options);
  double v = 0.001;
  for (auto _ : state) {
    s.Observe(v);
    v = v > 20 ? 0.001 : v * 1.1;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_SummaryObserve)->ArgName("objectives")->Arg(0)->Arg(1);

// Question: what does a page cost per series, in each format?
void BM_Scrape(benchmark::State& state) {
  constexpr const char* kAccept[] = {
      "text/plain", "application/openmetrics-text;version=1.0.0",
      "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"};
  Registry registry;
  const Family<Counter> family(registry, {"requests_total", "Requests."}, {"handler", "code"});
  const auto series = static_cast<int>(state.range(1));
  for (int i = 0; i < series; ++i) {
    family.WithLabels({"/api/v1/" + std::to_string(i / 5), std::to_string(200 + i % 5)}).Inc(i);
  }
  size_t bytes = 0;
  for (auto _ : state) {
    const ScrapeResponse response = Scrape(registry, kAccept[state.range(0)]);
    bytes = response.body.size();
    benchmark::DoNotOptimize(response.body.data());
  }
  state.SetItemsProcessed(state.iterations() * series);
  state.counters["body_bytes"] = static_cast<double>(bytes);
}
BENCHMARK(BM_Scrape)
    ->ArgNames({"format", "series"})
    ->ArgsProduct({{0, 1, 2}, {1'000, 100'000}})
    ->Unit(benchmark::kMicrosecond);

void BM_ProcessCollector(benchmark::State& state) {
  const std::shared_ptr<Collector> collector = MakeProcessCollector();
  std::vector<MetricFamily> families;
  for (auto _ : state) {
    families.clear();
    collector->Collect(families);
  }
}
BENCHMARK(BM_ProcessCollector)->Unit(benchmark::kMicrosecond);

// Question: what does a series cost in memory?
double ResidentBytes() {
  std::vector<MetricFamily> families;
  MakeProcessCollector()->Collect(families);
  for (const MetricFamily& family : families) {
    if (family.name == "process_resident_memory_bytes") {
      return std::get<GaugeValue>(family.metrics[0].value).value;
    }
  }
  return 0;
}

void BM_MemoryPerCounter(benchmark::State& state) {
  constexpr int kSeries = 100'000;
  for (auto _ : state) {
    const double before = ResidentBytes();
    const Family<Counter> family =
        *Family<Counter>::Declare(nullptr, {"f_total", "F."}, {"handler", "code"});
    for (int i = 0; i < kSeries; ++i) {
      family.WithLabels({std::to_string(i / 5), std::to_string(200 + i % 5)});
    }
    state.counters["bytes_per_series"] = (ResidentBytes() - before) / kSeries;
  }
}
BENCHMARK(BM_MemoryPerCounter)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace narthex::client
