#include <algorithm>

#include "promql/parser/parser.h"
#include "rules/rule.h"
#include "util/hash_map.h"
#include "util/log.h"
#include "util/numbers.h"
#include "util/time.h"

namespace narthex::rules {
namespace {

constexpr std::string_view kAlertName = "alertname";
constexpr std::string_view kAlertState = "alertstate";
constexpr std::string_view kAlertsMetric = "ALERTS";
constexpr std::string_view kForStateMetric = "ALERTS_FOR_STATE";

// How long a resolved alert is kept, so that Alertmanagers that missed its end are told again.
constexpr int64_t kResolvedRetentionNanos = 15 * 60 * kNanosPerSecond;
// An Alertmanager may miss this many sends before it takes an alert for over.
constexpr int64_t kValidityIntervals = 4;

}  // namespace

// An element of the query's result on its way to an alert.
struct AlertingRule::Candidate {
  Labels labels;
  Labels annotations;
  double value;
};

std::string AlertingRule::Expand(std::string_view text, const RuleEnvironment& environment,
                                 const TemplateData& data) const {
  Result<std::string> expanded = environment.expand("__alert_" + name(), text, data);
  if (expanded.ok()) return *std::move(expanded);
  LOG_WARN("Expanding alert template failed", {"err", expanded.status().message()},
           {"data", data.labels.ToString()});
  return "<error expanding template: " + expanded.status().message() + ">";
}

Labels AlertingRule::AlertLabels(const Labels& result, const RuleEnvironment& environment,
                                 const TemplateData& data) const {
  LabelsBuilder builder(result);
  builder.Delete(kMetricNameLabel);
  for (const LabelView& label : labels()) {
    builder.Set(label.name, Expand(label.value, environment, data));
  }
  builder.Set(kAlertName, name());
  return builder.Build();
}

Result<std::vector<RuleSample>> AlertingRule::Evaluate(
    const EvaluationTime& time, const std::pair<std::string, std::string>& group, size_t limit,
    const RuleEnvironment& environment) {
  NARTHEX_TRY(promql::QueryResult result,
              environment.query(expr(), query(), time.sample_ms(), group));
  std::vector<promql::InstantSample> vector = std::move(result.vector);
  if (result.type == promql::ValueType::kScalar) {
    vector.push_back({{}, result.timestamp_ms, result.scalar, nullptr});
  } else if (result.type != promql::ValueType::kVector) {
    return Status(ErrorCode::kExecution, "rule result is not a vector or scalar");
  }

  std::vector<Candidate> candidates;
  candidates.reserve(vector.size());
  HashSet<Labels, LabelsHash> seen;
  for (const promql::InstantSample& sample : vector) {
    const TemplateData data{
        sample.labels, environment.external_labels, environment.external_url,
        sample.value,  sample.histogram.get(),      time.slot_nanos / kNanosPerMilli};
    Candidate candidate;
    candidate.labels = AlertLabels(sample.labels, environment, data);
    if (!seen.insert(candidate.labels).second) {
      return Status(ErrorCode::kExecution,
                    "vector contains metrics with the same labelset after applying alert labels");
    }
    LabelsBuilder annotations;
    for (const LabelView& annotation : options_.annotations) {
      annotations.Set(annotation.name, Expand(annotation.value, environment, data));
    }
    candidate.annotations = annotations.Build();
    candidate.value = sample.histogram ? 0 : sample.value;
    candidates.push_back(std::move(candidate));
  }

  const std::lock_guard lock(mutex_);
  evaluated_ = true;
  AdvanceStates(std::move(candidates), time.slot_nanos);
  const auto live =
      static_cast<size_t>(std::count_if(active_.begin(), active_.end(), [](const Alert& alert) {
        return alert.state != AlertState::kInactive;
      }));
  if (limit > 0 && live > limit) {
    active_.clear();
    return MakeError(ErrorCode::kExecution, "exceeded limit of {} with {} alerts", limit, live);
  }
  std::vector<RuleSample> samples;
  if (!restored_.load(std::memory_order_relaxed)) return samples;
  for (const Alert& alert : active_) {
    if (alert.state == AlertState::kInactive) continue;
    AppendStateSamples(alert, time.sample_ms(), &samples);
  }
  return samples;
}

// The state machine of parity/rules-alerting.md section 3, for the alerts of one evaluation.
void AlertingRule::AdvanceStates(std::vector<Candidate> candidates, int64_t now_nanos) {
  HashMap<Labels, Candidate*, LabelsHash> by_labels;
  for (Candidate& candidate : candidates) by_labels.emplace(candidate.labels, &candidate);

  std::vector<Alert> kept;
  for (Alert& alert : active_) {
    const auto found = by_labels.find(alert.labels);
    if (found != by_labels.end() && alert.state != AlertState::kInactive) {
      alert.value = found->second->value;
      alert.annotations = std::move(found->second->annotations);
      alert.keep_firing_since_nanos = 0;
      by_labels.erase(found);
    } else if (found != by_labels.end()) {
      continue;  // It comes back: a new alert takes its place below.
    } else {
      bool keep_firing = false;
      if (alert.state == AlertState::kFiring && options_.keep_firing_for_nanos > 0) {
        if (alert.keep_firing_since_nanos == 0) alert.keep_firing_since_nanos = now_nanos;
        keep_firing = now_nanos - alert.keep_firing_since_nanos < options_.keep_firing_for_nanos;
      }
      const bool long_resolved = alert.resolved_at_nanos != 0 &&
                                 now_nanos - alert.resolved_at_nanos > kResolvedRetentionNanos;
      if (alert.state == AlertState::kPending || long_resolved) continue;
      if (alert.state != AlertState::kInactive && !keep_firing) {
        alert.state = AlertState::kInactive;
        alert.resolved_at_nanos = now_nanos;
      }
      if (!keep_firing) {
        kept.push_back(std::move(alert));
        continue;
      }
    }
    const bool held = now_nanos - alert.active_at_nanos >= options_.hold_nanos;
    if (alert.state == AlertState::kPending && held) {
      alert.state = AlertState::kFiring;
      alert.fired_at_nanos = now_nanos;
    } else if (alert.state == AlertState::kFiring && !held) {
      // A reload made `for` longer.
      alert.state = AlertState::kPending;
      alert.fired_at_nanos = 0;
      alert.last_sent_at_nanos = 0;
      alert.keep_firing_since_nanos = 0;
    }
    kept.push_back(std::move(alert));
  }
  for (Candidate& candidate : candidates) {
    if (!by_labels.contains(candidate.labels)) continue;
    Alert alert;
    alert.labels = std::move(candidate.labels);
    alert.annotations = std::move(candidate.annotations);
    alert.value = candidate.value;
    alert.active_at_nanos = now_nanos;
    if (options_.hold_nanos <= 0) {
      alert.state = AlertState::kFiring;
      alert.fired_at_nanos = now_nanos;
    }
    kept.push_back(std::move(alert));
  }
  active_ = std::move(kept);
}

void AlertingRule::AppendStateSamples(const Alert& alert, int64_t sample_ms,
                                      std::vector<RuleSample>* samples) const {
  LabelsBuilder builder(labels());
  for (const LabelView& label : alert.labels) builder.Set(label.name, label.value);
  builder.Set(kAlertName, name());
  builder.Set(kMetricNameLabel, kForStateMetric);
  const double active_seconds = static_cast<double>(alert.active_at_nanos / kNanosPerSecond);
  RuleSample for_state{builder.Build(), sample_ms, active_seconds, nullptr};
  builder.Set(kMetricNameLabel, kAlertsMetric);
  builder.Set(kAlertState, AlertStateName(alert.state));
  samples->push_back({builder.Build(), sample_ms, 1, nullptr});
  samples->push_back(std::move(for_state));
}

std::vector<Alert> AlertingRule::TakeAlertsToSend(int64_t now_nanos, int64_t interval_nanos,
                                                  int64_t resend_delay_nanos) {
  const std::lock_guard lock(mutex_);
  std::vector<Alert> due;
  for (Alert& alert : active_) {
    if (alert.state == AlertState::kPending) continue;
    const bool just_resolved = alert.resolved_at_nanos > alert.last_sent_at_nanos;
    if (!just_resolved && alert.last_sent_at_nanos + resend_delay_nanos >= now_nanos) continue;
    alert.last_sent_at_nanos = now_nanos;
    alert.valid_until_nanos =
        now_nanos + kValidityIntervals * std::max(interval_nanos, resend_delay_nanos);
    due.push_back(alert);
  }
  return due;
}

// What an alert's ActiveAt becomes after the outage between its last sample and now.
Status AlertingRule::Restore(int64_t now_nanos, const RuleEnvironment& environment) {
  if (restored_.load(std::memory_order_relaxed)) return {};
  Status status = RestoreFromSeries(now_nanos, environment);
  // There is no second attempt: an alert whose past cannot be read counts from now on.
  restored_.store(true, std::memory_order_relaxed);
  return status;
}

Status AlertingRule::RestoreFromSeries(int64_t now_nanos, const RuleEnvironment& environment) {
  const int64_t now_ms = now_nanos / kNanosPerMilli;
  const int64_t from_ms = now_ms - environment.outage_tolerance_nanos / kNanosPerMilli;
  std::vector<Matcher> matchers = {Matcher::Equal(kMetricNameLabel, kForStateMetric),
                                   Matcher::Equal(kAlertName, name())};
  for (const LabelView& label : labels()) {
    // A templated value is not known before the alert is.
    if (label.value.find("{{") != std::string_view::npos) continue;
    if (label.name == kAlertName) continue;
    matchers.push_back(Matcher::Equal(label.name, label.value));
  }
  NARTHEX_TRY(const auto querier, environment.queryable->OpenQuerier({from_ms, now_ms}));
  storage::SelectHints hints;
  hints.start_ms = from_ms;
  hints.end_ms = now_ms;
  NARTHEX_TRY(const auto set, querier->Select(storage::SeriesOrder::kAny, hints, matchers));
  struct Last {
    int64_t time_ms;
    double active_seconds;
  };
  HashMap<Labels, Last, LabelsHash> stored;
  while (const std::unique_ptr<storage::Series> series = set->Next()) {
    storage::SampleColumns samples;
    NARTHEX_RETURN_IF_ERROR(series->Read(&samples));
    if (samples.empty() || IsStaleNan(samples.values.back())) continue;
    stored.insert_or_assign(series->labels().WithoutMetricName(),
                            Last{samples.timestamps_ms.back(), samples.values.back()});
  }
  NARTHEX_RETURN_IF_ERROR(set->status());

  const std::lock_guard lock(mutex_);
  for (Alert& alert : active_) {
    if (alert.resolved_at_nanos != 0) continue;
    const auto found = stored.find(alert.labels);
    if (found == stored.end()) continue;
    // In whole seconds, as upstream counts.
    const int64_t down_at = found->second.time_ms / 1000 * kNanosPerSecond;
    const auto active_at = static_cast<int64_t>(found->second.active_seconds) * kNanosPerSecond;
    const int64_t remaining = options_.hold_nanos - (down_at - active_at);
    int64_t restored_at = 0;
    if (remaining <= 0) {
      restored_at = active_at;  // It fired before and fires again at once.
    } else if (options_.hold_nanos < environment.grace_period_nanos) {
      continue;  // It was pending: its hold time starts anew.
    } else if (remaining < environment.grace_period_nanos) {
      restored_at = now_nanos + environment.grace_period_nanos - options_.hold_nanos;
    } else {
      restored_at = active_at + (now_nanos - down_at);
    }
    alert.active_at_nanos = restored_at;
  }
  return {};
}

std::vector<Alert> AlertingRule::ActiveAlerts() const {
  const std::lock_guard lock(mutex_);
  std::vector<Alert> alerts;
  for (const Alert& alert : active_) {
    if (alert.resolved_at_nanos == 0) alerts.push_back(alert);
  }
  return alerts;
}

AlertState AlertingRule::state() const {
  const std::lock_guard lock(mutex_);
  AlertState state = evaluated_ ? AlertState::kInactive : AlertState::kUnknown;
  for (const Alert& alert : active_) {
    if (alert.state == AlertState::kInactive) continue;
    state = std::max(state, alert.state);
  }
  return state;
}

void AlertingRule::CopyStateFrom(const AlertingRule& previous) {
  const std::scoped_lock lock(mutex_, previous.mutex_);
  active_ = previous.active_;
  evaluated_ = previous.evaluated_;
  restored_.store(previous.restored_.load());
}

}  // namespace narthex::rules
