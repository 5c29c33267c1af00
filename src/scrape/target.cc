#include "scrape/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "config/url.h"
#include "model/relabel.h"
#include "util/hash.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::scrape {
namespace {

constexpr std::string_view kReservedPrefix = "__";

std::string_view BoolText(bool value) {
  return value ? "true" : "false";
}

// What a job gives to those of its targets that do not say otherwise.
class JobDefaults {
 public:
  explicit JobDefaults(const ScrapeConfig& config)
      : interval_(config.scrape_interval.ToString()), timeout_(config.scrape_timeout.ToString()) {
    labels_ = {
        {kJobLabel, config.job_name},
        {kScrapeIntervalLabel, interval_},
        {kScrapeTimeoutLabel, timeout_},
        {kMetricsPathLabel, config.metrics_path},
        {kSchemeLabel, config.scheme},
        {kConvertClassicLabel, BoolText(config.convert_classic_histograms_to_nhcb.value_or(false))},
        {kAlwaysClassicLabel, BoolText(config.always_scrape_classic_histograms.value_or(false))},
        {kNativeHistogramsLabel, BoolText(config.scrape_native_histograms.value_or(false))},
    };
    params_.reserve(config.params.size());
    for (const auto& [name, values] : config.params) {
      if (values.empty()) continue;
      params_.push_back(std::string(kParamLabelPrefix) + name);
      labels_.push_back({params_.back(), values.front()});
    }
  }
  JobDefaults(const JobDefaults&) = delete;

  // The configuration that this was made of still lives.
  Labels Discovered(const TargetLabels& target, const TextMap& group) const {
    std::vector<LabelView> pairs;
    pairs.reserve(target.size() + group.size() + labels_.size());
    const auto find = [&pairs](std::string_view name, size_t count) {
      const auto end = pairs.begin() + static_cast<ptrdiff_t>(count);
      return std::find_if(pairs.begin(), end, [&](const LabelView& p) { return p.name == name; });
    };
    for (const auto& [name, value] : target) pairs.push_back({name, value});
    // Also an empty label of the target hides the group's.
    const size_t own = pairs.size();
    for (const auto& [name, value] : group) {
      if (find(name, own) == pairs.begin() + static_cast<ptrdiff_t>(own)) {
        pairs.push_back({name, value});
      }
    }
    const size_t found = pairs.size();
    for (const LabelView& label : labels_) {
      const auto at = find(label.name, found);
      if (at == pairs.begin() + static_cast<ptrdiff_t>(found)) {
        pairs.push_back(label);
      } else if (at->value.empty()) {
        at->value = label.value;
      }
    }
    std::erase_if(pairs, [](const LabelView& pair) { return pair.value.empty(); });
    std::sort(pairs.begin(), pairs.end());
    return Labels::FromSorted(pairs);
  }

 private:
  std::string interval_;
  std::string timeout_;
  std::vector<std::string> params_;
  std::vector<LabelView> labels_;
};

Status InvalidTarget(std::string text) {
  return {ErrorCode::kInvalidInput, std::move(text)};
}

Status CheckTiming(const LabelsBuilder& builder) {
  const std::string interval(builder.Get(kScrapeIntervalLabel));
  const Result<int64_t> interval_nanos = ParseDuration(interval);
  if (!interval_nanos.ok()) {
    return interval_nanos.status().WithPrefix("error parsing scrape interval: ");
  }
  if (*interval_nanos == 0) return InvalidTarget("scrape interval cannot be 0");
  const std::string timeout(builder.Get(kScrapeTimeoutLabel));
  const Result<int64_t> timeout_nanos = ParseDuration(timeout);
  if (!timeout_nanos.ok()) {
    return timeout_nanos.status().WithPrefix("error parsing scrape timeout: ");
  }
  if (*timeout_nanos == 0) return InvalidTarget("scrape timeout cannot be 0");
  if (*timeout_nanos > *interval_nanos) {
    return MakeError(ErrorCode::kInvalidInput,
                     "scrape timeout cannot be greater than scrape interval ({} > {})",
                     GoQuote(timeout), GoQuote(interval));
  }
  return {};
}

Status CheckSwitches(const LabelsBuilder& builder) {
  struct Switch {
    std::string_view label;
    std::string_view description;
  };
  for (const Switch& s : {Switch{kConvertClassicLabel, "convert classic histograms to nhcb"},
                          Switch{kAlwaysClassicLabel, "always scrape classic histograms"},
                          Switch{kNativeHistogramsLabel, "scrape native histograms"}}) {
    const std::string_view value = builder.Get(s.label);
    if (!value.empty() && !ParseBool(value)) {
      return MakeError(ErrorCode::kInvalidInput,
                       "error parsing {}: strconv.ParseBool: parsing {}: invalid syntax",
                       s.description, GoQuote(value));
    }
  }
  return {};
}

// url.QueryEscape.
void AppendQueryEscaped(std::string_view text, std::string* out) {
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out->push_back(c);
    } else if (c == ' ') {
      out->push_back('+');
    } else {
      out->append(fmt::format("%{:02X}", static_cast<uint8_t>(c)));
    }
  }
}

std::string MakeUrl(const Labels& labels, const ScrapeConfig& config) {
  std::map<std::string, std::vector<std::string>> params(config.params.begin(),
                                                         config.params.end());
  for (const LabelView& label : labels) {
    if (!label.name.starts_with(kParamLabelPrefix)) continue;
    std::vector<std::string>& values =
        params[std::string(label.name.substr(kParamLabelPrefix.size()))];
    if (values.empty()) {
      values.emplace_back(label.value);
    } else {
      values.front() = label.value;
    }
  }
  Url url;
  url.scheme = labels.Get(kSchemeLabel);
  url.host = labels.Get(kAddressLabel);
  // The host of a unix socket is for the Host header only.
  if (url.host.empty() && labels.Has(kUnixSocketLabel)) url.host = "localhost";
  url.path = labels.Get(kMetricsPathLabel);
  for (const auto& [name, values] : params) {
    for (const std::string& value : values) {
      if (!url.raw_query.empty()) url.raw_query.push_back('&');
      AppendQueryEscaped(name, &url.raw_query);
      url.raw_query.push_back('=');
      AppendQueryEscaped(value, &url.raw_query);
    }
  }
  return url.ToString();
}

uint64_t HashTarget(const Labels& labels, std::string_view url) {
  return Fnv1a64(url, Fnv1a64(fmt::format("{:016d}", labels.Hash())));
}

}  // namespace

Labels DiscoveredLabels(const ScrapeConfig& config, const TargetLabels& target,
                        const TextMap& group) {
  return JobDefaults(config).Discovered(target, group);
}

namespace {

Result<Labels> Populate(const ScrapeConfig& config, Labels discovered) {
  LabelsBuilder builder(std::move(discovered));
  if (!Relabel(builder, config.relabel_configs)) return Labels();
  const std::string address(builder.Get(kAddressLabel));
  if (address.empty()) return InvalidTarget("no address");
  if (address.find('/') != std::string::npos) {
    return InvalidTarget(GoQuote(address) + " is not a valid hostname");
  }
  NARTHEX_RETURN_IF_ERROR(CheckTiming(builder));
  NARTHEX_RETURN_IF_ERROR(CheckSwitches(builder));
  std::vector<std::string> meta;
  builder.ForEach([&](std::string_view name, std::string_view) {
    if (name.starts_with(kMetaLabelPrefix)) meta.emplace_back(name);
  });
  for (const std::string& name : meta) builder.Delete(name);
  if (builder.Get(kInstanceLabel).empty()) builder.Set(kInstanceLabel, address);
  Labels labels = builder.Build();
  for (const LabelView& label : labels) {
    if (!IsValidUtf8(label.value)) {
      return MakeError(ErrorCode::kInvalidInput, "invalid label value for {}: {}",
                       GoQuote(label.name), GoQuote(label.value));
    }
  }
  return labels;
}

}  // namespace

Result<Labels> PopulateTargetLabels(const ScrapeConfig& config, const TargetLabels& target,
                                    const TextMap& group) {
  return Populate(config, DiscoveredLabels(config, target, group));
}

Labels PublicLabels(const Labels& labels) {
  std::vector<LabelView> pairs;
  for (const LabelView& label : labels) {
    if (!label.name.starts_with(kReservedPrefix)) pairs.push_back(label);
  }
  return Labels::FromSorted(pairs);
}

Labels TargetOrigin::discovered_labels() const {
  return DiscoveredLabels(*config, group->targets[index], group->labels);
}

std::string_view TargetHealthName(TargetHealth health) {
  switch (health) {
    case TargetHealth::kUnknown: return "unknown";
    case TargetHealth::kUp: return "up";
    case TargetHealth::kDown: return "down";
  }
  return "unknown";
}

Target::Target(Labels labels, TargetOrigin origin)
    : labels_(std::move(labels)),
      public_labels_(PublicLabels(labels_)),
      url_(MakeUrl(labels_, *origin.config)),
      hash_(HashTarget(labels_, url_)),
      origin_(std::move(origin)) {}

Target::Timing Target::timing() const {
  Timing timing;
  const std::string_view interval = labels_.Get(kScrapeIntervalLabel);
  const std::string_view timeout = labels_.Get(kScrapeTimeoutLabel);
  const Result<int64_t> interval_nanos = ParseDuration(interval);
  const Result<int64_t> timeout_nanos = ParseDuration(timeout);
  if (interval_nanos.ok() && timeout_nanos.ok()) {
    timing.interval_nanos = *interval_nanos;
    timing.timeout_nanos = *timeout_nanos;
    return timing;
  }
  const TargetOrigin from = origin();
  timing.interval_nanos = from.config->scrape_interval.nanos;
  timing.timeout_nanos = from.config->scrape_timeout.nanos;
  timing.error = interval_nanos.ok()
                     ? timeout_nanos.status().WithPrefix("error parsing timeout label " +
                                                         GoQuote(timeout) + ": ")
                     : interval_nanos.status().WithPrefix("error parsing interval label " +
                                                          GoQuote(interval) + ": ");
  return timing;
}

bool Target::BoolLabel(std::string_view name, bool fallback) const {
  return ParseBool(labels_.Get(name)).value_or(fallback);
}

Target::State Target::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void Target::Report(State state) {
  const std::lock_guard lock(mutex_);
  state_ = std::move(state);
}

TargetOrigin Target::origin() const {
  const std::lock_guard lock(mutex_);
  return origin_;
}

void Target::SetOrigin(TargetOrigin origin) {
  const std::lock_guard lock(mutex_);
  origin_ = std::move(origin);
}

int64_t ScrapeOffset(uint64_t target_hash, int64_t interval_nanos, uint64_t seed,
                     int64_t now_nanos) {
  const int64_t to_boundary = interval_nanos - now_nanos % interval_nanos;
  const auto place =
      static_cast<int64_t>((target_hash ^ seed) % static_cast<uint64_t>(interval_nanos));
  const int64_t next = to_boundary + place;
  return next > interval_nanos ? next - interval_nanos : next;
}

void AppendTargets(const std::shared_ptr<const ScrapeConfig>& config, const TargetGroupPtr& group,
                   TargetsOfGroup* out) {
  const JobDefaults defaults(*config);
  for (size_t i = 0; i < group->targets.size(); ++i) {
    TargetOrigin origin{config, group, i};
    Result<Labels> labels =
        Populate(*config, defaults.Discovered(group->targets[i], group->labels));
    if (!labels.ok()) {
      out->failures.push_back(
          labels.status().WithPrefix(fmt::format("instance {} in group {}: ", i, group->source)));
      continue;
    }
    if (labels->empty()) {  // Relabelling dropped it.
      out->dropped.push_back(std::move(origin));
      continue;
    }
    auto target = std::make_shared<Target>(*std::move(labels), origin);
    if (target->public_labels().empty()) {
      out->dropped.push_back(std::move(origin));
    } else {
      out->targets.push_back(std::move(target));
    }
  }
}

}  // namespace narthex::scrape
