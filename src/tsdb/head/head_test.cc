#include "tsdb/head/head.h"

#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tsdb/head/intervals.h"
#include "util/log.h"
#include "util/numbers.h"

namespace narthex::tsdb {
namespace {

constexpr TimeRange kAllTime{INT64_MIN, INT64_MAX};
const storage::SelectHints kAllHints = [] {
  storage::SelectHints hints;
  hints.start_ms = INT64_MIN;
  hints.end_ms = INT64_MAX;
  return hints;
}();
const Labels kSeries{{"__name__", "m"}};

std::string Read(Head& head, TimeRange range = kAllTime,
                 const std::vector<Matcher>& matchers = {}) {
  const auto querier = head.OpenQuerier(range);
  auto set = querier->Select(storage::SeriesOrder::kSorted, kAllHints, matchers);
  EXPECT_TRUE(set.ok());
  std::string text;
  while (const auto series = (*set)->Next()) {
    storage::SampleColumns columns;
    EXPECT_TRUE(series->Read(&columns).ok());
    text += series->labels().ToMetricString();
    for (size_t i = 0; i < columns.size(); ++i) {
      const FloatHistogram* h = columns.histogram(i);
      text += fmt::format(" {}={}", columns.timestamps_ms[i],
                          h != nullptr ? h->ToString() : FormatFloatG(columns.values[i]));
    }
    text += '\n';
  }
  return text;
}

Histogram OneBucket(int64_t count) {
  Histogram h;
  h.positive_spans = {{0, 1}};
  h.positive_buckets = {count};
  h.count = static_cast<uint64_t>(count);
  h.sum = 1;
  return h;
}

Status AppendOne(Head& head, int64_t t, double v, const Labels& labels = kSeries) {
  auto appender = head.NewAppender();
  const auto ref = appender->Append(0, labels, t, v, {});
  if (!ref.ok()) return ref.status();
  return appender->Commit();
}

// Upstream's rules, section 15: what is there, what comes, what is said.
TEST(HeadAppend, Rules) {
  struct Sample {
    int64_t t;
    double v;
    bool histogram = false;
  };
  constexpr int64_t kHour = 3'600'000;
  struct Case {
    const char* name;
    std::vector<Sample> before;
    Sample sample;
    const char* error;  // Empty: accepted.
    const char* after;
  };
  const Case cases[] = {
      {"first", {}, {5, 1}, "", "m 5=1\n"},
      {"newer", {{5, 1}}, {6, 2}, "", "m 5=1 6=2\n"},
      {"older", {{5, 1}}, {4, 2}, "out of order sample", "m 5=1\n"},
      {"same again", {{5, 1}}, {5, 1}, "", "m 5=1\n"},
      {"same time, other value",
       {{5, 1}},
       {5, 2},
       "duplicate sample for timestamp 5; overrides not allowed: existing 1, new value 2",
       "m 5=1\n"},
      {"NaN again", {{5, NormalNan()}}, {5, NormalNan()}, "", "m 5=NaN\n"},
      {"stale on NaN",
       {{5, NormalNan()}},
       {5, StaleNan()},
       "duplicate sample for timestamp 5; overrides not allowed: existing NaN, new value NaN",
       "m 5=NaN\n"},
      {"float on a histogram",
       {{5, 3, true}},
       {5, 2},
       "duplicate sample for timestamp 5; overrides not allowed: existing is a histogram, new "
       "value 2",
       "m 5={count:3, sum:1, (0.5,1]:3}\n"},
      {"histogram on a float", {{5, 1}}, {5, 3, true}, "duplicate sample for timestamp", "m 5=1\n"},
      {"same histogram", {{5, 3, true}}, {5, 3, true}, "", "m 5={count:3, sum:1, (0.5,1]:3}\n"},
      {"other histogram",
       {{5, 3, true}},
       {5, 4, true},
       "duplicate sample for timestamp",
       "m 5={count:3, sum:1, (0.5,1]:3}\n"},
      {"half a range back is out of bounds",
       {{3 * kHour, 1}},
       {2 * kHour - 1, 1},
       "out of bounds",
       "m 10800000=1\n"},
      {"up to it is out of order",
       {{3 * kHour, 1}},
       {2 * kHour, 1},
       "out of order sample",
       "m 10800000=1\n"},
      {"stale marker of a histogram series",
       {{5, 3, true}},
       {6, StaleNan()},
       "",
       "m 5={count:3, sum:1, (0.5,1]:3} 6={count:0, sum:NaN}\n"},
      {"negative times", {{-5, 1}}, {-4, 2}, "", "m -5=1 -4=2\n"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Head head({});
    const auto append = [&](const Sample& s) -> Status {
      auto appender = head.NewAppender();
      const auto ref = s.histogram ? appender->AppendHistogram(
                                         0, kSeries, s.t, OneBucket(static_cast<int64_t>(s.v)), {})
                                   : appender->Append(0, kSeries, s.t, s.v, {});
      if (!ref.ok()) return ref.status();
      return appender->Commit();
    };
    for (const Sample& s : c.before) ASSERT_TRUE(append(s).ok());
    const Status status = append(c.sample);
    EXPECT_EQ(status.ok() ? "" : status.message(), c.error);
    EXPECT_EQ(Read(head), c.after);
  }
}

TEST(HeadAppend, ByReference) {
  Head head({});
  auto appender = head.NewAppender();
  const auto ref = appender->Append(0, kSeries, 10, 1, {});
  ASSERT_TRUE(ref.ok());
  ASSERT_TRUE(appender->Commit().ok());
  EXPECT_EQ(appender->Commit().message(), "appender closed");
  EXPECT_EQ(appender->Append(0, kSeries, 11, 1, {}).status().message(), "appender closed");

  using storage::AppendOutcome;
  const storage::RefSample samples[] = {
      {*ref, 20, 2}, {*ref + 1, 20, 2}, {*ref, 9, 1}, {*ref, 10, 1}, {*ref, 10, 7}};
  std::vector<AppendOutcome> outcomes(std::size(samples));
  appender = head.NewAppender();
  appender->AppendFloats(samples, outcomes);
  EXPECT_EQ(outcomes,
            (std::vector<AppendOutcome>{AppendOutcome::kAccepted, AppendOutcome::kUnknownSeries,
                                        AppendOutcome::kOutOfOrder, AppendOutcome::kAccepted,
                                        AppendOutcome::kDuplicate}));
  EXPECT_EQ(Read(head), "m 10=1\n") << "nothing is seen before the commit";
  ASSERT_TRUE(appender->Commit().ok());
  EXPECT_EQ(Read(head), "m 10=1 20=2\n");

  appender = head.NewAppender();
  ASSERT_TRUE(appender->Append(*ref, {}, 30, 3, {}).ok());
  ASSERT_TRUE(appender->Rollback().ok());
  EXPECT_EQ(Read(head), "m 10=1 20=2\n");
  EXPECT_EQ(head.NewAppender()->Append(0, Labels(), 1, 1, {}).status().message(),
            "empty labelset: invalid sample");
}

TEST(HeadAppend, StartZero) {
  Head head({});
  ASSERT_TRUE(AppendOne(head, 1000, 1).ok());
  auto appender = head.NewAppender();
  EXPECT_EQ(appender->AppendStartZero(0, kSeries, 2000, 2000, nullptr).status().message(),
            "ST is newer or the same as sample's timestamp, ignoring");
  EXPECT_EQ(appender->AppendStartZero(0, kSeries, 2000, 500, nullptr).status().message(),
            "start timestamp out of order, ignoring");
  ASSERT_TRUE(appender->AppendStartZero(0, kSeries, 2000, 1500, nullptr).ok());
  ASSERT_TRUE(appender->Append(0, kSeries, 2000, 7, {}).ok());
  ASSERT_TRUE(appender->Commit().ok());
  EXPECT_EQ(Read(head), "m 1000=1 1500=0 2000=7\n");
}

TEST(HeadAppend, SeriesThatSwitchKinds) {
  Head head({});
  auto appender = head.NewAppender();
  ASSERT_TRUE(appender->Append(0, kSeries, 1, 1, {}).ok());
  ASSERT_TRUE(appender->AppendHistogram(0, kSeries, 2, OneBucket(3), {}).ok());
  ASSERT_TRUE(appender->Append(0, kSeries, 3, 5, {}).ok());
  ASSERT_TRUE(appender->AppendFloatHistogram(0, kSeries, 4, OneBucket(4).ToFloat(), {}).ok());
  ASSERT_TRUE(appender->Append(0, kSeries, 5, StaleNan(), {}).ok());
  ASSERT_TRUE(appender->Commit().ok());
  EXPECT_EQ(Read(head),
            "m 1=1 2={count:3, sum:1, (0.5,1]:3} 3=5 4={count:4, sum:1, (0.5,1]:4} "
            "5={count:0, sum:NaN}\n");
  EXPECT_EQ(head.counters().stale_series, 1);
  EXPECT_EQ(head.counters().histogram_series, 1);
}

TEST(HeadQuery, AReaderSeesCommitsWhole) {
  Head head({});
  ASSERT_TRUE(AppendOne(head, 10, 1).ok());
  const auto before = head.OpenQuerier(kAllTime);
  for (int64_t t = 20; t < 100; t += 10) {
    auto appender = head.NewAppender();
    ASSERT_TRUE(appender->Append(0, kSeries, t, 2, {}).ok());
    ASSERT_TRUE(appender->Append(0, kSeries, t + 1, 2, {}).ok());
    ASSERT_TRUE(appender->Commit().ok());
  }
  auto set = before->Select(storage::SeriesOrder::kAny, kAllHints, {});
  ASSERT_TRUE(set.ok());
  storage::SampleColumns columns;
  ASSERT_TRUE((*set)->Next()->Read(&columns).ok());
  EXPECT_EQ(columns.timestamps_ms, std::vector<int64_t>{10});
}

// Whoever asks for the newest sample only gets the same one as by reading everything, whatever the
// series went through: kinds, stale markers, late samples, deletions, commits that must not show.
TEST(HeadQuery, TheNewestSampleIsTheSameByEveryWay) {
  HeadOptions options;
  options.out_of_order_window_ms = 1000;
  Head head(options);
  std::mt19937_64 random(7);
  const auto series = [](int i) { return Labels{{"__name__", "m"}, {"i", std::to_string(i)}}; };
  const auto newest = [](storage::Querier& querier, TimeRange range, bool latest_only) {
    storage::SelectHints hints;
    hints.start_ms = range.start_ms;
    hints.end_ms = range.end_ms;
    hints.latest_only = latest_only;
    auto set = querier.Select(storage::SeriesOrder::kAny, hints, {});
    std::map<Labels, std::string> found;
    while (const auto one = (*set)->Next()) {
      storage::SampleColumns columns;
      EXPECT_TRUE(one->Read(&columns).ok());
      if (columns.empty()) continue;
      const size_t last = columns.size() - 1;
      const FloatHistogram* h = columns.histogram(last);
      found[one->labels()] =
          fmt::format("{}={}", columns.timestamps_ms[last],
                      h != nullptr ? h->ToString()
                                   : std::to_string(std::bit_cast<uint64_t>(columns.values[last])));
    }
    return found;
  };
  std::unique_ptr<storage::Querier> early;
  size_t compared = 0;
  for (int64_t t = 1000; t < 40'000; t += 100) {
    if (t == 20'000) early = head.OpenQuerier(kAllTime);
    if (t == 30'000) {
      ASSERT_TRUE(
          head.Delete({25'000, 31'000}, std::vector<Matcher>{Matcher::Equal("i", "3")}).ok());
    }
    auto appender = head.NewAppender();
    for (int i = 0; i < 8; ++i) {
      if (random() % 4 == 0) continue;
      const double v = random() % 9 == 0 ? StaleNan() : static_cast<double>(random() % 100);
      const int64_t at = i == 5 && random() % 5 == 0 ? t - 350 : t;
      if (i == 6 && random() % 2 == 0) {
        (void)appender->AppendHistogram(0, series(i), at, OneBucket(t), {});
      } else {
        (void)appender->Append(0, series(i), at, v, {});
      }
    }
    ASSERT_TRUE(appender->Commit().ok());
    const auto now = head.OpenQuerier(kAllTime);
    for (storage::Querier* querier : {now.get(), early.get()}) {
      if (querier == nullptr) continue;
      for (const TimeRange range : {TimeRange{t - 300, t}, TimeRange{t - 1000, t - 50},
                                    TimeRange{19'000, 20'500}, TimeRange{t + 1, t + 300}}) {
        const auto want = newest(*querier, range, false);
        EXPECT_EQ(newest(*querier, range, true), want);
        compared += want.size();
      }
    }
  }
  EXPECT_GT(compared, 5000U);
}

// Queries for the newest minutes begin to decode where others left off; which came before, and what
// was appended since, must not show.
TEST(HeadQuery, WindowsAtTheEndInAnyOrder) {
  std::mt19937_64 random(3);
  Head head({});
  struct Points {
    Labels labels;
    std::vector<std::pair<int64_t, double>> points;
  };
  std::vector<Points> all;
  for (int i = 0; i < 40; ++i) {
    all.push_back({Labels({{"__name__", "m"}, {"i", fmt::format("{:02}", i)}}), {}});
  }
  int64_t now = 1'000'000;
  size_t read = 0;
  for (int round = 0; round < 600; ++round) {
    now += 15'000;
    auto appender = head.NewAppender();
    for (Points& series : all) {
      if (random() % 20 == 0) continue;
      const int64_t t = now + static_cast<int64_t>(random() % 4 == 0 ? random() % 3'000 : 0);
      const double v = random() % 3 == 0 ? 1.0 : static_cast<double>(random() % 1'000) / 8;
      ASSERT_TRUE(appender->Append(0, series.labels, t, v, {}).ok());
      series.points.emplace_back(t, v);
    }
    ASSERT_TRUE(appender->Commit().ok());
    if (random() % 4 != 0) continue;
    const int64_t end =
        now + 3'000 - static_cast<int64_t>(random() % 3 == 0 ? random() % 90'000 : 0);
    const int64_t start = end - static_cast<int64_t>(random() % 400'000);
    const auto querier = head.OpenQuerier({start, end});
    auto set = querier->Select(storage::SeriesOrder::kSorted, kAllHints, {});
    ASSERT_TRUE(set.ok());
    std::map<std::string, std::vector<std::pair<int64_t, double>>> got;
    while (const auto series = (*set)->Next()) {
      storage::SampleColumns columns;
      ASSERT_TRUE(series->Read(&columns).ok());
      auto& points = got[std::string(series->labels().Get("i"))];
      for (size_t i = 0; i < columns.size(); ++i) {
        points.emplace_back(columns.timestamps_ms[i], columns.values[i]);
      }
      read += points.size();
    }
    for (const Points& series : all) {
      std::vector<std::pair<int64_t, double>> want;
      for (const auto& point : series.points) {
        if (point.first >= start && point.first <= end) want.push_back(point);
      }
      ASSERT_EQ(got[std::string(series.labels.Get("i"))], want)
          << "round " << round << " from " << start << " to " << end;
    }
  }
  EXPECT_GT(read, 20'000u);
}

TEST(HeadQuery, Matchers) {
  Head head({});
  for (int i = 0; i < 60; ++i) {
    std::vector<std::pair<std::string, std::string>> pairs{{"__name__", i % 2 ? "odd" : "even"},
                                                           {"i", std::to_string(i)}};
    if (i % 3 == 0) pairs.emplace_back("third", "yes");
    ASSERT_TRUE(AppendOne(head, 1, 1, Labels::FromPairs(pairs)).ok());
  }
  const auto matcher = [](MatchType type, const char* name, const char* value) {
    return *Matcher::Create(type, name, value);
  };
  const std::vector<std::vector<Matcher>> cases = {
      {},
      {matcher(MatchType::kEqual, "__name__", "odd")},
      {matcher(MatchType::kEqual, "__name__", "none")},
      {matcher(MatchType::kNotEqual, "__name__", "odd")},
      {matcher(MatchType::kEqual, "third", "")},
      {matcher(MatchType::kNotEqual, "third", "")},
      {matcher(MatchType::kNotEqual, "third", "yes")},
      {matcher(MatchType::kRegexp, "third", ".*")},
      {matcher(MatchType::kRegexp, "third", ".+")},
      {matcher(MatchType::kRegexp, "i", "1|2|55|99")},
      {matcher(MatchType::kRegexp, "i", ".*5.*")},
      {matcher(MatchType::kNotRegexp, "i", ".*5.*")},
      {matcher(MatchType::kNotRegexp, "i", "1|2")},
      {matcher(MatchType::kEqual, "missing", "")},
      {matcher(MatchType::kNotEqual, "missing", "")},
      {matcher(MatchType::kRegexp, "third", "|yes"), matcher(MatchType::kEqual, "i", "6")},
      {matcher(MatchType::kEqual, "__name__", "even"), matcher(MatchType::kRegexp, "i", "[0-3].*"),
       matcher(MatchType::kNotEqual, "third", "yes")},
  };
  for (const std::vector<Matcher>& matchers : cases) {
    std::string trace;
    for (const Matcher& m : matchers) trace += m.ToString() + " ";
    SCOPED_TRACE(trace);
    const auto querier = head.OpenQuerier(kAllTime);
    const auto select = [&](std::span<const Matcher> wanted) {
      std::set<Labels> found;
      auto set = querier->Select(storage::SeriesOrder::kSorted, kAllHints, wanted);
      Labels last;
      while (const auto series = (*set)->Next()) {
        EXPECT_LT(last, series->labels());
        last = series->labels();
        found.insert(last);
      }
      return found;
    };
    // The full scan is the other way to the answer.
    std::set<Labels> want;
    for (const Labels& labels : select({})) {
      if (std::all_of(matchers.begin(), matchers.end(),
                      [&](const Matcher& m) { return m.Matches(labels.Get(m.name())); })) {
        want.insert(labels);
      }
    }
    const std::set<Labels> got = select(matchers);
    EXPECT_EQ(got, want);
    std::set<std::string> values;
    std::set<std::string> names;
    for (const Labels& labels : want) {
      for (const LabelView& label : labels) names.emplace(label.name);
      if (labels.Has("i")) values.emplace(labels.Get("i"));
    }
    EXPECT_EQ(*querier->LabelValues("i", {}, matchers),
              std::vector<std::string>(values.begin(), values.end()));
    EXPECT_EQ(*querier->LabelNames({}, matchers),
              std::vector<std::string>(names.begin(), names.end()));
  }
}

TEST(HeadChunks, AreCutAsUpstreamCutsThem) {
  // 15 s apart: 120 samples a chunk make 30 minutes, spread evenly over the two hours.
  Head head({});
  for (int64_t i = 0; i < 480; ++i) {
    ASSERT_TRUE(AppendOne(head, i * 15'000, static_cast<double>(i)).ok());
  }
  EXPECT_EQ(head.counters().chunks_created, 4U);
  // 1 s apart: the same estimate, made at the 30th sample, gives 62 chunks a range.
  Head quick({});
  for (int64_t i = 0; i < 480; ++i) ASSERT_TRUE(AppendOne(quick, i * 1000, 1).ok());
  EXPECT_EQ(quick.counters().chunks_created, 5U);
  // Faster than the first 30 promised: twice the wanted samples are the bound.
  Head faster({});
  for (int64_t i = 0; i < 241; ++i) {
    ASSERT_TRUE(AppendOne(faster, i < 30 ? i * 60'000 : 1'740'000 + i, 1).ok());
  }
  EXPECT_EQ(faster.counters().chunks_created, 2U);
}

TEST(HeadTruncate, LetsGoOfOldSeriesAndTheirTexts) {
  Head head({});
  for (int i = 0; i < 3000; ++i) {
    const Labels labels{{"__name__", "m"}, {"i", std::to_string(i)}};
    ASSERT_TRUE(AppendOne(head, 1000 + i, 1, labels).ok());
  }
  const uint64_t symbols = head.symbol_bytes();
  ASSERT_TRUE(AppendOne(head, 10'000'000, 1).ok());
  ASSERT_TRUE(head.MapFullChunks().ok());
  // A series that a running appender has found stays although it is empty.
  auto running = head.NewAppender();
  ASSERT_TRUE(running->Append(0, Labels{{"__name__", "m"}, {"i", "5"}}, 10'000'000, 2, {}).ok());
  ASSERT_TRUE(head.TruncateMemory(9'000'000).ok());
  EXPECT_EQ(head.series_count(), 2U);
  EXPECT_LT(head.symbol_bytes(), symbols / 10);
  ASSERT_TRUE(running->Commit().ok());
  EXPECT_EQ(Read(head), "m 10000000=1\nm{i=\"5\"} 10000000=2\n");
  // The slots are used again, and nothing of their first owners shows.
  for (int i = 0; i < 3000; ++i) {
    const Labels labels{{"__name__", "n"}, {"j", std::to_string(i)}};
    ASSERT_TRUE(AppendOne(head, 10'000'000, i, labels).ok());
  }
  EXPECT_EQ(Read(head, kAllTime, {Matcher::Equal("j", "7")}), "n{j=\"7\"} 10000000=7\n");
  EXPECT_EQ(head.series_count(), 3002U);
}

// Label sets of every shape a series record may have, references out of order and doubled, and a
// series that was evicted: what is found afterwards is what the log says.
TEST(HeadReplay, SeriesRecordsOfEveryShape) {
  SetLogLevel(LogLevel::kError);
  const TemporaryDirectory directory;
  auto wal = *Wal::Open(FileSystem::Posix(), JoinPath(directory.path(), "wal"), {});
  const std::string long_text(200, 'x');
  const std::string longer_text(300, 'y');
  using Pairs = std::vector<LabelView>;
  const std::vector<std::pair<uint64_t, Pairs>> series = {
      {9, {{"__name__", "m"}, {"a", "1"}}},
      {4, {{"__name__", "m"}, {"a", "2"}}},          // Behind a larger reference.
      {5, {{"__name__", "m"}, {"a", long_text}}},    // One byte of length in one encoding only.
      {6, {{"__name__", "m"}, {"a", longer_text}}},  // More in both.
      {7, {{"__name__", "m"}, {"a", ""}, {"b", "1"}}},
      {8, {{"b", "2"}, {"__name__", "m"}}},   // Names in wrong order.
      {20, {{"__name__", "m"}, {"a", "1"}}},  // 9 again.
      {21, {{"__name__", "gone"}, {"a", "only here"}}},
  };
  std::string records[4];
  BeginSeriesRecord(&records[0]);
  std::vector<WalSample> samples;
  for (const auto& [ref, pairs] : series) {
    AddSeries(ref, pairs, &records[0]);
    samples.push_back({ref, 1000 + static_cast<int64_t>(ref), 0, static_cast<double>(ref)});
  }
  EncodeSamples(samples, SampleFormat::kV1, &records[1]);
  const WalTombstone everything{21, INT64_MIN, INT64_MAX};
  EncodeTombstones(std::span(&everything, 1), &records[2]);
  EncodeSamples(std::vector<WalSample>{{77, 1, 0, 1}, {4, 2000, 0, 2}}, SampleFormat::kV1,
                &records[3]);
  for (const std::string& record : records) ASSERT_TRUE(wal->Log(record).ok());

  HeadOptions options;
  options.directory = directory.path();
  options.wal = wal.get();
  Head head(options);
  std::optional<WalCorruption> corruption;
  ASSERT_TRUE(head.Replay(INT64_MIN, &corruption).ok());
  EXPECT_EQ(Read(head),
            "m{a=\"1\"} 1009=9 1020=20\n"
            "m{a=\"2\"} 1004=4 2000=2\n"
            "m{a=\"" +
                long_text +
                "\"} 1005=5\n"
                "m{a=\"" +
                longer_text +
                "\"} 1006=6\n"
                "m{b=\"1\"} 1007=7\n"
                "m{b=\"2\"} 1008=8\n");
  const auto find = [&](const char* name, const char* value) {
    return Read(head, kAllTime, {*Matcher::Create(MatchType::kEqual, name, value)});
  };
  EXPECT_EQ(find("a", "2"), "m{a=\"2\"} 1004=4 2000=2\n");
  EXPECT_EQ(find("b", "2"), "m{b=\"2\"} 1008=8\n");
  EXPECT_EQ(find("__name__", "gone"), "");
  EXPECT_EQ(head.Cardinality(10).label_pairs, 7u);
  EXPECT_EQ(head.counters().unknown_refs_samples.load(), 1u);
  // What comes later gets a number of its own and is found.
  ASSERT_TRUE(AppendOne(head, 3000, 3, Labels{{"__name__", "gone"}, {"a", "again"}}).ok());
  EXPECT_EQ(find("__name__", "gone"), "gone{a=\"again\"} 3000=3\n");
}

// The table of hashes against a plain set, with hashes that collide and crowd.
// Truncation does not wait for ever; who was waited for gets an error, not half of the samples.
TEST(HeadTruncate, TellsQueriesThatNeverEnd) {
  HeadOptions options;
  options.reader_wait_max_ms = 20;
  Head head(options);
  constexpr int64_t kHour = 3'600'000;
  for (int64_t t = 0; t < 4; ++t) ASSERT_TRUE(AppendOne(head, t * kHour, 1).ok());
  const auto old_reader = head.OpenQuerier({0, 2 * kHour});
  const auto new_reader = head.OpenQuerier({2 * kHour, 4 * kHour});
  const auto read = [&](storage::Querier& querier) -> Status {
    auto set = querier.Select(storage::SeriesOrder::kAny, kAllHints, {});
    if (!set.ok()) return set.status();
    while (const auto series = (*set)->Next()) {
      storage::SampleColumns columns;
      NARTHEX_RETURN_IF_ERROR(series->Read(&columns));
    }
    return (*set)->status();
  };
  EXPECT_TRUE(read(*old_reader).ok());
  const int64_t start = MonotonicNanos();
  ASSERT_TRUE(head.TruncateMemory(2 * kHour).ok());
  EXPECT_GE(MonotonicNanos() - start, 20 * kNanosPerMilli);
  EXPECT_EQ(read(*old_reader).code(), ErrorCode::kTimeout);
  EXPECT_TRUE(read(*new_reader).ok());
  // Nobody waits for it again.
  EXPECT_FALSE(head.isolation().HasReaderBelow(2 * kHour));
}

// A list that is shortened beside the lock while it is appended to.
TEST(LabelIndex, ShortensLongLists) {
  SlabPool pool;
  LabelIndex index(&pool);
  std::mt19937_64 random(7);
  for (const uint64_t count : {2u, 3u, 1000u, 50'000u}) {
    for (const uint64_t keep_one_of : {1u, 2u, 100u, 1'000'000u}) {
      for (const uint64_t added : {0u, 1u, 2u, 300u}) {
        SCOPED_TRACE(fmt::format("{} one of {} {}", count, keep_one_of, added));
        const PairId pair = index.Intern("a", std::to_string(random()), kNoId);
        std::vector<uint64_t> dead;
        std::vector<uint64_t> want;
        uint64_t ref = 0;
        for (uint64_t i = 0; i < count; ++i) {
          ref += 1 + random() % 300;
          index.AddPosting(pair, ref);
          (random() % keep_one_of == 0 ? want : dead).push_back(ref);
        }
        LabelIndex::ShorterList list = index.ReadList(pair);
        for (uint64_t i = 0; i < added; ++i) {
          ref += 1 + random() % 300;
          index.AddPosting(pair, ref);
          want.push_back(ref);
        }
        LabelIndex::Shorten(dead, &list);
        index.ReplaceList(pair, list);
        // It goes on growing.
        index.AddPosting(pair, ref + 5);
        want.push_back(ref + 5);
        std::vector<uint64_t> got;
        index.ReadPostings(pair, &got);
        EXPECT_EQ(got, want);
      }
    }
  }
}

// Pairs that go in any order, in parts, leave the others to be found.
TEST(LabelIndex, ForgetsInParts) {
  SlabPool pool;
  LabelIndex index(&pool);
  std::mt19937_64 random(7);
  std::map<std::string, PairId> live;
  uint64_t ref = 0;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 500; ++i) {
      const std::string value = std::to_string(random() % 100'000);
      const PairId pair = index.Intern("n" + std::to_string(value.back() % 3), value, kNoId);
      if (live.emplace(value, pair).second) index.AddPosting(pair, ++ref);
    }
    for (auto at = live.begin(); at != live.end();) {
      if (random() % 3 == 0) {
        ++at;
        continue;
      }
      std::vector<uint64_t> refs;
      index.ReadPostings(at->second, &refs);
      index.RemovePostings(at->second, refs);
      at = live.erase(at);
    }
    while (index.Sweep(100)) {
    }
    ASSERT_EQ(index.pair_count(), live.size());
    size_t listed = 0;
    index.ForEachName([&](NameId name, std::string_view) {
      for (const PairId pair : index.PairsOf(name)) {
        EXPECT_EQ(live[std::string(index.View(pair).value)], pair);
        ++listed;
      }
    });
    EXPECT_EQ(listed, live.size());
  }
}

TEST(SeriesStore, FindsByHash) {
  SlabPool pool;
  LabelIndex index(&pool);
  SeriesStore store(&pool);
  std::mt19937_64 random(7);
  std::multimap<uint64_t, SlotId> known;
  const auto some_hash = [&] {
    const uint64_t hash = random();
    // All in one shard; many equal, many at the very end.
    switch (random() % 4) {
      case 0: return hash % 3;
      case 1: return uint64_t{0xffffffff} - hash % 40;
      default: return hash & 0xffffffff;
    }
  };
  for (int i = 0; i < 20'000; ++i) {
    if (known.empty() || random() % 5 < (i < 10'000 ? 4u : 1u)) {
      const uint64_t hash = some_hash();
      known.emplace(hash, store.Insert(static_cast<uint64_t>(i) + 1, hash, {}));
    } else {
      const auto victim = known.lower_bound(some_hash());
      if (victim == known.end()) continue;
      store.Remove(victim->second, victim->first);
      known.erase(victim);
    }
    if (i % 100 != 0) continue;
    for (const auto& [hash, slot] : known) {
      ASSERT_EQ(store.FindHash(hash, [&](SlotId found) { return found == slot; }), slot);
    }
    const uint64_t hash = some_hash();
    size_t seen = 0;
    store.FindHash(hash, [&](SlotId) { return ++seen, false; });
    ASSERT_EQ(seen, known.count(hash));
  }
  EXPECT_EQ(store.size(), known.size());
}

TEST(HeadExemplars, RingOfAllSeries) {
  HeadOptions options;
  options.exemplars_max = 3;
  Head head(options);
  ASSERT_TRUE(AppendOne(head, 1, 1).ok());
  const auto add = [&](int64_t t, double v, const std::string& id) {
    auto appender = head.NewAppender();
    const Status status =
        appender->AppendExemplar(0, kSeries, Exemplar{Labels{{"id", id}}, v, t, true});
    EXPECT_TRUE(appender->Commit().ok());
    return status.ok() ? std::string() : status.message();
  };
  EXPECT_EQ(add(10, 1, "a"), "");
  EXPECT_EQ(add(10, 1, "a"), "duplicate exemplar");
  EXPECT_EQ(add(9, 1, "b"), "out of order exemplar");
  EXPECT_EQ(add(10, 0.5, "b"), "out of order exemplar");
  EXPECT_EQ(add(11, 1, std::string(127, 'x')),
            "label length for exemplar exceeds maximum of 128 UTF-8 characters");
  for (int64_t t = 20; t < 25; ++t) EXPECT_EQ(add(t, 1, "c"), "");
  auto found = head.exemplars().Select(kAllTime, {{Matcher::Equal("__name__", "m")}});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].exemplars.size(), 3U);
  EXPECT_EQ(found[0].exemplars.front().timestamp_ms, 22);
  head.exemplars().Resize(2);
  found = head.exemplars().Select({0, 23}, {{Matcher::Equal("__name__", "m")}});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].exemplars.size(), 1U);
  head.exemplars().Resize(0);
  EXPECT_EQ(add(30, 1, "d"),
            "exemplar storage is disabled or max exemplars is less than or equal to 0");
}

TEST(HeadStatus, Cardinality) {
  Head head({});
  for (int i = 0; i < 10; ++i) {
    const Labels labels{{"__name__", i < 7 ? "big" : "small"}, {"i", std::to_string(i)}};
    ASSERT_TRUE(AppendOne(head, 1, 1, labels).ok());
  }
  const HeadCardinality c = head.Cardinality(2);
  EXPECT_EQ(c.series, 10U);
  EXPECT_EQ(c.label_pairs, 12U);
  ASSERT_EQ(c.series_by_metric_name.size(), 2U);
  EXPECT_EQ(c.series_by_metric_name[0].name, "big");
  EXPECT_EQ(c.series_by_metric_name[0].count, 7U);
  EXPECT_EQ(c.values_by_label_name[0].name, "i");
  EXPECT_EQ(c.values_by_label_name[0].count, 10U);
  EXPECT_EQ(c.memory_by_label_name[0].count, 7U * (8 + 3 + 2) + 3U * (8 + 5 + 2));
  EXPECT_EQ(c.series_by_label_pair[0].name, "__name__=big");
}

TEST(SlabPool, GivesDistinctPiecesAndTakesThemBack) {
  SlabPool pool;
  std::mt19937_64 random(7);
  struct Piece {
    SlabRef ref;
    size_t bytes;
    char mark;
  };
  std::vector<Piece> pieces;
  for (int i = 0; i < 50'000; ++i) {
    if (!pieces.empty() && random() % 5 < 2) {
      const size_t at = random() % pieces.size();
      const Piece piece = pieces[at];
      const std::string_view bytes(pool.At(piece.ref), piece.bytes);
      ASSERT_EQ(bytes, std::string(piece.bytes, piece.mark));
      pool.Free(piece.ref);
      pieces[at] = pieces.back();
      pieces.pop_back();
      continue;
    }
    const size_t bytes = random() % 100 == 0 ? random() % 40'000 : random() % 700;
    const SlabRef ref = pool.Allocate(bytes);
    ASSERT_GE(pool.Capacity(ref), bytes);
    ASSERT_LE(pool.Capacity(ref), std::max<size_t>(16, bytes + bytes / 4 + 8));
    const char mark = static_cast<char>('a' + i % 26);
    std::fill_n(pool.At(ref), bytes, mark);
    pieces.push_back({ref, bytes, mark});
  }
  for (const Piece& piece : pieces) pool.Free(piece.ref);
  EXPECT_LE(pool.resident_bytes(), uint64_t{64} << 16) << "empty pages go back to the system";
}

TEST(Intervals, MergeWhatTouches) {
  struct Case {
    std::vector<Interval> before;
    Interval added;
    std::vector<Interval> after;
  };
  const Case cases[] = {
      {{}, {1, 2}, {{1, 2}}},
      {{{1, 2}}, {3, 4}, {{1, 4}}},
      {{{1, 2}}, {4, 5}, {{1, 2}, {4, 5}}},
      {{{5, 6}}, {1, 2}, {{1, 2}, {5, 6}}},
      {{{1, 2}, {5, 6}, {9, 9}}, {2, 7}, {{1, 7}, {9, 9}}},
      {{{1, INT64_MAX}}, {5, 6}, {{1, INT64_MAX}}},
      {{{INT64_MIN, 0}}, {1, 1}, {{INT64_MIN, 1}}},
  };
  for (const Case& c : cases) {
    std::vector<Interval> got = c.before;
    AddInterval(c.added, &got);
    EXPECT_EQ(got, c.after);
  }
}

// Writers, readers, mapping and truncation at once. A scrape writes the same value to ten series:
// a reader must find them equal.
TEST(HeadThreads, ReadersSeeWholeScrapes) {
  SetLogLevel(LogLevel::kError);
  HeadOptions options;
  options.chunk_range_ms = 60'000;
  options.samples_per_chunk = 10;
  Head head(options);
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  constexpr int kWriters = 2;
  constexpr int kSeriesPerWriter = 10;
  std::vector<std::thread> threads;
  for (int w = 0; w < kWriters; ++w) {
    threads.emplace_back([&, w] {
      std::vector<storage::SeriesRef> refs(kSeriesPerWriter);
      for (int64_t i = 1; i <= 1500; ++i) {
        auto appender = head.NewAppender();
        bool ok = true;
        for (int s = 0; s < kSeriesPerWriter; ++s) {
          const Labels labels{{"s", std::to_string(s)}, {"w", std::to_string(w)}};
          const auto ref = appender->Append(refs[static_cast<size_t>(s)], labels, i * 1000,
                                            static_cast<double>(i), {});
          ok &= ref.ok();
          if (ref.ok()) refs[static_cast<size_t>(s)] = *ref;
        }
        // A truncation may have overtaken a slow writer: all of its samples are refused then.
        if (!appender->Commit().ok() || (!ok && i * 1000 > head.max_time_ms())) ++failures;
      }
    });
  }
  for (int r = 0; r < 2; ++r) {
    threads.emplace_back([&] {
      while (!stop) {
        const int64_t from = head.min_time_ms();
        const auto querier = head.OpenQuerier({from, INT64_MAX});
        for (int w = 0; w < kWriters; ++w) {
          auto set = querier->Select(storage::SeriesOrder::kSorted, {},
                                     std::vector<Matcher>{Matcher::Equal("w", std::to_string(w))});
          if (!set.ok()) ++failures;
          std::set<int64_t> ends;
          while (const auto series = (*set)->Next()) {
            storage::SampleColumns columns;
            if (!series->Read(&columns).ok()) ++failures;
            ends.insert(columns.empty() ? 0 : columns.timestamps_ms.back());
          }
          if (ends.size() > 1) ++failures;
        }
      }
    });
  }
  std::thread truncator([&] {
    while (!stop) {
      if (head.initialized() && head.max_time_ms() - head.min_time_ms() > 300'000) {
        if (!head.TruncateMemory(head.min_time_ms() + 60'000).ok()) ++failures;
      }
      if (!head.MapFullChunks().ok()) ++failures;
      std::this_thread::yield();
    }
  });
  for (int w = 0; w < kWriters; ++w) threads[static_cast<size_t>(w)].join();
  stop = true;
  for (size_t i = kWriters; i < threads.size(); ++i) threads[i].join();
  truncator.join();
  EXPECT_EQ(failures, 0);
}

}  // namespace
}  // namespace narthex::tsdb
