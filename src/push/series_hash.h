// 128 bits that stand for a series: the name of its family and its labels. Two series have the same
// bits by accident once in 10^20 gateways of ten million series.
#pragma once

#include <cstdint>
#include <string>

#include "narthex/client/metric_family.h"
#include "util/hash.h"

namespace narthex::push {

struct SeriesHash {
  uint64_t low = 0;
  uint64_t high = 0;

  friend bool operator==(const SeriesHash&, const SeriesHash&) = default;
  struct Hasher {
    // The bits are as good as random already.
    using is_avalanching = void;
    size_t operator()(const SeriesHash& hash) const { return hash.low; }
  };
};

// The labels are sorted.
inline SeriesHash HashSeries(const std::string& name, const client::Metric& metric) {
  std::string text = name;
  for (const client::LabelPair& label : metric.labels) {
    text.append(1, '\xff').append(label.name).append(1, '\xff').append(label.value);
  }
  return {FastHash64(text), XxHash64(text)};
}

}  // namespace narthex::push
