#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/detail/builder.h"
#include "prometheus/family.h"

namespace prometheus {

class Registry : public Collectable, public detail::NativeSource {
 public:
  enum class InsertBehavior {
    Merge,  // The same name and labels again: the same family.
    Throw,
  };

  explicit Registry(InsertBehavior insert_behavior = InsertBehavior::Merge)
      : insert_behavior_(insert_behavior) {}
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  std::vector<MetricFamily> Collect() const override {
    std::vector<narthex::client::MetricFamily> native;
    CollectNative(native);
    std::vector<MetricFamily> families;
    for (const auto& family : native) families.push_back(detail::FromNative(family));
    return families;
  }
  void CollectNative(std::vector<narthex::client::MetricFamily>& out) const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& family : families_) family->CollectNative(out);
  }

  // False when it was not here. Its metrics are gone then.
  template <typename T>
  bool Remove(const Family<T>& family) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto it = std::find_if(families_.begin(), families_.end(),
                                 [&family](const auto& own) { return own.get() == &family; });
    if (it == families_.end()) return false;
    families_.erase(it);
    return true;
  }

 private:
  template <typename T>
  friend class detail::Builder;

  template <typename T>
  Family<T>& Add(const std::string& name, const std::string& help, const Labels& labels) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& family : families_) {
      if (family->GetName() != name) continue;
      if (family->type() != T::metric_type) {
        throw std::invalid_argument("Family name already exists with different type");
      }
      if (family->GetConstantLabels() != labels) continue;
      if (insert_behavior_ == InsertBehavior::Throw) {
        throw std::invalid_argument("Family name already exists");
      }
      return static_cast<Family<T>&>(*family);
    }
    families_.push_back(std::make_unique<Family<T>>(name, help, labels));
    return static_cast<Family<T>&>(*families_.back());
  }

  const InsertBehavior insert_behavior_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<detail::AnyFamily>> families_;  // Guarded by mutex_.
};

namespace detail {

template <typename T>
Family<T>& Builder<T>::Register(Registry& registry) {
  return registry.Add<T>(name_, help_, labels_);
}

}  // namespace detail
}  // namespace prometheus
