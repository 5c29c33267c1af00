// Merges what collectors delivered into one consistent, sorted page, and leaves out what cannot
// stand beside the rest. For the registry and for gatherers of several.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "narthex/client/metric_family.h"
#include "narthex/client/registry.h"

namespace narthex::client {

class Gatherer {
 public:
  // A family, or one of ours whose series have not been read yet.
  struct Item {
    MetricFamily family;
    std::shared_ptr<detail::FamilyCore> unread;
  };
  struct Page {
    std::vector<Item> items;  // Sorted by name.
    std::vector<std::string> errors;
  };

  // `trusted`: sorted, and free of duplicates by construction, as our own families are. While a
  // trusted family is the only one of its name, its series are not looked at again.
  void Add(MetricFamily family, bool trusted);
  // One of ours. Its series are read here only if other families have its name.
  void Add(std::shared_ptr<detail::FamilyCore> family);
  Page Finish() &&;

 private:
  struct Part {
    Item item;
    bool trusted;
  };
  // Merges parts_[begin, end), which share a name.
  void Merge(size_t begin, size_t end);
  bool CollidesWithSuffix(const MetricFamily& family);
  const MetricFamily* FindResult(const std::string& name) const;

  std::vector<Part> parts_;
  Page page_;
};

}  // namespace narthex::client
