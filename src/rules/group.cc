#include "rules/group.h"

#include <map>

#include "rules/dependencies.h"
#include "util/log.h"
#include "util/numbers.h"
#include "util/trace.h"

namespace narthex::rules {
namespace {

// Evaluations before alerts of the last run are restored: series must have had time to come back.
constexpr int kIterationsBeforeRestore = 2;

int64_t SlotOffset(const GroupOptions& options) {
  const Labels identity{{"file", options.file}, {"name", options.name}};
  return static_cast<int64_t>(identity.Hash() % static_cast<uint64_t>(options.interval_nanos));
}

bool IsOrderingError(const Status& status) {
  switch (status.code()) {
    case ErrorCode::kOutOfOrderSample:
    case ErrorCode::kTooOldSample:
    case ErrorCode::kDuplicateSample: return true;
    default: return false;
  }
}

}  // namespace

Group::Group(GroupOptions options, std::vector<std::unique_ptr<Rule>> rules,
             std::shared_ptr<const RuleEnvironment> environment, Clock& clock)
    : options_(std::move(options)),
      rules_(std::move(rules)),
      environment_(std::move(environment)),
      clock_(clock),
      offset_nanos_(SlotOffset(options_)),
      identity_(options_.file, options_.name),
      batches_(SplitIntoBatches(rules_)),
      iterations_before_restore_(options_.restore ? kIterationsBeforeRestore : 0),
      previous_series_(rules_.size()) {}

int64_t SlotAt(const GroupOptions& options, int64_t now_nanos) {
  const int64_t adjusted = now_nanos - SlotOffset(options);
  return now_nanos - adjusted % options.interval_nanos;
}

int64_t Group::SlotAt(int64_t now_nanos) const {
  return now_nanos - (now_nanos - offset_nanos_) % options_.interval_nanos;
}

int64_t Group::FirstDue() {
  const std::lock_guard lock(run_mutex_);
  slot_nanos_ = SlotAt(clock_.NowNanos());
  return slot_nanos_ + options_.interval_nanos;
}

int64_t Group::RunDue() {
  const std::lock_guard lock(run_mutex_);
  if (stopped_) return 0;
  const int64_t now = clock_.NowNanos();
  const int64_t slots = std::max<int64_t>((now - slot_nanos_) / options_.interval_nanos, 1);
  if (slots > 1) {
    const auto missed = static_cast<uint64_t>(slots - 1);
    counters_.iterations_missed.fetch_add(missed);
    counters_.iterations.fetch_add(missed);
  }
  slot_nanos_ += slots * options_.interval_nanos;
  counters_.iterations.fetch_add(1);
  Evaluate(slot_nanos_);
  if (iterations_before_restore_ > 0 && --iterations_before_restore_ == 0) RestoreAlerts();
  return slot_nanos_ + options_.interval_nanos;
}

void Group::Stop() {
  stopping_.store(true, std::memory_order_relaxed);
  const std::lock_guard lock(run_mutex_);
  stopped_ = true;
}

void Group::Evaluate(int64_t slot_nanos) {
  const int64_t started = MonotonicNanos();
  const int64_t started_at = clock_.NowNanos();
  const EvaluationTime time{slot_nanos, options_.query_offset_nanos};
  // From when it was due, so that the trace shows a delay.
  TraceSpan span("rule group", SpanKind::kInternal, slot_nanos);
  const TraceScope scope(span.context());
  if (span.recording()) {
    span.Set("name", options_.name);
    span.Set("file", options_.file);
    span.Set("interval", FormatGoDuration(options_.interval_nanos));
    span.Set("scheduled", FormatRfc3339Nano(slot_nanos));
    if (started_at > slot_nanos) {
      TraceSpan("scheduleDelay", SpanKind::kInternal, slot_nanos).End(started_at);
    }
  }
  samples_.store(0);
  if (concurrency == nullptr || batches_.empty()) {
    for (size_t i = 0; i < rules_.size(); ++i) EvaluateRule(i, time);
  } else {
    for (const std::vector<size_t>& batch : batches_) {
      concurrency->ParallelFor(batch.size(), [&](size_t i) { EvaluateRule(batch[i], time); });
    }
  }
  if (stopping_.load(std::memory_order_relaxed)) return;

  if (!orphaned_series_.empty()) {
    const std::unique_ptr<storage::Appender> appender = environment_->appendable->NewAppender();
    AppendStale(*appender, orphaned_series_, time.sample_ms());
    if (const Status status = appender->Commit(); !status.ok()) {
      LOG_WARN("Stale sample append for previous configuration failed", {"err", status.message()});
    } else {
      orphaned_series_.clear();
    }
  }
  const int64_t elapsed = MonotonicNanos() - started;
  counters_.last_duration_nanos.store(elapsed);
  counters_.last_evaluation_nanos.store(started_at);
  counters_.last_samples.store(samples_.load());
  int64_t rule_seconds_sum = 0;
  for (const auto& rule : rules_) {
    rule_seconds_sum += static_cast<int64_t>(rule->health().seconds * 1e9);
  }
  counters_.last_rule_duration_sum_nanos.store(rule_seconds_sum);
  if (observe_group) observe_group(static_cast<double>(elapsed) / 1e9);
}

void Group::EvaluateRule(size_t index, const EvaluationTime& time) {
  if (stopping_.load(std::memory_order_relaxed)) return;
  Rule& rule = *rules_[index];
  const int64_t started = MonotonicNanos();
  const int64_t started_at = clock_.NowNanos();
  counters_.evaluations.fetch_add(1);
  ScopedSpan span("rule");
  if (span->recording()) {
    span->Set("group", options_.name);
    span->Set("name", rule.name());
    span->Set("query_offset", FormatGoDuration(options_.query_offset_nanos));
    span->Set("index", static_cast<int64_t>(index));
  }
  Result<std::vector<RuleSample>> result =
      rule.Evaluate(time, identity_, options_.limit, *environment_);
  Status status = result.ok() ? Status() : result.status();
  if (!status.ok() && status.code() != ErrorCode::kCanceled) {
    LOG_WARN("Evaluating rule failed", {"file", options_.file}, {"group", options_.name},
             {"name", rule.name()}, {"index", index}, {"err", status.message()});
  }
  if (!result.ok()) {
    counters_.failures.fetch_add(1);
  } else {
    samples_.fetch_add(result->size());
    span->Set("num_series", static_cast<int64_t>(result->size()));
    if (rule.alerting()) {
      auto& alerting = static_cast<AlertingRule&>(rule);
      std::vector<Alert> due = alerting.TakeAlertsToSend(time.slot_nanos, options_.interval_nanos,
                                                         environment_->resend_delay_nanos);
      if (!due.empty()) environment_->send(std::move(due), rule.query());
    }
    status = Store(index, time, *std::move(result));
  }
  if (!status.ok()) span->SetError(status.message());
  const double seconds = static_cast<double>(MonotonicNanos() - started) / 1e9;
  rule.SetHealth({status.ok() ? "ok" : "err", status.message(), seconds, started_at});
  if (observe_rule) observe_rule(seconds);
}

// One commit a rule: a later rule of the group sees what an earlier one wrote.
Status Group::Store(size_t index, const EvaluationTime& time, std::vector<RuleSample> samples) {
  const std::unique_ptr<storage::Appender> appender = environment_->appendable->NewAppender();
  storage::AppendOptions options;
  options.discard_out_of_order = true;
  SeriesSetOfRule returned;
  Status first_error;
  std::optional<ScopedSpan> append_span(std::in_place, "ruleAppendResults");
  std::map<std::string, size_t> dropped;
  for (RuleSample& sample : samples) {
    const Result<storage::SeriesRef> appended =
        sample.histogram
            ? appender->AppendFloatHistogram(0, sample.labels, sample.timestamp_ms,
                                             *sample.histogram, options)
            : appender->Append(0, sample.labels, sample.timestamp_ms, sample.value, options);
    if (appended.ok()) {
      returned.insert(std::move(sample.labels));
      continue;
    }
    first_error = appended.status();
    switch (first_error.code()) {
      case ErrorCode::kOutOfOrderSample:
        ++dropped["Error on ingesting out-of-order result from rule evaluation"];
        break;
      case ErrorCode::kTooOldSample:
        ++dropped["Error on ingesting too old result from rule evaluation"];
        break;
      case ErrorCode::kDuplicateSample:
        ++dropped
            ["Error on ingesting results from rule evaluation with different value but same "
             "timestamp"];
        break;
      default:
        LOG_WARN("Rule evaluation result discarded", {"err", first_error.message()},
                 {"sample", sample.labels.ToString()});
    }
  }
  for (const auto& [text, count] : dropped) {
    LOG_WARN(text, {"file", options_.file}, {"group", options_.name}, {"num_dropped", count});
  }
  SeriesSetOfRule gone;
  for (const Labels& labels : previous_series_[index]) {
    if (!returned.contains(labels)) gone.insert(labels);
  }
  AppendStale(*appender, gone, time.sample_ms());
  append_span.reset();
  ScopedSpan commit_span("ruleCommit");
  if (Status status = appender->Commit(); !status.ok()) {
    commit_span->SetError(status.message());
    // Samples that were refused do not count as a failed evaluation, a commit that failed does.
    counters_.failures.fetch_add(1);
    LOG_WARN("Rule sample appending failed", {"file", options_.file}, {"group", options_.name},
             {"name", rules_[index]->name()}, {"index", index}, {"err", status.message()});
    return status;
  }
  previous_series_[index] = std::move(returned);
  return first_error;
}

void Group::AppendStale(storage::Appender& appender, const SeriesSetOfRule& series,
                        int64_t time_ms) {
  storage::AppendOptions options;
  options.discard_out_of_order = true;
  for (const Labels& labels : series) {
    const auto appended = appender.Append(0, labels, time_ms, StaleNan(), options);
    if (appended.ok() || IsOrderingError(appended.status())) continue;
    LOG_WARN("Adding stale sample failed", {"sample", labels.ToString()},
             {"err", appended.status().message()});
  }
}

void Group::WriteStaleMarkers(int64_t time_nanos) {
  const std::lock_guard lock(run_mutex_);
  const EvaluationTime time{time_nanos, options_.query_offset_nanos};
  const std::unique_ptr<storage::Appender> appender = environment_->appendable->NewAppender();
  for (const SeriesSetOfRule& series : previous_series_) {
    AppendStale(*appender, series, time.sample_ms());
  }
  AppendStale(*appender, orphaned_series_, time.sample_ms());
  if (const Status status = appender->Commit(); !status.ok()) {
    LOG_WARN("Stale sample append failed", {"err", status.message()});
  }
}

void Group::RestoreAlerts() {
  const int64_t started = MonotonicNanos();
  for (const auto& rule : rules_) {
    if (!rule->alerting()) continue;
    auto& alerting = static_cast<AlertingRule&>(*rule);
    if (const Status status = alerting.Restore(clock_.NowNanos(), *environment_); !status.ok()) {
      LOG_ERROR("Failed to restore 'for' state", {"alert", rule->name()},
                {"err", status.message()});
    }
  }
  counters_.last_restore_nanos.store(MonotonicNanos() - started);
}

void Group::CopyStateFrom(Group& previous) {
  const std::scoped_lock lock(run_mutex_, previous.run_mutex_);
  // Rules are the same when name and labels are; of several equal ones, in order.
  std::multimap<std::pair<std::string, std::string>, size_t> unclaimed;
  for (size_t i = 0; i < previous.rules_.size(); ++i) {
    const Rule& rule = *previous.rules_[i];
    unclaimed.emplace(std::pair(rule.name(), rule.labels().encoded()), i);
  }
  for (size_t i = 0; i < rules_.size(); ++i) {
    Rule& rule = *rules_[i];
    const auto found = unclaimed.lower_bound({rule.name(), rule.labels().encoded()});
    if (found == unclaimed.end() ||
        found->first != std::pair(rule.name(), rule.labels().encoded())) {
      continue;
    }
    const Rule& old = *previous.rules_[found->second];
    if (old.alerting() == rule.alerting()) {
      previous_series_[i] = previous.previous_series_[found->second];
      if (rule.alerting()) {
        static_cast<AlertingRule&>(rule).CopyStateFrom(static_cast<const AlertingRule&>(old));
      }
      unclaimed.erase(found);
    }
  }
  for (const auto& [key, index] : unclaimed) {
    orphaned_series_.insert(previous.previous_series_[index].begin(),
                            previous.previous_series_[index].end());
  }
  orphaned_series_.insert(previous.orphaned_series_.begin(), previous.orphaned_series_.end());
  // A reload soon after the start: what has not been restored yet still has to be.
  iterations_before_restore_ =
      std::max(iterations_before_restore_, previous.iterations_before_restore_);
  counters_.last_evaluation_nanos.store(previous.counters_.last_evaluation_nanos.load());
  counters_.last_duration_nanos.store(previous.counters_.last_duration_nanos.load());
}

}  // namespace narthex::rules
