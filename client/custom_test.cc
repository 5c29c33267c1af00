// Info, state sets, collectors made by hand, and pages of several sources.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "narthex/client.h"

namespace narthex::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kOpenMetrics = "application/openmetrics-text;version=1.0.0";

std::string Page(const Gatherable& source, std::string_view accept = "") {
  ScrapeResponse response = Scrape(source, accept);
  for (const std::string& error : response.errors) response.body += "error: " + error + "\n";
  return response.body;
}

TEST(Info, ShowsItsFactsInEveryFormat) {
  Registry registry;
  const Info info(registry, {"build_info", "What was built.", {}, {{"n", "c"}}});
  EXPECT_EQ(Page(registry),
            "# HELP build_info What was built.\n# TYPE build_info gauge\nbuild_info{n=\"c\"} 1\n");
  ASSERT_TRUE(info.Set({{"version", "1.2"}, {"branch", "a\"b"}}).ok());
  EXPECT_EQ(Page(registry, kOpenMetrics),
            "# HELP build What was built.\n# TYPE build info\n"
            "build_info{branch=\"a\\\"b\",n=\"c\",version=\"1.2\"} 1.0\n# EOF\n");
  struct Case {
    Labels facts;
    const char* want;
  };
  for (const Case& c : {
           Case{{{"n", "x"}}, "duplicate label name \"n\" for metric \"build_info\""},
           Case{{{"v", "1"}, {"v", "2"}}, "duplicate label name \"v\" for metric \"build_info\""},
           Case{{{"__v", "1"}}, "\"__v\" is not a valid label name for metric \"build_info\""},
           Case{{{"v", "\xff"}}, "label v: value \"\\xff\" is not valid UTF-8"},
       }) {
    SCOPED_TRACE(c.want);
    EXPECT_EQ(info.Set(c.facts).message(), c.want);
  }
  EXPECT_EQ(info.Value(), (Labels{{"branch", "a\"b"}, {"version", "1.2"}}));
  EXPECT_EQ(Info::Declare(&registry, {"build", "B."}).status().message(),
            "the name of info metric \"build\" must end with \"_info\"");
}

TEST(StateSet, HasOneSeriesAState) {
  Registry registry;
  const StateSet phase(registry, {"phase", "Phase."}, {{"idle", "busy"}});
  EXPECT_TRUE(phase.IsOn("idle"));
  ASSERT_TRUE(phase.Set("busy").ok());
  EXPECT_EQ(Page(registry, kOpenMetrics),
            "# HELP phase Phase.\n# TYPE phase stateset\n"
            "phase{phase=\"idle\"} 0.0\nphase{phase=\"busy\"} 1.0\n# EOF\n");
  ASSERT_TRUE(phase.Set("idle", true).ok());
  EXPECT_TRUE(phase.IsOn("idle") && phase.IsOn("busy"));
  EXPECT_EQ(phase.Set("gone").message(), "\"gone\" is not a state of metric \"phase\"");
  EXPECT_FALSE(phase.IsOn("gone"));

  const Family<StateSet> family(registry, {"flags", "Flags."}, {"zone"}, {{"up", "full"}, true});
  ASSERT_TRUE(family.WithLabels({"a"}).Set("full", true).ok());
  EXPECT_THAT(Page(registry), HasSubstr("# TYPE flags gauge\nflags{flags=\"up\",zone=\"a\"} 0\n"
                                        "flags{flags=\"full\",zone=\"a\"} 1\n"));

  for (const auto& [options, want] : std::vector<std::pair<StateSetOptions, const char*>>{
           {{}, "a state set needs at least one state"},
           {{{"a", "a"}}, "state \"a\" is declared twice"},
           {{{"\xff"}}, "state \"\\xff\" is not valid UTF-8"}}) {
    EXPECT_EQ(StateSet::Declare(nullptr, {"s", "S."}, options).status().message(), want);
  }
  EXPECT_EQ(Family<StateSet>::Declare(nullptr, {"s", "S."}, {"s"}, {{"a"}}).status().message(),
            "\"s\" is not allowed as label name in state sets of this name");
}

TEST(CustomCollector, DeliversEveryType) {
  Registry registry;
  ASSERT_TRUE(registry
                  .Register(MakeCollector([](std::vector<MetricFamily>& out) {
                    MetricFamily jobs = MakeFamily(MetricType::kCounter, "jobs_total", "Jobs.", "");
                    AddSample(jobs, {{"q", "a"}}, 3);
                    AddSample(jobs, {{"q", "b"}}, 4, {1500, {}, {}});
                    out.push_back(std::move(jobs));
                    MetricFamily sizes = MakeFamily(MetricType::kHistogram, "sizes", "Sizes.");
                    AddHistogram(sizes, {}, MakeHistogramValue(3, 7.5, {{1, 1}, {5, 2}}));
                    out.push_back(std::move(sizes));
                    MetricFamily times = MakeFamily(MetricType::kSummary, "times", "Times.");
                    AddSummary(times, {}, SummaryValue{2, 3, {{0.5, 1}}, {}});
                    out.push_back(std::move(times));
                    MetricFamily wrong = MakeFamily(MetricType::kSummary, "wrong", "Wrong.");
                    AddSample(wrong, {}, 1);
                    out.push_back(std::move(wrong));
                  }))
                  .ok());
  EXPECT_EQ(Page(registry),
            "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\n"
            "jobs_total{q=\"a\"} 3\njobs_total{q=\"b\"} 4 1500\n"
            "# HELP sizes Sizes.\n# TYPE sizes histogram\nsizes_bucket{le=\"1\"} 1\n"
            "sizes_bucket{le=\"5\"} 2\nsizes_bucket{le=\"+Inf\"} 3\nsizes_sum 7.5\nsizes_count 3\n"
            "# HELP times Times.\n# TYPE times summary\ntimes{quantile=\"0.5\"} 1\n"
            "times_sum 3\ntimes_count 2\n"
            "error: collected metric \"wrong\" { gauge:{value:1}} is not a SUMMARY\n");
}

TEST(CustomCollector, MayThrow) {
  Registry registry;
  const Gauge good(registry, {"good", "Good."});
  const GaugeFunc bad(registry, {"bad", "Bad."},
                      []() -> double { throw std::runtime_error("no value"); });
  ASSERT_TRUE(registry.Register(MakeCollector([](std::vector<MetricFamily>&) { throw 7; })).ok());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Page(registry),
              "# HELP good Good.\n# TYPE good gauge\ngood 0\n"
              "error: collector threw an exception: no value\n"
              "error: collector threw an exception\n");
  }
}

TEST(CustomCollector, IsWrappedWithPrefixAndLabels) {
  Registry registry;
  const Family<Counter> inner = *Family<Counter>::Declare(nullptr, {"c_total", "C."}, {"m"});
  inner.WithLabels({"x"}).Inc();
  const StateSet states = *StateSet::Declare(&registry, {"other", "O."}, {{"on"}});
  ASSERT_TRUE(registry.Register(inner.collector()).ok());
  for (const char* zone : {"a", "b"}) {
    ASSERT_TRUE(registry.Register(WrapCollector(inner.collector(), "app_", {{"zone", zone}})).ok());
  }
  EXPECT_EQ(registry.Register(WrapCollector(inner.collector(), "app_", {{"zone", "a"}})).message(),
            "duplicate metrics collector registration attempted");
  EXPECT_EQ(Page(registry),
            "# HELP app_c_total C.\n# TYPE app_c_total counter\n"
            "app_c_total{m=\"x\",zone=\"a\"} 1\napp_c_total{m=\"x\",zone=\"b\"} 1\n"
            "# HELP c_total C.\n# TYPE c_total counter\nc_total{m=\"x\"} 1\n"
            "# HELP other O.\n# TYPE other gauge\nother{other=\"on\"} 1\n");
}

TEST(Gatherers, JoinSourcesAndSayWhatClashes) {
  Registry a;
  Registry b;
  Registry c;
  const Gauge shared_a(a, {"shared", "Shared.", {}, {{"from", "a"}}});
  const Gauge shared_b(b, {"shared", "Shared.", {}, {{"from", "b"}}});
  const Counter only_b(b, {"only_total", "Only."});
  const Gauge other_help(c, {"shared", "Else."});
  const Counter other_type = *Counter::Declare(&c, {"same", "Same."});
  const Gauge same(a, {"same", "Same."});
  ASSERT_TRUE(c.Register(MakeCollector([](std::vector<MetricFamily>& out) {
                 out.push_back(MakeFamily(MetricType::kGauge, "", "Nameless."));
                 AddSample(out.back(), {}, 1);
               })).ok());
  EXPECT_EQ(Page(Gatherers({&a, &b, &c})),
            "# HELP only_total Only.\n# TYPE only_total counter\nonly_total 0\n"
            "# HELP same Same.\n# TYPE same gauge\nsame 0\n"
            "# HELP shared Shared.\n# TYPE shared gauge\n"
            "shared{from=\"a\"} 0\nshared{from=\"b\"} 0\n"
            "error: [from Gatherer #3] \"\" is not a valid metric name\n"
            "error: gathered metric family same has type COUNTER but should have GAUGE\n"
            "error: gathered metric family shared has help \"Else.\" but should have "
            "\"Shared.\"\n");
  // The same registry twice: every series a second time.
  EXPECT_THAT(Gatherers({&b, &b}).Gather().errors,
              ElementsAre(HasSubstr("was collected before with the same name and label values"),
                          HasSubstr("was collected before with the same name and label values")));
}

}  // namespace
}  // namespace narthex::client
