// The database's own figures under upstream's names.
#include <utility>

#include "tsdb/db/db_impl.h"

namespace narthex::tsdb {
namespace {

using Kind = MetricValue::Kind;

class Collector {
 public:
  template <typename T>
  void Counter(std::string_view name, T value, std::string_view help) {
    Add(name, Kind::kCounter, {}, {}, static_cast<double>(value), help);
  }
  template <typename T>
  void Counter(std::string_view name, std::string_view label, std::string_view label_value, T value,
               std::string_view help) {
    Add(name, Kind::kCounter, label, label_value, static_cast<double>(value), help);
  }
  template <typename T>
  void Gauge(std::string_view name, T value, std::string_view help) {
    Add(name, Kind::kGauge, {}, {}, static_cast<double>(value), help);
  }
  // A summary without quantiles unless `points` has some, or a histogram.
  void Distribution(std::string_view name, Kind kind, double sum, uint64_t count,
                    std::vector<std::pair<double, double>> points, std::string_view help) {
    Add(name, kind, {}, {}, sum, help);
    values_.back().count = count;
    values_.back().points = std::move(points);
  }
  void Histogram(std::string_view name, const tsdb::Distribution& distribution,
                 std::string_view help) {
    const tsdb::Distribution::Snapshot read = distribution.Read();
    Distribution(name, Kind::kHistogram, read.sum, read.count,
                 {read.buckets.begin(), read.buckets.end()}, help);
  }
  std::vector<MetricValue> Take() { return std::move(values_); }

 private:
  void Add(std::string_view name, Kind kind, std::string_view label, std::string_view label_value,
           double value, std::string_view help) {
    MetricValue& v = values_.emplace_back();
    v.name = "prometheus_tsdb_";
    v.name += name;
    v.kind = kind;
    v.label_name = label;
    v.label_value = label_value;
    v.value = value;
    v.help = help;
  }
  std::vector<MetricValue> values_;
};

double Seconds(int64_t ms) {
  return static_cast<double>(ms) / 1000;
}

void CollectHead(const Head& head, Collector& out) {
  const HeadCounters& c = head.counters();
  const double min_ms = static_cast<double>(head.min_time_ms());
  const double max_ms = static_cast<double>(head.max_time_ms());
  out.Gauge("head_series", head.series_count(), "Total number of series in the head block.");
  out.Counter("head_series_created_total", c.series_created.load(),
              "Total number of series created in the head");
  out.Counter("head_series_removed_total", c.series_removed.load(),
              "Total number of series removed in the head");
  out.Counter("head_series_not_found_total", c.series_not_found.load(),
              "Total number of requests for series that were not found.");
  out.Gauge("head_stale_series", c.stale_series.load(),
            "Total number of stale series in the head block.");
  out.Gauge("head_native_histogram_series", c.histogram_series.load(),
            "Number of series whose most recent in-order sample is a native histogram.");
  out.Gauge("head_native_histogram_buckets", c.histogram_buckets.load(),
            "Number of positive and negative bucket entries in the most recent in-order native "
            "histogram sample of each series, including entries carried by staleness markers.");
  out.Gauge("head_chunks", c.chunks_created.load() - c.chunks_removed.load(),
            "Total number of chunks in the head block.");
  out.Counter("head_chunks_created_total", c.chunks_created.load(),
              "Total number of chunks created in the head");
  out.Counter("head_chunks_removed_total", c.chunks_removed.load(),
              "Total number of chunks removed in the head");
  out.Gauge("head_min_time", min_ms,
            "Minimum time bound of the head block. The unit is decided by the library consumer.");
  out.Gauge("head_max_time", max_ms,
            "Maximum timestamp of the head block. The unit is decided by the library consumer.");
  out.Gauge("head_min_time_seconds", min_ms / 1000, "Minimum time bound of the head block.");
  out.Gauge("head_max_time_seconds", max_ms / 1000, "Maximum timestamp of the head block.");
  out.Gauge("head_active_appenders", c.active_appenders.load(),
            "Number of currently active appender transactions");
  out.Counter("head_appenders_created_total", c.appenders_created.load(),
              "Total number of appender transactions created.");
  const auto by_type = [&](std::string_view name, uint64_t floats, uint64_t histograms,
                           std::string_view help) {
    out.Counter(name, "type", "float", floats, help);
    out.Counter(name, "type", "histogram", histograms, help);
  };
  by_type("head_samples_appended_total", c.floats_appended, c.histograms_appended,
          "Total number of appended samples.");
  by_type("head_out_of_order_samples_appended_total", c.late_floats_appended,
          c.late_histograms_appended, "Total number of appended out of order samples.");
  by_type("out_of_bound_samples_total", c.out_of_bound_floats, c.out_of_bound_histograms,
          "Total number of out of bound samples ingestion failed attempts with out of order "
          "support disabled.");
  by_type("out_of_order_samples_total", c.out_of_order_floats, c.out_of_order_histograms,
          "Total number of out of order samples ingestion failed attempts due to out of order "
          "being disabled.");
  by_type("too_old_samples_total", c.too_old_floats, c.too_old_histograms,
          "Total number of out of order samples ingestion failed attempts with out of support "
          "enabled, but sample outside of time window.");
  out.Counter("head_truncations_total", c.truncations.load(),
              "Total number of head truncations attempted.");
  out.Counter("head_truncations_failed_total", c.truncations_failed.load(),
              "Total number of head truncations that failed.");
  out.Counter("wal_truncations_total", c.wal_truncations.load(),
              "Total number of write log truncations attempted.");
  out.Counter("wal_truncations_failed_total", c.wal_truncations_failed.load(),
              "Total number of write log truncations that failed.");
  out.Counter("wal_corruptions_total", c.wal_corruptions.load(),
              "Total number of WAL corruptions.");
  out.Counter("checkpoint_creations_total", c.checkpoints_created.load(),
              "Total number of checkpoint creations attempted.");
  out.Counter("checkpoint_creations_failed_total", c.checkpoints_failed.load(),
              "Total number of checkpoint creations that failed.");
  out.Counter("checkpoint_deletions_total", c.checkpoints_deleted.load(),
              "Total number of checkpoint deletions attempted.");
  out.Counter("checkpoint_deletions_failed_total", c.checkpoint_deletions_failed.load(),
              "Total number of checkpoint deletions that failed.");
  out.Counter("snapshot_replay_error_total", c.snapshot_replay_errors.load(),
              "Total number snapshot replays that failed.");
  out.Counter("mmap_chunk_corruptions_total", c.mapped_chunk_corruptions.load(),
              "Total number of memory-mapped chunk corruptions.");
  out.Counter("mmap_chunks_total", c.chunks_mapped.load(),
              "Total number of chunks that were memory-mapped.");
  out.Gauge("data_replay_duration_seconds", static_cast<double>(c.replay_nanos.load()) * 1e-9,
            "Time taken to replay the data on disk.");
  const std::pair<std::string_view, uint64_t> unknown[] = {
      {"series", c.unknown_refs_series},       {"samples", c.unknown_refs_samples},
      {"exemplars", c.unknown_refs_exemplars}, {"histograms", c.unknown_refs_histograms},
      {"metadata", c.unknown_refs_metadata},   {"tombstones", c.unknown_refs_tombstones}};
  for (const auto& [type, count] : unknown) {
    if (count == 0) continue;
    out.Counter("wal_replay_unknown_refs_total", "type", type, count,
                "Total number of unknown series references encountered during WAL replay.");
  }
  out.Distribution("head_gc_duration_seconds", Kind::kSummary,
                   static_cast<double>(c.gc_nanos.load()) * 1e-9, c.gc_count.load(), {},
                   "Runtime of garbage collection in the head block.");
  out.Distribution("wal_truncate_duration_seconds", Kind::kSummary,
                   static_cast<double>(c.wal_truncate_nanos.load()) * 1e-9,
                   c.wal_truncate_count.load(), {}, "Duration of WAL truncation.");
  std::vector<std::pair<double, double>> lateness;
  double below = 0;
  for (size_t i = 0; i < std::size(HeadCounters::kLatenessBounds); ++i) {
    below += static_cast<double>(c.lateness_buckets[i].load());
    lateness.emplace_back(HeadCounters::kLatenessBounds[i], below);
  }
  out.Distribution("sample_ooo_delta", Kind::kHistogram, c.lateness_sum.load(),
                   c.lateness_count.load(), std::move(lateness),
                   "Delta in seconds by which a sample is considered out of order (reported "
                   "regardless of OOO time window and whether sample is accepted or not).");
  // A series here is kept from collection by the epoch of its appender, not by a count.
  out.Counter("head_series_pending_commit_underflow_total", 0,
              "Total number of attempts to release a pending-sample reservation when none was "
              "held.");
  out.Gauge("isolation_low_watermark", head.isolation().low_watermark(),
            "The lowest TSDB append ID that is still referenced.");
  out.Gauge("isolation_high_watermark", head.isolation().high_watermark(),
            "The highest TSDB append ID that has been given out.");
  out.Gauge("symbol_table_size_bytes", head.symbol_bytes(),
            "Size of symbol table in memory for loaded blocks");
}

void CollectWal(const std::string& prefix, const Wal& wal, WalCompression compression,
                Collector& out) {
  const Wal::Stats stats = wal.stats();
  out.Counter(prefix + "page_flushes_total", stats.page_flushes, "Total number of page flushes.");
  out.Counter(prefix + "completed_pages_total", stats.completed_pages,
              "Total number of completed pages.");
  out.Counter(prefix + "writes_failed_total", stats.writes_failed,
              "Total number of write log writes that failed.");
  out.Counter(prefix + "record_part_writes_total", stats.record_part_writes,
              "Total number of record parts written before flushing.");
  out.Counter(prefix + "record_parts_bytes_written_total", stats.record_parts_bytes_written,
              "Total number of record part bytes written before flushing, including CRC and "
              "compression headers.");
  if (compression != WalCompression::kNone) {
    out.Counter(prefix + "record_bytes_saved_total", "compression",
                compression == WalCompression::kZstd ? "zstd" : "snappy", stats.record_bytes_saved,
                "Total number of bytes saved by the optional record compression. Use this metric "
                "to learn about the effectiveness compression.");
  }
  out.Distribution(prefix + "fsync_duration_seconds", Kind::kSummary, stats.fsync.sum_seconds,
                   stats.fsync.count, stats.fsync.quantiles, "Duration of write log fsync.");
  out.Gauge(prefix + "segment_current", wal.position().segment,
            "Write log segment index that TSDB is currently writing to.");
  if (const Result<uint64_t> size = wal.Size(); size.ok()) {
    out.Gauge(prefix + "storage_size_bytes", *size, "Size of the write log directory.");
  }
}

void CollectExemplars(const ExemplarStore::Stats& stats, Collector& out) {
  out.Counter("exemplar_exemplars_appended_total", stats.appended,
              "Total number of appended exemplars.");
  out.Counter("exemplar_out_of_order_exemplars_total", stats.out_of_order,
              "Total number of out of order exemplar ingestion failed attempts.");
  out.Gauge("exemplar_exemplars_in_storage", stats.in_storage,
            "Number of exemplars currently in circular storage.");
  out.Gauge("exemplar_series_with_exemplars_in_storage", stats.series,
            "Number of series with exemplars currently in circular storage.");
  out.Gauge("exemplar_max_exemplars", stats.max,
            "Total number of exemplars the exemplar storage can store, resizeable.");
  out.Gauge("exemplar_last_exemplars_timestamp_seconds", Seconds(stats.last_timestamp_ms),
            "The timestamp of the oldest exemplar stored in circular storage. Useful to check for "
            "what timerange the current exemplar buffer limit allows. This usually means the last "
            "timestampfor all exemplars for a typical setup. This is not true though if one of "
            "the series timestamp is in future compared to rest series.");
}

}  // namespace

std::vector<MetricValue> Db::Metrics() const {
  Collector out;
  const Impl& db = *impl_;
  CollectHead(*db.head, out);
  CollectExemplars(db.head->exemplars().stats(), out);
  CollectWal("wal_", *db.wal, db.options.wal_compression, out);
  if (db.wbl != nullptr) {
    CollectWal("out_of_order_wbl_", *db.wbl, db.options.wal_compression, out);
  }
  out.Gauge("head_chunks_storage_size_bytes",
            DirectoryBytes(db.files, JoinPath(db.options.path, "chunks_head")),
            "Size of the chunks_head directory.");
  const auto blocks = db.blocks->Snapshot();
  out.Gauge("blocks_loaded", blocks->size(), "Number of currently loaded data blocks");
  out.Gauge("storage_blocks_bytes", db.blocks->size_bytes(),
            "The number of bytes that are currently used for local storage by all blocks.");
  const int64_t lowest = StartTimeMs();
  out.Gauge("lowest_timestamp", lowest,
            "Lowest timestamp value stored in the database. The unit is decided by the library "
            "consumer.");
  out.Gauge("lowest_timestamp_seconds", Seconds(lowest),
            "Lowest timestamp value stored in the database.");
  out.Counter("reloads_total", db.blocks->reloads(),
              "Number of times the database reloaded block data from disk.");
  out.Counter("reloads_failures_total", db.blocks->reload_failures(),
              "Number of times the database failed to reloadBlocks block data from disk.");
  out.Counter("time_retentions_total", db.blocks->time_retentions(),
              "The number of times that blocks were deleted because the maximum time limit was "
              "exceeded.");
  out.Counter("size_retentions_total", db.blocks->size_retentions(),
              "The number of times that blocks were deleted because the maximum number of bytes "
              "was exceeded.");
  const RetentionLimits limits = db.Limits();
  out.Gauge("retention_limit_bytes", limits.bytes,
            "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled");
  out.Gauge("retention_limit_percentage", limits.percentage,
            "Max percentage of total storage space to be retained in the tsdb blocks, configured "
            "0 means disabled");
  out.Gauge("retention_limit_seconds", Seconds(limits.duration_ms),
            "How long to retain samples in storage.");
  out.Counter("compactions_total", db.compactions.load(),
              "Total number of compactions that were executed for the partition.");
  out.Counter("compactions_failed_total", db.compactions_failed.load(),
              "Total number of compactions that failed for the partition.");
  out.Counter("compactions_triggered_total", db.compactions_triggered.load(),
              "Total number of triggered compactions for the partition.");
  out.Counter("compactions_skipped_total", db.compactions_skipped.load(),
              "Total number of skipped compactions due to disabled auto compaction.");
  out.Counter("stale_series_compactions_triggered_total", db.stale_compactions_triggered.load(),
              "Total number of triggered stale series compactions.");
  out.Counter("stale_series_compactions_failed_total", db.stale_compactions_failed.load(),
              "Total number of stale series compactions that failed.");
  out.Histogram("stale_series_compaction_duration_seconds", db.stale_compaction_seconds,
                "Duration of stale series compaction runs.");
  out.Counter("vertical_compactions_total", db.vertical_compactions.load(),
              "Total number of compactions done on overlapping blocks.");
  out.Gauge("compaction_populating_block", db.populating_block.load() ? 1 : 0,
            "Set to 1 when a block is currently being written to the disk.");
  out.Histogram("compaction_duration_seconds", db.compaction_seconds,
                "Duration of compaction runs");
  out.Histogram("compaction_chunk_size_bytes", db.chunk_distributions.size_bytes,
                "Final size of chunks on their first compaction");
  out.Histogram("compaction_chunk_samples", db.chunk_distributions.samples,
                "Final number of samples on their first compaction");
  out.Histogram("compaction_chunk_range_seconds", db.chunk_distributions.range_ms,
                "Final time range of chunks on their first compaction");
  out.Histogram("tombstone_cleanup_seconds", db.tombstone_cleanup_seconds,
                "The time taken to recompact blocks to remove tombstones.");
  out.Gauge("clean_start", db.lock == nullptr ? -1 : static_cast<int>(db.lock->start()),
            "-1: lockfile is disabled. 0: a lockfile from a previous execution was replaced. 1: "
            "lockfile creation was clean");
  std::vector<MetricValue> values = out.Take();
  // Ours: blocks that cannot be read and were left aside.
  MetricValue& quarantined = values.emplace_back();
  quarantined.name = "narthex_tsdb_blocks_quarantined";
  quarantined.value = static_cast<double>(db.blocks->quarantined());
  quarantined.help = "Number of blocks that cannot be read and are left out of queries.";
  return values;
}

}  // namespace narthex::tsdb
