// Questions: how fast is a page read by one core, parsing each line, and how fast when every line
// is known from the scrape before?
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

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

// The files that upstream's own benchmarks read, where they are at hand: each line parsed, and each
// line known from the scrape before.
void BM_File(benchmark::State& state, const std::string& page, ContentType::Format format,
             bool known_lines) {
  struct Known {
    size_t length;
    uint64_t hash;
  };
  std::vector<Known> known;
  if (known_lines) {
    const auto parser = CreateParser(format, page, {});
    for (Entry e = parser->Next(); e != Entry::kEnd && e != Entry::kError; e = parser->Next()) {
      if (e == Entry::kSeries) {
        known.push_back({parser->series().size(), FastHash64(parser->series())});
      }
    }
  }
  for (auto _ : state) {
    const auto parser = CreateParser(format, page, {});
    size_t next = 0;
    for (;;) {
      if (next < known.size() && parser->TakeKnownSeries(known[next].length, known[next].hash)) {
        ++next;
        continue;
      }
      const Entry entry = parser->Next();
      if (entry == Entry::kSeries && known_lines) ++next;
      if (entry == Entry::kEnd) break;
      if (entry == Entry::kError) {
        state.SkipWithError("the file does not parse");
        break;
      }
    }
  }
  state.SetBytesProcessed(static_cast<int64_t>(page.size() * state.iterations()));
}

const bool kFilesRegistered = [] {
  const char* set = std::getenv("NARTHEX_CONFORMANCE_DIR");
  const std::filesystem::path folder =
      std::filesystem::path(set != nullptr ? set : "../shared/conformance") / "textparse/files";
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing)) {
    const std::string name = entry.path().filename();
    std::ifstream file(entry.path());
    const std::string page((std::istreambuf_iterator<char>(file)), {});
    const bool second = name.find("om2") != std::string::npos;
    const bool first = name.find(".om") != std::string::npos;
    const auto format = second  ? ContentType::Format::kOpenMetrics2
                        : first ? ContentType::Format::kOpenMetrics
                                : ContentType::Format::kText;
    for (const bool known : {false, true}) {
      benchmark::RegisterBenchmark(
          ("BM_File/" + name + (known ? "/known" : "/parse")).c_str(),
          [page, format, known](benchmark::State& state) { BM_File(state, page, format, known); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace narthex::exposition
