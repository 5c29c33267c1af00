#include "narthex/client/registry.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <set>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "gather.h"
#include "narthex/client/detail/metric_core.h"
#include "narthex/client/metric_checks.h"
#include "utf8.h"

namespace narthex::client {
namespace {

constexpr char kSeparator = '\xFF';  // In no valid UTF-8.

// Equal for two declarations that would deliver the same series.
std::string SeriesKey(const Description& d) {
  std::string key = d.name;
  for (const LabelPair& label : d.const_labels) (key += kSeparator) += label.value;
  return key;
}

// Must be equal for all declarations of one name.
std::string DimensionKey(const Description& d) {
  std::vector<std::string_view> names;
  for (const LabelPair& label : d.const_labels) names.push_back(label.name);
  for (const std::string& label : d.variable_labels) names.push_back(label);
  std::sort(names.begin(), names.end());
  std::string key = d.help;
  for (const std::string_view name : names) (key += kSeparator) += name;
  (key += kSeparator) += d.unit;
  return key;
}

struct Entry {
  std::shared_ptr<Collector> collector;
  std::shared_ptr<detail::FamilyCore> family;  // Set when the collector is one.
  std::set<std::string> series_keys;           // Empty: unchecked.
  std::vector<std::string> names;
};

}  // namespace

// Shared with the registrations, which may outlive the registry.
struct Registration::State {
  explicit State(NameValidation name_validation) : validation(name_validation) {}

  Status Add(std::shared_ptr<Collector> collector, std::shared_ptr<detail::FamilyCore> family,
             const Entry** existing);
  bool Remove(const Collector* collector);
  // Who is to be asked.
  std::vector<Entry> Sources() const;

  struct Dimension {
    std::string key;
    size_t users = 0;
  };

  const NameValidation validation;
  mutable std::mutex mutex;  // Guards all that follows.
  std::vector<Entry> entries;
  std::unordered_set<std::string> series_keys;
  std::unordered_map<std::string, Dimension> dimensions;  // By name.
};

Status Registration::State::Add(std::shared_ptr<Collector> collector,
                                std::shared_ptr<detail::FamilyCore> family,
                                const Entry** existing) {
  std::vector<Description> descriptions;
  collector->Describe(descriptions);
  Entry entry{std::move(collector), std::move(family), {}, {}};
  std::unordered_map<std::string, std::string> new_dimensions;
  Status duplicate;
  for (const Description& d : descriptions) {
    Status status = d.Check();
    if (status.ok() && validation == NameValidation::kLegacy && !IsValidLegacyMetricName(d.name)) {
      status = {StatusCode::kInvalid, Quote(d.name) + " is not a valid metric name"};
    }
    if (!status.ok()) {
      return {StatusCode::kInvalid,
              "descriptor " + d.ToString() + " is invalid: " + status.message()};
    }
    std::string series_key = SeriesKey(d);
    if (series_keys.count(series_key) > 0) {
      duplicate = {StatusCode::kAlreadyRegistered,
                   "descriptor " + d.ToString() +
                       " already exists with the same fully-qualified name and const label values"};
    }
    entry.series_keys.insert(std::move(series_key));
    std::string dimension_key = DimensionKey(d);
    if (const auto it = dimensions.find(d.name); it != dimensions.end()) {
      if (it->second.key != dimension_key) {
        return {StatusCode::kInconsistent,
                "a previously registered descriptor with the same fully-qualified name as " +
                    d.ToString() + " has different label names or a different help string"};
      }
    } else if (const auto own = new_dimensions.find(d.name);
               own != new_dimensions.end() && own->second != dimension_key) {
      return {StatusCode::kInconsistent,
              "descriptors reported by collector have inconsistent label names or help strings for "
              "the same fully-qualified name, offender is " +
                  d.ToString()};
    }
    new_dimensions.emplace(d.name, std::move(dimension_key));
  }
  if (!duplicate.ok()) {
    for (const Entry& other : entries) {
      if (other.series_keys != entry.series_keys) continue;
      if (existing != nullptr) *existing = &other;
      return {StatusCode::kAlreadyRegistered, "duplicate metrics collector registration attempted"};
    }
    return duplicate;
  }
  series_keys.insert(entry.series_keys.begin(), entry.series_keys.end());
  for (auto& [name, key] : new_dimensions) {
    entry.names.push_back(name);
    Dimension& dimension = dimensions[name];
    dimension.key = std::move(key);
    ++dimension.users;
  }
  entries.push_back(std::move(entry));
  return {};
}

bool Registration::State::Remove(const Collector* collector) {
  std::shared_ptr<Collector> doomed;  // Destroyed after the lock is released.
  const std::lock_guard lock(mutex);
  const auto it = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) {
    return entry.collector.get() == collector;
  });
  if (it == entries.end()) return false;
  for (const std::string& key : it->series_keys) series_keys.erase(key);
  for (const std::string& name : it->names) {
    const auto dimension = dimensions.find(name);
    if (--dimension->second.users == 0) dimensions.erase(dimension);
  }
  doomed = std::move(it->collector);
  entries.erase(it);
  return true;
}

Registration::Registration(Registration&& other) noexcept
    : state_(std::move(other.state_)), collector_(std::exchange(other.collector_, nullptr)) {}

Registration& Registration::operator=(Registration&& other) noexcept {
  if (this != &other) {
    Release();
    state_ = std::move(other.state_);
    collector_ = std::exchange(other.collector_, nullptr);
  }
  return *this;
}

Registration::~Registration() {
  Release();
}

void Registration::Release() {
  const Collector* const collector = std::exchange(collector_, nullptr);
  if (collector == nullptr) return;
  if (const std::shared_ptr<State> state = state_.lock()) state->Remove(collector);
}

Registry::Registry(NameValidation validation)
    : state_(std::make_shared<Registration::State>(validation)) {}

Registry::~Registry() = default;

Registry& Registry::Default() {
  // Leaked, so that metrics of other static objects may be used until the very end.
  static Registry* const registry = new Registry;
  return *registry;
}

Status Registry::Register(std::shared_ptr<Collector> collector) {
  const std::lock_guard lock(state_->mutex);
  return state_->Add(std::move(collector), nullptr, nullptr);
}

Result<Registration> Registry::RegisterScoped(std::shared_ptr<Collector> collector) {
  Registration registration;
  registration.state_ = state_;
  const Collector* const raw = collector.get();
  if (Status status = Register(std::move(collector)); !status.ok()) return status;
  registration.collector_ = raw;
  return registration;
}

bool Registry::Unregister(const Collector* collector) {
  return state_->Remove(collector);
}

Result<std::shared_ptr<detail::FamilyCore>> Registry::RegisterFamily(
    std::shared_ptr<detail::FamilyCore> family) {
  const std::lock_guard lock(state_->mutex);
  const Entry* existing = nullptr;
  Status status = state_->Add(family, family, &existing);
  if (status.ok()) return family;
  if (existing != nullptr && existing->family != nullptr) {
    const Description& theirs = existing->family->description();
    if (existing->family->type() == family->type() &&
        theirs.variable_labels == family->description().variable_labels) {
      return existing->family;
    }
    return Status(StatusCode::kInconsistent,
                  "a previously registered descriptor with the same fully-qualified name as " +
                      family->description().ToString() +
                      " has another type or another order of label names");
  }
  return status;
}

std::vector<std::string> Gatherable::GatherInto(const TakeFamily& take) const {
  GatherResult result = Gather();
  for (const MetricFamily& family : result.families) take(family);
  return std::move(result.errors);
}

namespace {

// Outside of the registry's lock: collectors may be slow.
Gatherer::Page GatherPage(const std::vector<Entry>& entries) {
  Gatherer gatherer;
  std::vector<MetricFamily> families;
  std::vector<std::string> errors;
  for (const Entry& entry : entries) {
    if (entry.family != nullptr) {
      gatherer.Add(entry.family);
      continue;
    }
    families.clear();
    try {
      entry.collector->Collect(families);
    } catch (const std::exception& error) {
      // One collector must not take the others' families, nor the scraping thread, with it.
      families.clear();
      errors.push_back(std::string("collector threw an exception: ") + error.what());
    } catch (...) {
      families.clear();
      errors.push_back("collector threw an exception");
    }
    for (MetricFamily& family : families) gatherer.Add(std::move(family), false);
  }
  Gatherer::Page page = std::move(gatherer).Finish();
  errors.insert(errors.end(), page.errors.begin(), page.errors.end());
  page.errors = std::move(errors);
  return page;
}

}  // namespace

std::vector<Entry> Registration::State::Sources() const {
  const std::lock_guard lock(mutex);
  std::vector<Entry> sources;
  sources.reserve(entries.size());
  for (const Entry& entry : entries) sources.push_back({entry.collector, entry.family, {}, {}});
  return sources;
}

std::vector<std::string> Registry::GatherInto(const TakeFamily& take) const {
  Gatherer::Page page = GatherPage(state_->Sources());
  for (Gatherer::Item& item : page.items) {
    if (item.unread == nullptr) {
      take(item.family);
      continue;
    }
    for (detail::FamilyCore::Cursor cursor; !cursor.done;) {
      item.family.metrics.clear();
      item.unread->CollectSome(cursor, item.family.metrics);
      if (!item.family.metrics.empty()) take(item.family);
    }
  }
  return std::move(page.errors);
}

GatherResult Registry::Gather() const {
  Gatherer::Page page = GatherPage(state_->Sources());
  GatherResult result{{}, std::move(page.errors)};
  for (Gatherer::Item& item : page.items) {
    if (item.unread != nullptr) {
      item.family.metrics.reserve(item.unread->size());
      for (detail::FamilyCore::Cursor cursor; !cursor.done;) {
        item.unread->CollectSome(cursor, item.family.metrics);
      }
    }
    if (!item.family.metrics.empty()) result.families.push_back(std::move(item.family));
  }
  return result;
}

GatherResult Gatherers::Gather() const {
  Gatherer gatherer;
  std::vector<std::string> errors;
  std::unordered_map<std::string, MetricFamily> first;  // By name, without series.
  for (size_t i = 0; i < sources_.size(); ++i) {
    GatherResult result = sources_[i]->Gather();
    for (const std::string& error : result.errors) {
      errors.push_back("[from Gatherer #" + std::to_string(i + 1) + "] " + error);
    }
    for (MetricFamily& family : result.families) {
      const auto [it, added] = first.try_emplace(family.name);
      MetricFamily& known = it->second;
      if (added) {
        known.help = family.help;
        known.type = family.type;
      } else if (known.help != family.help) {
        errors.push_back("gathered metric family " + family.name + " has help " +
                         Quote(family.help.value_or("")) + " but should have " +
                         Quote(known.help.value_or("")));
        continue;
      } else if (known.type != family.type) {
        errors.push_back("gathered metric family " + family.name + " has type " +
                         std::string(MetricTypeName(family.type)) + " but should have " +
                         std::string(MetricTypeName(known.type)));
        continue;
      }
      // Each source has checked its own families; only joined ones are looked at again.
      gatherer.Add(std::move(family), true);
    }
  }
  Gatherer::Page page = std::move(gatherer).Finish();
  errors.insert(errors.end(), page.errors.begin(), page.errors.end());
  GatherResult joined;
  for (Gatherer::Item& item : page.items) joined.families.push_back(std::move(item.family));
  joined.errors = std::move(errors);
  return joined;
}

}  // namespace narthex::client
