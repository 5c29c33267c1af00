#include "narthex/client/custom.h"

#include <algorithm>

namespace narthex::client {
namespace {

class FunctionCollector final : public Collector {
 public:
  FunctionCollector(std::function<void(std::vector<MetricFamily>&)> collect,
                    std::vector<Description> descriptions)
      : collect_(std::move(collect)), descriptions_(std::move(descriptions)) {}
  void Describe(std::vector<Description>& out) const override {
    out.insert(out.end(), descriptions_.begin(), descriptions_.end());
  }
  void Collect(std::vector<MetricFamily>& out) override { collect_(out); }

 private:
  const std::function<void(std::vector<MetricFamily>&)> collect_;
  const std::vector<Description> descriptions_;
};

class WrappedCollector final : public Collector {
 public:
  WrappedCollector(std::shared_ptr<Collector> inner, std::string prefix, Labels labels)
      : inner_(std::move(inner)), prefix_(std::move(prefix)), labels_(std::move(labels)) {}

  void Describe(std::vector<Description>& out) const override {
    const size_t begin = out.size();
    inner_->Describe(out);
    for (size_t i = begin; i < out.size(); ++i) {
      out[i].name.insert(0, prefix_);
      out[i].const_labels.insert(out[i].const_labels.end(), labels_.begin(), labels_.end());
      std::sort(out[i].const_labels.begin(), out[i].const_labels.end());
    }
  }

  void Collect(std::vector<MetricFamily>& out) override {
    const size_t begin = out.size();
    inner_->Collect(out);
    for (size_t i = begin; i < out.size(); ++i) {
      const std::string name = out[i].name;
      out[i].name.insert(0, prefix_);
      for (Metric& metric : out[i].metrics) {
        Labels all(metric.labels.begin(), metric.labels.end());
        if (out[i].type == MetricType::kStateSet) {
          // The label that names the state is named as the metric is.
          for (LabelPair& label : all) {
            if (label.name == name) label.name = out[i].name;
          }
        }
        all.insert(all.end(), labels_.begin(), labels_.end());
        std::sort(all.begin(), all.end());
        metric.labels = LabelSet(std::move(all));
      }
    }
  }

 private:
  const std::shared_ptr<Collector> inner_;
  const std::string prefix_;
  const Labels labels_;
};

}  // namespace

MetricFamily MakeFamily(MetricType type, std::string name, std::string help, std::string unit) {
  MetricFamily family{std::move(name), std::move(help), type, {}, {}};
  if (!unit.empty()) family.unit = std::move(unit);
  return family;
}

void AddSample(MetricFamily& family, Labels labels, double value, SampleOptions options) {
  Metric metric{LabelSet(std::move(labels)), {}, options.timestamp_ms};
  switch (family.type) {
    case MetricType::kCounter:
      metric.value = CounterValue{value, std::move(options.exemplar), options.created};
      break;
    case MetricType::kUntyped: metric.value = UntypedValue{value}; break;
    // A single number is neither a summary nor a histogram: the registry will say so.
    case MetricType::kSummary:
    case MetricType::kHistogram:
    case MetricType::kGaugeHistogram:
    case MetricType::kGauge:
    case MetricType::kInfo:
    case MetricType::kStateSet: metric.value = GaugeValue{value}; break;
  }
  family.metrics.push_back(std::move(metric));
}

void AddHistogram(MetricFamily& family, Labels labels, HistogramValue value,
                  std::optional<int64_t> timestamp_ms) {
  family.metrics.push_back({LabelSet(std::move(labels)),
                            std::make_shared<const HistogramValue>(std::move(value)),
                            timestamp_ms});
}

void AddSummary(MetricFamily& family, Labels labels, SummaryValue value,
                std::optional<int64_t> timestamp_ms) {
  family.metrics.push_back({LabelSet(std::move(labels)),
                            std::make_shared<const SummaryValue>(std::move(value)), timestamp_ms});
}

HistogramValue MakeHistogramValue(uint64_t count, double sum,
                                  const std::vector<std::pair<double, uint64_t>>& cumulative) {
  HistogramValue value;
  value.sample_count = count;
  value.sample_sum = sum;
  for (const auto& [bound, up_to] : cumulative) value.buckets.push_back({bound, up_to, 0, nullptr});
  return value;
}

std::shared_ptr<Collector> MakeCollector(std::function<void(std::vector<MetricFamily>&)> collect,
                                         std::vector<Description> descriptions) {
  return std::make_shared<FunctionCollector>(std::move(collect), std::move(descriptions));
}

std::shared_ptr<Collector> WrapCollector(std::shared_ptr<Collector> collector, std::string prefix,
                                         Labels labels) {
  return std::make_shared<WrappedCollector>(std::move(collector), std::move(prefix),
                                            std::move(labels));
}

}  // namespace narthex::client
