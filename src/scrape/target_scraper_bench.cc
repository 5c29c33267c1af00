// Question: what does one core pay for a sample of a page whose series are all known, and how much
// less is that than parsing and labelling each line? The store does nothing here.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "scrape/target_scraper.h"
#include "util/log.h"

namespace narthex::scrape {
namespace {

class NullStore final : public storage::Appendable {
 public:
  std::unique_ptr<storage::Appender> NewAppender() override {
    return std::make_unique<NullAppender>(&next_ref_);
  }

 private:
  class NullAppender final : public storage::Appender {
   public:
    explicit NullAppender(storage::SeriesRef* next_ref) : next_ref_(next_ref) {}
    Result<storage::SeriesRef> Append(storage::SeriesRef ref, const Labels&, int64_t, double,
                                      const storage::AppendOptions&) override {
      return ref != 0 ? ref : ++*next_ref_;
    }
    Result<storage::SeriesRef> AppendHistogram(storage::SeriesRef ref, const Labels&, int64_t,
                                               const Histogram&,
                                               const storage::AppendOptions&) override {
      return ref != 0 ? ref : ++*next_ref_;
    }
    Result<storage::SeriesRef> AppendFloatHistogram(storage::SeriesRef ref, const Labels&, int64_t,
                                                    const FloatHistogram&,
                                                    const storage::AppendOptions&) override {
      return ref != 0 ? ref : ++*next_ref_;
    }
    void AppendFloats(std::span<const storage::RefSample> samples,
                      std::span<storage::AppendOutcome>) override {
      benchmark::DoNotOptimize(samples.data());
    }
    Status AppendExemplar(storage::SeriesRef, const Labels&, const Exemplar&) override {
      return {};
    }
    Status UpdateMetadata(storage::SeriesRef, const Labels&, const Metadata&) override {
      return {};
    }
    Result<storage::SeriesRef> AppendStartZero(storage::SeriesRef ref, const Labels&, int64_t,
                                               int64_t, const FloatHistogram*) override {
      return ref;
    }
    Status Commit() override { return {}; }
    Status Rollback() override { return {}; }

   private:
    storage::SeriesRef* next_ref_;
  };
  storage::SeriesRef next_ref_ = 0;
};

std::string MakePage(size_t series, size_t first) {
  std::string page;
  uint64_t random = 42;
  for (size_t i = first; i < first + series; ++i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    if (i % 20 == 0) {
      page += fmt::format("# HELP http_requests_{}_total Requests served by handler.\n", i / 20);
      page += fmt::format("# TYPE http_requests_{}_total counter\n", i / 20);
    }
    page += fmt::format(
        "http_requests_{}_total{{code=\"{}\",handler=\"/api/v1/query_{}\",method=\"get\"}} {}\n",
        i / 20, 200 + i % 20, i % 7, static_cast<double>(random >> 44) / 1000);
  }
  return page;
}

struct Fixture {
  Fixture() {
    auto config = std::make_shared<ScrapeConfig>();
    config->job_name = "bench";
    ScraperSettings settings;
    settings.config = std::move(config);
    settings.target_labels = Labels{{"instance", "localhost:9100"}, {"job", "bench"}};
    scraper = std::make_unique<TargetScraper>(std::move(settings),
                                              std::make_shared<MetadataInterner>(), &metrics);
  }
  void Scrape(std::string_view page) {
    now_ms += 15'000;
    const ScrapeOutcome outcome = scraper->ScrapeAndReport(
        {page, "text/plain; version=0.0.4", {}, 0}, now_ms, store, &scratch, [] { return 0.1; });
    benchmark::DoNotOptimize(outcome.scraped);
  }
  ScrapeMetrics metrics;
  NullStore store;
  ScrapeScratch scratch;
  std::unique_ptr<TargetScraper> scraper;
  int64_t now_ms = 0;
};

void BM_SteadyScrape(benchmark::State& state) {
  const auto series = static_cast<size_t>(state.range(0));
  const std::string page = MakePage(series, 0);
  Fixture f;
  f.Scrape(page);
  for (auto _ : state) f.Scrape(page);
  state.SetItemsProcessed(static_cast<int64_t>(series * state.iterations()));
  state.SetBytesProcessed(static_cast<int64_t>(page.size() * state.iterations()));
  state.counters["bytes_per_entry"] =
      static_cast<double>(f.scraper->series_cache().bytes()) / static_cast<double>(series);
}
BENCHMARK(BM_SteadyScrape)->Arg(100)->Arg(2000)->Arg(50000);

// One line of the page came, another went: a rebuild of the cache.
void BM_ChangingScrape(benchmark::State& state) {
  const std::string pages[] = {MakePage(2000, 0), MakePage(2000, 1)};
  Fixture f;
  size_t i = 0;
  for (auto _ : state) f.Scrape(pages[i++ % 2]);
  state.SetItemsProcessed(static_cast<int64_t>(2000 * state.iterations()));
}
BENCHMARK(BM_ChangingScrape);

// The naive baseline, and what the first scrape costs: every line parsed, labelled and appended.
void BM_FirstScrape(benchmark::State& state) {
  const std::string page = MakePage(2000, 0);
  for (auto _ : state) {
    Fixture f;
    f.Scrape(page);
  }
  state.SetItemsProcessed(static_cast<int64_t>(2000 * state.iterations()));
}
BENCHMARK(BM_FirstScrape);

}  // namespace
}  // namespace narthex::scrape
