#include "narthex/client/family.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "text_parts.h"
#include "utf8.h"

namespace narthex::client {

Description MakeDescription(const MetricOptions& options,
                            std::vector<std::string> variable_labels) {
  Description description{options.name, options.help, options.unit, options.const_labels,
                          std::move(variable_labels)};
  std::sort(description.const_labels.begin(), description.const_labels.end());
  return description;
}

Status Description::Check() const {
  if (!IsValidMetricName(name, NameValidation::kUtf8)) {
    return {StatusCode::kInvalid, Quote(name) + " is not a valid metric name"};
  }
  std::vector<std::string_view> names;
  for (const LabelPair& label : const_labels) names.push_back(label.name);
  for (const std::string& label : variable_labels) names.push_back(label);
  for (const std::string_view label : names) {
    // Names that begin with two underscores belong to Prometheus itself.
    if (!IsValidLabelName(label, NameValidation::kUtf8) || label.substr(0, 2) == "__") {
      return {StatusCode::kInvalid,
              Quote(label) + " is not a valid label name for metric " + Quote(name)};
    }
  }
  for (const LabelPair& label : const_labels) {
    if (!IsValidUtf8(label.value)) {
      return {StatusCode::kInvalid,
              "label " + label.name + ": value " + Quote(label.value) + " is not valid UTF-8"};
    }
  }
  std::sort(names.begin(), names.end());
  if (std::adjacent_find(names.begin(), names.end()) != names.end()) {
    return {StatusCode::kInvalid,
            "duplicate label names in constant and variable labels for metric " + Quote(name)};
  }
  return {};
}

std::string Description::ToString() const {
  std::string out = "Desc{fqName: " + Quote(name) + ", help: " + Quote(help) +
                    ", unit: " + Quote(unit) + ", constLabels: {";
  for (size_t i = 0; i < const_labels.size(); ++i) {
    if (i > 0) out += ',';
    out += const_labels[i].name + '=' + Quote(const_labels[i].value);
  }
  out += "}, variableLabels: {";
  for (size_t i = 0; i < variable_labels.size(); ++i) {
    if (i > 0) out += ',';
    out += variable_labels[i];
  }
  return out += "}}";
}

namespace detail {
namespace {

struct ChildEntry {
  std::shared_ptr<MetricCore> core;
  LabelSet labels;  // Constant and variable ones, sorted by name.
};

size_t HashValues(const std::string_view* values, size_t count) {
  size_t hash = count;
  for (size_t i = 0; i < count; ++i) {
    hash = (hash ^ std::hash<std::string_view>{}(values[i])) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 29;
  }
  return hash;
}

}  // namespace

// Children by the hash of their label values. Label texts are kept once, in the set that the
// exposition shows; position_[i] says where in it the value of label i stands.
struct FamilyCore::Children {
  mutable std::shared_mutex mutex;
  std::unordered_multimap<size_t, ChildEntry> by_hash;  // Guarded by mutex.
  std::vector<size_t> position;                         // Constant.

  std::unordered_multimap<size_t, ChildEntry>::iterator Find(size_t hash,
                                                             const std::string_view* values) {
    const auto [begin, end] = by_hash.equal_range(hash);
    for (auto it = begin; it != end; ++it) {
      bool equal = true;
      for (size_t i = 0; i < position.size() && equal; ++i) {
        equal = it->second.labels[position[i]].value == values[i];
      }
      if (equal) return it;
    }
    return by_hash.end();
  }
};

void MetricCore::Collect(const LabelSet& labels, std::vector<Metric>& out) {
  out.push_back({labels, Read(), std::nullopt});
}

FamilyCore::FamilyCore(Description description, MetricType type, NewCore new_core)
    : description_(std::move(description)),
      type_(type),
      new_core_(std::move(new_core)),
      children_(std::make_unique<Children>()) {
  std::vector<std::string_view> sorted;
  for (const LabelPair& label : description_.const_labels) sorted.push_back(label.name);
  for (const std::string& label : description_.variable_labels) sorted.push_back(label);
  std::sort(sorted.begin(), sorted.end());
  for (const std::string& label : description_.variable_labels) {
    const auto at = std::lower_bound(sorted.begin(), sorted.end(), label);
    children_->position.push_back(static_cast<size_t>(at - sorted.begin()));
  }
  // "An unlabelled metric is there as soon as it is declared."
  if (description_.variable_labels.empty()) MustChild(nullptr, 0);
}

FamilyCore::~FamilyCore() = default;

Result<std::shared_ptr<MetricCore>> FamilyCore::Child(const std::string_view* values,
                                                      size_t count) {
  if (count != description_.variable_labels.size()) {
    std::string message = "inconsistent label cardinality: expected " +
                          std::to_string(description_.variable_labels.size()) +
                          " label values but got " + std::to_string(count) + " in []string{";
    for (size_t i = 0; i < count; ++i) message += (i > 0 ? ", " : "") + Quote(values[i]);
    return Status(StatusCode::kInvalid, message + "}");
  }
  const size_t hash = HashValues(values, count);
  {
    const std::shared_lock lock(children_->mutex);
    const auto it = children_->Find(hash, values);
    if (it != children_->by_hash.end()) return it->second.core;
  }
  for (size_t i = 0; i < count; ++i) {
    if (IsValidUtf8(values[i])) continue;
    return Status(StatusCode::kInvalid, "label " + description_.variable_labels[i] + ": value " +
                                            Quote(values[i]) + " is not valid UTF-8");
  }
  Labels labels = description_.const_labels;
  for (size_t i = 0; i < count; ++i) {
    labels.push_back({description_.variable_labels[i], std::string(values[i])});
  }
  std::sort(labels.begin(), labels.end());

  const std::unique_lock lock(children_->mutex);
  // Another thread may have been faster.
  const auto it = children_->Find(hash, values);
  if (it != children_->by_hash.end()) return it->second.core;
  std::shared_ptr<MetricCore> core = new_core_(description_);
  children_->by_hash.emplace(hash, ChildEntry{core, LabelSet(std::move(labels))});
  return core;
}

std::shared_ptr<MetricCore> FamilyCore::MustChild(const std::string_view* values, size_t count) {
  Result<std::shared_ptr<MetricCore>> child = Child(values, count);
  if (child.ok()) return *std::move(child);
  if (count != description_.variable_labels.size()) {
    Fail(description_.name + ": " + child.status().message());
  }
  std::vector<std::string> repaired(count);
  std::vector<std::string_view> views(count);
  for (size_t i = 0; i < count; ++i) views[i] = repaired[i] = ToValidUtf8(values[i]);
  child = Child(views.data(), count);
  if (!child.ok()) Fail(description_.name + ": " + child.status().message());
  return *std::move(child);
}

bool FamilyCore::Remove(const std::string_view* values, size_t count) {
  if (count != description_.variable_labels.size()) return false;
  const std::unique_lock lock(children_->mutex);
  const auto it = children_->Find(HashValues(values, count), values);
  if (it == children_->by_hash.end()) return false;
  children_->by_hash.erase(it);
  return true;
}

size_t FamilyCore::RemoveMatching(const Labels& labels) {
  const std::unique_lock lock(children_->mutex);
  return std::erase_if(children_->by_hash, [&](const auto& item) {
    return std::all_of(labels.begin(), labels.end(), [&](const LabelPair& wanted) {
      const LabelSet& own = item.second.labels;
      return std::find(own.begin(), own.end(), wanted) != own.end();
    });
  });
}

void FamilyCore::Clear() {
  const std::unique_lock lock(children_->mutex);
  children_->by_hash.clear();
}

size_t FamilyCore::size() const {
  const std::shared_lock lock(children_->mutex);
  return children_->by_hash.size();
}

void FamilyCore::Describe(std::vector<Description>& out) const {
  out.push_back(description_);
}

void FamilyCore::Collect(std::vector<MetricFamily>& out) {
  std::vector<ChildEntry> entries;
  {
    const std::shared_lock lock(children_->mutex);
    if (children_->by_hash.empty()) return;
    entries.reserve(children_->by_hash.size());
    for (const auto& [hash, entry] : children_->by_hash) entries.push_back(entry);
  }
  // Names are the same for all, so the values decide.
  std::sort(entries.begin(), entries.end(), [](const ChildEntry& a, const ChildEntry& b) {
    return std::lexicographical_compare(a.labels.begin(), a.labels.end(), b.labels.begin(),
                                        b.labels.end());
  });
  MetricFamily family;
  family.name = description_.name;
  family.help = description_.help;
  family.type = type_;
  if (!description_.unit.empty()) family.unit = description_.unit;
  family.metrics.reserve(entries.size());
  for (ChildEntry& entry : entries) {
    entry.core->Collect(entry.labels, family.metrics);
  }
  out.push_back(std::move(family));
}

void Fail(const std::string& message) {
  std::fprintf(stderr, "narthex client: %s\n", message.c_str());
  std::abort();
}

Result<std::shared_ptr<FamilyCore>> DeclareFamily(Registry* registry, const MetricOptions& options,
                                                  std::vector<std::string> label_names,
                                                  MetricType type, Status options_status,
                                                  FamilyCore::NewCore new_core) {
  if (!options_status.ok()) return options_status;
  Description description = MakeDescription(options, std::move(label_names));
  if (Status status = description.Check(); !status.ok()) return status;
  if (type == MetricType::kInfo && !EndsWith(description.name, "_info")) {
    return Status(StatusCode::kInvalid, "the name of info metric " + Quote(description.name) +
                                            " must end with \"_info\"");
  }
  const std::string_view reserved = type == MetricType::kHistogram  ? "le"
                                    : type == MetricType::kSummary  ? "quantile"
                                    : type == MetricType::kStateSet ? description.name
                                                                    : std::string_view();
  bool reserved_used = false;
  for (const LabelPair& label : description.const_labels) reserved_used |= label.name == reserved;
  for (const std::string& label : description.variable_labels) reserved_used |= label == reserved;
  if (reserved_used && !reserved.empty()) {
    return Status(StatusCode::kInvalid,
                  Quote(reserved) + " is not allowed as label name in " +
                      (type == MetricType::kHistogram ? "histograms"
                       : type == MetricType::kSummary ? "summaries"
                                                      : "state sets of this name"));
  }
  auto family = std::make_shared<FamilyCore>(std::move(description), type, std::move(new_core));
  if (registry == nullptr) return family;
  return registry->RegisterFamily(std::move(family));
}

}  // namespace detail
}  // namespace narthex::client
