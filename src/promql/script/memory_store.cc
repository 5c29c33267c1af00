#include "promql/script/memory_store.h"

#include <algorithm>
#include <set>
#include <utility>

#include "model/float_histogram_ops.h"
#include "util/numbers.h"

namespace narthex::promql {
namespace {

// Whether a histogram can stand in one chunk behind the one before it.
bool Continues(const FloatHistogram& current, const FloatHistogram& previous) {
  const bool gauge = current.counter_reset_hint == CounterResetHint::kGauge;
  if (gauge != (previous.counter_reset_hint == CounterResetHint::kGauge)) return false;
  if (current.counter_reset_hint == CounterResetHint::kReset) return false;
  if (IsStaleNan(current.sum)) return true;
  if (IsStaleNan(previous.sum)) return false;
  if (current.schema != previous.schema || current.zero_threshold != previous.zero_threshold ||
      !CustomBoundsMatch(current.custom_values, previous.custom_values)) {
    return false;
  }
  if (gauge) return true;
  FloatHistogram counter = current;
  counter.counter_reset_hint = CounterResetHint::kUnknown;
  return !DetectReset(counter, previous);
}

}  // namespace

class MemoryStore::StoredSeries : public storage::Series {
 public:
  StoredSeries(std::shared_ptr<const SeriesData> data, size_t begin, size_t end)
      : data_(std::move(data)), begin_(begin), end_(end) {}

  const Labels& labels() const override { return data_->labels; }
  Status Read(storage::SampleColumns* out) const override {
    const storage::SampleColumns& from = data_->samples;
    const auto append = [this](const auto& source, auto* target) {
      const auto begin = source.begin() + static_cast<std::ptrdiff_t>(begin_);
      const auto end = source.begin() + static_cast<std::ptrdiff_t>(end_);
      target->insert(target->end(), begin, end);
    };
    append(from.timestamps_ms, &out->timestamps_ms);
    append(from.values, &out->values);
    if (!from.histograms.empty()) append(from.histograms, &out->histograms);
    if (!from.start_timestamps_ms.empty()) {
      append(from.start_timestamps_ms, &out->start_timestamps_ms);
    }
    return {};
  }

 private:
  std::shared_ptr<const SeriesData> data_;
  size_t begin_;
  size_t end_;
};

class MemoryStore::Set : public storage::SeriesSet {
 public:
  explicit Set(std::vector<std::unique_ptr<storage::Series>> series) : series_(std::move(series)) {}
  std::unique_ptr<storage::Series> Next() override {
    return next_ < series_.size() ? std::move(series_[next_++]) : nullptr;
  }

 private:
  std::vector<std::unique_ptr<storage::Series>> series_;
  size_t next_ = 0;
};

class MemoryStore::StoreQuerier : public storage::Querier {
 public:
  StoreQuerier(std::vector<std::shared_ptr<SeriesData>> series, TimeRange range)
      : series_(std::move(series)), range_(range) {}

  Result<std::unique_ptr<storage::SeriesSet>> Select(storage::SeriesOrder order,
                                                     const storage::SelectHints& hints,
                                                     std::span<const Matcher> matchers) override {
    const int64_t start = std::max(range_.start_ms, hints.start_ms);
    const int64_t end = std::min(range_.end_ms, hints.end_ms);
    std::vector<std::unique_ptr<storage::Series>> found;
    for (const auto& series : series_) {
      if (!Matches(*series, matchers)) continue;
      const auto& times = series->samples.timestamps_ms;
      const auto from = std::lower_bound(times.begin(), times.end(), start) - times.begin();
      const auto to = std::upper_bound(times.begin(), times.end(), end) - times.begin();
      if (from >= to) continue;
      found.push_back(std::make_unique<StoredSeries>(series, static_cast<size_t>(from),
                                                     static_cast<size_t>(to)));
    }
    if (order == storage::SeriesOrder::kSorted) {
      std::sort(found.begin(), found.end(),
                [](const auto& a, const auto& b) { return a->labels() < b->labels(); });
    }
    if (hints.limit > 0 && found.size() > hints.limit) found.resize(hints.limit);
    return std::unique_ptr<storage::SeriesSet>(std::make_unique<Set>(std::move(found)));
  }

  Result<std::vector<std::string>> LabelValues(std::string_view name,
                                               const storage::LabelQueryHints& hints,
                                               std::span<const Matcher> matchers) override {
    std::set<std::string, std::less<>> values;
    for (const auto& series : series_) {
      if (series->labels.Has(name) && Matches(*series, matchers)) {
        values.emplace(series->labels.Get(name));
      }
    }
    return Limited(values, hints);
  }
  Result<std::vector<std::string>> LabelNames(const storage::LabelQueryHints& hints,
                                              std::span<const Matcher> matchers) override {
    std::set<std::string, std::less<>> names;
    for (const auto& series : series_) {
      if (!Matches(*series, matchers)) continue;
      for (const LabelView& label : series->labels) names.emplace(label.name);
    }
    return Limited(names, hints);
  }

 private:
  static bool Matches(const SeriesData& series, std::span<const Matcher> matchers) {
    return std::all_of(matchers.begin(), matchers.end(), [&series](const Matcher& matcher) {
      return matcher.Matches(series.labels.Get(matcher.name()));
    });
  }
  static std::vector<std::string> Limited(const std::set<std::string, std::less<>>& texts,
                                          const storage::LabelQueryHints& hints) {
    std::vector<std::string> result(texts.begin(), texts.end());
    if (hints.limit > 0 && result.size() > hints.limit) result.resize(hints.limit);
    return result;
  }

  std::vector<std::shared_ptr<SeriesData>> series_;
  TimeRange range_;
};

void MemoryStore::Clear() {
  series_.clear();
  index_.clear();
}

MemoryStore::SeriesData& MemoryStore::Find(const Labels& labels) {
  const auto [at, inserted] = index_.try_emplace(labels, series_.size());
  if (inserted) {
    series_.push_back(std::make_shared<SeriesData>());
    series_.back()->labels = labels;
  }
  return *series_[at->second];
}

void MemoryStore::Insert(SeriesData* series, int64_t time_ms, double value,
                         std::shared_ptr<const FloatHistogram> histogram, int64_t start_ms) {
  storage::SampleColumns& samples = series->samples;
  const auto at =
      std::lower_bound(samples.timestamps_ms.begin(), samples.timestamps_ms.end(), time_ms) -
      samples.timestamps_ms.begin();
  const auto position = static_cast<size_t>(at);
  const bool replace = position < samples.size() && samples.timestamps_ms[position] == time_ms;
  if (!replace) {
    samples.timestamps_ms.insert(samples.timestamps_ms.begin() + at, time_ms);
    samples.values.insert(samples.values.begin() + at, 0);
    if (!samples.histograms.empty()) {
      samples.histograms.insert(samples.histograms.begin() + at, nullptr);
    }
    if (!samples.start_timestamps_ms.empty()) {
      samples.start_timestamps_ms.insert(samples.start_timestamps_ms.begin() + at, 0);
    }
  }
  samples.values[position] = value;
  if (histogram != nullptr) samples.histograms.resize(samples.size());
  if (!samples.histograms.empty()) samples.histograms[position] = std::move(histogram);
  if (start_ms != 0) samples.start_timestamps_ms.resize(samples.size(), 0);
  if (!samples.start_timestamps_ms.empty()) samples.start_timestamps_ms[position] = start_ms;
}

void MemoryStore::AppendFloat(const Labels& labels, int64_t time_ms, double value,
                              int64_t start_ms) {
  SeriesData& series = Find(labels);
  const storage::SampleColumns& samples = series.samples;
  if (IsStaleNan(value) && !samples.empty() && samples.histogram(samples.size() - 1) != nullptr) {
    FloatHistogram stale;
    stale.sum = value;
    AppendHistogram(labels, time_ms, std::move(stale), start_ms);
    return;
  }
  Insert(&series, time_ms, value, nullptr, start_ms);
}

void MemoryStore::AppendHistogram(const Labels& labels, int64_t time_ms, FloatHistogram histogram,
                                  int64_t start_ms) {
  SeriesData& series = Find(labels);
  const storage::SampleColumns& samples = series.samples;
  const FloatHistogram* previous =
      samples.empty() ? nullptr : samples.histogram(samples.size() - 1);
  if (histogram.counter_reset_hint != CounterResetHint::kGauge) {
    const bool continues = previous != nullptr && Continues(histogram, *previous);
    histogram.counter_reset_hint =
        continues ? CounterResetHint::kNotReset : CounterResetHint::kUnknown;
  }
  Insert(&series, time_ms, 0, std::make_shared<const FloatHistogram>(std::move(histogram)),
         start_ms);
}

Result<std::unique_ptr<storage::Querier>> MemoryStore::OpenQuerier(TimeRange range) {
  return std::unique_ptr<storage::Querier>(std::make_unique<StoreQuerier>(series_, range));
}

}  // namespace narthex::promql
