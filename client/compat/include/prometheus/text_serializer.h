#pragma once

#include <iosfwd>
#include <vector>

#include "prometheus/serializer.h"

namespace prometheus {

// The text format. Families without metrics are left out.
class TextSerializer : public Serializer {
 public:
  using Serializer::Serialize;
  void Serialize(std::ostream& out, const std::vector<MetricFamily>& families) const override;
};

}  // namespace prometheus
