// A set of collectors that are exposed together.
//
//   static Counter requests{"http_requests_total", "Requests served."};   // the default registry
//
//   Registry registry;                                                    // one of one's own
//   Counter errors{registry, {"errors_total", "Errors seen."}};
//
// Declaring the same metric twice in one registry (equal name, help, labels and type) gives the
// same metric. A declaration that clashes with another, or whose name is invalid, is a bug:
// constructors of metrics print the reason and abort. Where names come from outside the program,
// use the static Declare() functions of the metrics and Register(), which return the error.
//
// Threads: everything may be called from any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "narthex/client/collector.h"
#include "narthex/client/names.h"
#include "narthex/client/status.h"

namespace narthex::client {

namespace detail {
class FamilyCore;
}

// What one collection gave: sorted by name, series sorted by label values. `errors` says what had
// to be left out; the rest is good.
struct GatherResult {
  std::vector<MetricFamily> families;
  std::vector<std::string> errors;
};

// Keeps a collector registered for as long as it lives.
class Registration {
 public:
  Registration() = default;
  Registration(Registration&& other) noexcept;
  Registration& operator=(Registration&& other) noexcept;
  ~Registration();
  // Unregisters now.
  void Release();

 private:
  friend class Registry;
  struct State;
  std::weak_ptr<State> state_;
  const Collector* collector_ = nullptr;
};

// What can be asked for a page of families: a registry, or several.
class Gatherable {
 public:
  virtual ~Gatherable() = default;
  // Any thread.
  virtual GatherResult Gather() const = 0;
  // The same, handed over in pieces, which needs less memory; gives the errors. A large family
  // comes in several pieces of the same name, one after the other.
  using TakeFamily = std::function<void(const MetricFamily& piece)>;
  virtual std::vector<std::string> GatherInto(const TakeFamily& take) const;
};

class Registry final : public Gatherable {
 public:
  // `validation`: which names declarations may use.
  explicit Registry(NameValidation validation = NameValidation::kUtf8);
  ~Registry() override;
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // The registry of metrics that are declared without one. Never destroyed.
  static Registry& Default();

  // Errors have the words of client_golang. A collector may be in several registries.
  Status Register(std::shared_ptr<Collector> collector);
  // The same, undone when the returned object dies. The registry may die first.
  Result<Registration> RegisterScoped(std::shared_ptr<Collector> collector);
  // False when it was not registered. A collection that is running may still ask it.
  bool Unregister(const Collector* collector);

  GatherResult Gather() const override;
  std::vector<std::string> GatherInto(const TakeFamily& take) const override;

  // For the metrics: registers `family`, or gives the equal one that is there already.
  Result<std::shared_ptr<detail::FamilyCore>> RegisterFamily(
      std::shared_ptr<detail::FamilyCore> family);

 private:
  std::shared_ptr<Registration::State> state_;
};

// One page of several sources, which outlive it. What clashes with an earlier source is left out;
// families of equal name, help and type are joined. Errors have the words of client_golang.
class Gatherers final : public Gatherable {
 public:
  explicit Gatherers(std::vector<const Gatherable*> sources) : sources_(std::move(sources)) {}
  GatherResult Gather() const override;

 private:
  const std::vector<const Gatherable*> sources_;
};

}  // namespace narthex::client
