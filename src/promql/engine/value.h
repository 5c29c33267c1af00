// The values that expressions evaluate to inside the engine.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/labels.h"
#include "promql/engine/cancellation.h"
#include "promql/engine/memory_account.h"
#include "promql/engine/query_result.h"
#include "promql/engine/step_column.h"
#include "util/status.h"

namespace narthex::promql {

// The steps of one evaluation: the query's own, a subquery's, or a single one.
struct StepGrid {
  int64_t start_ms = 0;
  int64_t end_ms = 0;
  int64_t interval_ms = 1;  // > 0

  size_t steps() const {
    return end_ms < start_ms ? 0 : static_cast<size_t>((end_ms - start_ms) / interval_ms) + 1;
  }
  int64_t TimeAt(size_t step) const { return start_ms + static_cast<int64_t>(step) * interval_ms; }
  bool single_step() const { return start_ms == end_ms; }
  friend bool operator==(const StepGrid&, const StepGrid&) = default;
};

// One series of an instant-vector expression.
struct VectorSeries {
  Labels labels;
  // The name and metadata labels go when the query ends (delayed name removal).
  bool drop_name = false;
  StepColumn column;
};
using VectorValue = std::vector<VectorSeries>;

// One series of a range-vector expression at one time, or of a subquery.
struct MatrixSeries {
  Labels labels;
  bool drop_name = false;
  storage::SampleColumns samples;
};

struct Value {
  ValueType type = ValueType::kNone;
  VectorValue vector;
  std::vector<double> scalar;  // One a step.
  std::vector<MatrixSeries> matrix;
  std::string string;
  MemoryHold memory;  // Of all that.
};

inline constexpr std::string_view kDuplicateLabelsText =
    "vector cannot contain metrics with the same labelset";

inline bool IsMetadataLabel(std::string_view name) {
  return name == kMetricNameLabel || name == kTypeLabel || name == kUnitLabel;
}
// Without __name__, __type__ and __unit__.
Labels DropMetadata(const Labels& labels);

// The labels that DropMetadata takes away. Series that agree in them stay different without.
struct MetadataLabels {
  std::string_view name;
  std::string_view type;
  std::string_view unit;
  friend bool operator==(const MetadataLabels&, const MetadataLabels&) = default;
};
// Views into `labels`.
MetadataLabels MetadataOf(const Labels& labels);

Result<bool> HasDuplicateLabels(const VectorValue& vector, const Cancellation& cancellation);
// Joins series of equal labels whose samples do not meet at a step; an error where they do. Keeps
// the order of first appearance.
Status MergeDuplicates(VectorValue* vector, const Cancellation& cancellation);
// The same for series of raw samples.
Status MergeDuplicates(std::vector<MatrixSeries>* matrix, const Cancellation& cancellation);

// Samples of the whole value, as upstream counts them.
size_t SampleCount(const VectorValue& vector);
size_t SampleCount(const std::vector<MatrixSeries>& matrix);
size_t SampleCount(const storage::SampleColumns& samples);

// Bytes on the heap and in place. A histogram that stands at neighbouring steps counts once.
size_t MemoryOf(const StepColumn& column);
size_t MemoryOf(const VectorSeries& series);
size_t MemoryOf(const MatrixSeries& series);
size_t MemoryOf(const Value& value);

// Sets of label names and the part of label sets they pick: grouping and matching of series.
class LabelProjection {
 public:
  // Only `names`, or all but `names`.
  LabelProjection(std::vector<std::string> names, bool keep);

  Labels Project(const Labels& labels) const;
  // Of the projected labels, without making them.
  uint64_t Hash(const Labels& labels) const;
  // Whether the projections of both are the same.
  bool SameProjection(const Labels& a, const Labels& b) const;

 private:
  bool Picks(std::string_view name) const;

  std::vector<std::string> names_;  // Sorted.
  bool keep_;
};

// Numbers the distinct projections of label sets in order of appearance.
class ProjectionIndex {
 public:
  explicit ProjectionIndex(const LabelProjection* projection) : projection_(projection) {}
  // `labels` must stay where it is while the index lives.
  size_t Add(const Labels& labels);
  size_t size() const { return representatives_.size(); }
  const Labels& representative(size_t ordinal) const { return *representatives_[ordinal]; }

 private:
  void Grow();

  const LabelProjection* projection_;
  std::vector<const Labels*> representatives_;
  std::vector<uint64_t> hashes_;  // Of the representatives.
  std::vector<uint32_t> table_;   // Ordinal + 1; open addressing.
};

}  // namespace narthex::promql
