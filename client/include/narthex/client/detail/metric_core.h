// The shared insides of metrics and families. Handles (Counter, Gauge, …) point to a MetricCore; a
// FamilyCore owns the cores of one declaration and is the collector that the registry asks.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "narthex/client/collector.h"
#include "narthex/client/registry.h"

namespace narthex::client::detail {

class MetricCore {
 public:
  virtual ~MetricCore() = default;
  // Any thread, while others write.
  virtual MetricValue Read() = 0;
  // Appends the series of this metric, whose labels are `labels`: one, for most kinds.
  virtual void Collect(const LabelSet& labels, std::vector<Metric>& out);
};

class FamilyCore final : public Collector {
 public:
  using NewCore = std::function<std::shared_ptr<MetricCore>(const Description&)>;

  // `series_max`: see MetricOptions.
  FamilyCore(Description description, MetricType type, NewCore new_core, size_t series_max = 0);
  ~FamilyCore() override;

  // The child with these label values, made when new. Fails on a wrong number of values and on
  // invalid UTF-8.
  Result<std::shared_ptr<MetricCore>> Child(const std::string_view* values, size_t count);
  // The same, but repairs UTF-8 and aborts on a wrong number of values.
  std::shared_ptr<MetricCore> MustChild(const std::string_view* values, size_t count);
  // The values of these labels in the order of the label names. Views of `labels`.
  Result<std::vector<std::string_view>> ValuesInOrder(const Labels& labels) const;
  bool Remove(const std::string_view* values, size_t count);
  size_t RemoveMatching(const Labels& labels);
  void Clear();
  size_t size() const;

  MetricType type() const { return type_; }
  const Description& description() const { return description_; }

  void Describe(std::vector<Description>& out) const override;
  void Collect(std::vector<MetricFamily>& out) override;

  // The same in pieces. A cursor begins at the start.
  struct Cursor {
    LabelSet last;
    uint64_t version = 0;
    size_t next = 0;
    bool done = false;
  };
  // Name, help, type and unit.
  MetricFamily Header() const;
  // Appends some of the series that follow. A child that comes or goes meanwhile may or may not be
  // among them; the others come once each, in order.
  void CollectSome(Cursor& cursor, std::vector<Metric>& out);

 private:
  struct Children;

  const Description description_;
  const MetricType type_;
  const NewCore new_core_;
  const size_t series_max_;
  std::unique_ptr<Children> children_;
};

// Prints "narthex client: <message>" on stderr and aborts.
[[noreturn]] void Fail(const std::string& message);

// Checks a declaration (names, reserved labels) and registers it when `registry` is not null.
Result<std::shared_ptr<FamilyCore>> DeclareFamily(Registry* registry, const MetricOptions& options,
                                                  std::vector<std::string> label_names,
                                                  MetricType type, Status options_status,
                                                  FamilyCore::NewCore new_core);

// One declaration of a metric of kind M, for M and for Family<M>.
template <typename M>
Result<std::shared_ptr<FamilyCore>> Declare(Registry* registry, const MetricOptions& options,
                                            std::vector<std::string> label_names,
                                            const typename M::Options& metric_options) {
  return DeclareFamily(registry, options, std::move(label_names), M::kType,
                       M::CheckOptions(metric_options),
                       [metric_options](const Description& description) {
                         return M::NewCore(metric_options, description);
                       });
}

template <typename M>
Result<M> DeclareOne(Registry* registry, const MetricOptions& options,
                     const typename M::Options& metric_options) {
  auto family = Declare<M>(registry, options, {}, metric_options);
  if (!family.ok()) return family.status();
  return M((*family)->MustChild(nullptr, 0));
}

template <typename M>
M MustDeclareOne(Registry& registry, const MetricOptions& options,
                 const typename M::Options& metric_options) {
  Result<M> metric = DeclareOne<M>(&registry, options, metric_options);
  if (!metric.ok()) Fail(metric.status().message());
  return *std::move(metric);
}

struct NoOptions {};

}  // namespace narthex::client::detail
