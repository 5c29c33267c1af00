// Aggregations that pick elements of their input: topk, bottomk, limitk, limit_ratio.
#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "promql/engine/evaluator.h"
#include "promql/engine/pattern_sort.h"
#include "util/numbers.h"

namespace narthex::promql {
namespace {

// The largest float that converts to an int64.
constexpr double kInt64Max = 9223372036854774784.0;
constexpr double kInt64Min = -9223372036854775808.0;

// Steps that are ranked at once, and heaps for them.
constexpr size_t kTileSteps = 64;
constexpr size_t kTileHeaps = 8192;

struct ParameterRange {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  bool nan = false;
};
ParameterRange RangeOf(const std::vector<double>& parameter) {
  ParameterRange range;
  for (const double value : parameter) {
    if (std::isnan(value)) {
      range.nan = true;
      continue;
    }
    range.low = std::min(range.low, value);
    range.high = std::max(range.high, value);
  }
  return range;
}

// The k best elements of a group. A binary heap with the worst on top, sifted in the same way as
// Go's container/heap, so that equal values leave it in the same order as upstream.
class BestHeap {
 public:
  struct Element {
    double value;
    size_t series;
  };

  // `reverse`: small values are best.
  explicit BestHeap(bool reverse) : reverse_(reverse) {}

  size_t size() const { return elements_.size(); }
  const Element& worst() const { return elements_.front(); }
  void Push(Element element) {
    elements_.push_back(element);
    Up(elements_.size() - 1);
  }
  // Whether the value is better than the worst here.
  bool Beats(double value) const {
    const double worst_value = elements_.front().value;
    const bool better = reverse_ ? worst_value > value : worst_value < value;
    return better || (std::isnan(worst_value) && !std::isnan(value));
  }
  void ReplaceWorst(Element element) {
    elements_.front() = element;
    Down();
  }
  // Best first.
  const std::vector<Element>& Sorted() {
    if (elements_.size() > 1) {
      PatternSort(std::span(elements_), [this](const Element& a, const Element& b) {
        return std::isnan(b.value) || (reverse_ ? a.value < b.value : a.value > b.value);
      });
    }
    return elements_;
  }
  const std::vector<Element>& elements() const { return elements_; }
  void Clear() { elements_.clear(); }

 private:
  bool Less(size_t i, size_t j) const {
    const double a = elements_[i].value;
    const double b = elements_[j].value;
    if (std::isnan(a)) return true;
    return reverse_ ? a > b : a < b;
  }
  void Up(size_t j) {
    while (j > 0) {
      const size_t parent = (j - 1) / 2;
      if (!Less(j, parent)) return;
      std::swap(elements_[parent], elements_[j]);
      j = parent;
    }
  }
  void Down() {
    size_t i = 0;
    for (;;) {
      size_t child = 2 * i + 1;
      if (child >= elements_.size()) return;
      if (child + 1 < elements_.size() && Less(child + 1, child)) ++child;
      if (!Less(child, i)) return;
      std::swap(elements_[i], elements_[child]);
      i = child;
    }
  }

  bool reverse_;
  std::vector<Element> elements_;
};

bool WithinRatio(double ratio, const Labels& labels) {
  const double offset = static_cast<double>(labels.Hash()) /
                        static_cast<double>(std::numeric_limits<uint64_t>::max());
  return (ratio >= 0 && offset < ratio) || (ratio < 0 && offset >= 1 + ratio);
}

}  // namespace

Result<Value> Evaluator::AggregateSelect(const AggregateExpr& expr,
                                         const std::vector<double>& parameter) {
  NARTHEX_TRY(Value input, Eval(*expr.expr));
  VectorValue& vector = input.vector;
  Value value;
  value.type = ValueType::kVector;
  const ParameterRange range = RangeOf(parameter);
  const bool by_ratio = expr.op == AggregateOp::kLimitRatio;
  if (by_ratio) {
    if (range.high == 0 && range.low == 0 && !range.nan) return value;
    if (range.nan) return Status(ErrorCode::kExecution, "Ratio value is NaN");
    const auto warn = [&](double ratio, int to) {
      query_->annotations.Warn(fmt::format("ratio value should be between -1 and 1, got {}, "
                                           "capping to {}",
                                           FormatFloatG(ratio), to),
                               expr.parameter->position);
    };
    if (range.high > 1) warn(range.high, 1);
    if (range.low < -1) warn(range.low, -1);
  } else {
    if (range.high < 1 && !range.nan) return value;
    if (range.nan) return Status(ErrorCode::kExecution, "Parameter value is NaN");
    if (range.low <= kInt64Min) {
      return MakeError(ErrorCode::kExecution, "Scalar value {} underflows int64",
                       FormatFloatG(range.low));
    }
    if (range.high >= kInt64Max) {
      return MakeError(ErrorCode::kExecution, "Scalar value {} overflows int64",
                       FormatFloatG(range.high));
    }
  }

  std::vector<std::string> names = expr.grouping;
  if (expr.without) {
    for (const std::string_view name : {kMetricNameLabel, kTypeLabel, kUnitLabel}) {
      names.emplace_back(name);
    }
  }
  const LabelProjection projection(std::move(names), /*keep=*/!expr.without);
  ProjectionIndex index(&projection);
  std::vector<size_t> group_of;
  group_of.reserve(vector.size());
  for (const VectorSeries& series : vector) group_of.push_back(index.Add(series.labels));

  std::vector<StepColumn> picked(vector.size());
  std::vector<size_t> order;  // Of a single step: best first, group by group.
  std::vector<bool> touched(vector.size());
  MemoryHold memory = HoldMemory();
  Status status;
  const auto pick = [&](size_t series, size_t step) {
    if (!touched[series]) {
      touched[series] = true;
      picked[series] = StepColumn(steps_);
      if (memory.counting() && status.ok()) status = memory.Grow(MemoryOf(picked[series]));
      order.push_back(series);
    }
    picked[series].SetFrom(step, vector[series].column, step);
  };

  const bool ranked = expr.op == AggregateOp::kTopk || expr.op == AggregateOp::kBottomk;
  // A few steps at a time, series by series: columns are read along their length, while each step
  // still sees the series in their order.
  const size_t tile = std::clamp<size_t>(kTileHeaps / std::max<size_t>(1, index.size()), 1,
                                         std::min<size_t>(kTileSteps, steps_));
  std::vector<BestHeap> heaps(tile * index.size(), BestHeap(expr.op == AggregateOp::kBottomk));
  std::vector<size_t> wanted(tile);
  for (size_t begin = 0; begin < steps_; begin += tile) {
    NARTHEX_RETURN_IF_ERROR(CheckDone());
    const size_t end = std::min(begin + tile, steps_);
    bool any = false;
    for (size_t step = begin; step < end; ++step) {
      const double k = parameter[step];
      size_t& slots = wanted[step - begin];
      if (by_ratio) {
        slots = k == 0 ? 0 : vector.size();
      } else {
        slots = k < 1 ? 0 : std::min(static_cast<size_t>(k), vector.size());
      }
      any = any || slots > 0;
    }
    if (!any) continue;
    for (BestHeap& heap : heaps) heap.Clear();
    for (size_t i = 0; i < vector.size(); ++i) {
      NARTHEX_RETURN_IF_ERROR(Tick());
      const StepColumn& column = vector[i].column;
      const bool histograms = column.has_histograms();
      for (size_t step = begin; step < end; ++step) {
        const size_t k = wanted[step - begin];
        if (k == 0 || !column.has(step)) continue;
        BestHeap& heap = heaps[(step - begin) * index.size() + group_of[i]];
        const BestHeap::Element element{column.value(step), i};
        if (by_ratio) {
          if (WithinRatio(std::clamp(parameter[step], -1.0, 1.0), vector[i].labels)) {
            heap.Push(element);
          }
        } else if (!ranked) {
          if (heap.size() < k) heap.Push(element);
        } else if (histograms && column.histogram(step) != nullptr) {
          query_->annotations.Info(
              fmt::format("ignored histogram in {} aggregation", AggregateOpName(expr.op)),
              expr.position);
        } else if (heap.size() < k) {
          heap.Push(element);
        } else if (heap.Beats(element.value)) {
          heap.ReplaceWorst(element);
        }
      }
    }
    for (size_t step = begin; step < end; ++step) {
      if (wanted[step - begin] == 0) continue;
      for (size_t group = 0; group < index.size(); ++group) {
        BestHeap& heap = heaps[(step - begin) * index.size() + group];
        const std::vector<BestHeap::Element>& best = ranked ? heap.Sorted() : heap.elements();
        for (const BestHeap::Element& element : best) pick(element.series, step);
      }
    }
    NARTHEX_RETURN_IF_ERROR(status);
  }
  for (const size_t series : order) {
    value.vector.push_back(
        {std::move(vector[series].labels), vector[series].drop_name, std::move(picked[series])});
  }
  return value;
}

}  // namespace narthex::promql
