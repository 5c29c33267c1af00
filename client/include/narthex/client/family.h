// Metrics of one name that differ in their label values.
//
//   Family<Counter> requests{registry, {"http_requests_total", "Requests."}, {"handler", "code"}};
//   requests.WithLabels({"/metrics", "200"}).Inc();
//   const Counter cached = requests.WithLabels({"/metrics", "200"});  // fast path: keep the handle
//
// A series appears with the first WithLabels() of its values. Its handle outlives its removal and
// then counts for nobody. A Family is itself a handle.
//
// Threads: all. WithLabels() hashes the values and takes a shared lock: about 50 ns.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "narthex/client/detail/metric_core.h"

namespace narthex::client {

template <typename M>
class Family {
 public:
  using Options = typename M::Options;

  Family() = default;
  Family(Registry& registry, const MetricOptions& options, std::vector<std::string> label_names,
         const Options& metric_options = {}) {
    auto core = detail::Declare<M>(&registry, options, std::move(label_names), metric_options);
    if (!core.ok()) detail::Fail(core.status().message());
    core_ = *std::move(core);
  }
  // Returns the error; `registry` may be null for a family that is in none.
  static Result<Family> Declare(Registry* registry, const MetricOptions& options,
                                std::vector<std::string> label_names,
                                const Options& metric_options = {}) {
    auto core = detail::Declare<M>(registry, options, std::move(label_names), metric_options);
    if (!core.ok()) return core.status();
    Family family;
    family.core_ = *std::move(core);
    return family;
  }

  // Values in the order of the label names. A wrong number of them is a bug and aborts; bytes that
  // are not UTF-8 become U+FFFD. On a default-constructed family: a metric that does nothing.
  M WithLabels(std::initializer_list<std::string_view> values) const {
    return Wrap(core_ ? core_->MustChild(values.begin(), values.size()) : nullptr);
  }
  M WithLabels(const std::vector<std::string_view>& values) const {
    return Wrap(core_ ? core_->MustChild(values.data(), values.size()) : nullptr);
  }
  // Returns what WithLabels() aborts on or repairs.
  Result<M> TryWithLabels(const std::vector<std::string_view>& values) const {
    auto child = core_->Child(values.data(), values.size());
    if (!child.ok()) return child.status();
    return Wrap(*std::move(child));
  }

  // The same by names, in any order. Fails unless exactly the family's labels are named.
  Result<M> WithNamedLabels(const Labels& labels) const {
    if (!core_) return Wrap(nullptr);
    Result<std::vector<std::string_view>> values = core_->ValuesInOrder(labels);
    if (!values.ok()) return values.status();
    return TryWithLabels(*values);
  }

  // False when there was no such series.
  bool Remove(std::initializer_list<std::string_view> values) const {
    return core_ && core_->Remove(values.begin(), values.size());
  }
  bool Remove(const std::vector<std::string_view>& values) const {
    return core_ && core_->Remove(values.data(), values.size());
  }
  // Removes every series that has all these labels; gives their number.
  size_t RemoveMatching(const Labels& labels) const {
    return core_ ? core_->RemoveMatching(labels) : 0;
  }
  void Clear() const {
    if (core_) core_->Clear();
  }
  size_t size() const { return core_ ? core_->size() : 0; }

  // For Registry::Register and Unregister.
  std::shared_ptr<Collector> collector() const { return core_; }

 private:
  static M Wrap(std::shared_ptr<detail::MetricCore> core) { return M(std::move(core)); }

  std::shared_ptr<detail::FamilyCore> core_;
};

}  // namespace narthex::client
