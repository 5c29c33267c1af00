// Between the families of this interface and those of narthex::client.
#pragma once

#include <string>
#include <vector>

#include "narthex/client/collector.h"
#include "narthex/client/metric_family.h"
#include "narthex/client/registry.h"
#include "prometheus/collectable.h"
#include "prometheus/labels.h"
#include "prometheus/metric_family.h"

namespace prometheus {
namespace detail {

// A collectable that can deliver without a detour.
class NativeSource {
 public:
  virtual ~NativeSource() = default;
  virtual void CollectNative(std::vector<narthex::client::MetricFamily>& out) const = 0;
};

narthex::client::MetricFamily ToNative(const MetricFamily& family);
MetricFamily FromNative(const narthex::client::MetricFamily& family);
ClientMetric FromNative(const narthex::client::Metric& metric);

narthex::client::Labels ToNative(const Labels& labels);

// Collectables as one checked page.
class CollectablePage final : public narthex::client::Gatherable {
 public:
  explicit CollectablePage(std::vector<const Collectable*> sources)
      : sources_(std::move(sources)) {}
  narthex::client::GatherResult Gather() const override;

 private:
  const std::vector<const Collectable*> sources_;
};

}  // namespace detail
}  // namespace prometheus
