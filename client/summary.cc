#include "narthex/client/summary.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <mutex>

#include "narthex/client/detail/exemplar_slot.h"
#include "quantile_stream.h"
#include "utf8.h"

namespace narthex::client {
namespace detail {

double QuantileStream::WidthMax(double rank) const {
  double least = std::numeric_limits<double>::max();
  for (const Objective& o : objectives_) {
    const double width = o.quantile * count_ <= rank
                             ? 2 * o.error * rank / o.quantile
                             : 2 * o.error * (count_ - rank) / (1 - o.quantile);
    least = std::min(least, width);
  }
  return least;
}

void QuantileStream::Merge(const std::vector<double>& sorted) {
  std::vector<Tuple> merged;
  merged.reserve(tuples_.size() + sorted.size());
  double rank = 0;
  auto old = tuples_.begin();
  for (const double value : sorted) {
    for (; old != tuples_.end() && old->value <= value; ++old) {
      rank += old->width;
      merged.push_back(*old);
    }
    // The greatest value so far has an exact rank; so has the least.
    const double delta = old == tuples_.end() ? 0 : std::max(0.0, std::floor(WidthMax(rank)) - 1);
    merged.push_back({value, 1, delta});
    rank += 1;
    count_ += 1;
  }
  merged.insert(merged.end(), old, tuples_.end());
  tuples_ = std::move(merged);
  Compress();
}

// From the greatest value down, each tuple that fits is merged into the one above it.
void QuantileStream::Compress() {
  if (tuples_.size() < 2) return;
  Tuple above = tuples_.back();
  double rank = count_ - 1 - above.width;
  size_t kept = tuples_.size();  // Kept tuples grow downwards from the end.
  for (size_t i = tuples_.size() - 1; i-- > 0;) {
    const Tuple tuple = tuples_[i];
    if (tuple.width + above.width + above.delta <= WidthMax(rank)) {
      above.width += tuple.width;
    } else {
      tuples_[--kept] = above;
      above = tuple;
    }
    rank -= tuple.width;
  }
  tuples_[--kept] = above;
  tuples_.erase(tuples_.begin(), tuples_.begin() + static_cast<ptrdiff_t>(kept));
}

double QuantileStream::Query(double quantile) const {
  double target = std::ceil(quantile * count_);
  target += std::ceil(WidthMax(target) / 2);
  double rank = 0;
  for (size_t i = 1; i < tuples_.size(); ++i) {
    rank += tuples_[i - 1].width;
    if (rank + tuples_[i].width + tuples_[i].delta > target) return tuples_[i - 1].value;
  }
  return tuples_.back().value;
}

void QuantileStream::Clear() {
  tuples_.clear();
  count_ = 0;
}

// Observations wait in one list that all streams share; stream i has yet to take those from
// `from` on. A stream that has taken none answers exactly, straight from the list. When the list is
// full every stream takes its part.
//
//   pending_   [ . . . . . . . . . . ]        streams   head (oldest, answers)  from = 0
//                ^0        ^from of a stream            …
//                           that began here             youngest                from = 5
class SummaryCore final : public MetricCore {
 public:
  explicit SummaryCore(SummaryOptions options);

  void Observe(double v);
  SummaryValue Value();
  MetricValue Read() override { return std::make_shared<const SummaryValue>(Value()); }

 private:
  static constexpr size_t kPendingMax = 500;

  struct Window {
    QuantileStream stream;
    size_t from = 0;
  };

  std::chrono::nanoseconds Now() const {
    return options_.now ? options_.now() : std::chrono::steady_clock::now().time_since_epoch();
  }
  // These need mutex_.
  void Rotate(std::chrono::nanoseconds now);
  void Begin(Window& window);
  std::vector<double> SortedPending(const Window& window) const;
  void Flush(Window& window);
  double Query(double quantile);

  SummaryOptions options_;  // Constant; objectives ascending.
  const std::chrono::nanoseconds step_;
  const Timestamp created_ = Timestamp::Now();

  // Without objectives these two are all, guarded by spin_.
  SpinLock spin_;
  uint64_t count_ = 0;
  double sum_ = 0;

  std::mutex mutex_;  // Guards what follows.
  std::vector<double> pending_;
  std::deque<Window> windows_;  // Never resized after construction; windows_[head_] is the oldest.
  size_t head_ = 0;
  std::chrono::nanoseconds head_ends_{};
};

SummaryCore::SummaryCore(SummaryOptions options)
    : options_(std::move(options)), step_(options_.max_age / std::max(1u, options_.age_buckets)) {
  std::sort(options_.objectives.begin(), options_.objectives.end(),
            [](const Objective& a, const Objective& b) { return a.quantile < b.quantile; });
  if (options_.objectives.empty()) return;
  for (unsigned i = 0; i < options_.age_buckets; ++i) {
    windows_.push_back({QuantileStream(options_.objectives)});
  }
  head_ends_ = Now() + step_;
}

void SummaryCore::Observe(double v) {
  {
    const std::lock_guard lock(spin_);
    ++count_;
    sum_ += v;
  }
  if (windows_.empty()) return;
  const std::lock_guard lock(mutex_);
  Rotate(Now());
  pending_.push_back(v);
  if (pending_.size() < kPendingMax) return;
  for (Window& window : windows_) Flush(window);
  pending_.clear();
  for (Window& window : windows_) window.from = 0;
}

void SummaryCore::Begin(Window& window) {
  window.stream.Clear();
  window.from = pending_.size();
}

void SummaryCore::Rotate(std::chrono::nanoseconds now) {
  if (now <= head_ends_) return;
  if (now - head_ends_ > options_.max_age) {
    // Everything is too old; keep the rhythm.
    for (Window& window : windows_) Begin(window);
    head_ends_ += (now - head_ends_) / step_ * step_;
  }
  for (; now > head_ends_; head_ends_ += step_) {
    Begin(windows_[head_]);
    head_ = (head_ + 1) % windows_.size();
  }
  // What no stream waits for any more is let go.
  size_t least = pending_.size();
  for (const Window& window : windows_) least = std::min(least, window.from);
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(least));
  for (Window& window : windows_) window.from -= least;
}

std::vector<double> SummaryCore::SortedPending(const Window& window) const {
  std::vector<double> sorted(pending_.begin() + static_cast<ptrdiff_t>(window.from),
                             pending_.end());
  // NaNs have no order; they go to the end.
  const auto numbers_end =
      std::partition(sorted.begin(), sorted.end(), [](double v) { return !std::isnan(v); });
  std::sort(sorted.begin(), numbers_end);
  return sorted;
}

void SummaryCore::Flush(Window& window) {
  if (window.from < pending_.size()) window.stream.Merge(SortedPending(window));
  window.from = pending_.size();
}

SummaryValue SummaryCore::Value() {
  SummaryValue value;
  value.created = created_;
  if (!windows_.empty()) {
    const std::lock_guard lock(mutex_);
    Rotate(Now());
    Window& head = windows_[head_];
    if (!head.stream.empty()) Flush(head);
    const std::vector<double> exact =
        head.stream.empty() ? SortedPending(head) : std::vector<double>();
    for (const Objective& o : options_.objectives) {
      double q = std::numeric_limits<double>::quiet_NaN();
      if (!head.stream.empty()) {
        q = head.stream.Query(o.quantile);
      } else if (!exact.empty()) {
        const double rank = std::ceil(static_cast<double>(exact.size()) * o.quantile);
        q = exact[rank > 0 ? static_cast<size_t>(rank) - 1 : 0];
      }
      value.quantiles.push_back({o.quantile, q});
    }
  }
  const std::lock_guard lock(spin_);
  value.sample_count = count_;
  value.sample_sum = sum_;
  return value;
}

}  // namespace detail

Summary::Summary(std::shared_ptr<detail::MetricCore> core)
    : core_(std::static_pointer_cast<Core>(std::move(core))) {}

void Summary::Observe(double v) const {
  if (core_) core_->Observe(v);
}

SummaryValue Summary::Value() const {
  return core_ ? core_->Value() : SummaryValue();
}

std::shared_ptr<detail::MetricCore> Summary::NewCore(const Options& options, const Description&) {
  return std::make_shared<Core>(options);
}

Status Summary::CheckOptions(const Options& options) {
  if (options.max_age.count() <= 0) return {StatusCode::kInvalid, "illegal max age"};
  if (options.age_buckets == 0) return {StatusCode::kInvalid, "age_buckets must not be 0"};
  for (const Objective& o : options.objectives) {
    if (!(o.quantile > 0 && o.quantile < 1 && o.error >= 0 && o.error <= 1)) {
      return {StatusCode::kInvalid,
              "objectives need a quantile between 0 and 1 and an error in "
              "[0, 1]"};
    }
  }
  return {};
}

}  // namespace narthex::client
