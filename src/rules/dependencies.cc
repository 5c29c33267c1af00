#include "rules/dependencies.h"

#include <algorithm>

#include "promql/parser/parser.h"

namespace narthex::rules {
namespace {

constexpr std::string_view kAlertsMetric = "ALERTS";
constexpr std::string_view kForStateMetric = "ALERTS_FOR_STATE";
constexpr std::string_view kAlertName = "alertname";

const Matcher* FindMatcher(const promql::VectorSelector& selector, std::string_view label) {
  const auto found = std::find_if(selector.matchers.begin(), selector.matchers.end(),
                                  [&](const Matcher& matcher) { return matcher.name() == label; });
  return found == selector.matchers.end() ? nullptr : &*found;
}

bool Reads(const promql::VectorSelector& selector, const Matcher& name, const Rule& writer) {
  if (name.Matches(writer.name())) return true;
  if (!writer.alerting()) return false;
  if (!name.Matches(kAlertsMetric) && !name.Matches(kForStateMetric)) return false;
  const Matcher* alert = FindMatcher(selector, kAlertName);
  return alert == nullptr || alert->Matches(writer.name());
}

}  // namespace

std::vector<std::vector<size_t>> SplitIntoBatches(const std::vector<std::unique_ptr<Rule>>& rules) {
  std::vector<char> has_dependencies(rules.size(), 0);
  std::vector<char> has_dependents(rules.size(), 0);
  bool any_name = false;
  for (size_t reader = 0; reader < rules.size() && rules.size() > 1; ++reader) {
    promql::WalkExpr(rules[reader]->expr(), [&](const promql::Expr& node) {
      if (node.kind != promql::Expr::Kind::kVectorSelector) return;
      const auto& selector = node.As<promql::VectorSelector>();
      const Matcher* name = FindMatcher(selector, kMetricNameLabel);
      if (name == nullptr) {
        any_name = true;
        return;
      }
      for (size_t writer = 0; writer < reader; ++writer) {
        if (!Reads(selector, *name, *rules[writer])) continue;
        has_dependencies[reader] = 1;
        has_dependents[writer] = 1;
      }
    });
  }
  if (any_name) return {};
  std::vector<size_t> first;
  std::vector<size_t> last;
  std::vector<std::vector<size_t>> batches;
  for (size_t i = 0; i < rules.size(); ++i) {
    if (!has_dependencies[i]) {
      first.push_back(i);
    } else if (has_dependents[i]) {
      batches.push_back({i});
    } else {
      last.push_back(i);
    }
  }
  if (!first.empty()) batches.insert(batches.begin(), std::move(first));
  if (!last.empty()) batches.push_back(std::move(last));
  return batches;
}

}  // namespace narthex::rules
