// A rule: an expression evaluated on a timer, whose result becomes series (recording) or alerts.
//
// Specification: parity/rules-alerting.md sections 2 to 4 and 8. Times of alerts are Unix
// nanoseconds; 0 means never.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/labels.h"
#include "promql/engine/query_result.h"
#include "promql/parser/ast.h"
#include "storage/storage.h"
#include "util/status.h"

namespace narthex::rules {

enum class AlertState : uint8_t { kUnknown, kInactive, kPending, kFiring };
// "unknown", "inactive", "pending", "firing".
std::string_view AlertStateName(AlertState state);

struct Alert {
  AlertState state = AlertState::kPending;
  Labels labels;
  Labels annotations;
  double value = 0;
  int64_t active_at_nanos = 0;
  int64_t fired_at_nanos = 0;
  int64_t resolved_at_nanos = 0;
  int64_t last_sent_at_nanos = 0;
  int64_t valid_until_nanos = 0;
  int64_t keep_firing_since_nanos = 0;
};

// What templates of an alert see.
struct TemplateData {
  const Labels& labels;  // Of the query's result, with __name__.
  const Labels& external_labels;
  const std::string& external_url;
  double value = 0;
  const FloatHistogram* histogram = nullptr;  // The value, when set.
  int64_t time_ms = 0;                        // Of queries inside the template.
};

// What rules need from the rest of the program. Functions may be called from several threads.
struct RuleEnvironment {
  // An instant query. `group` is (file, name) for the query log.
  std::function<Result<promql::QueryResult>(const promql::Expr& expr, std::string_view query,
                                            int64_t time_ms,
                                            const std::pair<std::string, std::string>& group)>
      query;
  storage::Appendable* appendable = nullptr;
  storage::Queryable* queryable = nullptr;  // For restoring; local storage only.
  // Expands a text; `name` is "__alert_<alert>".
  std::function<Result<std::string>(std::string_view name, std::string_view text,
                                    const TemplateData& data)>
      expand;
  // Hands alerts on; must not block.
  std::function<void(std::vector<Alert> alerts, const std::string& expression)> send;
  std::string external_url;
  Labels external_labels;
  int64_t resend_delay_nanos = 60'000'000'000;
  int64_t outage_tolerance_nanos = 3'600'000'000'000;
  int64_t grace_period_nanos = 600'000'000'000;
};

// A sample that a rule produced.
struct RuleSample {
  Labels labels;
  int64_t timestamp_ms = 0;
  double value = 0;
  promql::HistogramPtr histogram;
};

struct EvaluationTime {
  int64_t slot_nanos = 0;          // When the rule is evaluated.
  int64_t query_offset_nanos = 0;  // The query looks this far back.
  int64_t sample_ms() const { return (slot_nanos - query_offset_nanos) / 1'000'000; }
};

class Rule {
 public:
  Rule(std::string name, promql::ExprPtr expr, Labels labels);
  virtual ~Rule() = default;
  Rule(const Rule&) = delete;
  Rule& operator=(const Rule&) = delete;

  // Runs on the group's thread.
  virtual Result<std::vector<RuleSample>> Evaluate(const EvaluationTime& time,
                                                   const std::pair<std::string, std::string>& group,
                                                   size_t limit,
                                                   const RuleEnvironment& environment) = 0;
  virtual bool alerting() const = 0;

  const std::string& name() const { return name_; }
  const std::string& query() const { return query_; }
  const promql::Expr& expr() const { return *expr_; }
  const Labels& labels() const { return labels_; }

  // The last evaluation; any thread.
  struct Health {
    std::string status = "unknown";  // "ok", "err", "unknown"
    std::string error;
    double seconds = 0;
    int64_t at_nanos = 0;
  };
  Health health() const;
  void SetHealth(Health health);

 private:
  const std::string name_;
  const promql::ExprPtr expr_;
  const std::string query_;  // The expression in canonical form.
  const Labels labels_;
  mutable std::mutex health_mutex_;
  Health health_;
};

class RecordingRule : public Rule {
 public:
  using Rule::Rule;
  bool alerting() const override { return false; }
  Result<std::vector<RuleSample>> Evaluate(const EvaluationTime& time,
                                           const std::pair<std::string, std::string>& group,
                                           size_t limit,
                                           const RuleEnvironment& environment) override;
};

struct AlertingRuleOptions {
  int64_t hold_nanos = 0;             // `for`
  int64_t keep_firing_for_nanos = 0;  // `keep_firing_for`
  Labels annotations;
  bool restored = true;  // False until state from before a restart has been looked for.
};

class AlertingRule : public Rule {
 public:
  AlertingRule(std::string name, promql::ExprPtr expr, Labels labels, AlertingRuleOptions options)
      : Rule(std::move(name), std::move(expr), std::move(labels)), options_(std::move(options)) {
    restored_.store(options_.restored);
  }
  bool alerting() const override { return true; }
  Result<std::vector<RuleSample>> Evaluate(const EvaluationTime& time,
                                           const std::pair<std::string, std::string>& group,
                                           size_t limit,
                                           const RuleEnvironment& environment) override;

  // Alerts due for sending, marked as sent. After Evaluate, on the group's thread.
  std::vector<Alert> TakeAlertsToSend(int64_t now_nanos, int64_t interval_nanos,
                                      int64_t resend_delay_nanos);
  // Looks up when its alerts became active before a restart (ALERTS_FOR_STATE).
  Status Restore(int64_t now_nanos, const RuleEnvironment& environment);

  // Any thread.
  std::vector<Alert> ActiveAlerts() const;  // Pending and firing.
  AlertState state() const;
  const AlertingRuleOptions& options() const { return options_; }

  // Takes over the alerts of the rule that this one replaces.
  void CopyStateFrom(const AlertingRule& previous);

 private:
  struct Candidate;
  Status RestoreFromSeries(int64_t now_nanos, const RuleEnvironment& environment);
  Labels AlertLabels(const Labels& result, const RuleEnvironment& environment,
                     const TemplateData& data) const;
  std::string Expand(std::string_view text, const RuleEnvironment& environment,
                     const TemplateData& data) const;
  void AdvanceStates(std::vector<Candidate> candidates, int64_t now_nanos);
  void AppendStateSamples(const Alert& alert, int64_t sample_ms,
                          std::vector<RuleSample>* samples) const;

  const AlertingRuleOptions options_;
  std::atomic<bool> restored_{true};
  mutable std::mutex mutex_;
  std::vector<Alert> active_;  // Resolved ones too, for a while. Guarded by mutex_.
  bool evaluated_ = false;     // Guarded by mutex_.
};

}  // namespace narthex::rules
