// The scraper's own metrics (parity/self-metrics.md, prometheus_target_*), as plain counters that
// whoever serves /metrics reads.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace narthex::scrape {

// Each counter is written by any thread and read by any; relaxed order is enough for counting.
struct ScrapeMetrics {
  using Counter = std::atomic<uint64_t>;
  Counter pools_total{0};                     // scrape_pools_total
  Counter pools_failed_total{0};              // scrape_pools_failed_total
  Counter pool_reloads_total{0};              // scrape_pool_reloads_total
  Counter pool_reloads_failed_total{0};       // scrape_pool_reloads_failed_total
  Counter exceeded_target_limit_total{0};     // scrape_pool_exceeded_target_limit_total
  Counter exceeded_label_limits_total{0};     // scrape_pool_exceeded_label_limits_total
  Counter exceeded_body_size_limit_total{0};  // scrapes_exceeded_body_size_limit_total
  Counter exceeded_sample_limit_total{0};     // scrapes_exceeded_sample_limit_total
  Counter exceeded_bucket_limit_total{0};  // scrapes_exceeded_native_histogram_bucket_limit_total
  // The cache here holds nothing of failed scrapes, so it is never flushed by force: stays 0.
  Counter cache_flush_forced_total{0};     // scrapes_cache_flush_forced_total
  Counter sample_duplicate_total{0};       // scrapes_sample_duplicate_timestamp_total
  Counter sample_out_of_order_total{0};    // scrapes_sample_out_of_order_total
  Counter sample_out_of_bounds_total{0};   // scrapes_sample_out_of_bounds_total
  Counter exemplar_out_of_order_total{0};  // scrapes_exemplar_out_of_order_total

  static void Add(Counter& counter, uint64_t count = 1) {
    counter.fetch_add(count, std::memory_order_relaxed);
  }
};

// Durations, for summaries and histograms. Called from any thread; implementations are quick.
class ScrapeObserver {
 public:
  virtual ~ScrapeObserver() = default;
  // `interval` is the configured one as text.
  virtual void ObserveInterval(std::string_view interval, double seconds) {
    (void)interval;
    (void)seconds;
  }
  virtual void ObserveReload(std::string_view interval, double seconds) {
    (void)interval;
    (void)seconds;
  }
  virtual void ObserveSync(std::string_view job, double seconds) {
    (void)job;
    (void)seconds;
  }
  // From the start of a scrape to the end of its commit.
  virtual void ObserveScrape(double seconds) { (void)seconds; }
};

}  // namespace narthex::scrape
