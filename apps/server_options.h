// The flags of `narthex server`, with upstream's names and defaults (parity/cli.md section 1).
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "apps/flags.h"
#include "apps/program.h"
#include "util/time.h"

namespace narthex::apps {

struct ServerOptions {
  static constexpr int64_t kMinute = 60 * kNanosPerSecond;
  static constexpr int64_t kHour = 60 * kMinute;
  static constexpr int64_t kDay = 24 * kHour;

  std::string config_file = "prometheus.yml";
  bool config_auto_reload = false;
  int64_t config_auto_reload_interval = 30 * kNanosPerSecond;

  std::vector<std::string> listen_addresses = {"0.0.0.0:9090"};
  bool auto_gomaxprocs = true;
  bool auto_gomemlimit = true;
  double auto_gomemlimit_ratio = 0.9;
  int64_t auto_gomemlimit_refresh = 0;
  std::string web_config_file;
  int64_t read_timeout = 5 * kMinute;
  int64_t connections_max = 512;
  int64_t notification_subscribers_max = 16;
  std::string external_url;
  std::string route_prefix;
  std::string user_assets;
  bool enable_lifecycle = false;
  bool enable_admin_api = false;
  bool enable_remote_write_receiver = false;
  bool enable_otlp_receiver = false;
  std::vector<std::string> remote_write_messages = {"prometheus.WriteRequest",
                                                    "io.prometheus.write.v2.Request"};
  std::string console_templates = "consoles";
  std::string console_libraries = "console_libraries";
  std::string page_title = "Prometheus Time Series Collection and Processing Server";
  std::string cors_origin = ".*";
  int64_t search_limit_max = 10'000;

  std::string storage_path = "data/";
  int64_t min_block_duration = 2 * kHour;
  int64_t max_block_duration = 0;
  int64_t block_chunk_segment_bytes = 0;
  int64_t wal_segment_bytes = 0;
  int64_t retention_time = 0;
  int64_t retention_bytes = 0;
  bool no_lockfile = false;
  bool allow_overlapping_compaction = true;
  bool wal_compression = true;
  std::string wal_compression_type = "snappy";
  int64_t head_chunks_write_queue = 0;
  int64_t samples_per_chunk = 120;
  int64_t delayed_compaction_percent = 10;
  std::string delay_compact_file;
  int64_t block_reload_interval = kMinute;

  std::string agent_path = "data-agent/";
  int64_t agent_wal_segment_bytes = 0;
  bool agent_wal_compression = true;
  std::string agent_wal_compression_type = "snappy";
  int64_t agent_truncate_frequency = 0;
  int64_t agent_retention_min = 5 * kMinute;
  int64_t agent_retention_max = 4 * kHour;
  bool agent_checkpoint_from_memory = false;
  int64_t agent_checkpoint_batch = 1000;
  bool agent_no_lockfile = false;

  int64_t remote_flush_deadline = kMinute;
  int64_t remote_read_sample_limit = 50'000'000;
  int64_t remote_read_concurrency = 10;
  int64_t remote_read_frame_bytes = 1 << 20;

  int64_t for_outage_tolerance = kHour;
  int64_t for_grace_period = 10 * kMinute;
  int64_t resend_delay = kMinute;
  int64_t concurrent_evals_max = 4;

  bool adjust_timestamps = true;
  int64_t timestamp_tolerance = 2'000'000;
  int64_t discovery_reload_interval = 5 * kNanosPerSecond;

  int64_t notification_queue_capacity = 10'000;
  int64_t notification_batch_size = 256;
  bool drain_notifications = true;

  int64_t lookback_delta = 5 * kMinute;
  int64_t query_timeout = 2 * kMinute;
  int64_t query_concurrency = 20;
  int64_t query_samples_max = 50'000'000;
  int64_t query_memory_max = 0;

  std::vector<std::string> feature_lists;
  bool agent = false;
  LogFlags log;
  bool write_documentation = false;

  // Ours: where / leads; `narthex up` shows the machine's page first.
  std::string first_page = "/query";
};

// Declares every flag on `flags`, with its target in `options`, which must outlive the set.
void DeclareServerFlags(FlagSet& flags, ServerOptions& options);

// What --enable-feature switched on. Unknown names are logged and ignored, as upstream does.
class Features {
 public:
  static Result<Features> Parse(const std::vector<std::string>& lists);
  bool Has(std::string_view name) const { return enabled_.contains(std::string(name)); }
  // Known to upstream, accepted, without effect here yet: each is logged once at start.
  const std::vector<std::string>& inactive() const { return inactive_; }

 private:
  std::set<std::string> enabled_;
  std::vector<std::string> inactive_;
};

}  // namespace narthex::apps
