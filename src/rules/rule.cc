#include "rules/rule.h"

#include <set>

#include "promql/parser/parser.h"
#include "util/hash_map.h"

namespace narthex::rules {

std::string_view AlertStateName(AlertState state) {
  switch (state) {
    case AlertState::kUnknown: return "unknown";
    case AlertState::kInactive: return "inactive";
    case AlertState::kPending: return "pending";
    case AlertState::kFiring: return "firing";
  }
  return "unknown";
}

Rule::Rule(std::string name, promql::ExprPtr expr, Labels labels)
    : name_(std::move(name)),
      expr_(std::move(expr)),
      query_(promql::Print(*expr_)),
      labels_(std::move(labels)) {}

Rule::Health Rule::health() const {
  const std::lock_guard lock(health_mutex_);
  return health_;
}

void Rule::SetHealth(Health health) {
  const std::lock_guard lock(health_mutex_);
  health_ = std::move(health);
}

Result<std::vector<RuleSample>> RecordingRule::Evaluate(
    const EvaluationTime& time, const std::pair<std::string, std::string>& group, size_t limit,
    const RuleEnvironment& environment) {
  NARTHEX_TRY(promql::QueryResult result,
              environment.query(expr(), query(), time.sample_ms(), group));
  std::vector<RuleSample> samples;
  if (result.type == promql::ValueType::kScalar) {
    samples.push_back({{}, result.timestamp_ms, result.scalar, nullptr});
  } else if (result.type == promql::ValueType::kVector) {
    samples.reserve(result.vector.size());
    for (promql::InstantSample& sample : result.vector) {
      samples.push_back({std::move(sample.labels), sample.timestamp_ms, sample.value,
                         std::move(sample.histogram)});
    }
  } else {
    return Status(ErrorCode::kExecution, "rule result is not a vector or scalar");
  }
  HashSet<Labels, LabelsHash> seen;
  for (RuleSample& sample : samples) {
    LabelsBuilder builder(std::move(sample.labels));
    builder.Set(kMetricNameLabel, name());
    for (const LabelView& label : labels()) builder.Set(label.name, label.value);
    sample.labels = builder.Build();
    if (!seen.insert(sample.labels).second) {
      return Status(ErrorCode::kExecution,
                    "vector contains metrics with the same labelset after applying rule labels");
    }
  }
  if (limit > 0 && samples.size() > limit) {
    return MakeError(ErrorCode::kExecution, "exceeded limit of {} with {} series", limit,
                     samples.size());
  }
  return samples;
}

}  // namespace narthex::rules
