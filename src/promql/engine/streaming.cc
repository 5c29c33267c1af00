#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

#include "promql/engine/evaluator.h"
#include "util/thread_pool.h"
#include "util/time.h"

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
// Series that a thread takes at a time: many at first, since neighbours share plans of windows, and
// few towards the end, so that all threads end together.
constexpr size_t kChunk = 8;
constexpr size_t kChunkMax = 128;
// From so many steps on a look at the clock for each series costs nothing.
constexpr size_t kLongColumn = 256;

// A thread of the pool that helps with a batch looks up so often: where scrapes or other queries
// wait for it, it leaves the batch to its owner.
constexpr int64_t kHelpNs = 5 * kNanosPerMilli;

struct Chunk {
  size_t begin = 0;
  size_t end = 0;
};
Chunk TakeChunk(std::atomic<size_t>* next, size_t end, size_t lanes) {
  size_t begin = next->load(std::memory_order_relaxed);
  for (;;) {
    if (begin >= end) return {end, end};
    const size_t size = std::clamp((end - begin) / (2 * lanes), kChunk, kChunkMax);
    const size_t until = std::min(begin + size, end);
    if (next->compare_exchange_weak(begin, until, std::memory_order_relaxed)) {
      return {begin, until};
    }
  }
}

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

// Measures the scope if the query is analysed.
class WorkerTimer {
 public:
  explicit WorkerTimer(WorkerState* worker) : worker_(worker->measured ? worker : nullptr) {
    if (worker_ == nullptr) return;
    worker_->thread = std::this_thread::get_id();
    start_ns_ = MonotonicNanos();
  }
  ~WorkerTimer() {
    if (worker_ != nullptr) worker_->busy_ns += MonotonicNanos() - start_ns_;
  }
  WorkerTimer(const WorkerTimer&) = delete;
  WorkerTimer& operator=(const WorkerTimer&) = delete;

 private:
  WorkerState* worker_;
  int64_t start_ns_ = 0;
};

// What a run over a source's batches adds to the profile of its operators. Null profile: nothing.
class DrainProfile {
 public:
  DrainProfile(QueryProfile* profile, const ColumnSource& source)
      : profile_(profile), source_(source) {}

  void BeginBatch() {
    if (profile_ == nullptr) return;
    ++batches_;
    start_ns_ = MonotonicNanos();
  }
  void EndBatch() {
    if (profile_ != nullptr) wall_ns_ += MonotonicNanos() - start_ns_;
  }
  void Made(const StepColumn& column) {
    if (profile_ == nullptr) return;
    ++series_;
    samples_ += static_cast<int64_t>(column.Count());
    bytes_ += static_cast<int64_t>(MemoryOf(column));
  }

  void Finish(const std::vector<WorkerState>& workers) {
    if (profile_ == nullptr) return;
    int64_t busy_ns = 0;
    int64_t read_ns = 0;
    int64_t samples_read = 0;
    std::vector<std::thread::id> threads;
    OperatorProfile& own = profile_->At(*source_.made_by());
    for (const WorkerState& worker : workers) {
      busy_ns += worker.busy_ns;
      read_ns += worker.read_ns;
      samples_read += worker.samples_read;
      threads.push_back(worker.thread);
      own.windows_shared += static_cast<int64_t>(worker.plans.shared());
      own.windows_made += static_cast<int64_t>(worker.plans.made());
    }
    const int64_t thread_count = CountThreads(std::move(threads));
    own.batches += batches_;
    own.threads = std::max(own.threads, thread_count);
    own.busy_ns += busy_ns;
    if (!profile_->IsOpen(*source_.made_by())) {  // Else its scope records time and result.
      own.streamed = true;
      ++own.evaluations;
      own.wall_ns += wall_ns_;
      own.series += series_;
      own.samples += samples_;
      own.bytes += bytes_;
    }
    if (source_.reads() == nullptr) {
      own.samples_read += samples_read;
      return;
    }
    own.busy_ns -= read_ns;
    OperatorProfile& selector = profile_->At(*source_.reads());
    const double part =
        busy_ns == 0 ? 0 : static_cast<double>(read_ns) / static_cast<double>(busy_ns);
    selector.streamed = true;
    selector.wall_ns += static_cast<int64_t>(static_cast<double>(wall_ns_) * part);
    selector.busy_ns += read_ns;
    selector.batches += batches_;
    selector.threads = std::max(selector.threads, thread_count);
    selector.samples_read += samples_read;
    selector.series += static_cast<int64_t>(source_.size());
    selector.samples += samples_read;
    // A time and a value; what histograms take above that shows in the results.
    selector.bytes += samples_read * static_cast<int64_t>(sizeof(int64_t) + sizeof(double));
  }

 private:
  QueryProfile* profile_;
  const ColumnSource& source_;
  int64_t start_ns_ = 0;
  int64_t wall_ns_ = 0;
  int64_t batches_ = 0;
  int64_t series_ = 0;
  int64_t samples_ = 0;
  int64_t bytes_ = 0;
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
  for (size_t i = 0; i < lanes; ++i) workers.emplace_back(stats_->Fork(), &query_->cancellation);
  std::vector<StepColumn> columns(std::min(batch_size, size));
  std::vector<SeriesCost> costs(columns.size());
  // What the columns of a batch take, until whoever consumes them counts them.
  const bool counted = query_->memory.counting();
  std::vector<size_t> bytes(counted ? columns.size() : 0);
  MemoryHold batch_memory = HoldMemory();
  QueryProfile* const profile = source.made_by() == nullptr ? nullptr : query_->profile;
  for (WorkerState& worker : workers) worker.measured = profile != nullptr;
  DrainProfile measured(profile, source);
  const bool windows = source.has_windows();
  Status status;

  // A histogram takes a hundred times the memory of a float: batches start small and grow only
  // while there are none.
  size_t batch_now = std::min(batch_size, std::max(batch_min, kHistogramBatchValues / steps_));
  const std::thread::id caller = std::this_thread::get_id();
  for (size_t begin = 0, end = 0; begin < size && status.ok(); begin = end) {
    end = std::min(begin + batch_now, size);
    bool histograms = false;
    std::fill(bytes.begin(), bytes.end(), 0);
    FirstError error;
    std::atomic<size_t> next{begin};
    const auto work = [&](size_t lane) {
      const int64_t began_ns = MonotonicNanos();
      for (;;) {
        if (std::this_thread::get_id() != caller && pool->queued() > 0 &&
            MonotonicNanos() - began_ns > kHelpNs) {
          return;  // The rest is done by who is left.
        }
        const auto [from, until] = TakeChunk(&next, end, lanes);
        if (from >= end || error.failed()) return;
        if (Status done = CheckDone(); !done.ok()) return error.Set(from, std::move(done));
        const WorkerTimer timer(&workers[lane]);
        for (size_t i = from; i < until; ++i) {
          if (i > from && (steps_ >= kLongColumn || (i - from) % kChunk == 0)) {
            if (Status done = CheckDone(); !done.ok()) return error.Set(i, std::move(done));
          }
          StepColumn& column = columns[i - begin];
          column = StepColumn(steps_);
          costs[i - begin] = {};
          Status computed = source.Compute(i, &workers[lane], &column, &costs[i - begin]);
          if (!computed.ok()) return error.Set(i, std::move(computed));
          if (!counted) continue;
          bytes[i - begin] = MemoryOf(column);
          Status taken = query_->memory.Take(static_cast<int64_t>(bytes[i - begin]));
          if (!taken.ok()) return error.Set(i, std::move(taken));
        }
      }
    };
    measured.BeginBatch();
    if (lanes == 1 || query_->WorksAlone()) {
      work(0);
    } else {
      pool->ParallelFor(lanes, work);
    }
    measured.EndBatch();
    for (const size_t size_of_column : bytes) batch_memory.Adopt(size_of_column);
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
        measured.Made(columns[i - begin]);
        if (counted && !batch_done) batch_memory.Shrink(bytes[i - begin]);
        status = consume(i, std::move(columns[i - begin]));
      }
    }
    if (status.ok() && batch_done) status = batch_done();
    NARTHEX_RETURN_IF_ERROR(batch_memory.SetTo(0));
    batch_now = histograms ? std::min(batch_size, batch_min) : batch_size;
  }
  measured.Finish(workers);
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
  MemoryHold memory = HoldMemory();
  const bool drop = source.drops_metadata() && !query_->delayed_name_removal;
  bool alike = true;  // In what is dropped: then nothing becomes equal.
  std::optional<MetadataLabels> dropped;
  const auto keep = [&](size_t i, StepColumn&& column) -> Status {
    NARTHEX_RETURN_IF_ERROR(CheckDense(vector.size() + 1));
    if (drop && alike) {
      const MetadataLabels metadata = MetadataOf(source.labels(i));
      alike = !dropped.has_value() || *dropped == metadata;
      dropped = metadata;
    }
    if (memory.counting()) NARTHEX_RETURN_IF_ERROR(memory.Grow(MemoryOf(column)));
    const Labels& labels = source.labels(i);
    vector.push_back(
        {drop ? DropMetadata(labels) : labels, source.drop_name(i), std::move(column)});
    return {};
  };
  NARTHEX_RETURN_IF_ERROR(Drain(source, keep));
  if (drop && !alike) NARTHEX_RETURN_IF_ERROR(MergeDuplicates(&vector, query_->cancellation));
  return vector;
}

}  // namespace narthex::promql
