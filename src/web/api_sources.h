// What the HTTP API needs to know of the engines, as plain views: the API renders, it does not
// reach into scraping or rules. apps/ fills the functions in; all are called from pool threads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/histogram.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/sample.h"
#include "storage/storage.h"
#include "util/status.h"

namespace narthex::web {

// ---- Targets (parity/api.md section 5) ----

struct TargetView {
  Labels discovered_labels;
  Labels labels;
  std::string scrape_pool;
  std::string scrape_url;
  std::string last_error;
  int64_t last_scrape_nanos = 0;  // Unix time; 0: never.
  double last_scrape_seconds = 0;
  std::string health = "unknown";  // "up", "down", "unknown"
  std::string scrape_interval;
  std::string scrape_timeout;
};

struct DroppedTargetView {
  Labels discovered_labels;
  std::string scrape_pool;
};

struct TargetsView {
  std::vector<TargetView> active;  // Pool by pool, pools sorted by name.
  std::vector<DroppedTargetView> dropped;
  std::map<std::string, uint64_t> dropped_counts;
};

// Metadata of one family as one target exposes it.
struct TargetMetadataView {
  Labels target_labels;
  std::string metric;
  Metadata metadata;
};

struct AlertmanagersView {
  std::vector<std::string> active_urls;
  std::vector<std::string> dropped_urls;
};

// ---- Rules and alerts (section 6) ----

struct AlertView {
  Labels labels;
  Labels annotations;
  std::string state;  // "pending", "firing"
  int64_t active_at_nanos = 0;
  std::optional<int64_t> keep_firing_since_nanos;
  double value = 0;
};

struct RuleView {
  bool alerting = false;
  std::string name;
  std::string query;
  Labels labels;
  std::string health = "unknown";  // "ok", "err", "unknown"
  std::string last_error;
  double evaluation_seconds = 0;
  int64_t last_evaluation_nanos = 0;
  // Alerting rules only.
  std::string state;  // "inactive", "pending", "firing", "unknown"
  double duration_seconds = 0;
  double keep_firing_for_seconds = 0;
  Labels annotations;
  std::vector<AlertView> alerts;
};

struct RuleGroupView {
  std::string name;
  std::string file;
  double interval_seconds = 0;
  uint64_t limit = 0;
  double evaluation_seconds = 0;
  int64_t last_evaluation_nanos = 0;
  std::vector<RuleView> rules;
};

// ---- Status (section 7) ----

struct BuildInfo {
  std::string version;
  std::string revision;
  std::string branch;
  std::string build_user;
  std::string build_date;
  std::string go_version;  // The key is upstream's; we put our compiler there.
};

struct RuntimeInfo {
  int64_t start_time_nanos = 0;
  std::string working_directory;
  std::string hostname;
  bool reload_config_success = true;
  int64_t last_config_nanos = 0;
  uint64_t corruption_count = 0;
  uint64_t thread_count = 0;
  uint64_t processor_count = 0;
  int64_t gogc = 75;  // As configured; negative: "off".
  std::string storage_retention;
};

struct Notification {
  std::string text;
  int64_t date_nanos = 0;
  bool active = true;
};

using FeatureMap = std::map<std::string, std::map<std::string, bool>>;

struct ApiSources {
  std::function<TargetsView()> targets;
  std::function<std::vector<TargetMetadataView>()> targets_metadata;
  std::function<std::vector<std::string>()> scrape_pools;
  // The pool's configuration as YAML.
  std::function<Result<std::string>(const std::string& pool)> scrape_pool_config;
  // JSON of the relabelling steps of section 5 for labels given as JSON.
  std::function<Result<std::string>(const std::string& pool, const Labels& labels)> relabel_steps;
  std::function<AlertmanagersView()> alertmanagers;
  std::function<std::vector<RuleGroupView>()> rule_groups;
  std::function<std::string()> config_yaml;
  std::function<RuntimeInfo()> runtime_info;
  // Our own metrics whose names satisfy `wanted`, as a JSON list of families in protobuf's JSON.
  std::function<Result<std::string>(const std::function<bool(std::string_view)>& wanted)>
      self_metrics;
  std::map<std::string, std::string> flags;
  BuildInfo build_info;
  FeatureMap features;
};

}  // namespace narthex::web
