// The synchronous heart of scraping: one page of one target goes into the store.
//
//   body ─parse─▶ entry ─SeriesCache─▶ known: RefSample ─┐
//                           │                            ├─▶ one AppendFloats ─▶ report ─▶ Commit
//                           └─ new: labels, relabelling ─▶ Append
//
// A page whose series are all known costs a hash and a number a line, one AppendFloats call, and no
// allocation. Everything else (new series, histograms, exemplars, start timestamps, metadata)
// happens line by line.
//
// A scrape is all or nothing: after an error nothing of the page is stored, but stale markers and
// the report are.
//
// Threads: one at a time for each scraper; Scratch belongs to the calling thread meanwhile.
// Specification: parity/scrape.md sections 8 to 15.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/config.h"
#include "exposition/content_type.h"
#include "scrape/metadata_cache.h"
#include "scrape/metrics.h"
#include "scrape/series_cache.h"
#include "scrape/start_synthesis.h"
#include "storage/storage.h"
#include "util/status.h"

namespace narthex::scrape {

// Feature flags and the like, the same for all pools.
struct ScrapeFeatures {
  bool start_timestamps = false;              // st-storage: stored with the samples.
  bool start_timestamp_zero_samples = false;  // created-timestamp-zero-ingestion.
  bool synthesize_start_timestamps = false;   // st-synthesis.
  bool type_and_unit_labels = false;
  bool openmetrics2 = false;
  bool metadata_to_storage = false;  // metadata-wal-records.
  bool zstd = false;                 // zstd-scrape.
};

// What a scraper needs to know; made from a job's configuration and a target.
struct ScraperSettings {
  std::shared_ptr<const ScrapeConfig> config;
  ScrapeFeatures features;
  Labels target_labels;  // Public ones.
  std::string name;      // The URL, for logs.
  bool native_histograms = false;
  bool always_classic = false;
  bool convert_classic = false;
  int64_t timeout_nanos = 0;  // Reported with extra_scrape_metrics.
};

// Memory that scrapes on one thread share.
struct ScrapeScratch {
  SeriesCacheScratch cache;
  std::vector<storage::RefSample> samples;
  std::vector<storage::AppendOutcome> outcomes;
  std::vector<uint32_t> positions;  // Of the samples' entries.
  std::string unpacked;             // Of a compressed page; only grows.
};

struct ScrapeOutcome {
  uint64_t scraped = 0;       // Samples on the page.
  uint64_t post_relabel = 0;  // Of these, those that relabelling kept.
  uint64_t series_added = 0;
  Status error;  // Why the scrape counts as failed.
};

// What came, or why nothing did.
struct ScrapedPage {
  std::string_view body;
  std::string_view content_type;
  Status error;            // Not ok: no body.
  int64_t body_bytes = 0;  // For scrape_body_size_bytes: -1 when the limit was hit.
};

class TargetScraper {
 public:
  // `metrics` outlives the scraper.
  TargetScraper(ScraperSettings settings, std::shared_ptr<MetadataInterner> interner,
                ScrapeMetrics* metrics);

  // Appends a page, its stale markers and, with `duration_seconds()`, the report series; commits.
  // `duration` is asked for when the page is in. The outcome's error is the page's own, or what
  // was wrong with it.
  ScrapeOutcome ScrapeAndReport(const ScrapedPage& page, int64_t timestamp_ms,
                                storage::Appendable& store, ScrapeScratch* scratch,
                                const std::function<double()>& duration_seconds);

  // The core alone: appends one page to `appender` and marks what is gone. On an error the caller
  // rolls back and calls AppendStaleMarkers on a fresh appender.
  ScrapeOutcome ScrapeOnce(std::string_view body, std::string_view content_type,
                           int64_t timestamp_ms, storage::Appender& appender,
                           ScrapeScratch* scratch);
  // Every series seen last time ends here.
  Status AppendStaleMarkers(int64_t timestamp_ms, storage::Appender& appender);

  // The target is gone for good: markers for its series and for the report.
  Status WriteEndOfRunMarkers(int64_t timestamp_ms, storage::Appendable& store);

  // New settings that leave the meaning of cached series as it is.
  void UpdateSettings(ScraperSettings settings);
  const ScraperSettings& settings() const { return settings_; }

  const MetadataCache& metadata() const { return metadata_; }
  const SeriesCache& series_cache() const { return cache_; }

 private:
  struct Page;  // The state of one ScrapeOnce.

  static constexpr size_t kReportSeriesMax = 8;

  void HandleKnownFloat(Page& page, uint32_t position, double value,
                        std::optional<int64_t> timestamp);
  Status HandleSample(Page& page, exposition::Entry entry);
  Status HandleNewSeries(Page& page, exposition::Entry entry, uint64_t hash, uint32_t length);
  Status HandleKnownSlowly(Page& page, exposition::Entry entry, uint32_t position);
  Result<Labels> StoredLabels(exposition::Parser& parser) const;
  Status CheckLabels(const Labels& labels) const;
  // One sample by the slow way. `*added` tells whether the store took it.
  Status AppendSample(Page& page, exposition::Entry entry, const Labels& labels,
                      storage::SeriesRef* ref, uint64_t hash, bool* added);
  Status AppendExemplars(Page& page, bool histogram, storage::SeriesRef ref, const Labels& labels,
                         int64_t timestamp_ms);
  void AppendMetadata(Page& page, bool new_series, storage::SeriesRef ref, const Labels& labels);
  Status CountRefusal(Page& page, const Status& status);
  Status FlushBatch(Page& page);
  Status ReappendUnknown(Page& page, const std::vector<uint32_t>& samples);
  void LogRefusals(const Page& page) const;
  Status AppendReport(const std::array<double, kReportSeriesMax>& values, int64_t timestamp_ms,
                      bool stale, storage::Appender& appender);
  Labels ReportLabels(size_t index) const;
  size_t report_series_count() const;
  // The family being read must be written to storage anew.
  bool NewMetadata() const {
    return settings_.features.metadata_to_storage && metadata_.current_changed();
  }
  bool needs_labels_for_all() const { return settings_.features.synthesize_start_timestamps; }

  ScraperSettings settings_;
  exposition::ParserOptions parser_options_;
  std::string fallback_media_type_;
  int32_t schema_max_ = 8;
  SeriesCache cache_;
  MetadataCache metadata_;
  ScrapeMetrics* metrics_;
  std::array<storage::SeriesRef, kReportSeriesMax> report_refs_{};
  // Only with st-synthesis; by the hash of the series' text.
  std::unordered_map<uint64_t, StartSynthesis> synthesis_;
};

// The labels that a sample is stored with: target labels joined (conflicts become exported_…),
// then relabelled. `*dropped` is set when relabelling drops it.
Labels MutateSampleLabels(const Labels& exposed, const Labels& target, bool honor_labels,
                          std::span<const RelabelConfig> relabel, bool* dropped);

// Whether a series name can belong to a family of this type.
bool IsSeriesOfFamily(std::string_view series_name, std::string_view family, MetricType type);

}  // namespace narthex::scrape
