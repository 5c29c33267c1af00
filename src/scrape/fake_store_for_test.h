// A store for scraping tests: keeps every committed sample as a line of text, refuses what the real
// one refuses.
#pragma once

#include <fmt/format.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "storage/storage.h"
#include "util/numbers.h"

namespace narthex::scrape {

class FakeStore final : public storage::Appendable {
 public:
  using SeriesRef = storage::SeriesRef;

  std::unique_ptr<storage::Appender> NewAppender() override {
    return std::make_unique<Session>(this);
  }

  // Committed lines "labels time value", in order; and forgets them.
  std::vector<std::string> TakeLines() {
    const std::lock_guard lock(mutex_);
    return std::exchange(lines_, {});
  }
  // The series are still there, but their references are not.
  void ForgetRefs() {
    const std::lock_guard lock(mutex_);
    by_ref_.clear();
    for (auto& [labels, series] : series_) by_ref_[series.ref = next_ref_++] = &labels;
  }
  size_t batch_calls() const { return batch_calls_; }
  size_t single_calls() const { return single_calls_; }

 private:
  struct Series {
    SeriesRef ref = 0;
    int64_t last_ms = INT64_MIN;
    uint64_t last_bits = 0;
  };

  class Session final : public storage::Appender {
   public:
    explicit Session(FakeStore* store) : store_(store) {}

    Result<SeriesRef> Append(SeriesRef ref, const Labels& labels, int64_t t, double v,
                             const storage::AppendOptions& options) override {
      const std::lock_guard lock(store_->mutex_);
      ++store_->single_calls_;
      NARTHEX_TRY(const Labels found, Find(ref, labels));
      NARTHEX_RETURN_IF_ERROR(Check(found, t, v));
      std::string text = ValueText(v);
      if (options.start_timestamp_ms != 0)
        text += fmt::format(" st@{}", options.start_timestamp_ms);
      Record(found, t, v, std::move(text));
      return store_->series_[found].ref;
    }
    Result<SeriesRef> AppendHistogram(SeriesRef ref, const Labels& labels, int64_t t,
                                      const Histogram& h, const storage::AppendOptions&) override {
      const std::lock_guard lock(store_->mutex_);
      NARTHEX_RETURN_IF_ERROR(h.Validate());
      NARTHEX_TRY(const Labels found, Find(ref, labels));
      NARTHEX_RETURN_IF_ERROR(Check(found, t, h.sum));
      Record(found, t, h.sum, h.ToString());
      return store_->series_[found].ref;
    }
    Result<SeriesRef> AppendFloatHistogram(SeriesRef ref, const Labels& labels, int64_t t,
                                           const FloatHistogram& h,
                                           const storage::AppendOptions&) override {
      const std::lock_guard lock(store_->mutex_);
      NARTHEX_TRY(const Labels found, Find(ref, labels));
      NARTHEX_RETURN_IF_ERROR(Check(found, t, h.sum));
      Record(found, t, h.sum, "float" + h.ToString());
      return store_->series_[found].ref;
    }
    void AppendFloats(std::span<const storage::RefSample> samples,
                      std::span<storage::AppendOutcome> outcomes) override {
      const std::lock_guard lock(store_->mutex_);
      ++store_->batch_calls_;
      for (size_t i = 0; i < samples.size(); ++i) {
        const auto& [ref, t, v] = samples[i];
        const Labels* labels = ByRef(ref);
        if (labels == nullptr) {
          outcomes[i] = storage::AppendOutcome::kUnknownSeries;
          continue;
        }
        const Status status = Check(*labels, t, v);
        if (!status.ok()) {
          outcomes[i] = status.code() == ErrorCode::kDuplicateSample
                            ? storage::AppendOutcome::kDuplicate
                            : storage::AppendOutcome::kOutOfOrder;
          continue;
        }
        outcomes[i] = storage::AppendOutcome::kAccepted;
        Record(*labels, t, v, ValueText(v));
      }
    }
    Status AppendExemplar(SeriesRef ref, const Labels&, const Exemplar& exemplar) override {
      const std::lock_guard lock(store_->mutex_);
      const Labels* labels = ByRef(ref);
      if (labels == nullptr) return MakeError(ErrorCode::kNotFound, "unknown exemplar series");
      pending_.push_back(
          {*labels, 0, 0,
           fmt::format("exemplar {} {} {} {}", labels->ToString(), exemplar.timestamp_ms,
                       exemplar.labels.ToString(), FormatFloatG(exemplar.value)),
           /*sample=*/false});
      return {};
    }
    Status UpdateMetadata(SeriesRef ref, const Labels&, const Metadata& metadata) override {
      const std::lock_guard lock(store_->mutex_);
      const Labels* labels = ByRef(ref);
      pending_.push_back({*labels, 0, 0,
                          fmt::format("metadata {} {} {} {}", labels->ToString(),
                                      MetricTypeName(metadata.type), metadata.unit, metadata.help),
                          false});
      return {};
    }
    Result<SeriesRef> AppendStartZero(SeriesRef ref, const Labels& labels, int64_t,
                                      int64_t start_ms, const FloatHistogram* like) override {
      const std::lock_guard lock(store_->mutex_);
      NARTHEX_TRY(const Labels found, Find(ref, labels));
      NARTHEX_RETURN_IF_ERROR(Check(found, start_ms, 0));
      Record(found, start_ms, 0, like == nullptr ? "0 (start)" : "empty histogram (start)");
      return store_->series_[found].ref;
    }
    Status Commit() override {
      const std::lock_guard lock(store_->mutex_);
      for (Pending& p : pending_) store_->lines_.push_back(std::move(p.text));
      pending_.clear();
      return {};
    }
    Status Rollback() override {
      const std::lock_guard lock(store_->mutex_);
      for (auto it = pending_.rbegin(); it != pending_.rend(); ++it) {
        if (!it->sample) continue;
        Series& series = store_->series_[it->labels];
        series.last_ms = it->before_ms;
        series.last_bits = it->before_bits;
      }
      pending_.clear();
      return {};
    }

   private:
    struct Pending {
      Labels labels;
      int64_t before_ms = 0;
      uint64_t before_bits = 0;
      std::string text;
      bool sample = true;
    };

    static std::string ValueText(double v) { return IsStaleNan(v) ? "stale" : FormatFloatG(v); }

    const Labels* ByRef(SeriesRef ref) const {
      const auto found = store_->by_ref_.find(ref);
      return found == store_->by_ref_.end() ? nullptr : found->second;
    }
    Result<Labels> Find(SeriesRef ref, const Labels& labels) {
      if (const Labels* known = ByRef(ref)) return *known;
      if (labels.empty()) {
        return MakeError(ErrorCode::kInvalidInput, "empty labelset: invalid sample");
      }
      const auto [series, fresh] = store_->series_.try_emplace(labels);
      if (fresh) {
        series->second.ref = store_->next_ref_++;
        store_->by_ref_[series->second.ref] = &series->first;
      }
      return labels;
    }
    Status Check(const Labels& labels, int64_t t, double v) const {
      const Series& series = store_->series_[labels];
      if (t < series.last_ms) return {ErrorCode::kOutOfOrderSample, "out of order sample"};
      if (t == series.last_ms && std::bit_cast<uint64_t>(v) != series.last_bits) {
        return {ErrorCode::kDuplicateSample, "duplicate sample for timestamp"};
      }
      return {};
    }
    void Record(const Labels& labels, int64_t t, double v, std::string text) {
      Series& series = store_->series_[labels];
      pending_.push_back({labels, series.last_ms, series.last_bits,
                          fmt::format("{} {} {}", labels.ToString(), t, text)});
      series.last_ms = t;
      series.last_bits = std::bit_cast<uint64_t>(v);
    }

    FakeStore* store_;
    std::vector<Pending> pending_;
  };

  mutable std::mutex mutex_;
  std::map<Labels, Series> series_;
  std::map<SeriesRef, const Labels*> by_ref_;
  SeriesRef next_ref_ = 1;
  std::vector<std::string> lines_;
  size_t batch_calls_ = 0;
  size_t single_calls_ = 0;
};

}  // namespace narthex::scrape
