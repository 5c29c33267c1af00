// Families under construction: values of one name land in one family.
#pragma once

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "exporters/node/node_exporter.h"

namespace narthex::exporters::node {

class NodeCollector::Page {
 public:
  explicit Page(std::vector<client::MetricFamily>& out) : out_(out) {}

  void Counter(const std::string& name, const std::string& help, double value,
               client::Labels labels = {}) {
    Add(name, help, client::MetricType::kCounter, client::CounterValue{value, nullptr, {}},
        std::move(labels));
  }
  void Gauge(const std::string& name, const std::string& help, double value,
             client::Labels labels = {}) {
    Add(name, help, client::MetricType::kGauge, client::GaugeValue{value}, std::move(labels));
  }
  void Untyped(const std::string& name, const std::string& help, double value) {
    Add(name, help, client::MetricType::kUntyped, client::UntypedValue{value}, {});
  }

 private:
  void Add(const std::string& name, const std::string& help, client::MetricType type,
           client::MetricValue value, client::Labels labels) {
    const auto [at, added] = index_.try_emplace(name, out_.size());
    if (added) {
      client::MetricFamily family;
      family.name = name;
      family.help = help;
      family.type = type;
      out_.push_back(std::move(family));
    }
    client::Metric metric;
    metric.labels = std::move(labels);
    metric.value = std::move(value);
    out_[at->second].metrics.push_back(std::move(metric));
  }

  std::vector<client::MetricFamily>& out_;
  std::unordered_map<std::string, size_t> index_;
};

}  // namespace narthex::exporters::node
