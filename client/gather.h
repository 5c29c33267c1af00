// Merges what collectors delivered into one consistent, sorted page, and leaves out what cannot
// stand beside the rest. For the registry alone.
#pragma once

#include <string>
#include <vector>

#include "narthex/client/metric_family.h"
#include "narthex/client/registry.h"

namespace narthex::client {

class Gatherer {
 public:
  // `trusted`: sorted, and free of duplicates by construction, as our own families are. While a
  // trusted family is the only one of its name, its series are not looked at again.
  void Add(MetricFamily family, bool trusted);
  GatherResult Finish() &&;

 private:
  struct Part {
    MetricFamily family;
    bool trusted;
  };
  // Merges parts_[begin, end), which share a name.
  void Merge(size_t begin, size_t end);
  bool CollidesWithSuffix(const MetricFamily& family);
  const MetricFamily* FindResult(const std::string& name) const;

  std::vector<Part> parts_;
  GatherResult result_;
};

}  // namespace narthex::client
