#include <algorithm>
#include <atomic>
#include <mutex>

#include "promql/engine/evaluator.h"
#include "util/thread_pool.h"

namespace narthex::promql {
namespace {

// Values of one batch of columns: small enough for the last-level cache, large enough to keep all
// threads busy.
constexpr size_t kBatchValues = 512 * 1024;
constexpr size_t kBatchSeriesMax = 8192;
// The same while columns may turn out to hold histograms.
constexpr size_t kHistogramBatchValues = 16 * 1024;
// Below this much work threads cost more than they save.
constexpr size_t kParallelValuesMin = 16 * 1024;
// On a grid as fine as this one (a subquery's) a single column is work enough and much memory.
constexpr size_t kParallelStepsMax = 1024 * 1024;
// Series that a thread takes at a time.
constexpr size_t kChunk = 8;

// The failure of the first series, whichever thread met it.
class FirstError {
 public:
  void Set(size_t series, Status status) {
    const std::lock_guard lock(mutex_);
    if (!status_.ok() && series_ < series) return;
    series_ = series;
    status_ = std::move(status);
    failed_.store(true, std::memory_order_relaxed);
  }
  bool failed() const { return failed_.load(std::memory_order_relaxed); }
  // After all threads are done.
  const Status& status() const { return status_; }

 private:
  std::mutex mutex_;
  std::atomic<bool> failed_{false};
  size_t series_ = 0;
  Status status_;
};

}  // namespace

Status Evaluator::Drain(const ColumnSource& source, const ConsumeColumn& consume,
                        const BatchDone& batch_done) {
  const size_t size = source.size();
  ThreadPool* pool = query_->pool;
  const bool parallel = pool != nullptr && size > 1 && steps_ <= kParallelStepsMax &&
                        size * (steps_ + source.read_cost()) >= kParallelValuesMin;
  const size_t lanes =
      parallel ? std::min(pool->thread_count() + 1, (size + kChunk - 1) / kChunk) : 1;
  const size_t batch_min = parallel ? lanes * kChunk : 1;
  const size_t batch_size = std::clamp(kBatchValues / std::max<size_t>(1, steps_), batch_min,
                                       std::max(batch_min, kBatchSeriesMax));
  std::vector<WorkerState> workers;
  workers.reserve(lanes);
  for (size_t i = 0; i < lanes; ++i) workers.emplace_back(stats_->Fork());
  std::vector<StepColumn> columns(std::min(batch_size, size));
  std::vector<SeriesCost> costs(columns.size());
  const bool windows = source.has_windows();
  Status status;

  // A histogram takes a hundred times the memory of a float: batches start small and grow only
  // while there are none.
  size_t batch_now = std::min(batch_size, std::max(batch_min, kHistogramBatchValues / steps_));
  for (size_t begin = 0, end = 0; begin < size && status.ok(); begin = end) {
    end = std::min(begin + batch_now, size);
    bool histograms = false;
    FirstError error;
    std::atomic<size_t> next{begin};
    const auto work = [&](size_t lane) {
      for (;;) {
        const size_t from = next.fetch_add(kChunk, std::memory_order_relaxed);
        if (from >= end || error.failed()) return;
        if (Status done = CheckDone(); !done.ok()) return error.Set(from, std::move(done));
        for (size_t i = from; i < std::min(from + kChunk, end); ++i) {
          StepColumn& column = columns[i - begin];
          column = StepColumn(steps_);
          costs[i - begin] = {};
          Status computed = source.Compute(i, &workers[lane], &column, &costs[i - begin]);
          if (!computed.ok()) return error.Set(i, std::move(computed));
        }
      }
    };
    if (lanes == 1) {
      work(0);
    } else {
      pool->ParallelFor(lanes, work);
    }
    if (error.failed()) {
      status = error.status();
      break;
    }
    // The accounts, in the order in which upstream would have read the series.
    for (size_t i = begin; i < end && status.ok(); ++i) {
      const SeriesCost& cost = costs[i - begin];
      const int64_t held = query_->current_samples;
      const auto made = static_cast<int64_t>(cost.samples);
      if (windows) {
        query_->current_samples = held + std::max(static_cast<int64_t>(cost.window_max),
                                                  static_cast<int64_t>(cost.window_last) + made);
        stats_->UpdatePeak(query_->current_samples);
        status = CheckSamples();
      }
      query_->current_samples = held + made;
      histograms = histograms || columns[i - begin].has_histograms();
      if (!windows) {
        stats_->UpdatePeak(query_->current_samples);
        status = CheckSamples();
      }
      if (status.ok() && !columns[i - begin].empty()) {
        status = consume(i, std::move(columns[i - begin]));
      }
    }
    if (status.ok() && batch_done) status = batch_done();
    batch_now = histograms ? std::min(batch_size, batch_min) : batch_size;
  }
  for (const WorkerState& worker : workers) {
    stats_->Merge(worker.stats);
    query_->annotations.Merge(worker.annotations);
    query_->cost_samples_read += static_cast<uint64_t>(worker.stats.read());
  }
  if (status.ok() && query_->query_cost && query_->samples_read_max > 0 &&
      query_->cost_samples_read > query_->samples_read_max) {
    return Status(ErrorCode::kLimitExceeded,
                  "query would read too many samples in query execution");
  }
  return status;
}

Result<VectorValue> Evaluator::Materialize(const ColumnSource& source) {
  VectorValue vector;
  vector.reserve(source.size());
  const bool drop = source.drops_metadata() && !query_->delayed_name_removal;
  const auto keep = [&](size_t i, StepColumn&& column) -> Status {
    NARTHEX_RETURN_IF_ERROR(CheckDense(vector.size() + 1));
    const Labels& labels = source.labels(i);
    vector.push_back(
        {drop ? DropMetadata(labels) : labels, source.drop_name(i), std::move(column)});
    return {};
  };
  NARTHEX_RETURN_IF_ERROR(Drain(source, keep));
  if (drop) NARTHEX_RETURN_IF_ERROR(MergeDuplicates(&vector));
  return vector;
}

}  // namespace narthex::promql
