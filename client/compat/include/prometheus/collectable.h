#pragma once

#include <vector>

#include "prometheus/metric_family.h"

namespace prometheus {

class Collectable {
 public:
  virtual ~Collectable() = default;
  virtual std::vector<MetricFamily> Collect() const = 0;
};

}  // namespace prometheus
