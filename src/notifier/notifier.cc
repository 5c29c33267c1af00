#include "notifier/notifier.h"

#include <algorithm>
#include <chrono>
#include <deque>

#include "util/log.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::notifier {
namespace {

constexpr std::string_view kSchemeLabel = "__scheme__";
constexpr std::string_view kPathLabel = "__alerts_path__";
constexpr std::string_view kApiPath = "/api/v2/alerts";

void AppendLabelsJson(const Labels& labels, std::string* out) {
  out->push_back('{');
  bool first = true;
  for (const LabelView& label : labels) {
    if (!first) out->push_back(',');
    first = false;
    AppendJsonString(label.name, JsonEscape::kGo, out);
    out->push_back(':');
    AppendJsonString(label.value, JsonEscape::kGo, out);
  }
  out->push_back('}');
}

// "/prefix" joined with the API's path, slashes tidied.
std::string JoinApiPath(std::string_view prefix) {
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  std::string path;
  if (!prefix.empty() && !prefix.starts_with('/')) path.push_back('/');
  path.append(prefix).append(kApiPath);
  return path;
}

struct AlertmanagerTarget {
  std::string url;
  bool dropped = false;
};

std::string TargetUrl(const Labels& labels) {
  return fmt::format("{}://{}{}", labels.Get(kSchemeLabel), labels.Get(kAddressLabel),
                     labels.Get(kPathLabel));
}

std::vector<AlertmanagerTarget> MakeTargets(const AlertmanagerConfig& config,
                                            const std::vector<TargetGroupPtr>& groups) {
  std::vector<AlertmanagerTarget> targets;
  for (const TargetGroupPtr& group : groups) {
    for (const TargetLabels& discovered : group->targets) {
      LabelsBuilder builder;
      for (const auto& [name, value] : discovered) builder.Set(name, value);
      builder.Set(kSchemeLabel, config.scheme);
      builder.Set(kPathLabel, JoinApiPath(config.path_prefix));
      for (const auto& [name, value] : group->labels) {
        if (builder.Get(name).empty()) builder.Set(name, value);
      }
      const Labels before = builder.Build();
      if (!Relabel(builder, config.relabel_configs)) {
        targets.push_back({TargetUrl(before), true});
        continue;
      }
      const Labels after = builder.Build();
      const std::string_view address = after.Get(kAddressLabel);
      if (address.empty() || address.find('/') != std::string_view::npos) {
        LOG_ERROR("Creating target failed", {"err", GoQuote(address) + " is not a valid hostname"});
        continue;
      }
      targets.push_back({TargetUrl(after), false});
    }
  }
  return targets;
}

}  // namespace

std::string AlertsJson(const std::vector<Alert>& alerts) {
  std::string out = "[";
  for (const Alert& alert : alerts) {
    if (out.size() > 1) out.push_back(',');
    out.append("{\"annotations\":");
    AppendLabelsJson(alert.annotations, &out);
    out.append(",\"endsAt\":\"")
        .append(FormatRfc3339Millis(alert.ends_at_nanos / kNanosPerMilli))
        .append("\",\"startsAt\":\"")
        .append(FormatRfc3339Millis(alert.starts_at_nanos / kNanosPerMilli))
        .append("\"");
    if (!alert.generator_url.empty()) {
      out.append(",\"generatorURL\":");
      AppendJsonString(alert.generator_url, JsonEscape::kGo, &out);
    }
    out.append(",\"labels\":");
    AppendLabelsJson(alert.labels, &out);
    out.push_back('}');
  }
  out.push_back(']');
  return out;
}

// The queue of one Alertmanager and the request that drains it. Callbacks hold it alive.
class Notifier::SendLoop : public std::enable_shared_from_this<SendLoop> {
 public:
  SendLoop(const Notifier& owner, std::string url,
           std::shared_ptr<const AlertmanagerConfig> section)
      : options_(owner.options_),
        post_(owner.post_),
        observe_latency_(owner.observe_latency),
        url_(std::move(url)),
        section_(std::move(section)) {}

  const std::string& url() const { return url_; }

  void Add(const std::vector<Alert>& alerts) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return;
      // The newest matter most: of too many, the oldest go.
      auto first = alerts.begin();
      if (alerts.size() > options_.queue_capacity) {
        const auto excess = alerts.size() - options_.queue_capacity;
        first += static_cast<ptrdiff_t>(excess);
        CountDropped(excess, "Alert batch larger than queue capacity, dropping alerts");
      }
      queue_.insert(queue_.end(), first, alerts.end());
      if (queue_.size() > options_.queue_capacity) {
        const auto excess = queue_.size() - options_.queue_capacity;
        queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(excess));
        CountDropped(excess, "Alert notification queue full, dropping alerts");
      }
    }
    SendNext();
  }

  AlertmanagerCounters counters() const {
    const std::lock_guard lock(mutex_);
    AlertmanagerCounters counters = counters_;
    counters.queue_length = queue_.size();
    return counters;
  }

  // No further alerts are taken; what is queued is sent on (drain) or dropped.
  void Close(bool drain) {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    if (drain || queue_.empty()) return;
    CountDropped(queue_.size(), "Alertmanager removed, dropping queued alerts");
    queue_.clear();
  }

  // Until nothing is queued or in flight. False when the deadline came first.
  bool WaitUntilIdle(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    return idle_.wait_until(lock, deadline, [this] { return queue_.empty() && !in_flight_; });
  }

 private:
  void CountDropped(size_t count, std::string_view why) {
    counters_.dropped += count;
    LOG_WARN(why, {"alertmanager", url_}, {"count", count});
  }

  void SendNext() {
    std::vector<Alert> batch;
    {
      const std::lock_guard lock(mutex_);
      if (in_flight_ || queue_.empty()) {
        if (!in_flight_) idle_.notify_all();
        return;
      }
      in_flight_ = true;
      const auto count = std::min(queue_.size(), options_.batch_size);
      const auto end = queue_.begin() + static_cast<ptrdiff_t>(count);
      batch.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
      queue_.erase(queue_.begin(), end);
    }
    const int64_t started = MonotonicNanos();
    const size_t count = batch.size();
    post_({url_, AlertsJson(batch), section_->timeout.nanos, section_},
          [self = shared_from_this(), count, started](const Status& status) {
            self->Done(status, count, started);
          });
  }

  void Done(const Status& status, size_t count, int64_t started_nanos) {
    const double seconds = static_cast<double>(MonotonicNanos() - started_nanos) / 1e9;
    // Only what arrived has a latency.
    if (status.ok() && observe_latency_) observe_latency_(url_, seconds);
    {
      const std::lock_guard lock(mutex_);
      in_flight_ = false;
      if (status.ok()) {
        counters_.sent += count;
      } else {
        counters_.errors += count;
        counters_.dropped += count;
        LOG_ERROR("Error sending alerts", {"alertmanager", url_}, {"count", count},
                  {"err", status.message()});
      }
    }
    SendNext();
  }

  const NotifierOptions options_;
  const Post post_;
  const std::function<void(const std::string&, double)> observe_latency_;
  const std::string url_;
  const std::shared_ptr<const AlertmanagerConfig> section_;

  mutable std::mutex mutex_;
  std::condition_variable idle_;
  std::deque<Alert> queue_;
  AlertmanagerCounters counters_;
  bool in_flight_ = false;
  bool closed_ = false;
};

// One entry of alerting.alertmanagers.
struct Notifier::Section {
  std::shared_ptr<const AlertmanagerConfig> config;
  std::string fingerprint;
  std::map<std::string, std::shared_ptr<SendLoop>> loops;  // By URL.
  std::vector<std::string> dropped_urls;
};

Notifier::Notifier(NotifierOptions options, Post post)
    : options_(options), post_(std::move(post)) {}

Notifier::~Notifier() {
  Stop();
}

void Notifier::Retire(SendLoop& loop) {
  loop.Close(options_.drain_on_shutdown);
  if (forget_alertmanager) forget_alertmanager(loop.url());
}

void Notifier::ApplyConfig(const AlertingConfig& config, const Labels& external_labels) {
  TargetSets targets;
  {
    const std::lock_guard lock(mutex_);
    external_labels_ = external_labels;
    relabel_configs_ = config.alert_relabel_configs;
    std::vector<std::shared_ptr<Section>> sections;
    for (const AlertmanagerConfig& alertmanager : config.alertmanagers) {
      const std::string fingerprint = Fingerprint(alertmanager);
      const auto old = std::find_if(sections_.begin(), sections_.end(), [&](const auto& section) {
        return section != nullptr && section->fingerprint == fingerprint;
      });
      if (old != sections_.end()) {
        sections.push_back(std::move(*old));
        continue;
      }
      auto section = std::make_shared<Section>();
      section->config = std::make_shared<const AlertmanagerConfig>(alertmanager);
      section->fingerprint = fingerprint;
      sections.push_back(std::move(section));
    }
    for (const auto& section : sections_) {
      if (section == nullptr) continue;
      for (const auto& [url, loop] : section->loops) Retire(*loop);
    }
    sections_ = std::move(sections);
    targets = targets_;
  }
  ApplyTargets(targets);
}

void Notifier::ApplyTargets(const TargetSets& sets) {
  const std::lock_guard lock(mutex_);
  targets_ = sets;
  for (size_t i = 0; i < sections_.size(); ++i) {
    Section& section = *sections_[i];
    const auto set = sets.find(fmt::format("config-{}", i));
    std::map<std::string, std::shared_ptr<SendLoop>> loops;
    section.dropped_urls.clear();
    if (set != sets.end()) {
      for (const AlertmanagerTarget& target : MakeTargets(*section.config, set->second)) {
        if (target.dropped) {
          section.dropped_urls.push_back(target.url);
          continue;
        }
        if (loops.contains(target.url)) continue;
        const auto old = section.loops.find(target.url);
        loops[target.url] = old != section.loops.end()
                                ? old->second
                                : std::make_shared<SendLoop>(*this, target.url, section.config);
      }
    }
    for (const auto& [url, loop] : section.loops) {
      if (!loops.contains(url)) Retire(*loop);
    }
    section.loops = std::move(loops);
  }
}

void Notifier::Send(std::vector<Alert> alerts) {
  std::vector<std::pair<std::shared_ptr<SendLoop>, std::vector<Alert>>> deliveries;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    const auto relabelled = [](const std::vector<Alert>& from,
                               const std::vector<RelabelConfig>& rules) {
      std::vector<Alert> kept;
      kept.reserve(from.size());
      for (const Alert& alert : from) {
        LabelsBuilder builder(alert.labels);
        if (!Relabel(builder, rules)) continue;
        Alert copy = alert;
        copy.labels = builder.Build();
        if (!copy.labels.empty()) kept.push_back(std::move(copy));
      }
      return kept;
    };
    for (Alert& alert : alerts) {
      LabelsBuilder builder(alert.labels);
      for (const LabelView& label : external_labels_) {
        if (builder.Get(label.name).empty()) builder.Set(label.name, label.value);
      }
      alert.labels = builder.Build();
    }
    const std::vector<Alert> common = relabelled(alerts, relabel_configs_);
    if (common.empty()) return;
    for (const auto& section : sections_) {
      if (section->loops.empty()) continue;
      const std::vector<Alert> own =
          section->config->alert_relabel_configs.empty()
              ? common
              : relabelled(common, section->config->alert_relabel_configs);
      if (own.empty()) continue;
      for (const auto& [url, loop] : section->loops) deliveries.emplace_back(loop, own);
    }
  }
  for (const auto& [loop, batch] : deliveries) loop->Add(batch);
}

Notifier::Urls Notifier::Alertmanagers() const {
  const std::lock_guard lock(mutex_);
  Urls urls;
  for (const auto& section : sections_) {
    for (const auto& [url, loop] : section->loops) urls.active.push_back(url);
    urls.dropped.insert(urls.dropped.end(), section->dropped_urls.begin(),
                        section->dropped_urls.end());
  }
  return urls;
}

std::map<std::string, AlertmanagerCounters> Notifier::Counters() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, AlertmanagerCounters> counters;
  for (const auto& section : sections_) {
    for (const auto& [url, loop] : section->loops) {
      const AlertmanagerCounters own = loop->counters();
      AlertmanagerCounters& sum = counters[url];
      sum.sent += own.sent;
      sum.errors += own.errors;
      sum.dropped += own.dropped;
      sum.queue_length += own.queue_length;
    }
  }
  return counters;
}

void Notifier::Stop() {
  std::vector<std::shared_ptr<SendLoop>> loops;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
    for (const auto& section : sections_) {
      for (const auto& [url, loop] : section->loops) loops.push_back(loop);
    }
  }
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::nanoseconds(options_.drain_timeout_nanos);
  for (const auto& loop : loops) loop->Close(options_.drain_on_shutdown);
  for (const auto& loop : loops) {
    if (loop->WaitUntilIdle(deadline)) continue;
    LOG_WARN("Alerts were not sent before shutdown", {"alertmanager", loop->url()});
    loop->Close(/*drain=*/false);
  }
}

}  // namespace narthex::notifier
