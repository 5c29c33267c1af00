// The schedule of one target: when to fetch, and what to do with the answer.
//
//   timer ──tick──▶ Fetch (network thread) ──answer──▶ pool: unpack, ScrapeAndReport ──▶ idle
//     ▲                                                                              │
//     └─────────────── next tick at start + n × interval ◀── dropped while busy ─────┘
//
// A target has its own place in the interval (ScrapeOffset), and ticks at equal distances from it.
// While a scrape is under way one tick waits and the others are dropped. When a target goes, its
// series get stale markers two intervals and a bit later, unless it came back under the same cache.
//
// Threads: any. A loop is kept alive by its timer, its fetch and its task, and does nothing more
// once it is stopped.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "scrape/runtime.h"
#include "scrape/target.h"
#include "scrape/target_scraper.h"
#include "util/trace.h"

namespace narthex::scrape {

// What a loop needs beside its target; replaced as a whole by a reload.
struct LoopSettings {
  std::shared_ptr<const ScrapeConfig> config;
  std::shared_ptr<const HttpClientHandle> client;
  std::shared_ptr<FailureLog> failure_log;  // Null: none.
  uint64_t offset_seed = 0;
};

class ScrapeLoop : public std::enable_shared_from_this<ScrapeLoop> {
 public:
  ScrapeLoop(std::shared_ptr<ScrapeRuntime> runtime, std::shared_ptr<Target> target,
             LoopSettings settings);

  void Start();
  // Begins anew with other settings. With `keep_cache` the series go on; without it the old ones
  // end like those of a target that went.
  void Reconfigure(LoopSettings settings, bool keep_cache);
  void SetFailureLog(std::shared_ptr<FailureLog> log);
  // Every scrape fails with this; ok ends that.
  void SetForcedError(Status error);
  enum class Markers : uint8_t { kWrite, kNone };
  // Ends the loop. With kWrite the series end later, as above.
  void Stop(Markers markers);

  const std::shared_ptr<Target>& target() const { return target_; }
  int64_t interval_nanos() const;
  int64_t timeout_nanos() const;
  // What the target exposed; for the API and the metrics.
  std::vector<std::shared_ptr<const FamilyMetadata>> ListMetadata() const;
  struct MetadataSize {
    size_t count = 0;
    size_t text_bytes = 0;
  };
  MetadataSize metadata_size() const;

 private:
  ScraperSettings MakeScraperSettings() const;
  FetchRequest MakeRequest();
  void ScheduleFirst();
  void ArmTimer(int64_t delay_nanos);
  void OnTick(uint64_t generation);
  void ScheduleNext(int64_t now_nanos);
  void BeginScrape();
  void Process(FetchResponse response);
  ScrapedPage Unpack(FetchResponse* response, std::string* unpacked, const LoopSettings& settings);
  void FinishScrape();
  // Spans of the request, as it goes out and when its answer is there.
  void TraceRequest(FetchRequest* request);
  void TraceAnswer(const FetchResponse& response);
  void Retire(std::shared_ptr<TargetScraper> scraper);

  const std::shared_ptr<ScrapeRuntime> runtime_;
  const std::shared_ptr<Target> target_;

  mutable std::mutex mutex_;
  LoopSettings settings_;
  int64_t interval_nanos_ = 0;
  int64_t timeout_nanos_ = 0;
  // Used without the lock while busy_, by the task alone.
  std::shared_ptr<TargetScraper> scraper_;
  // Of the scrape under way; used without the lock while busy_.
  TraceSpan span_, request_span_, http_span_;
  // Made from the settings when first needed.
  std::shared_ptr<const FetchHeaders> headers_;
  std::string interval_text_;
  Status forced_error_;
  bool stopped_ = false;
  bool busy_ = false;
  bool tick_waits_ = false;
  // A reload or stop that waits for the scrape under way.
  struct Change {
    bool stop = false;
    Markers markers = Markers::kNone;
    bool keep_cache = true;
    std::optional<LoopSettings> settings;
  };
  std::optional<Change> change_;
  void Apply(Change change);

  uint64_t generation_ = 0;  // Of the timer; older timers are void.
  TimerService::TimerId timer_ = 0;
  Fetcher::RequestId fetch_ = 0;
  int64_t next_tick_nanos_ = 0;
  int64_t aligned_nanos_ = 0;       // The schedule's latest point.
  int64_t scrape_time_nanos_ = 0;   // Of the scrape under way.
  int64_t scrape_start_nanos_ = 0;  // Monotonic.
  int64_t last_start_nanos_ = 0;    // Monotonic, of the scrape before; 0: none.
};

}  // namespace narthex::scrape
