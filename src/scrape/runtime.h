// What all pools of a scrape manager share: the store, the network, time, threads, and the count of
// scrapes under way that stopping waits for.
//
// Threads: any.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "scrape/failure_log.h"
#include "scrape/fetcher.h"
#include "scrape/metadata_cache.h"
#include "scrape/metrics.h"
#include "scrape/target_scraper.h"
#include "storage/storage.h"
#include "util/thread_pool.h"
#include "util/time.h"

namespace narthex::scrape {

struct ScrapeEnvironment {
  storage::Appendable* store = nullptr;
  Fetcher* fetcher = nullptr;
  TimerService* timers = nullptr;
  ThreadPool* pool = nullptr;          // Decompression, parsing, appending.
  const Clock* clock = nullptr;        // Wall time.
  FileSystem* files = nullptr;         // Failure logs.
  ScrapeObserver* observer = nullptr;  // May be null.
  // Answers up to this size are read on the fetcher's thread as long as it is idle enough: handing
  // a small page over costs more than reading it.
  size_t inline_bytes_max = 0;
};

struct ScrapeOptions {
  ScrapeFeatures features;
  std::string user_agent = "Prometheus/3.16.0";
  // Names this machine in the seed of scrape offsets.
  std::string fqdn;
  // Timestamps within 2 ms (and 1 % of the interval) of the schedule are moved onto it, which lets
  // them compress well.
  bool align_timestamps = true;
  int64_t timestamp_tolerance_nanos = 2 * kNanosPerMilli;
  // Added to every target's first offset.
  int64_t initial_offset_nanos = 0;
  // Tests: every target starts at once.
  bool skip_offsets = false;
};

class ScrapeRuntime {
 public:
  ScrapeRuntime(const ScrapeEnvironment& env, ScrapeOptions opts)
      : environment(env), options(std::move(opts)) {}

  const ScrapeEnvironment environment;
  const ScrapeOptions options;
  ScrapeMetrics metrics;
  const std::shared_ptr<MetadataInterner> interner = std::make_shared<MetadataInterner>();

  ScrapeObserver& observer() {
    static ScrapeObserver nobody;
    return environment.observer == nullptr ? nobody : *environment.observer;
  }

  // Work that touches the environment from timers, the network or the pool holds a permit; after
  // Stop() none is given, and Stop() returns when the last one is back.
  class Permit {
   public:
    Permit() = default;
    explicit Permit(ScrapeRuntime* runtime) : runtime_(runtime) {}
    Permit(Permit&& other) noexcept : runtime_(std::exchange(other.runtime_, nullptr)) {}
    Permit& operator=(Permit&& other) noexcept {
      std::swap(runtime_, other.runtime_);
      return *this;
    }
    ~Permit() {
      if (runtime_ != nullptr) runtime_->Return();
    }
    explicit operator bool() const { return runtime_ != nullptr; }

   private:
    ScrapeRuntime* runtime_ = nullptr;
  };
  Permit Acquire();
  bool stopped() const;
  // Lets nobody in any more, without waiting.
  void Close();
  void Stop();

  // Whether an answer of this size is read where it arrived, on the fetcher's one thread. Then
  // EndInline tells when that began.
  bool BeginInline(size_t bytes);
  void EndInline(int64_t began_nanos);

  // Scratch memory for one task of the pool.
  std::unique_ptr<ScrapeScratch> TakeScratch();
  void GiveScratch(std::unique_ptr<ScrapeScratch> scratch);

 private:
  void Return();

  mutable std::mutex mutex_;
  std::condition_variable idle_;
  bool stopped_ = false;
  uint64_t permits_ = 0;
  std::vector<std::unique_ptr<ScrapeScratch>> scratches_;
  // How much of the current window the fetcher's thread has spent on pages. Seldom touched by
  // another, and then a lost update does no harm.
  std::atomic<int64_t> window_begin_nanos_ = 0;
  std::atomic<int64_t> window_spent_nanos_ = 0;
};

}  // namespace narthex::scrape
