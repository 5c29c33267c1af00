// Classic and native histograms.
//
//   base_   one shard; all there is while threads do not collide
//   extra_  further shards on cache lines of their own, made once threads did collide
//
// An observation takes the lock of one shard with one atomic exchange, changes plain numbers and
// gives the lock back: cheaper than an atomic instruction for each of count, sum and bucket, and no
// reader can see half of it. Readers, resets and changes of the native layout hold all locks.
//
// Invariants:
//   1. All shards have the same native schema and zero threshold.
//   2. Changes that need all shards hold slow_mutex_ first, then base_, then extra_ in order;
//      observations hold one shard at a time. So no two wait for one another.
#include "narthex/client/histogram.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <limits>
#include <mutex>

#include "narthex/client/detail/cell.h"
#include "narthex/client/detail/exemplar_slot.h"
#include "narthex/client/exemplar.h"
#include "native_buckets.h"

namespace narthex::client {
namespace detail {
namespace {

using std::chrono::nanoseconds;

nanoseconds SteadyNow() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

struct alignas(64) Shard {
  SpinLock lock;
  // All guarded by lock.
  uint64_t count = 0;
  double sum = 0;
  std::unique_ptr<uint64_t[]> buckets;  // Not cumulative; what is above the last bound is in count.
  std::unique_ptr<NativeState> native;
};

}  // namespace

class HistogramCore final : public MetricCore {
 public:
  explicit HistogramCore(HistogramOptions options);
  ~HistogramCore() override {
    delete[] extra_.load(std::memory_order_relaxed);
    delete[] next_exemplar_ns_.load(std::memory_order_relaxed);
  }

  void Observe(double v) noexcept;
  Status ObserveBuckets(const std::vector<uint64_t>& counts, double sum);
  void AddExemplar(double v, ExemplarPtr exemplar);
  HistogramValue Value();
  MetricValue Read() override { return std::make_shared<const HistogramValue>(Value()); }

 private:
  static constexpr uint32_t kContentionMax = 16;

  bool native() const { return options_.native_bucket_factor > 1; }
  size_t bound_count() const { return options_.buckets.size(); }
  nanoseconds Now() const { return options_.now ? options_.now() : SteadyNow(); }

  size_t FindBucket(double v) const noexcept;
  void SampleExemplar(double v, size_t bucket) noexcept;
  void InitShard(Shard& shard) const;
  // A locked shard.
  Shard& Acquire() noexcept;
  void NoteContention() noexcept;
  void AddTo(Shard& shard, double v, size_t bucket) const;

  // These need slow_mutex_ and all locks.
  void LockAll();
  void UnlockAll();
  void Fold();
  void Reset();
  void LimitNative(const double* newest);
  void SpreadLayout();

  HistogramOptions options_;  // Constant; +Inf is removed from its buckets.
  const int32_t first_schema_;
  const double first_zero_threshold_;

  Shard base_;
  std::atomic<Shard*> extra_{nullptr};  // Written once.
  std::atomic<uint32_t> contention_{0};
  uint32_t extra_mask_ = 0;  // Written before extra_ is published.
  // One a bucket, made when a hook for exemplars is there; written once.
  std::atomic<std::atomic<int64_t>*> next_exemplar_ns_{nullptr};

  std::mutex slow_mutex_;  // Guards what follows.
  nanoseconds last_reset_{};
  bool reset_due_ = false;  // The limit was met by other means; reset once old enough.
  Timestamp created_;
  std::vector<ExemplarPtr> exemplars_;  // One a bucket, +Inf last; empty until the first one.
  std::unique_ptr<NativeExemplars> native_exemplars_;
};

namespace {

HistogramOptions Normalise(HistogramOptions options) {
  if (options.buckets.empty() && !(options.native_bucket_factor > 1)) {
    options.buckets = DefaultBuckets();
  }
  if (!options.buckets.empty() &&
      options.buckets.back() == std::numeric_limits<double>::infinity()) {
    options.buckets.pop_back();
  }
  return options;
}

double FirstZeroThreshold(double option) {
  if (option > 0) return option;
  return option == 0 ? kDefaultZeroThreshold : 0;
}

}  // namespace

HistogramCore::HistogramCore(HistogramOptions options)
    : options_(Normalise(std::move(options))),
      first_schema_(native() ? PickSchema(options_.native_bucket_factor) : 0),
      first_zero_threshold_(FirstZeroThreshold(options_.native_zero_threshold)) {
  InitShard(base_);
  last_reset_ = Now();
  created_ = Timestamp::Now();
  if (native() && options_.native_max_exemplars >= 0) {
    const nanoseconds ttl = options_.native_exemplar_ttl.count() == 0
                                ? nanoseconds(std::chrono::minutes(5))
                                : options_.native_exemplar_ttl;
    native_exemplars_ = std::make_unique<NativeExemplars>(
        options_.native_max_exemplars == 0 ? 10
                                           : static_cast<size_t>(options_.native_max_exemplars),
        ttl.count());
  }
}

void HistogramCore::InitShard(Shard& shard) const {
  shard.buckets = std::make_unique<uint64_t[]>(bound_count());
  if (native()) shard.native = std::make_unique<NativeState>(first_schema_, first_zero_threshold_);
}

size_t HistogramCore::FindBucket(double v) const noexcept {
  const std::vector<double>& bounds = options_.buckets;
  if (bounds.size() > 32) {
    if (std::isnan(v)) return bounds.size();
    return static_cast<size_t>(std::lower_bound(bounds.begin(), bounds.end(), v) - bounds.begin());
  }
  // Without branches, hence without mispredictions. A NaN is not <= anything: above all bounds.
  size_t index = 0;
  for (const double bound : bounds) index += !(v <= bound);
  return index;
}

Shard& HistogramCore::Acquire() noexcept {
  if (Shard* extra = extra_.load(std::memory_order_acquire)) {
    const uint32_t own = ThreadSlot();
    for (uint32_t i = 0; i <= extra_mask_; ++i) {
      Shard& shard = extra[(own + i) & extra_mask_];
      if (shard.lock.try_lock()) return shard;
    }
    Shard& shard = extra[own & extra_mask_];
    shard.lock.lock();
    return shard;
  }
  if (!base_.lock.try_lock()) {
    NoteContention();
    base_.lock.lock();
  }
  return base_;
}

void HistogramCore::NoteContention() noexcept {
  if (contention_.fetch_add(1, std::memory_order_relaxed) + 1 != kContentionMax) return;
  if (ShardCount() < 2) return;
  // All locks, so that the new shards get the layout of now.
  const std::lock_guard slow(slow_mutex_);
  auto extra = std::make_unique<Shard[]>(ShardCount());
  LockAll();
  for (unsigned i = 0; i < ShardCount(); ++i) {
    InitShard(extra[i]);
    if (native()) extra[i].native->CopyLayout(*base_.native);
  }
  UnlockAll();
  extra_mask_ = ShardCount() - 1;
  extra_.store(extra.release(), std::memory_order_release);
}

void HistogramCore::AddTo(Shard& shard, double v, size_t bucket) const {
  ++shard.count;
  shard.sum += v;
  if (bucket < bound_count()) ++shard.buckets[bucket];
  if (shard.native != nullptr && !std::isnan(v)) shard.native->Add(v);
}

void HistogramCore::Observe(double v) noexcept {
  const size_t bucket = FindBucket(v);
  Shard& shard = Acquire();
  AddTo(shard, v, bucket);
  const bool over = options_.native_max_buckets > 0 && shard.native != nullptr &&
                    shard.native->bucket_count() > options_.native_max_buckets;
  shard.lock.unlock();
  if (exemplar_source.load(std::memory_order_relaxed) != nullptr) SampleExemplar(v, bucket);
  if (!over) return;
  const std::lock_guard slow(slow_mutex_);
  LockAll();
  Fold();
  LimitNative(&v);
  UnlockAll();
}

Status HistogramCore::ObserveBuckets(const std::vector<uint64_t>& counts, double sum) {
  if (native()) {
    return {StatusCode::kInvalid, "a native histogram cannot take observations by bucket"};
  }
  if (counts.size() != bound_count() + 1) {
    return {StatusCode::kInvalid, "histogram has " + std::to_string(bound_count() + 1) +
                                      " buckets but got " + std::to_string(counts.size())};
  }
  Shard& shard = Acquire();
  for (size_t b = 0; b < counts.size(); ++b) {
    shard.count += counts[b];
    if (b < bound_count()) shard.buckets[b] += counts[b];
  }
  shard.sum += sum;
  shard.lock.unlock();
  return {};
}

void HistogramCore::LockAll() {
  base_.lock.lock();
  if (Shard* extra = extra_.load(std::memory_order_acquire)) {
    for (uint32_t i = 0; i <= extra_mask_; ++i) extra[i].lock.lock();
  }
}

void HistogramCore::UnlockAll() {
  if (Shard* extra = extra_.load(std::memory_order_acquire)) {
    for (uint32_t i = 0; i <= extra_mask_; ++i) extra[i].lock.unlock();
  }
  base_.lock.unlock();
}

// Moves all counts into the base shard.
void HistogramCore::Fold() {
  Shard* extra = extra_.load(std::memory_order_acquire);
  if (extra == nullptr) return;
  for (uint32_t i = 0; i <= extra_mask_; ++i) {
    Shard& shard = extra[i];
    base_.count += std::exchange(shard.count, 0);
    base_.sum += std::exchange(shard.sum, 0);
    for (size_t b = 0; b < bound_count(); ++b) {
      base_.buckets[b] += std::exchange(shard.buckets[b], 0);
    }
    if (native()) base_.native->Absorb(*shard.native);
  }
}

// Only after Fold().
void HistogramCore::Reset() {
  base_.count = 0;
  base_.sum = 0;
  std::fill_n(base_.buckets.get(), bound_count(), 0);
  base_.native->Reset(first_schema_, first_zero_threshold_);
  last_reset_ = Now();
  created_ = Timestamp::Now();
  reset_due_ = false;
}

// Brings the number of native buckets below the limit. `newest`: the observation that went over it,
// which a reset must not lose; null when a scrape found shards to be too many together.
void HistogramCore::LimitNative(const double* newest) {
  const auto over = [this] { return base_.native->bucket_count() > options_.native_max_buckets; };
  if (over()) {
    const nanoseconds min_reset = options_.native_min_reset;
    if (newest != nullptr && min_reset.count() > 0 && !reset_due_ &&
        Now() - last_reset_ >= min_reset) {
      Reset();
      AddTo(base_, *newest, FindBucket(*newest));
    } else {
      reset_due_ |= min_reset.count() > 0;
      // One step for each observation, as client_golang does; all that is needed where several
      // shards came together.
      do {
        if (!base_.native->WidenZeroBucket(options_.native_max_zero_threshold) &&
            !base_.native->HalveResolution()) {
          break;
        }
      } while (newest == nullptr && over());
    }
  }
  SpreadLayout();
}

void HistogramCore::SpreadLayout() {
  if (Shard* extra = extra_.load(std::memory_order_acquire)) {
    for (uint32_t i = 0; i <= extra_mask_; ++i) extra[i].native->CopyLayout(*base_.native);
  }
}

void HistogramCore::SampleExemplar(double v, size_t bucket) noexcept {
  std::atomic<int64_t>* due = next_exemplar_ns_.load(std::memory_order_acquire);
  try {
    if (due == nullptr) {
      const std::lock_guard slow(slow_mutex_);
      due = next_exemplar_ns_.load(std::memory_order_relaxed);
      if (due == nullptr) {
        due = new std::atomic<int64_t>[bound_count() + 1] {};
        next_exemplar_ns_.store(due, std::memory_order_release);
      }
    }
    if (ExemplarPtr taken = TakeExemplar(due[bucket], v)) AddExemplar(v, std::move(taken));
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch)
    // The observation itself is counted.
  }
}

void HistogramCore::AddExemplar(double v, ExemplarPtr exemplar) {
  const std::lock_guard slow(slow_mutex_);
  if (bound_count() > 0 || !native()) {
    exemplars_.resize(bound_count() + 1);
    exemplars_[FindBucket(v)] = exemplar;
  }
  if (native_exemplars_ != nullptr) native_exemplars_->Add(std::move(exemplar));
}

HistogramValue HistogramCore::Value() {
  HistogramValue value;
  value.buckets.reserve(bound_count() + 1);
  const std::lock_guard slow(slow_mutex_);
  LockAll();
  Fold();
  if (native() && options_.native_max_buckets > 0 && extra_.load(std::memory_order_relaxed)) {
    LimitNative(nullptr);
  }
  value.sample_count = base_.count;
  value.sample_sum = base_.sum;
  value.created = created_;
  uint64_t cumulative = 0;
  for (size_t b = 0; b < bound_count(); ++b) {
    cumulative += base_.buckets[b];
    value.buckets.push_back({options_.buckets[b], cumulative, 0, nullptr});
  }
  if (native()) value.native = base_.native->Read();
  // Made up for here rather than by a timer: nothing is lost, as it has just been read.
  if (reset_due_ && Now() - last_reset_ >= options_.native_min_reset) {
    Reset();
    SpreadLayout();
  }
  UnlockAll();

  for (size_t b = 0; b + 1 < exemplars_.size(); ++b) value.buckets[b].exemplar = exemplars_[b];
  if (!exemplars_.empty() && exemplars_.back() != nullptr) {
    value.buckets.push_back(
        {std::numeric_limits<double>::infinity(), value.sample_count, 0, exemplars_.back()});
  }
  if (native_exemplars_ != nullptr) value.native->exemplars = native_exemplars_->exemplars();
  return value;
}

}  // namespace detail

Histogram::Histogram(std::shared_ptr<detail::MetricCore> core)
    : core_(std::static_pointer_cast<Core>(std::move(core))) {}

void Histogram::Observe(double v) const noexcept {
  if (core_) core_->Observe(v);
}

Status Histogram::ObserveWithExemplar(double v, const Labels& labels) const {
  Observe(v);
  Result<ExemplarPtr> exemplar = MakeExemplar(labels, v, Timestamp::Now());
  if (!exemplar.ok()) return exemplar.status();
  if (core_) core_->AddExemplar(v, *std::move(exemplar));
  return {};
}

Status Histogram::ObserveBuckets(const std::vector<uint64_t>& counts, double sum) const {
  return core_ ? core_->ObserveBuckets(counts, sum) : Status();
}

HistogramValue Histogram::Value() const {
  return core_ ? core_->Value() : HistogramValue();
}

std::shared_ptr<detail::MetricCore> Histogram::NewCore(const Options& options, const Description&) {
  return std::make_shared<Core>(options);
}

Status Histogram::CheckOptions(const Options& options) {
  for (size_t i = 1; i < options.buckets.size(); ++i) {
    // Written so that NaN fails too.
    if (options.buckets[i - 1] < options.buckets[i]) continue;
    char message[160];
    std::snprintf(message, sizeof message,
                  "histogram buckets must be in increasing order: %f >= %f", options.buckets[i - 1],
                  options.buckets[i]);
    return {StatusCode::kInvalid, message};
  }
  return {};
}

const std::vector<double>& DefaultBuckets() {
  static const std::vector<double> buckets = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
  return buckets;
}

std::vector<double> LinearBuckets(double start, double width, int count) {
  std::vector<double> buckets;
  for (int i = 0; i < count; ++i, start += width) buckets.push_back(start);
  return buckets;
}

std::vector<double> ExponentialBuckets(double start, double factor, int count) {
  std::vector<double> buckets;
  if (!(start > 0) || !(factor > 1)) return buckets;
  for (int i = 0; i < count; ++i, start *= factor) buckets.push_back(start);
  return buckets;
}

std::vector<double> ExponentialBucketsRange(double min, double max, int count) {
  std::vector<double> buckets;
  if (!(min > 0) || count < 2) return buckets;
  const double factor = std::pow(max / min, 1.0 / (count - 1));
  for (int i = 0; i < count; ++i) buckets.push_back(min * std::pow(factor, i));
  return buckets;
}

}  // namespace narthex::client
