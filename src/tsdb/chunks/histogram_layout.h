// What all samples of a histogram chunk share: schema, zero bucket width, spans, custom bounds; and
// the arithmetic of bucket layouts that appending needs.
#pragma once

#include <cstdint>
#include <vector>

#include "model/histogram.h"
#include "tsdb/chunks/bit_stream.h"
#include "util/status.h"

namespace narthex::tsdb {

struct HistogramLayout {
  int32_t schema = 0;
  double zero_threshold = 0;
  std::vector<Span> positive_spans;
  std::vector<Span> negative_spans;
  std::vector<double> custom_values;
};

// Highest schema that a reader accepts; those above kExponentialSchemaMax are reduced to it.
inline constexpr int32_t kReadableSchemaMin = -9;
inline constexpr int32_t kReadableSchemaMax = 52;

void PutHistogramLayout(BitWriter& writer, const HistogramLayout& layout);
// Fails on schemas that nobody knows, and on layouts that the rest of the chunk cannot hold.
Status ReadHistogramLayout(BitReader& reader, HistogramLayout* layout);

size_t CountBuckets(const std::vector<Span>& spans);
// Bucket indexes of the spans, in order.
void BucketIndexes(const std::vector<Span>& spans, std::vector<int64_t>* indexes);
// The canonical spans of ascending indexes: adjacent buckets share a span.
std::vector<Span> SpansOf(const std::vector<int64_t>& indexes);
// Absolute counts of delta-encoded ones and back.
std::vector<int64_t> DeltasToCounts(const std::vector<int64_t>& deltas);
std::vector<int64_t> CountsToDeltas(const std::vector<int64_t>& counts);

// How the buckets of a chunk (`a`) and of a new sample (`b`) relate.
struct LayoutComparison {
  bool is_reset = false;     // A used bucket vanished or shrank.
  unsigned forward = 0;      // Runs of buckets that only b has.
  unsigned backward = 0;     // Runs of buckets that only a has.
  std::vector<Span> merged;  // The union in canonical form, when both are needed.
};

// Counter rule: buckets of b must not be smaller; buckets that only a has must be empty.
template <typename Count>
LayoutComparison CompareCounterLayouts(const std::vector<Span>& a,
                                       const std::vector<Count>& a_counts,
                                       const std::vector<Span>& b,
                                       const std::vector<Count>& b_counts);
// Gauge rule: anything goes.
LayoutComparison CompareGaugeLayouts(const std::vector<Span>& a, const std::vector<Span>& b);

// Moves absolute counts from the buckets of `from` to those of `to`, a superset; new ones are 0.
template <typename Count>
std::vector<Count> MoveCounts(const std::vector<Span>& from, const std::vector<Count>& counts,
                              const std::vector<Span>& to);

// Merges buckets so that a histogram of a schema above 8 becomes one of schema 8.
template <typename Count>
void ReduceBuckets(unsigned schema_steps, std::vector<Span>* spans, std::vector<Count>* counts);

}  // namespace narthex::tsdb
