// The same questions as in client_bench.cc, asked of prometheus-cpp, where that is installed
// (Debian: prometheus-cpp-dev).
#if __has_include(<prometheus/counter.h>)
#include <benchmark/benchmark.h>
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <sstream>
#include <string>

namespace {

void BM_Peer_CounterInc(benchmark::State& state) {
  static prometheus::Counter counter;
  for (auto _ : state) counter.Increment();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Peer_CounterInc)->ThreadRange(1, 8);

prometheus::Family<prometheus::Counter>& Requests(prometheus::Registry& registry) {
  return prometheus::BuildCounter().Name("requests_total").Help("Requests.").Register(registry);
}

void BM_Peer_WithLabels(benchmark::State& state) {
  static prometheus::Registry registry;
  static auto& family = Requests(registry);
  for (auto _ : state) {
    family.Add({{"handler", "/api/v1/query_range"}, {"code", "200"}}).Increment();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Peer_WithLabels)->ThreadRange(1, 4);

void BM_Peer_HistogramObserve(benchmark::State& state) {
  static prometheus::Histogram histogram({.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10});
  double v = 0.001;
  for (auto _ : state) {
    histogram.Observe(v);
    v = v > 20 ? 0.001 : v * 1.1;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Peer_HistogramObserve)->ThreadRange(1, 4);

void BM_Peer_Scrape(benchmark::State& state) {
  prometheus::Registry registry;
  auto& family = Requests(registry);
  const auto series = static_cast<int>(state.range(0));
  for (int i = 0; i < series; ++i) {
    family
        .Add({{"handler", "/api/v1/" + std::to_string(i / 5)},
              {"code", std::to_string(200 + i % 5)}})
        .Increment(i);
  }
  for (auto _ : state) {
    std::ostringstream page;
    prometheus::TextSerializer().Serialize(page, registry.Collect());
    std::string body = page.str();
    benchmark::DoNotOptimize(body.data());
  }
  state.SetItemsProcessed(state.iterations() * series);
}
BENCHMARK(BM_Peer_Scrape)
    ->ArgName("series")
    ->Arg(1'000)
    ->Arg(100'000)
    ->Unit(benchmark::kMicrosecond);

}  // namespace
#endif
