// A target: one address to scrape, its labels, and how its last scrape went.
//
// Labels pass three stages: discovered (target and group labels, completed with the job's
// defaults), relabelled (all of them, hidden ones included: the target's identity) and public
// (without the `__` ones: what its samples carry).
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "discovery/target_group.h"
#include "model/labels.h"
#include "util/status.h"

namespace narthex::scrape {

inline constexpr std::string_view kSchemeLabel = "__scheme__";
inline constexpr std::string_view kMetricsPathLabel = "__metrics_path__";
inline constexpr std::string_view kScrapeIntervalLabel = "__scrape_interval__";
inline constexpr std::string_view kScrapeTimeoutLabel = "__scrape_timeout__";
inline constexpr std::string_view kConvertClassicLabel = "__convert_classic_histograms_to_nhcb__";
inline constexpr std::string_view kAlwaysClassicLabel = "__always_scrape_classic_histograms__";
inline constexpr std::string_view kNativeHistogramsLabel = "__scrape_native_histograms__";
inline constexpr std::string_view kParamLabelPrefix = "__param_";
inline constexpr std::string_view kMetaLabelPrefix = "__meta_";
inline constexpr std::string_view kUnixSocketLabel = "__unix_socket__";

// Target and group labels with the job's defaults where they are empty.
Labels DiscoveredLabels(const ScrapeConfig& config, const TargetLabels& target,
                        const TextMap& group);

// The relabelled labels; empty when relabelling drops the target. Errors in upstream's words.
Result<Labels> PopulateTargetLabels(const ScrapeConfig& config, const TargetLabels& target,
                                    const TextMap& group);

// Only the labels that do not start with `__`.
Labels PublicLabels(const Labels& labels);

// Where to find the discovered labels of a target again, without keeping them.
struct TargetOrigin {
  std::shared_ptr<const ScrapeConfig> config;
  TargetGroupPtr group;
  size_t index = 0;

  Labels discovered_labels() const;
};

enum class TargetHealth : uint8_t { kUnknown, kUp, kDown };
// "unknown", "up", "down".
std::string_view TargetHealthName(TargetHealth health);

class Target {
 public:
  struct State {
    TargetHealth health = TargetHealth::kUnknown;
    std::string last_error;
    int64_t last_scrape_nanos = 0;  // Unix time; 0: never.
    double last_scrape_seconds = 0;
  };

  Target(Labels labels, TargetOrigin origin);

  const Labels& labels() const { return labels_; }
  const Labels& public_labels() const { return public_labels_; }
  const std::string& url() const { return url_; }
  // Identity and source of the scrape offset: labels and URL, as upstream hashes them.
  uint64_t hash() const { return hash_; }
  std::string unix_socket() const { return std::string(labels_.Get(kUnixSocketLabel)); }

  // From the labels; the defaults, and an error, where they no longer parse.
  struct Timing {
    int64_t interval_nanos = 0;
    int64_t timeout_nanos = 0;
    Status error;
  };
  Timing timing() const;
  // One of the three histogram switches.
  bool BoolLabel(std::string_view name, bool fallback) const;

  // The rest may be called from any thread.
  State state() const;
  void Report(State state);
  TargetOrigin origin() const;
  // The same target was found again, perhaps with other discovered labels.
  void SetOrigin(TargetOrigin origin);

 private:
  const Labels labels_;
  const Labels public_labels_;
  const std::string url_;
  const uint64_t hash_;

  mutable std::mutex mutex_;  // Guards what follows.
  TargetOrigin origin_;
  State state_;
};

// The time from `now_nanos` to the target's next place in its interval. Places are spread by hash,
// and by `seed` so that two servers do not scrape at the same moment.
int64_t ScrapeOffset(uint64_t target_hash, int64_t interval_nanos, uint64_t seed,
                     int64_t now_nanos);

struct TargetsOfGroup {
  std::vector<std::shared_ptr<Target>> targets;
  std::vector<TargetOrigin> dropped;
  std::vector<Status> failures;
};
// Makes the targets of one group and appends them.
void AppendTargets(const std::shared_ptr<const ScrapeConfig>& config, const TargetGroupPtr& group,
                   TargetsOfGroup* out);

}  // namespace narthex::scrape
