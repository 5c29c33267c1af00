// Quantiles of a stream in little memory: the targeted-quantiles algorithm of Cormode, Korn,
// Muthukrishnan and Srivastava, "Effective Computation of Biased Quantiles over Data Streams".
//
// Keeps tuples (value, width, delta) in the order of their values: `width` observations lie between
// this tuple's value and the one before, give or take `delta`. Neighbours are merged for as long as
// the rank error at the objectives stays within their bounds. Not thread-safe.
#pragma once

#include <cstddef>
#include <vector>

#include "narthex/client/summary.h"

namespace narthex::client::detail {

class QuantileStream {
 public:
  // `objectives` outlives the stream.
  explicit QuantileStream(const std::vector<Objective>& objectives) : objectives_(objectives) {}

  // Ascending values.
  void Merge(const std::vector<double>& sorted);
  // Only when not empty.
  double Query(double quantile) const;
  bool empty() const { return tuples_.empty(); }
  void Clear();

 private:
  struct Tuple {
    double value;
    double width;
    double delta;
  };

  // How many observations a tuple at this rank may stand for.
  double WidthMax(double rank) const;
  void Compress();

  const std::vector<Objective>& objectives_;
  double count_ = 0;
  std::vector<Tuple> tuples_;
};

}  // namespace narthex::client::detail
