#include "apps/tool_test_store.h"

#include <bit>
#include <utility>
#include <variant>

#include "model/float_histogram_ops.h"
#include "util/time.h"

namespace narthex::apps {

class RuleTestStore::Appender : public storage::Appender {
 public:
  explicit Appender(RuleTestStore* store) : store_(store) {}

  Result<storage::SeriesRef> Append(storage::SeriesRef, const Labels& labels, int64_t timestamp_ms,
                                    double value, const storage::AppendOptions&) override {
    return Take(labels, {timestamp_ms, value, nullptr, 0});
  }
  Result<storage::SeriesRef> AppendHistogram(storage::SeriesRef, const Labels& labels,
                                             int64_t timestamp_ms, const Histogram& histogram,
                                             const storage::AppendOptions&) override {
    return Take(labels,
                {timestamp_ms, 0, std::make_shared<const FloatHistogram>(histogram.ToFloat()), 0});
  }
  Result<storage::SeriesRef> AppendFloatHistogram(storage::SeriesRef, const Labels& labels,
                                                  int64_t timestamp_ms,
                                                  const FloatHistogram& histogram,
                                                  const storage::AppendOptions&) override {
    return Take(labels, {timestamp_ms, 0, std::make_shared<const FloatHistogram>(histogram), 0});
  }
  void AppendFloats(std::span<const storage::RefSample>,
                    std::span<storage::AppendOutcome> outcomes) override {
    for (storage::AppendOutcome& outcome : outcomes) {
      outcome = storage::AppendOutcome::kUnknownSeries;
    }
  }
  Status AppendExemplar(storage::SeriesRef, const Labels&, const Exemplar&) override {
    return Status(ErrorCode::kExemplarsDisabled, "exemplar storage is disabled");
  }
  Status UpdateMetadata(storage::SeriesRef, const Labels&, const Metadata&) override { return {}; }
  Result<storage::SeriesRef> AppendStartZero(storage::SeriesRef, const Labels&, int64_t, int64_t,
                                             const FloatHistogram*) override {
    return storage::SeriesRef{0};
  }
  Status Commit() override {
    for (const auto& [labels, sample] : batch_) store_->Add(labels, sample);
    batch_.clear();
    return {};
  }
  Status Rollback() override {
    batch_.clear();
    return {};
  }

 private:
  Result<storage::SeriesRef> Take(const Labels& labels, Sample sample) {
    NARTHEX_RETURN_IF_ERROR(store_->Check(labels, sample));
    batch_.emplace_back(labels, std::move(sample));
    return storage::SeriesRef{0};
  }

  RuleTestStore* store_;
  std::vector<std::pair<Labels, Sample>> batch_;
};

Result<std::unique_ptr<RuleTestStore>> RuleTestStore::Create(const std::vector<std::string>& series,
                                                             int64_t interval_nanos,
                                                             int64_t start_ms) {
  std::string script = "load " + FormatDuration(interval_nanos) + "\n";
  for (const std::string& line : series) script += "  " + line + "\n";
  NARTHEX_TRY(std::vector<promql::script::Command> commands, promql::script::ParseScript(script));
  std::unique_ptr<RuleTestStore> store(new RuleTestStore);
  for (promql::script::Command& command : commands) {
    auto* load = std::get_if<promql::script::LoadCommand>(&command);
    if (load == nullptr) {
      return Status(ErrorCode::kInvalidInput, "a series cannot stand on several lines");
    }
    for (promql::script::LoadSeries& loaded : load->series) {
      for (promql::script::LoadSample& sample : loaded.samples) {
        sample.time_ms += start_ms;
        if (sample.start_ms != 0) sample.start_ms += start_ms;
      }
      store->input_.push_back(std::move(loaded));
    }
  }
  store->next_.resize(store->input_.size());
  return store;
}

Status RuleTestStore::LoadUntil(int64_t time_ms) {
  for (size_t i = 0; i < input_.size(); ++i) {
    const promql::script::LoadSeries& series = input_[i];
    for (; next_[i] < series.samples.size(); ++next_[i]) {
      const promql::script::LoadSample& from = series.samples[next_[i]];
      if (from.time_ms > time_ms) break;
      const Sample sample{from.time_ms, from.value.value, from.value.histogram, from.start_ms};
      NARTHEX_RETURN_IF_ERROR(Check(series.labels, sample));
      Add(series.labels, sample);
    }
  }
  return {};
}

std::unique_ptr<storage::Appender> RuleTestStore::NewAppender() {
  return std::make_unique<Appender>(this);
}

Status RuleTestStore::Check(const Labels& labels, const Sample& sample) const {
  const auto newest = newest_.find(labels);
  if (newest == newest_.end() || newest->second.time_ms < sample.time_ms) return {};
  if (newest->second.time_ms > sample.time_ms) {
    return Status(ErrorCode::kOutOfOrderSample, "out of order sample");
  }
  const Sample& old = newest->second;
  const bool same =
      old.histogram != nullptr && sample.histogram != nullptr
          ? HistogramsEqual(*old.histogram, *sample.histogram)
          : old.histogram == sample.histogram &&
                std::bit_cast<uint64_t>(old.value) == std::bit_cast<uint64_t>(sample.value);
  if (same) return {};
  return Status(ErrorCode::kDuplicateSample, "duplicate sample for timestamp");
}

void RuleTestStore::Add(const Labels& labels, const Sample& sample) {
  if (sample.histogram != nullptr) {
    store_.AppendHistogram(labels, sample.time_ms, *sample.histogram, sample.start_ms);
  } else {
    store_.AppendFloat(labels, sample.time_ms, sample.value, sample.start_ms);
  }
  newest_[labels] = sample;
}

}  // namespace narthex::apps
