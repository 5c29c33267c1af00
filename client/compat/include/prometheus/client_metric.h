#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

namespace prometheus {

// One series as collected. Which part counts is said by the family's type.
struct ClientMetric {
  struct Label {
    std::string name;
    std::string value;
    bool operator<(const Label& other) const {
      return std::tie(name, value) < std::tie(other.name, other.value);
    }
    bool operator==(const Label& other) const {
      return std::tie(name, value) == std::tie(other.name, other.value);
    }
  };
  struct Counter {
    double value = 0.0;
  };
  struct Gauge {
    double value = 0.0;
  };
  struct Info {
    double value = 1.0;
  };
  struct Untyped {
    double value = 0.0;
  };
  struct Quantile {
    double quantile = 0.0;
    double value = 0.0;
  };
  struct Summary {
    std::uint64_t sample_count = 0;
    double sample_sum = 0.0;
    std::vector<Quantile> quantile;
  };
  struct Bucket {
    std::uint64_t cumulative_count = 0;
    double upper_bound = 0.0;
  };
  struct Histogram {
    std::uint64_t sample_count = 0;
    double sample_sum = 0.0;
    std::vector<Bucket> bucket;
  };

  std::vector<Label> label;
  Counter counter;
  Gauge gauge;
  Info info;
  Summary summary;
  Histogram histogram;
  Untyped untyped;
  std::int64_t timestamp_ms = 0;  // 0: none.
};

}  // namespace prometheus
