#include "storage/merge.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>

namespace narthex::storage {
namespace {

// A store of literal columns.
class FixedQuerier : public Querier {
 public:
  explicit FixedQuerier(std::map<std::string, SampleColumns> series) : series_(std::move(series)) {}

  class FixedSeries : public Series {
   public:
    FixedSeries(Labels labels, SampleColumns columns)
        : labels_(std::move(labels)), columns_(std::move(columns)) {}
    const Labels& labels() const override { return labels_; }
    Status Read(SampleColumns* out) const override {
      MergeColumns({columns_}, out);
      return {};
    }

   private:
    Labels labels_;
    SampleColumns columns_;
  };
  class Set : public SeriesSet {
   public:
    explicit Set(const std::map<std::string, SampleColumns>& series)
        : at_(series.begin()), end_(series.end()) {}
    std::unique_ptr<Series> Next() override {
      if (at_ == end_) return nullptr;
      auto series = std::make_unique<FixedSeries>(Labels{{"name", at_->first}}, at_->second);
      ++at_;
      return series;
    }
    std::vector<std::string> warnings() const override { return {"slow"}; }

   private:
    std::map<std::string, SampleColumns>::const_iterator at_, end_;
  };

  Result<std::unique_ptr<SeriesSet>> Select(SeriesOrder, const SelectHints&,
                                            std::span<const Matcher>) override {
    return std::unique_ptr<SeriesSet>(std::make_unique<Set>(series_));
  }
  Result<std::vector<std::string>> LabelValues(std::string_view, const LabelQueryHints&,
                                               std::span<const Matcher>) override {
    std::vector<std::string> names;
    for (const auto& [name, columns] : series_) names.push_back(name);
    return names;
  }
  Result<std::vector<std::string>> LabelNames(const LabelQueryHints&,
                                              std::span<const Matcher>) override {
    return std::vector<std::string>{"name"};
  }

 private:
  std::map<std::string, SampleColumns> series_;
};

SampleColumns Floats(std::initializer_list<std::pair<int64_t, double>> samples) {
  SampleColumns columns;
  for (const auto& [t, v] : samples) columns.AddFloat(t, v);
  return columns;
}

SampleColumns Counters(std::initializer_list<int64_t> times) {
  SampleColumns columns;
  for (const int64_t t : times) {
    auto histogram = std::make_shared<FloatHistogram>();
    histogram->counter_reset_hint = CounterResetHint::kNotReset;
    columns.AddHistogram(t, histogram);
  }
  return columns;
}

std::string Text(const SampleColumns& columns) {
  std::string text;
  for (size_t i = 0; i < columns.size(); ++i) {
    text += fmt::format("{}=", columns.timestamps_ms[i]);
    if (const FloatHistogram* h = columns.histogram(i); h != nullptr) {
      text += fmt::format("h{}", static_cast<int>(h->counter_reset_hint));
    } else {
      text += fmt::format("{}", columns.values[i]);
    }
    if (!columns.start_timestamps_ms.empty()) {
      text += fmt::format("@{}", columns.start_timestamps_ms[i]);
    }
    text += ' ';
  }
  return text;
}

TEST(MergeColumns, OrdersByTimeAndTheFirstWins) {
  SampleColumns started = Floats({{5, 50}});
  started.SetStartTimestamp(3);
  struct Case {
    const char* name;
    std::vector<SampleColumns> parts;
    const char* want;
  };
  const Case cases[] = {
      {"nothing", {}, ""},
      {"empty parts", {{}, {}}, ""},
      {"one", {Floats({{1, 1}, {2, 2}})}, "1=1 2=2 "},
      {"one after the other", {Floats({{1, 1}}), Floats({{2, 2}})}, "1=1 2=2 "},
      {"disjoint in reverse", {Floats({{3, 3}}), Floats({{1, 1}, {2, 2}})}, "1=1 2=2 3=3 "},
      {"interleaved", {Floats({{1, 1}, {4, 4}}), Floats({{2, 2}, {5, 5}})}, "1=1 2=2 4=4 5=5 "},
      {"equal times", {Floats({{1, 1}, {2, 20}}), Floats({{2, 2}, {3, 3}})}, "1=1 2=20 3=3 "},
      {"equal times of three",
       {Floats({{2, 20}}), Floats({{1, 1}, {2, 2}}), Floats({{2, 200}, {3, 3}})},
       "1=1 2=20 3=3 "},
      {"switches forget resets",
       {Counters({1, 2, 5}), Counters({3, 4})},
       "1=h2 2=h2 3=h0 4=h2 5=h0 "},
      {"a following store forgets its first hint",
       {Counters({1}), Counters({2, 3})},
       "1=h2 2=h0 3=h2 "},
      {"start timestamps spread", {Floats({{1, 1}}), started}, "1=1@0 5=50@3 "},
      {"floats beside histograms", {Floats({{1, 1}}), Counters({2})}, "1=1 2=h0 "},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    SampleColumns out;
    MergeColumns(c.parts, &out);
    EXPECT_EQ(Text(out), c.want);
  }
}

TEST(MergeQueriers, MergesSeriesByLabels) {
  std::vector<std::unique_ptr<Querier>> queriers;
  queriers.push_back(std::make_unique<FixedQuerier>(
      std::map<std::string, SampleColumns>{{"a", Floats({{1, 1}})}, {"c", Floats({{1, 3}})}}));
  queriers.push_back(std::make_unique<FixedQuerier>(std::map<std::string, SampleColumns>{
      {"a", Floats({{1, 9}, {2, 2}})}, {"b", Floats({{7, 7}})}}));
  const std::unique_ptr<Querier> merged = MergeQueriers(std::move(queriers));
  const auto set = merged->Select(SeriesOrder::kAny, {}, {});
  ASSERT_TRUE(set.ok());
  std::string text;
  while (const std::unique_ptr<Series> series = (*set)->Next()) {
    SampleColumns columns;
    ASSERT_TRUE(series->Read(&columns).ok());
    text += series->labels().ToString() + " " + Text(columns) + "\n";
  }
  EXPECT_EQ(text,
            "{name=\"a\"} 1=1 2=2 \n"
            "{name=\"b\"} 7=7 \n"
            "{name=\"c\"} 1=3 \n");
  EXPECT_TRUE((*set)->status().ok());
  EXPECT_EQ((*set)->warnings(), std::vector<std::string>{"slow"});
  EXPECT_EQ(*merged->LabelValues("name", {}, {}), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(*merged->LabelValues("name", {.limit = 2}, {}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(*merged->LabelNames({}, {}), std::vector<std::string>{"name"});
}

TEST(MergeQueriers, OfNothingIsEmpty) {
  const auto set = MergeQueriers({})->Select(SeriesOrder::kAny, {}, {});
  ASSERT_TRUE(set.ok());
  EXPECT_EQ((*set)->Next(), nullptr);
}

}  // namespace
}  // namespace narthex::storage
