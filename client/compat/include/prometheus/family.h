#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "narthex/client/names.h"
#include "prometheus/collectable.h"
#include "prometheus/detail/convert.h"
#include "prometheus/labels.h"
#include "prometheus/metric_type.h"

namespace prometheus {
namespace detail {

// A family of any kind, for the registry.
class AnyFamily : public Collectable, public NativeSource {
 public:
  AnyFamily(std::string name, std::string help, Labels constant_labels, MetricType type)
      : name_(std::move(name)),
        help_(std::move(help)),
        constant_labels_(std::move(constant_labels)),
        type_(type) {
    if (!narthex::client::IsValidLegacyMetricName(name_) || name_.rfind("__", 0) == 0) {
      throw std::invalid_argument("Invalid metric name");
    }
    CheckLabels(constant_labels_);
  }

  const std::string& GetName() const { return name_; }
  const Labels GetConstantLabels() const { return constant_labels_; }
  MetricType type() const { return type_; }

  std::vector<MetricFamily> Collect() const override {
    std::vector<narthex::client::MetricFamily> native;
    CollectNative(native);
    std::vector<MetricFamily> families;
    for (const auto& family : native) families.push_back(FromNative(family));
    return families;
  }

 protected:
  void CheckLabels(const Labels& labels) const {
    for (const auto& [name, value] : labels) {
      const bool reserved = (type_ == MetricType::Histogram && name == "le") ||
                            (type_ == MetricType::Summary && name == "quantile");
      if (reserved || !narthex::client::IsValidLegacyLabelName(name) || name.rfind("__", 0) == 0) {
        throw std::invalid_argument("Invalid label name");
      }
    }
  }

  const std::string name_;
  const std::string help_;
  const Labels constant_labels_;
  const MetricType type_;
};

narthex::client::MetricType NativeType(MetricType type);

}  // namespace detail

// Metrics of one name, owned here; they go with Remove() or with the family. Any labels: unlike
// narthex::client::Family this one does not ask for the same names everywhere.
template <typename T>
class Family : public detail::AnyFamily {
 public:
  Family(const std::string& name, const std::string& help, const Labels& constant_labels)
      : AnyFamily(name, help, constant_labels, T::metric_type) {}

  // The metric with these labels, made with `args` when it is new.
  template <typename... Args>
  T& Add(const Labels& labels, Args&&... args) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = metrics_.find(labels);
    if (found != metrics_.end()) return *found->second.metric;
    CheckLabels(labels);
    for (const auto& label : labels) {
      if (constant_labels_.count(label.first) > 0) {
        throw std::invalid_argument("Duplicate label name");
      }
    }
    auto metric = std::make_unique<T>(std::forward<Args>(args)...);
    Labels all = labels;
    all.insert(constant_labels_.begin(), constant_labels_.end());
    Entry& entry = metrics_[labels];
    entry.labels = narthex::client::LabelSet::WithText(detail::ToNative(all));
    entry.metric = std::move(metric);
    return *entry.metric;
  }
  void Remove(T* metric) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto it = metrics_.begin(); it != metrics_.end(); ++it) {
      if (it->second.metric.get() != metric) continue;
      metrics_.erase(it);
      return;
    }
  }
  bool Has(const Labels& labels) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return metrics_.count(labels) > 0;
  }

  void CollectNative(std::vector<narthex::client::MetricFamily>& out) const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (metrics_.empty()) return;
    narthex::client::MetricFamily family{type_ == MetricType::Info ? name_ + "_info" : name_,
                                         help_,
                                         detail::NativeType(type_),
                                         {},
                                         {}};
    family.metrics.reserve(metrics_.size());
    for (const auto& [labels, entry] : metrics_) {
      entry.metric->core().Collect(entry.labels, family.metrics);
    }
    out.push_back(std::move(family));
  }

 private:
  struct Entry {
    narthex::client::LabelSet labels;
    std::unique_ptr<T> metric;
  };
  mutable std::mutex mutex_;
  std::map<Labels, Entry> metrics_;  // Guarded by mutex_.
};

}  // namespace prometheus
