#include "apps/server_options.h"

#include <algorithm>

#include "util/log.h"
#include "util/strings.h"

namespace narthex::apps {
namespace {

// Features with an effect here.
constexpr std::string_view kActiveFeatures[] = {
    "concurrent-rule-eval",
    "created-timestamp-zero-ingestion",
    "exemplar-storage",
    "delayed-compaction",
    "extra-scrape-metrics",
    "memory-snapshot-on-shutdown",
    "metadata-wal-records",
    "promql-binop-fill-modifiers",
    "promql-delayed-name-removal",
    "promql-experimental-functions",
    "promql-per-step-stats",
    "promql-unquoted-utf8-names",
    "query-cost",
    "search-api",
    "use-start-timestamps",
    "type-and-unit-labels",
    "st-storage",
    "xor2-encoding",
    "zstd-scrape",
    "histograms-st-encoding",
};
// Always on, or about things that are different here: no effect and no harm.
constexpr std::string_view kNoOpFeatures[] = {
    "native-histograms",    "ooo-native-histograms",
    "promql-duration-expr", "promql-extended-range-selectors",
    "auto-reload-config",
};
constexpr std::string_view kInactiveFeatures[] = {
    "fast-startup",           "old-ui",       "openmetrics2",
    "otlp-deltatocumulative", "st-synthesis", "otlp-native-delta-ingestion",
    "use-uncached-io",
};

template <size_t N>
bool Contains(const std::string_view (&list)[N], std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

void DeclareWebFlags(FlagSet& flags, ServerOptions& o) {
  flags.Strings("web.listen-address", &o.listen_addresses,
                "Address to listen on for UI, API, and telemetry. Can be repeated.");
  flags.Bool("auto-gomaxprocs", &o.auto_gomaxprocs, "Accepted for compatibility; no effect.");
  flags.Bool("auto-gomemlimit", &o.auto_gomemlimit, "Accepted for compatibility; no effect.");
  flags.Float("auto-gomemlimit.ratio", &o.auto_gomemlimit_ratio,
              "Accepted for compatibility; no effect.");
  flags.Duration("auto-gomemlimit.refresh-interval", &o.auto_gomemlimit_refresh,
                 "Accepted for compatibility; no effect.");
  flags.String("web.config.file", &o.web_config_file,
               "[EXPERIMENTAL] Path to configuration file that can enable TLS or authentication.");
  flags.Duration("web.read-timeout", &o.read_timeout,
                 "Maximum duration before timing out read of the request, and closing idle "
                 "connections.");
  flags.Int("web.max-connections", &o.connections_max,
            "Maximum number of simultaneous connections across all listeners.");
  flags.Int("web.max-notifications-subscribers", &o.notification_subscribers_max,
            "Limits the maximum number of subscribers that can concurrently receive live "
            "notifications.");
  flags.String("web.external-url", &o.external_url,
               "The URL under which Prometheus is externally reachable (for example, if Prometheus "
               "is served via a reverse proxy).");
  flags.String("web.route-prefix", &o.route_prefix,
               "Prefix for the internal routes of web endpoints. Defaults to path of "
               "--web.external-url.");
  flags.String("web.user-assets", &o.user_assets,
               "Path to static asset directory, available at /user.");
  flags.Bool("web.enable-lifecycle", &o.enable_lifecycle,
             "Enable shutdown and reload via HTTP request.");
  flags.Bool("web.enable-admin-api", &o.enable_admin_api,
             "Enable API endpoints for admin control actions.");
  flags.Bool("web.enable-remote-write-receiver", &o.enable_remote_write_receiver,
             "Enable API endpoint accepting remote write requests.");
  flags.Strings("web.remote-write-receiver.accepted-protobuf-messages", &o.remote_write_messages,
                "List of the remote write protobuf messages to accept.");
  flags.Bool("web.enable-otlp-receiver", &o.enable_otlp_receiver,
             "Enable API endpoint accepting OTLP write requests.");
  flags.String("web.console.templates", &o.console_templates,
               "Path to the console template directory.");
  flags.String("web.console.libraries", &o.console_libraries,
               "Path to the console library directory.");
  flags.String("web.page-title", &o.page_title, "Document title of the web UI.");
  flags.String("web.cors.origin", &o.cors_origin, "Regex for CORS origin. It is fully anchored.");
  flags.Int("web.search.max-limit", &o.search_limit_max,
            "Maximum number of results that search endpoints give.");
}

void DeclareStorageFlags(FlagSet& flags, ServerOptions& o) {
  flags.String("storage.tsdb.path", &o.storage_path,
               "Base path for metrics storage. Use with server mode only.");
  flags
      .Duration("storage.tsdb.min-block-duration", &o.min_block_duration,
                "Minimum duration of a data block before being persisted. For use in testing.")
      .Hidden();
  flags
      .Duration("storage.tsdb.max-block-duration", &o.max_block_duration,
                "Maximum duration compacted blocks may span. For use in testing.")
      .Hidden();
  flags
      .Bytes("storage.tsdb.max-block-chunk-segment-size", &o.block_chunk_segment_bytes,
             "The maximum size for a single chunk segment in a block.")
      .Hidden();
  flags
      .Bytes("storage.tsdb.wal-segment-size", &o.wal_segment_bytes,
             "Size at which to split the tsdb WAL segment files.")
      .Hidden();
  flags.Duration("storage.tsdb.retention.time", &o.retention_time,
                 "How long to retain samples in storage. If neither this flag nor "
                 "\"storage.tsdb.retention.size\" is set, the retention time defaults to 15d.");
  flags.Bytes("storage.tsdb.retention.size", &o.retention_bytes,
              "Maximum number of bytes that can be stored for blocks.");
  flags.Bool("storage.tsdb.no-lockfile", &o.no_lockfile,
             "Do not create lockfile in data directory.");
  flags
      .Bool("storage.tsdb.allow-overlapping-compaction", &o.allow_overlapping_compaction,
            "Allow compaction of overlapping blocks.")
      .Hidden();
  flags.Bool("storage.tsdb.wal-compression", &o.wal_compression, "Compress the tsdb WAL.").Hidden();
  flags
      .Enum("storage.tsdb.wal-compression-type", &o.wal_compression_type, {"snappy", "zstd"},
            "Compression algorithm for the tsdb WAL.")
      .Hidden();
  flags.Int("storage.tsdb.head-chunks-write-queue-size", &o.head_chunks_write_queue,
            "Accepted for compatibility; no effect.");
  flags
      .Int("storage.tsdb.samples-per-chunk", &o.samples_per_chunk,
           "Target number of samples per chunk.")
      .Hidden();
  flags
      .Int("storage.tsdb.delayed-compaction.max-percent", &o.delayed_compaction_percent,
           "Sets the upper limit for the random compaction delay.")
      .Hidden();
  flags.String("storage.tsdb.delay-compact-file.path", &o.delay_compact_file,
               "Path to a JSON file with uploaded TSDB blocks.");
  flags
      .Duration("storage.tsdb.block-reload-interval", &o.block_reload_interval,
                "Interval at which to check for new or removed blocks in storage.")
      .Hidden();

  flags.String("storage.agent.path", &o.agent_path, "Base path for metrics storage in agent mode.");
  flags
      .Bytes("storage.agent.wal-segment-size", &o.agent_wal_segment_bytes,
             "Size at which to split WAL segment files.")
      .Hidden();
  flags.Bool("storage.agent.wal-compression", &o.agent_wal_compression, "Compress the agent WAL.");
  flags
      .Enum("storage.agent.wal-compression-type", &o.agent_wal_compression_type, {"snappy", "zstd"},
            "Compression algorithm for the agent WAL.")
      .Hidden();
  flags
      .Duration("storage.agent.wal-truncate-frequency", &o.agent_truncate_frequency,
                "The frequency at which to truncate the WAL and remove old data.")
      .Hidden();
  flags.Duration("storage.agent.retention.min-time", &o.agent_retention_min,
                 "Minimum age samples may be before being considered for deletion.");
  flags.Duration("storage.agent.retention.max-time", &o.agent_retention_max,
                 "Maximum age samples may be before being forcibly deleted.");
  flags
      .Bool("storage.agent.checkpoint-from-in-memory-series", &o.agent_checkpoint_from_memory,
            "Build checkpoints from the series in memory.")
      .Hidden();
  flags
      .Int("storage.agent.checkpoint-batch-size", &o.agent_checkpoint_batch,
           "Series per record of such a checkpoint.")
      .Hidden();
  flags.Bool("storage.agent.no-lockfile", &o.agent_no_lockfile,
             "Do not create lockfile in data directory.");

  flags.Duration("storage.remote.flush-deadline", &o.remote_flush_deadline,
                 "How long to wait flushing sample on shutdown or config reload.");
  flags.Int("storage.remote.read-sample-limit", &o.remote_read_sample_limit,
            "Maximum overall number of samples to return via the remote read interface.");
  flags.Int("storage.remote.read-concurrent-limit", &o.remote_read_concurrency,
            "Maximum number of concurrent remote read calls.");
  flags.Int("storage.remote.read-max-bytes-in-frame", &o.remote_read_frame_bytes,
            "Maximum number of bytes in a single frame for streaming remote read.");
}

void DeclareEngineFlags(FlagSet& flags, ServerOptions& o) {
  flags.Duration("rules.alert.for-outage-tolerance", &o.for_outage_tolerance,
                 "Max time to tolerate prometheus outage for restoring \"for\" state of alert.");
  flags.Duration("rules.alert.for-grace-period", &o.for_grace_period,
                 "Minimum duration between alert and restored \"for\" state.");
  flags.Duration("rules.alert.resend-delay", &o.resend_delay,
                 "Minimum amount of time to wait before resending an alert to Alertmanager.");
  flags.Int("rules.max-concurrent-evals", &o.concurrent_evals_max,
            "Global concurrency limit for independent rules that can run concurrently.");
  flags
      .Bool("scrape.adjust-timestamps", &o.adjust_timestamps,
            "Adjust scrape timestamps by up to --scrape.timestamp-tolerance.")
      .Hidden();
  flags.GoDuration("scrape.timestamp-tolerance", &o.timestamp_tolerance, "Timestamp tolerance.")
      .Hidden();
  flags
      .Duration("scrape.discovery-reload-interval", &o.discovery_reload_interval,
                "Interval used by scrape manager to throttle target groups updates.")
      .Hidden();
  flags.Int("alertmanager.notification-queue-capacity", &o.notification_queue_capacity,
            "The capacity of the queue for pending Alertmanager notifications.");
  flags.Int("alertmanager.notification-batch-size", &o.notification_batch_size,
            "The maximum number of notifications per batch to send to the Alertmanager.");
  flags.Bool("alertmanager.drain-notification-queue-on-shutdown", &o.drain_notifications,
             "Send any outstanding Alertmanager notifications when shutting down.");
  flags.Duration("query.lookback-delta", &o.lookback_delta,
                 "The maximum lookback duration for retrieving metrics during expression "
                 "evaluations and federation.");
  flags.Duration("query.timeout", &o.query_timeout,
                 "Maximum time a query may take before being aborted.");
  flags.Int("query.max-concurrency", &o.query_concurrency,
            "Maximum number of queries executed concurrently.");
  flags.Bytes("query.max-memory", &o.query_memory_max,
              "Maximum memory that a single query can use for its intermediate results, as 512MB "
              "or 2GB. A query that would use more fails. 0 means no limit.");
  flags.Int("query.max-samples", &o.query_samples_max,
            "Maximum number of samples a single query can load into memory.");
}

}  // namespace

void DeclareServerFlags(FlagSet& flags, ServerOptions& o) {
  flags.String("config.file", &o.config_file, "Prometheus configuration file path.");
  flags.Bool("config.auto-reload", &o.config_auto_reload,
             "Reload the configuration file when it changes.");
  flags.Duration("config.auto-reload-interval", &o.config_auto_reload_interval,
                 "How often to look whether the configuration file changed.");
  DeclareWebFlags(flags, o);
  DeclareStorageFlags(flags, o);
  DeclareEngineFlags(flags, o);
  flags.Strings("enable-feature", &o.feature_lists,
                "Comma separated feature names to enable. Can be repeated.");
  flags.Bool("agent", &o.agent, "Run Prometheus in 'Agent mode'.");
  o.log.Declare(flags);
  flags.Bool("write-documentation", &o.write_documentation, "Print the flags as Markdown.")
      .Hidden();
}

Result<Features> Features::Parse(const std::vector<std::string>& lists) {
  Features features;
  for (const std::string& list : lists) {
    for (const std::string_view name : Split(list, ',')) {
      if (name.empty()) continue;
      if (Contains(kActiveFeatures, name)) {
        features.enabled_.emplace(name);
        LOG_INFO("Experimental feature enabled", {"feature", name});
      } else if (Contains(kNoOpFeatures, name)) {
        features.enabled_.emplace(name);
        LOG_WARN("This feature is always on; the flag has no effect", {"feature", name});
      } else if (Contains(kInactiveFeatures, name)) {
        features.inactive_.emplace_back(name);
      } else {
        LOG_WARN("Unknown option for --enable-feature", {"option", name});
      }
    }
  }
  return features;
}

}  // namespace narthex::apps
