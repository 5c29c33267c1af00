// Accumulators of aggregations: one cell a group and step, into which series are folded in their
// order. Values and flags lie in columns, one row of steps a group.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "promql/engine/annotations.h"
#include "promql/engine/step_column.h"
#include "promql/parser/ast.h"
#include "util/status.h"

namespace narthex::promql {

class GroupFold {
 public:
  // `position` is that of the aggregated expression.
  GroupFold(AggregateOp op, size_t groups, size_t steps, PositionRange position);

  // What its tables take from the start.
  static size_t TableBytes(AggregateOp op, size_t groups, size_t steps);
  // What it takes now, with histograms and samples that are kept.
  size_t MemoryBytes() const;

  // Before any Add of the column, on one thread: makes room for histograms.
  void Prepare(size_t group, const StepColumn& column);
  // Folds the steps [begin, end) of a column into a group. Different step ranges may be folded by
  // different threads, each with its own annotations. The ranges are multiples of 64 steps apart.
  Status Add(size_t group, const StepColumn& column, std::string_view metric, bool drop_name,
             size_t begin, size_t end, Annotations* annotations);
  // The result of a group. `quantile` is one value a step, for that operator.
  StepColumn Finish(size_t group, const std::vector<double>* quantile, Annotations* annotations);
  // Whether any sample of the group came from a series whose name is to be dropped.
  bool drop_name(size_t group) const { return drop_name_[group] != 0; }

 private:
  struct HistogramCell {
    FloatHistogram value;
    FloatHistogram mean;
    std::optional<FloatHistogram> compensation;
    double count = 0;  // Of all samples, for avg.
    bool incremental = false;
    bool incompatible = false;
    bool after_float = false;  // The result is lost already: nothing is added, nothing noted.
    bool reset = false;
    bool not_reset = false;
  };
  using Cells = std::vector<std::unique_ptr<HistogramCell>>;

  size_t At(size_t group, size_t step) const { return group * steps_ + step; }
  void AddFloats(size_t group, const StepColumn& column, size_t begin, size_t end);
  // A whole word of steps at which both the group and the series have floats: loops without
  // branches. False, and nothing changed, where that way does not exist.
  bool AddWord(size_t group, size_t w, const double* from);
  bool AddWordPlainly(size_t group, size_t w, const double* from);
  bool AddWordAvx2(size_t group, size_t w, const double* from);
  void AddFloat(size_t cell, double value, bool first);
  void AddAvg(size_t cell, double value, bool first);
  Status AddHistogram(size_t group, size_t step, bool first, const FloatHistogram& histogram,
                      std::string_view metric, Annotations* annotations);
  Status FoldHistogram(HistogramCell* cell, const FloatHistogram& histogram,
                       std::string_view metric, Annotations* annotations);
  HistogramPtr FinishHistogram(HistogramCell* cell) const;
  HistogramCell* Cell(size_t group, size_t step) const {
    return cells_[group] == nullptr ? nullptr : (*cells_[group])[step].get();
  }
  bool seen(size_t group, size_t step) const {
    return (seen_[group * words_ + step / 64] >> (step % 64) & 1) != 0;
  }

  AggregateOp op_;
  size_t steps_;
  size_t words_;
  PositionRange position_;
  // By cell: sum, mean, extreme or square sum; compensation or mean; count.
  std::vector<double> value_;
  std::vector<double> extra_;
  std::vector<double> count_;
  std::vector<uint64_t> seen_;         // A sample that counts was folded.
  std::vector<uint64_t> float_seen_;   // A float; sum and avg only.
  std::vector<uint64_t> incremental_;  // avg went over to the incremental mean.
  std::vector<uint8_t> drop_name_;     // By group.
  std::vector<std::unique_ptr<Cells>> cells_;
  std::vector<std::vector<double>> samples_;  // By cell; quantile only.
};

}  // namespace narthex::promql
