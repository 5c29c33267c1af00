#include "scrape/target_scraper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "scrape/fake_store_for_test.h"
#include "scrape/target.h"
#include "testing/conformance.h"

namespace narthex::scrape {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr std::string_view kText = "text/plain";
constexpr std::string_view kOpenMetrics = "application/openmetrics-text;version=1.0.0";

// One target and one store; a page a call, one second apart.
class Harness {
 public:
  using Change = std::function<void(ScrapeConfig*, ScraperSettings*)>;

  explicit Harness(const Change& change = {}) {
    auto config = std::make_shared<ScrapeConfig>();
    config->job_name = "j";
    ScraperSettings settings;
    if (change) change(config.get(), &settings);
    settings.config = std::move(config);
    scraper_ = std::make_unique<TargetScraper>(std::move(settings),
                                               std::make_shared<MetadataInterner>(), &metrics_);
  }

  // The lines stored for the page, without the report.
  std::vector<std::string> Scrape(std::string_view body, std::string_view type = kText,
                                  Status error = {}) {
    now_ms_ += 1000;
    ScrapedPage page{body, type, std::move(error), static_cast<int64_t>(body.size())};
    outcome_ = scraper_->ScrapeAndReport(page, now_ms_, store_, &scratch_, [] { return 0.25; });
    std::vector<std::string> lines = store_.TakeLines();
    report_.clear();
    std::erase_if(lines, [&](const std::string& line) {
      const bool report = line.starts_with("{__name__=\"up\"") ||
                          line.find("__name__=\"scrape_") != std::string::npos ||
                          line.starts_with("metadata {__name__=\"up\"");
      if (report) report_.push_back(line);
      return report;
    });
    return lines;
  }

  TargetScraper& scraper() { return *scraper_; }
  FakeStore& store() { return store_; }
  const ScrapeOutcome& outcome() const { return outcome_; }
  const std::vector<std::string>& report() const { return report_; }
  const ScrapeMetrics& metrics() const { return metrics_; }

 private:
  ScrapeMetrics metrics_;
  FakeStore store_;
  ScrapeScratch scratch_;
  std::unique_ptr<TargetScraper> scraper_;
  ScrapeOutcome outcome_;
  std::vector<std::string> report_;
  int64_t now_ms_ = 0;
};

std::string Line(std::string_view name, int64_t t, std::string_view value) {
  return fmt::format("{{__name__=\"{}\"}} {} {}", name, t, value);
}

TEST(TargetScraper, StoresPagesAndReports) {
  Harness h([](ScrapeConfig* config, ScraperSettings* settings) {
    config->extra_scrape_metrics = true;
    config->sample_limit = 10;
    settings->target_labels = Labels{{"instance", "h:1"}, {"job", "j"}};
    settings->timeout_nanos = 5'000'000'000;
  });
  EXPECT_THAT(h.Scrape("a 1\nb{job=\"x\"} 2.5\n"),
              ElementsAre("{__name__=\"a\", instance=\"h:1\", job=\"j\"} 1000 1",
                          "{__name__=\"b\", exported_job=\"x\", instance=\"h:1\", job=\"j\"} 1000 "
                          "2.5"));
  const auto series = [](std::string_view name, std::string_view value) {
    return fmt::format("{{__name__=\"{}\", instance=\"h:1\", job=\"j\"}} 1000 {}", name, value);
  };
  EXPECT_THAT(
      h.report(),
      ElementsAre(series("up", "1"), series("scrape_duration_seconds", "0.25"),
                  series("scrape_samples_scraped", "2"),
                  series("scrape_samples_post_metric_relabeling", "2"),
                  series("scrape_series_added", "2"), series("scrape_timeout_seconds", "5"),
                  series("scrape_sample_limit", "10"), series("scrape_body_size_bytes", "19")));
}

TEST(TargetScraper, SteadyStateIsTwoBatches) {
  Harness h;
  const std::string page = "# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2\nb 3\n";
  EXPECT_EQ(h.Scrape(page).size(), 3u);
  EXPECT_EQ(h.outcome().series_added, 3u);
  const size_t batches = h.store().batch_calls();
  const size_t singles = h.store().single_calls();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(h.Scrape(page).size(), 3u);
    EXPECT_EQ(h.outcome().series_added, 0u);
    EXPECT_EQ(h.outcome().scraped, 3u);
  }
  // The page and the report; nothing is appended with labels.
  EXPECT_EQ(h.store().batch_calls() - batches, 6u);
  EXPECT_EQ(h.store().single_calls(), singles);
}

// Each row: pages in order, and what the last of them stores.
TEST(TargetScraper, FollowsPagesThatChange) {
  struct Case {
    std::string_view title;
    std::vector<std::string_view> pages;
    std::vector<std::string> want;
    uint64_t series_added = 0;
  };
  const std::vector<Case> cases = {
      {"a line goes",
       {"a 1\nb 2\nc 3\n", "a 1\nc 3\n"},
       {Line("a", 2000, "1"), Line("c", 2000, "3"), Line("b", 2000, "stale")},
       0},
      {"the last line goes",
       {"a 1\nb 2\n", "a 1\n"},
       {Line("a", 2000, "1"), Line("b", 2000, "stale")},
       0},
      {"a line comes",
       {"a 1\nc 3\n", "a 1\nb 2\nc 3\n"},
       {Line("b", 2000, "2"), Line("a", 2000, "1"), Line("c", 2000, "3")},
       1},
      {"the order changes",
       {"a 1\nb 2\nc 3\n", "c 3\na 1\nb 2\n"},
       {Line("c", 2000, "3"), Line("a", 2000, "1"), Line("b", 2000, "2")},
       0},
      {"the order changes back",
       {"a 1\nb 2\nc 3\n", "c 3\nb 2\na 1\n", "a 1\nb 2\nc 3\n"},
       {Line("a", 3000, "1"), Line("b", 3000, "2"), Line("c", 3000, "3")},
       0},
      {"gone and back",
       {"a 1\nb 2\n", "a 1\n", "a 1\nb 2\n"},
       {Line("b", 3000, "2"), Line("a", 3000, "1")},
       1},
      {"stale only once", {"a 1\nb 2\n", "a 1\n", "a 1\n"}, {Line("a", 3000, "1")}, 0},
      {"an empty page ends all",
       {"a 1\nb 2\n", ""},
       {Line("a", 2000, "stale"), Line("b", 2000, "stale")},
       0},
      {"after an empty page nothing is stale", {"a 1\n", "", ""}, {}, 0},
      {"after an empty page references are still known",
       {"a 1\n", "", "a 1\n"},
       {Line("a", 3000, "1")},
       0},
      {"spelling changes, series stays",
       {"a{x=\"1\",y=\"2\"} 1\n", "a{y=\"2\",x=\"1\"} 2\n"},
       {"{__name__=\"a\", x=\"1\", y=\"2\"} 2000 2"},
       1},
      {"a repeated line is stored once",
       {"a 1\na 2\nb 3\n"},
       {Line("a", 1000, "1"), Line("b", 1000, "3")},
       2},
      {"again and again",
       {"a 1\na 2\nb 3\n", "a 1\na 2\nb 3\n"},
       {Line("a", 2000, "1"), Line("b", 2000, "3")},
       0},
      {"the first of the two goes",
       {"a 1\nb 3\na 2\n", "b 3\na 2\n"},
       {Line("b", 2000, "3"), Line("a", 2000, "2")},
       0},
      {"explicit times may repeat",
       {"a 1 100\na 2 200\n"},
       {Line("a", 100, "1"), Line("a", 200, "2")},
       1},
      {"explicit times are not tracked", {"a 1 100\nb 2\n", "b 2\n"}, {Line("b", 2000, "2")}, 0},
      {"far ahead is dropped", {"a 1 99999999999\nb 2\n"}, {Line("b", 1000, "2")}, 1},
      {"a broken page ends all",
       {"a 1\nb 2\n", "a 1\nb !\n"},
       {Line("a", 2000, "stale"), Line("b", 2000, "stale")},
       0},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.title);
    Harness h;
    std::vector<std::string> lines;
    for (const std::string_view page : c.pages) lines = h.Scrape(page);
    EXPECT_THAT(lines, ElementsAreArray(c.want));
    EXPECT_EQ(h.outcome().series_added, c.series_added);
  }
}

// The position cache must give what a scraper without a past would give, whatever the page does.
TEST(TargetScraper, RandomPagesEqualAFreshStore) {
  uint64_t random = 7;
  const auto next = [&](uint64_t below) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    return (random >> 33) % below;
  };
  Harness h;
  std::vector<int> order;
  std::map<std::string, double> before;
  for (int round = 0; round < 300; ++round) {
    for (uint64_t edits = next(4); edits > 0; --edits) {
      const size_t at = order.empty() ? 0 : next(order.size() + 1);
      const uint64_t what = next(3);
      if (what == 0) {
        order.insert(order.begin() + static_cast<ptrdiff_t>(at), static_cast<int>(next(40)));
      } else if (!order.empty() && what == 1) {
        order.erase(order.begin() + static_cast<ptrdiff_t>(next(order.size())));
      } else if (!order.empty()) {
        std::swap(order[next(order.size())], order[next(order.size())]);
      }
    }
    std::string page = "# page\n";
    std::map<std::string, double> now;  // By series; the first of a repeated one counts.
    for (const int id : order) {
      const auto value = static_cast<double>(next(1000));
      page += fmt::format("m{{id=\"{}\"}} {}\n", id, value);
      now.emplace(fmt::format("{{__name__=\"m\", id=\"{}\"}}", id), value);
    }
    const int64_t t = int64_t{1000} * (round + 1);
    std::vector<std::string> want;
    for (const auto& [labels, value] : now)
      want.push_back(fmt::format("{} {} {}", labels, t, value));
    for (const auto& [labels, value] : before) {
      if (!now.contains(labels)) want.push_back(fmt::format("{} {} stale", labels, t));
    }
    std::vector<std::string> got = h.Scrape(page);
    std::sort(want.begin(), want.end());
    std::sort(got.begin(), got.end());
    ASSERT_EQ(got, want) << "round " << round << "\n" << page;
    ASSERT_EQ(h.outcome().scraped, order.size());
    before = std::move(now);
  }
}

TEST(TargetScraper, FindsForgottenSeriesAgain) {
  Harness h;
  const std::string page = "# TYPE q summary\nq{quantile=\"1\"} 5\nb 2\n";
  h.Scrape(page);
  h.store().ForgetRefs();
  EXPECT_THAT(h.Scrape(page),
              ElementsAre("{__name__=\"q\", quantile=\"1.0\"} 2000 5", Line("b", 2000, "2")));
  const size_t singles = h.store().single_calls();
  EXPECT_EQ(h.Scrape(page).size(), 2u);
  EXPECT_EQ(h.store().single_calls(), singles);  // The new references are cached.
}

TEST(TargetScraper, FailuresHaveUpstreamsTexts) {
  struct Case {
    std::string_view body;
    std::string_view want;
    Harness::Change change;
  };
  const auto limit = [](uint64_t ScrapeConfig::* member, uint64_t value) {
    return [member, value](ScrapeConfig* c, ScraperSettings*) { c->*member = value; };
  };
  RelabelConfig drop_name;
  drop_name.action = RelabelAction::kLabelDrop;
  drop_name.regex = *RelabelRegex::Compile("__name__");
  for (const Case& c : {
           Case{"a 1\nb 2\nc 3\n", "sample limit exceeded", limit(&ScrapeConfig::sample_limit, 2)},
           Case{"a{b=\"c\"} 1\n", "label_limit exceeded (metric: a, number of labels: 2, limit: 1)",
                limit(&ScrapeConfig::label_limit, 1)},
           Case{"a{long_name=\"c\"} 1\n",
                "label_name_length_limit exceeded (metric: a, label name: long_name, length: 9, "
                "limit: 8)",
                limit(&ScrapeConfig::label_name_length_limit, 8)},
           Case{"a{n=\"a long value\"} 1\n",
                "label_value_length_limit exceeded (metric: a, label name: n, value: \"a long "
                "value\", length: 12, limit: 5)",
                limit(&ScrapeConfig::label_value_length_limit, 5)},
           Case{"a{b=\"1\"} 1\n", "missing metric name (__name__ label)",
                [&](ScrapeConfig* config, ScraperSettings*) {
                  config->metric_relabel_configs = {drop_name};
                }},
           Case{"{\"a.b\"} 1\n", "invalid metric name or label names: {__name__=\"a.b\"}",
                [](ScrapeConfig* config, ScraperSettings*) {
                  config->metric_name_validation_scheme = NameValidation::kLegacy;
                }},
           Case{"a{b=\"1\",b=\"2\"} 1\n", "label name \"b\" is not unique: invalid sample", {}},
           Case{"a 1\nb\n",
                "expected value after metric, got \"\\n\" (\"INVALID\") while parsing: \"b\\n\"",
                {}},
       }) {
    SCOPED_TRACE(c.want);
    Harness h(c.change);
    EXPECT_THAT(h.Scrape(c.body), IsEmpty());
    EXPECT_EQ(h.outcome().error.message(), c.want);
    EXPECT_THAT(h.report()[0], Line("up", 1000, "0"));
  }
}

TEST(TargetScraper, LimitsStillCountTheWholePage) {
  Harness h([](ScrapeConfig* c, ScraperSettings*) { c->sample_limit = 2; });
  h.Scrape("a 1\nb 2\nc 3\nd 4\n");
  EXPECT_EQ(h.outcome().scraped, 4u);
  EXPECT_EQ(h.outcome().post_relabel, 4u);
  EXPECT_EQ(h.metrics().exceeded_sample_limit_total.load(), 1u);
  EXPECT_THAT(h.Scrape("a 1\nb 2\n"), ElementsAre(Line("a", 2000, "1"), Line("b", 2000, "2")));
}

TEST(TargetScraper, FailedFetchEndsSeriesAndKeepsReport) {
  Harness h;
  h.Scrape("a 1\n");
  EXPECT_THAT(h.Scrape("", "", MakeError(ErrorCode::kUnavailable, "connection refused")),
              ElementsAre(Line("a", 2000, "stale")));
  EXPECT_EQ(h.outcome().error.message(), "connection refused");
  EXPECT_EQ(h.report()[0], Line("up", 2000, "0"));
  EXPECT_EQ(h.report()[2], Line("scrape_samples_scraped", 2000, "0"));
}

TEST(TargetScraper, RelabelledAwaySeriesAreRemembered) {
  RelabelConfig drop;
  drop.source_labels = {"__name__"};
  drop.has_source_labels = true;
  drop.regex = *RelabelRegex::Compile("secret.*");
  drop.action = RelabelAction::kDrop;
  Harness h([&](ScrapeConfig* c, ScraperSettings*) { c->metric_relabel_configs = {drop}; });
  for (int i = 1; i <= 2; ++i) {
    EXPECT_THAT(h.Scrape("secret_a 1\nb 2\n"), ElementsAre(Line("b", int64_t{1000} * i, "2")));
    EXPECT_EQ(h.outcome().scraped, 2u);
    EXPECT_EQ(h.outcome().post_relabel, 1u);
  }
}

TEST(TargetScraper, TimestampsAreHonoredOrNot) {
  Harness ignoring([](ScrapeConfig* c, ScraperSettings*) { c->honor_timestamps = false; });
  EXPECT_THAT(ignoring.Scrape("a 1 100\na 2 200\n"), ElementsAre(Line("a", 1000, "1")));
  EXPECT_EQ(ignoring.metrics().sample_duplicate_total.load(), 1u);
  Harness tracking([](ScrapeConfig* c, ScraperSettings*) { c->track_timestamps_staleness = true; });
  tracking.Scrape("a 1 100\nb 2\n");
  EXPECT_THAT(tracking.Scrape("b 2\n"),
              ElementsAre(Line("b", 2000, "2"), Line("a", 2000, "stale")));
}

TEST(TargetScraper, StoresExemplarsOfKnownAndNewSeries) {
  Harness h;
  const std::string page =
      "# TYPE c counter\nc_total 1 # {id=\"x\"} 0.5 0.9\nc_total{a=\"b\"} 2 # {id=\"y\"} 1\n# "
      "EOF\n";
  EXPECT_THAT(
      h.Scrape(page, kOpenMetrics),
      ElementsAre(Line("c_total", 1000, "1"), "exemplar {__name__=\"c_total\"} 900 {id=\"x\"} 0.5",
                  "{__name__=\"c_total\", a=\"b\"} 1000 2",
                  "exemplar {__name__=\"c_total\", a=\"b\"} 1000 {id=\"y\"} 1"));
  EXPECT_THAT(h.Scrape(page, kOpenMetrics),
              ElementsAre("exemplar {__name__=\"c_total\"} 900 {id=\"x\"} 0.5",
                          "exemplar {__name__=\"c_total\", a=\"b\"} 2000 {id=\"y\"} 1",
                          Line("c_total", 2000, "1"), "{__name__=\"c_total\", a=\"b\"} 2000 2"));
}

TEST(TargetScraper, ConvertsClassicHistograms) {
  const std::string page =
      "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\ng "
      "1\n";
  Harness h([](ScrapeConfig*, ScraperSettings* s) { s->convert_classic = true; });
  const std::string converted = "{count:3, sum:4, [-Inf,1]:1, (1,+Inf]:2}";
  EXPECT_THAT(h.Scrape(page), ElementsAre(Line("h", 1000, converted), Line("g", 1000, "1")));
  EXPECT_THAT(h.Scrape(page), ElementsAre(Line("h", 2000, converted), Line("g", 2000, "1")));
  EXPECT_EQ(h.outcome().series_added, 0u);
  EXPECT_THAT(h.Scrape("g 1\n"), ElementsAre(Line("g", 3000, "1"), Line("h", 3000, "stale")));
  Harness limited([](ScrapeConfig* c, ScraperSettings* s) {
    s->convert_classic = true;
    c->native_histogram_bucket_limit = 1;
  });
  limited.Scrape(page);
  EXPECT_EQ(limited.outcome().error.message(), "histogram bucket limit exceeded");
}

TEST(TargetScraper, UsesStartTimestamps) {
  const std::string page = "# TYPE c counter\nc_total 5\nc_created 0.5\n# EOF\n";
  Harness stored([](ScrapeConfig*, ScraperSettings* s) { s->features.start_timestamps = true; });
  EXPECT_THAT(stored.Scrape(page, kOpenMetrics), ElementsAre(Line("c_total", 1000, "5 st@500")));
  EXPECT_THAT(stored.Scrape(page, kOpenMetrics), ElementsAre(Line("c_total", 2000, "5 st@500")));
  Harness zero(
      [](ScrapeConfig*, ScraperSettings* s) { s->features.start_timestamp_zero_samples = true; });
  EXPECT_THAT(zero.Scrape(page, kOpenMetrics),
              ElementsAre(Line("c_total", 500, "0 (start)"), Line("c_total", 1000, "5")));
  EXPECT_THAT(zero.Scrape(page, kOpenMetrics), ElementsAre(Line("c_total", 2000, "5")));
  Harness synthetic(
      [](ScrapeConfig*, ScraperSettings* s) { s->features.synthesize_start_timestamps = true; });
  EXPECT_THAT(synthetic.Scrape("# TYPE c counter\nc 5\ng 1\n"), ElementsAre(Line("g", 1000, "1")));
  EXPECT_THAT(synthetic.Scrape("# TYPE c counter\nc 7\ng 1\n"),
              ElementsAre(Line("c", 2000, "2 st@1000"), Line("g", 2000, "1")));
  EXPECT_THAT(synthetic.Scrape("# TYPE c counter\nc 3\ng 1\n"),
              ElementsAre(Line("c", 3000, "3 st@2999"), Line("g", 3000, "1")));
}

TEST(TargetScraper, KeepsMetadata) {
  Harness h([](ScrapeConfig*, ScraperSettings* s) { s->features.metadata_to_storage = true; });
  const std::string page = "# HELP a_total Help.\n# TYPE a_total counter\na_total 1\nother 2\n";
  EXPECT_THAT(h.Scrape(page), ElementsAre(Line("a_total", 1000, "1"),
                                          "metadata {__name__=\"a_total\"} counter  Help.",
                                          Line("other", 1000, "2")));
  EXPECT_EQ(h.Scrape(page).size(), 2u);
  const auto changed =
      h.Scrape("# HELP a_total New.\n# TYPE a_total counter\na_total 1\nother 2\n");
  EXPECT_THAT(changed, ElementsAre(Line("a_total", 3000, "1"),
                                   "metadata {__name__=\"a_total\"} counter  New.",
                                   Line("other", 3000, "2")));
  const auto list = h.scraper().metadata().List();
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0]->metadata.help, "New.");
  EXPECT_EQ(h.scraper().metadata().text_bytes(), 4u + 7u);
  // Ten scrapes without it are forgiven.
  for (int i = 0; i < 10; ++i) h.Scrape("other 2\n");
  EXPECT_EQ(h.scraper().metadata().count(), 1u);
  h.Scrape("other 2\n");
  EXPECT_EQ(h.scraper().metadata().count(), 0u);
}

TEST(TargetScraper, EndOfRunMarksSeriesAndReport) {
  Harness h;
  h.Scrape("a 1\nb 2\n");
  ASSERT_TRUE(h.scraper().WriteEndOfRunMarkers(5000, h.store()).ok());
  EXPECT_THAT(h.store().TakeLines(),
              UnorderedElementsAre(Line("a", 5000, "stale"), Line("b", 5000, "stale"),
                                   Line("up", 5000, "stale"),
                                   Line("scrape_duration_seconds", 5000, "stale"),
                                   Line("scrape_samples_scraped", 5000, "stale"),
                                   Line("scrape_samples_post_metric_relabeling", 5000, "stale"),
                                   Line("scrape_series_added", 5000, "stale")));
}

TEST(TargetScraper, CacheIsSmall) {
  Harness h;
  std::string page;
  for (int i = 0; i < 1000; ++i) page += fmt::format("metric_name{{label=\"value{}\"}} {}\n", i, i);
  h.Scrape(page);
  EXPECT_EQ(h.scraper().series_cache().size(), 1000u);
  EXPECT_LE(h.scraper().series_cache().bytes(), 40'000u);
}

// ---------------------------------------------------------------------------------------------
// Upstream's cases
// ---------------------------------------------------------------------------------------------

Labels LabelsOf(const boost::json::value& list) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& pair : list.as_array()) {
    pairs.emplace_back(testing::AsText(pair.as_array()[0]), testing::AsText(pair.as_array()[1]));
  }
  return Labels::FromPairs(pairs);
}

TEST(ScrapeConformance, LabelsAndLimits) {
  const auto cases = testing::LoadCases("scrape/cases.jsonl");
  if (!cases) GTEST_SKIP() << testing::kNoConformanceData;
  int count = 0;
  for (const auto& test : *cases) {
    const std::string kind = testing::TextOf(test, "kind");
    if (kind != "honor_labels" && kind != "conflicting_labels" && kind != "label_limits") continue;
    SCOPED_TRACE(testing::TextOf(test, "title"));
    ++count;
    Harness h([&](ScrapeConfig* config, ScraperSettings* settings) {
      settings->target_labels = LabelsOf(test.at("target_labels"));
      config->honor_labels = testing::BoolOf(test, "honor_labels");
      if (const auto* limits = testing::Find(test, "limits")) {
        config->label_limit = static_cast<uint64_t>(testing::IntOf(*limits, "labelLimit"));
        config->label_name_length_limit =
            static_cast<uint64_t>(testing::IntOf(*limits, "labelNameLengthLimit"));
        config->label_value_length_limit =
            static_cast<uint64_t>(testing::IntOf(*limits, "labelValueLengthLimit"));
      }
    });
    const std::vector<std::string> lines = h.Scrape(testing::TextOf(test, "text") + "\n");
    if (kind == "label_limits") {
      EXPECT_EQ(!h.outcome().error.ok(), testing::BoolOf(test, "scrape_fails"));
      continue;
    }
    const std::string want = kind == "honor_labels" ? testing::TextOf(test, "series")
                                                    : LabelsOf(test.at("series_labels")).ToString();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_TRUE(lines[0].starts_with(want + " ")) << lines[0];
  }
  EXPECT_GE(count, 14);
}

TEST(ScrapeConformance, TargetLabels) {
  const auto cases = testing::LoadCases("scrape/cases.jsonl");
  if (!cases) GTEST_SKIP() << testing::kNoConformanceData;
  int count = 0;
  for (const auto& test : *cases) {
    if (testing::TextOf(test, "kind") != "target_labels") continue;
    ++count;
    SCOPED_TRACE(boost::json::serialize(test));
    ScrapeConfig config;
    config.job_name = testing::TextOf(test, "job_name");
    config.scheme = testing::TextOf(test, "scheme");
    config.metrics_path = testing::TextOf(test, "metrics_path");
    config.scrape_interval.nanos = *ParseDuration(testing::TextOf(test, "scrape_interval"));
    config.scrape_timeout.nanos = *ParseDuration(testing::TextOf(test, "scrape_timeout"));
    if (const auto* rules = testing::Find(test, "relabel_configs"); rules && rules->is_array()) {
      for (const auto& rule : rules->as_array()) {
        RelabelConfig relabel;
        for (const auto& label : rule.at("source_labels").as_array()) {
          relabel.source_labels.push_back(testing::AsText(label));
        }
        relabel.has_source_labels = true;
        relabel.separator = testing::TextOf(rule, "separator");
        relabel.regex = *RelabelRegex::Compile(testing::TextOf(rule, "regex"));
        relabel.target_label = testing::TextOf(rule, "target_label");
        relabel.replacement = testing::TextOf(rule, "replacement");
        relabel.action = *ParseRelabelAction(testing::TextOf(rule, "action"));
        config.relabel_configs.push_back(std::move(relabel));
      }
    }
    const std::string with_defaults = testing::TextOf(test, "discovered_with_defaults");
    if (with_defaults.find(std::string(kConvertClassicLabel) + "=\"true\"") != std::string::npos) {
      config.convert_classic_histograms_to_nhcb = true;
    }
    TargetLabels discovered;
    for (const auto& [name, value] : test.at("discovered").as_object()) {
      discovered.emplace_back(std::string(name), testing::AsText(value));
    }
    const Result<Labels> labels = PopulateTargetLabels(config, discovered, {});
    const std::string error = testing::TextOf(test, "error");
    if (!error.empty()) {
      EXPECT_EQ(labels.status().message(), error);
      continue;
    }
    ASSERT_TRUE(labels.ok()) << labels.status().message();
    EXPECT_EQ(labels->ToString(), testing::TextOf(test, "target"));
    EXPECT_EQ(DiscoveredLabels(config, discovered, {}).ToString(), with_defaults);
  }
  EXPECT_GE(count, 14);
}

}  // namespace
}  // namespace narthex::scrape
