// Questions: how fast is a page read by one core, parsing each line, and how fast when every line
// is known from the scrape before?
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "exposition/content_type.h"
#include "util/hash.h"

namespace narthex::exposition {
namespace {

// Lines as a service exposes them: a few labels, integers and fractions.
std::string MakePage(size_t series, bool openmetrics) {
  std::string page;
  uint64_t random = 42;
  for (size_t i = 0; i < series; ++i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    if (i % 20 == 0) {
      page += fmt::format("# HELP http_requests_{}_total Requests served by handler.\n", i / 20);
      page += fmt::format("# TYPE http_requests_{}_total counter\n", i / 20);
    }
    const double value = static_cast<double>(random >> 44) / (i % 3 == 0 ? 1000.0 : 1.0);
    page += fmt::format(
        "http_requests_{}_total{{code=\"{}\",handler=\"/api/v1/query_{}\",method=\"get\"}} {}\n",
        i / 20, 200 + i % 20, i % 7, value);
  }
  if (openmetrics) page += "# EOF\n";
  return page;
}

void BM_Parse(benchmark::State& state) {
  const bool openmetrics = state.range(0) != 0;
  const std::string page = MakePage(2000, openmetrics);
  const auto format = openmetrics ? ContentType::Format::kOpenMetrics : ContentType::Format::kText;
  double sum = 0;
  for (auto _ : state) {
    const auto parser = CreateParser(format, page, {});
    for (Entry e = parser->Next(); e != Entry::kEnd; e = parser->Next()) sum += parser->value();
  }
  benchmark::DoNotOptimize(sum);
  state.SetBytesProcessed(static_cast<int64_t>(page.size() * state.iterations()));
}
BENCHMARK(BM_Parse)->ArgName("openmetrics")->Arg(0)->Arg(1);

// The naive baseline: labels of every line as well.
void BM_ParseWithLabels(benchmark::State& state) {
  const std::string page = MakePage(2000, false);
  size_t sum = 0;
  for (auto _ : state) {
    const auto parser = CreateParser(ContentType::Format::kText, page, {});
    for (Entry e = parser->Next(); e != Entry::kEnd; e = parser->Next()) {
      if (e == Entry::kSeries) sum += parser->SeriesLabels().encoded().size();
    }
  }
  benchmark::DoNotOptimize(sum);
  state.SetBytesProcessed(static_cast<int64_t>(page.size() * state.iterations()));
}
BENCHMARK(BM_ParseWithLabels);

void BM_TakeKnown(benchmark::State& state) {
  struct Known {
    size_t length;
    uint64_t hash;
  };
  const std::string page = MakePage(2000, false);
  std::vector<Known> known;
  {
    const auto parser = CreateParser(ContentType::Format::kText, page, {});
    for (Entry e = parser->Next(); e != Entry::kEnd; e = parser->Next()) {
      if (e == Entry::kSeries) {
        known.push_back({parser->series().size(), FastHash64(parser->series())});
      }
    }
  }
  double sum = 0;
  for (auto _ : state) {
    const auto parser = CreateParser(ContentType::Format::kText, page, {});
    size_t next = 0;
    for (;;) {
      if (next < known.size() && parser->TakeKnownSeries(known[next].length, known[next].hash)) {
        sum += parser->value();
        ++next;
      } else if (parser->Next() == Entry::kEnd) {
        break;
      }
    }
  }
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(static_cast<int64_t>(known.size() * state.iterations()));
  state.SetBytesProcessed(static_cast<int64_t>(page.size() * state.iterations()));
}
BENCHMARK(BM_TakeKnown);

}  // namespace
}  // namespace narthex::exposition
