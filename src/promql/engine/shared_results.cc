#include "promql/engine/shared_results.h"

#include "promql/engine/evaluator.h"

namespace narthex::promql {
namespace {

Value CopyOf(const Value& value) {
  Value copy;
  copy.type = value.type;
  copy.scalar = value.scalar;
  copy.vector.reserve(value.vector.size());
  for (const VectorSeries& series : value.vector) {
    copy.vector.push_back({series.labels, series.drop_name, series.column.Copy()});
  }
  return copy;
}

// The selector that the expression reads alone, if it can stream.
const VectorSelector* StreamedSelector(const Expr& expr) {
  if (expr.kind == Expr::Kind::kVectorSelector) return &expr.As<VectorSelector>();
  if (expr.kind != Expr::Kind::kCall) return nullptr;
  for (const ExprPtr& argument : expr.As<Call>().arguments) {
    if (argument->kind == Expr::Kind::kMatrixSelector) {
      return argument->As<MatrixSelector>().selector.get();
    }
  }
  return nullptr;
}

}  // namespace

SharedResult* Evaluator::FindShared(const Expr& expr) {
  const Plan& plan = *query_->plan;
  if (plan.shared.empty()) return nullptr;
  const auto found = plan.shared.find(&expr);
  if (found == plan.shared.end()) return nullptr;
  std::vector<SharedResult>& results = query_->shared.results;
  if (results.empty()) {
    results.resize(plan.shared_uses.size());
    for (size_t i = 0; i < results.size(); ++i) results[i].uses_left = plan.shared_uses[i];
  }
  return &results[found->second];
}

Result<bool> Evaluator::IsWorthKeeping(const Expr& expr) {
  const SharedResult* shared = FindShared(expr);
  if (shared == nullptr) return false;
  if (shared->value.has_value()) return shared->grid == grid_;
  const VectorSelector* selector = StreamedSelector(expr);
  if (selector == nullptr || selector->smoothed) return false;
  SharedSelection* selection = FindSelection(*selector);
  if (selection == nullptr) return false;
  if (!selection->known) {
    const bool instant = expr.kind == Expr::Kind::kVectorSelector;
    NARTHEX_RETURN_IF_ERROR(FillSelection(*selector, instant && ReadsLatest(*selector), selection));
  }
  return selection->list.series.size() * steps_ <= kSharedValuesMax;
}

Result<Value> Evaluator::EvalShared(const Expr& expr, SharedResult* shared) {
  const int64_t before = query_->current_samples;
  if (shared->uses_left > 0) --shared->uses_left;
  if (shared->value.has_value() && shared->grid == grid_) {
    stats_->Merge(shared->stats);
    NARTHEX_RETURN_IF_ERROR(Hold(static_cast<size_t>(shared->peak_above_start)));
    query_->current_samples = before + shared->held_samples;
    if (query_->profile != nullptr) query_->profile->At(expr).reused = true;
    if (shared->uses_left > 0) return CopyOf(*shared->value);
    Value value = *std::move(shared->value);
    shared->value.reset();
    return value;
  }
  SampleStats counted = stats_->Fork();
  Evaluator once(query_, grid_, &counted);
  counted.UpdatePeak(before);
  const uint64_t notes = query_->annotations.additions();
  Result<Value> value = once.EvalNode(expr);
  stats_->Merge(counted);
  if (!value.ok() || shared->uses_left == 0 || query_->annotations.additions() != notes ||
      value->vector.size() * steps_ > kSharedValuesMax) {
    return value;
  }
  Value copy = CopyOf(*value);
  if (query_->memory.counting()) {
    const size_t bytes = MemoryOf(copy);
    if (!query_->memory.HasRoom(bytes)) return value;
    copy.memory = HoldMemory();
    NARTHEX_RETURN_IF_ERROR(copy.memory.SetTo(bytes));
  }
  shared->value = std::move(copy);
  shared->grid = grid_;
  shared->held_samples = query_->current_samples - before;
  shared->peak_above_start = counted.peak() - before;
  counted.ForgetPeak();
  shared->stats = std::move(counted);
  return value;
}

SharedSelection* Evaluator::FindSelection(const VectorSelector& selector) {
  const Plan& plan = *query_->plan;
  if (plan.selections.empty()) return nullptr;
  const auto found = plan.selections.find(&selector);
  if (found == plan.selections.end()) return nullptr;
  query_->shared.selections.resize(plan.selection_count);
  return &query_->shared.selections[found->second];
}

Status Evaluator::FillSelection(const VectorSelector& selector, bool latest_only,
                                SharedSelection* selection) {
  storage::SelectHints hints = query_->plan->hints.at(&selector);
  hints.latest_only = latest_only;
  NARTHEX_TRY(SelectedSeries selected, SelectSeries(hints, selector.matchers));
  selection->list = SeriesList(std::move(selected));
  selection->known = true;
  selection->latest_only = latest_only;
  return {};
}

}  // namespace narthex::promql
