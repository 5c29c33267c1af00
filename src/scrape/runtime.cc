#include "scrape/runtime.h"

namespace narthex::scrape {
namespace {

// Scratch of a huge page is not kept for ever.
constexpr size_t kScratchSamplesMax = 1'000'000;
constexpr size_t kScratchPageBytesMax = 16 << 20;
// The fetcher's thread spends at most half of its time on pages, so that requests go out and
// answers come in on time.
constexpr int64_t kInlineWindowNanos = 20 * kNanosPerMilli;
constexpr int64_t kInlineShareNanos = kInlineWindowNanos / 2;

}  // namespace

ScrapeRuntime::Permit ScrapeRuntime::Acquire() {
  const std::lock_guard lock(mutex_);
  if (stopped_) return {};
  ++permits_;
  return Permit(this);
}

void ScrapeRuntime::Return() {
  // Notified under the lock: Stop() may let the runtime be destroyed right after.
  const std::lock_guard lock(mutex_);
  if (--permits_ == 0) idle_.notify_all();
}

bool ScrapeRuntime::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

void ScrapeRuntime::Close() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
}

void ScrapeRuntime::Stop() {
  std::unique_lock lock(mutex_);
  stopped_ = true;
  idle_.wait(lock, [this] { return permits_ == 0; });
}

bool ScrapeRuntime::BeginInline(size_t bytes) {
  if (bytes > environment.inline_bytes_max || environment.inline_bytes_max == 0) return false;
  const int64_t now = MonotonicNanos();
  if (now - window_begin_nanos_ > kInlineWindowNanos) {
    window_begin_nanos_ = now;
    window_spent_nanos_ = 0;
  }
  return window_spent_nanos_ < kInlineShareNanos;
}

void ScrapeRuntime::EndInline(int64_t began_nanos) {
  window_spent_nanos_ += MonotonicNanos() - began_nanos;
}

std::unique_ptr<ScrapeScratch> ScrapeRuntime::TakeScratch() {
  const std::lock_guard lock(mutex_);
  if (scratches_.empty()) return std::make_unique<ScrapeScratch>();
  std::unique_ptr<ScrapeScratch> scratch = std::move(scratches_.back());
  scratches_.pop_back();
  return scratch;
}

void ScrapeRuntime::GiveScratch(std::unique_ptr<ScrapeScratch> scratch) {
  if (scratch->samples.capacity() > kScratchSamplesMax) return;
  if (scratch->unpacked.capacity() > kScratchPageBytesMax) return;
  const std::lock_guard lock(mutex_);
  if (scratches_.size() < environment.pool->thread_count() + 1) {
    scratches_.push_back(std::move(scratch));
  }
}

}  // namespace narthex::scrape
