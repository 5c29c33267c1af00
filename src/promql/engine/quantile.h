// Quantiles and fractions: of plain values, of classic histograms (buckets by `le`) and of native
// ones. Specification: parity/promql.md section 10.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "model/histogram.h"
#include "promql/engine/annotations.h"

namespace narthex::promql {

// Sorts `values`, NaN first, and interpolates. NaN without values.
double Quantile(double q, std::span<double> values);

struct ClassicBucket {
  double upper_bound = 0;
  double count = 0;  // Cumulative.
};

struct BucketQuantileResult {
  double value = 0;
  // Counts fell somewhere and were lifted; between which buckets and by how much at most.
  bool forced_monotonic = false;
  double bucket_min = 0;
  double bucket_max = 0;
  double diff_max = 0;
  // The buckets are not what they were, but for their order: another quantile of them may differ.
  bool repaired = false;
};
// Both sort and repair `buckets`, and leave them as upstream does, whose next quantile of the same
// buckets starts from there.
BucketQuantileResult BucketQuantile(double q, std::vector<ClassicBucket>* buckets);
double BucketFraction(double lower, double upper, std::vector<ClassicBucket>* buckets);

double HistogramQuantile(double q, const FloatHistogram& histogram, std::string_view metric,
                         PositionRange position, Annotations* annotations);
double HistogramFraction(double lower, double upper, const FloatHistogram& histogram,
                         std::string_view metric, PositionRange position, Annotations* annotations);
double HistogramVariance(const FloatHistogram& histogram);

}  // namespace narthex::promql
