#include "narthex/client/family.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <shared_mutex>
#include <vector>

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

constexpr std::string_view kOverflow = "overflow";

size_t HashValues(const std::string_view* values, size_t count) {
  size_t hash = count;
  for (size_t i = 0; i < count; ++i) {
    hash = (hash ^ std::hash<std::string_view>{}(values[i])) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 29;
  }
  return hash;
}

bool LabelsLess(const LabelSet& a, const LabelSet& b) {
  // Names are the same for all of a family, so the values decide.
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace

// The children, found by the hash of their label values. Label texts are kept once, in the set that
// the exposition shows; position[i] says where in it the value of label i stands.
//
//   slots     [ . | 2 | . | 0 | 3 | . ]   open addressing, twice as many as entries: index + 1
//   entries   [ b | c | - | a ]           in no order, with holes that are filled again
//   order     [ 3 | 0 | 1 ]               by labels; sorted up to sorted_count
//
// A hole may be in `order` until the next Sort(), and is not filled before. Everything but what is
// constant is guarded by mutex.
struct FamilyCore::Children {
  struct Entry {
    std::shared_ptr<MetricCore> core;  // Null: a hole.
    LabelSet labels;                   // Constant and variable ones, sorted by name.
    size_t hash;
  };
  static constexpr size_t kNone = SIZE_MAX;

  mutable std::shared_mutex mutex;
  std::vector<Entry> entries;
  size_t count = 0;  // Without holes.
  std::vector<uint32_t> slots;
  std::vector<uint32_t> order;
  size_t sorted_count = 0;
  std::vector<uint32_t> holes;      // Can be filled.
  std::vector<uint32_t> new_holes;  // May be in order.
  uint64_t version = 0;             // Counts what came and went.
  std::vector<size_t> position;     // Constant.
  // Constant: what takes the place of values beyond the limit; empty without one.
  std::vector<std::string_view> overflow;

  size_t SlotMask() const { return slots.size() - 1; }

  // The slot that holds the entry with these values; kNone when there is none.
  size_t FindSlot(size_t hash, const std::string_view* values) const {
    if (slots.empty()) return kNone;
    for (size_t at = hash & SlotMask(); slots[at] != 0; at = (at + 1) & SlotMask()) {
      const Entry& entry = entries[slots[at] - 1];
      if (entry.hash == hash && HasValues(entry, values)) return at;
    }
    return kNone;
  }

  bool HasValues(const Entry& entry, const std::string_view* values) const {
    for (size_t i = 0; i < position.size(); ++i) {
      if (entry.labels[position[i]].value != values[i]) return false;
    }
    return true;
  }

  void Insert(Entry entry) {
    ++version;
    ++count;
    uint32_t index = 0;
    if (holes.empty()) {
      index = static_cast<uint32_t>(entries.size());
      entries.push_back(std::move(entry));
    } else {
      index = holes.back();
      holes.pop_back();
      entries[index] = std::move(entry);
    }
    order.push_back(index);
    if (count * 2 > slots.size()) {
      slots.assign(std::max<size_t>(4, slots.size() * 2), 0);
      for (uint32_t i = 0; i < entries.size(); ++i) {
        if (entries[i].core != nullptr) Place(i);
      }
    } else {
      Place(index);
    }
  }

  void Place(uint32_t index) {
    size_t at = entries[index].hash & SlotMask();
    while (slots[at] != 0) at = (at + 1) & SlotMask();
    slots[at] = index + 1;
  }

  void EraseSlot(size_t at) {
    ++version;
    --count;
    const uint32_t index = slots[at] - 1;
    entries[index] = {};
    new_holes.push_back(index);
    // Those behind that could stand here move up, so that no search ends too early.
    slots[at] = 0;
    for (size_t next = (at + 1) & SlotMask(); slots[next] != 0; next = (next + 1) & SlotMask()) {
      const size_t home = entries[slots[next] - 1].hash & SlotMask();
      if (((next - home) & SlotMask()) < ((next - at) & SlotMask())) continue;
      slots[at] = std::exchange(slots[next], 0);
      at = next;
    }
  }

  template <typename Predicate>
  size_t RemoveIf(const Predicate& doomed) {
    size_t removed = 0;
    for (uint32_t i = 0; i < entries.size(); ++i) {
      if (entries[i].core == nullptr || !doomed(entries[i])) continue;
      size_t at = entries[i].hash & SlotMask();
      while (slots[at] != i + 1) at = (at + 1) & SlotMask();
      EraseSlot(at);
      ++removed;
    }
    return removed;
  }

  // Children lie all over the memory; asking for those that come soon hides most of the way there.
  void Prefetch(size_t at) const {
    if (at + 16 < order.size()) __builtin_prefetch(&entries[order[at + 16]]);
    if (at + 8 < order.size()) {
      const Entry& soon = entries[order[at + 8]];
      __builtin_prefetch(soon.labels.address(), 1);
      const char* const core = reinterpret_cast<const char*>(soon.core.get());
      __builtin_prefetch(core);
      __builtin_prefetch(core + 64);
    }
  }

  bool sorted() const { return sorted_count == order.size() && new_holes.empty(); }

  void Sort() {
    const auto middle = [this] { return order.begin() + static_cast<ptrdiff_t>(sorted_count); };
    if (!new_holes.empty()) {
      const auto is_hole = [this](uint32_t index) { return entries[index].core == nullptr; };
      const auto gone = std::count_if(order.begin(), middle(), is_hole);
      order.erase(std::remove_if(order.begin(), order.end(), is_hole), order.end());
      sorted_count -= static_cast<size_t>(gone);
      holes.insert(holes.end(), new_holes.begin(), new_holes.end());
      new_holes.clear();
    }
    const auto less = [this](uint32_t a, uint32_t b) {
      return LabelsLess(entries[a].labels, entries[b].labels);
    };
    std::sort(middle(), order.end(), less);
    std::inplace_merge(order.begin(), middle(), order.end(), less);
    sorted_count = order.size();
  }
};

void MetricCore::Collect(const LabelSet& labels, std::vector<Metric>& out) {
  out.push_back({labels, Read(), std::nullopt});
}

FamilyCore::FamilyCore(Description description, MetricType type, NewCore new_core,
                       size_t series_max)
    : description_(std::move(description)),
      type_(type),
      new_core_(std::move(new_core)),
      series_max_(series_max),
      children_(std::make_unique<Children>()) {
  std::vector<std::string_view> sorted;
  for (const LabelPair& label : description_.const_labels) sorted.push_back(label.name);
  for (const std::string& label : description_.variable_labels) sorted.push_back(label);
  std::sort(sorted.begin(), sorted.end());
  for (const std::string& label : description_.variable_labels) {
    const auto at = std::lower_bound(sorted.begin(), sorted.end(), label);
    children_->position.push_back(static_cast<size_t>(at - sorted.begin()));
  }
  if (series_max_ > 0) children_->overflow.assign(description_.variable_labels.size(), kOverflow);
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
  const std::vector<std::string_view>& overflow = children_->overflow;
  // Whether these values have to count as `overflow`; needs the lock.
  const auto is_refused = [&] {
    if (overflow.empty() || children_->count < series_max_) return false;
    const bool has_overflow =
        children_->FindSlot(HashValues(overflow.data(), count), overflow.data()) != Children::kNone;
    return children_->count - (has_overflow ? 1 : 0) >= series_max_ &&
           !std::equal(overflow.begin(), overflow.end(), values);
  };
  bool refused = false;
  {
    const std::shared_lock lock(children_->mutex);
    const size_t slot = children_->FindSlot(hash, values);
    if (slot != Children::kNone) return children_->entries[children_->slots[slot] - 1].core;
    refused = is_refused();
  }
  if (refused) return Child(overflow.data(), count);
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

  std::unique_lock lock(children_->mutex);
  // Another thread may have been faster.
  const size_t slot = children_->FindSlot(hash, values);
  if (slot != Children::kNone) return children_->entries[children_->slots[slot] - 1].core;
  if (is_refused()) {
    lock.unlock();
    return Child(overflow.data(), count);
  }
  std::shared_ptr<MetricCore> core = new_core_(description_);
  children_->Insert({core, LabelSet::WithText(std::move(labels)), hash});
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

Result<std::vector<std::string_view>> FamilyCore::ValuesInOrder(const Labels& labels) const {
  const std::vector<std::string>& names = description_.variable_labels;
  if (labels.size() != names.size()) {
    return Status(StatusCode::kInvalid,
                  "inconsistent label cardinality: expected " + std::to_string(names.size()) +
                      " label values but got " + std::to_string(labels.size()));
  }
  std::vector<std::string_view> values;
  for (const std::string& name : names) {
    const auto it = std::find_if(labels.begin(), labels.end(),
                                 [&](const LabelPair& label) { return label.name == name; });
    if (it == labels.end()) {
      return Status(StatusCode::kInvalid, "label name " + Quote(name) + " missing in label map");
    }
    values.push_back(it->value);
  }
  return values;
}

bool FamilyCore::Remove(const std::string_view* values, size_t count) {
  if (count != description_.variable_labels.size()) return false;
  const std::unique_lock lock(children_->mutex);
  const size_t slot = children_->FindSlot(HashValues(values, count), values);
  if (slot == Children::kNone) return false;
  children_->EraseSlot(slot);
  return true;
}

size_t FamilyCore::RemoveMatching(const Labels& labels) {
  const std::unique_lock lock(children_->mutex);
  return children_->RemoveIf([&](const auto& entry) {
    return std::all_of(labels.begin(), labels.end(), [&](const LabelPair& wanted) {
      return std::find(entry.labels.begin(), entry.labels.end(), wanted) != entry.labels.end();
    });
  });
}

void FamilyCore::Clear() {
  const std::unique_lock lock(children_->mutex);
  children_->RemoveIf([](const auto&) { return true; });
}

size_t FamilyCore::size() const {
  const std::shared_lock lock(children_->mutex);
  return children_->count;
}

void FamilyCore::Describe(std::vector<Description>& out) const {
  out.push_back(description_);
}

MetricFamily FamilyCore::Header() const {
  MetricFamily family{description_.name, description_.help, type_, {}, {}};
  if (!description_.unit.empty()) family.unit = description_.unit;
  return family;
}

void FamilyCore::Collect(std::vector<MetricFamily>& out) {
  MetricFamily family = Header();
  for (Cursor cursor; !cursor.done;) CollectSome(cursor, family.metrics);
  if (!family.metrics.empty()) out.push_back(std::move(family));
}

// In stretches, so that a new child never waits for long. When some came or went between two of
// them the next one begins behind the last child that was read.
void FamilyCore::CollectSome(Cursor& cursor, std::vector<Metric>& out) {
  constexpr size_t kStretch = 1024;
  Children& c = *children_;
  std::shared_lock lock(c.mutex);
  while (!c.sorted()) {
    lock.unlock();
    {
      const std::unique_lock sorting(c.mutex);
      c.Sort();
    }
    lock.lock();
  }
  if (cursor.next > 0 && cursor.version != c.version) {
    const auto behind = std::upper_bound(c.order.begin(), c.order.end(), cursor.last,
                                         [&c](const LabelSet& labels, uint32_t index) {
                                           return LabelsLess(labels, c.entries[index].labels);
                                         });
    cursor.next = static_cast<size_t>(behind - c.order.begin());
  }
  cursor.version = c.version;
  const size_t end = std::min(cursor.next + kStretch, c.order.size());
  for (; cursor.next < end; ++cursor.next) {
    c.Prefetch(cursor.next);
    const Children::Entry& entry = c.entries[c.order[cursor.next]];
    entry.core->Collect(entry.labels, out);
  }
  cursor.done = end == c.order.size();
  if (!cursor.done) cursor.last = c.entries[c.order[end - 1]].labels;
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
  auto family = std::make_shared<FamilyCore>(std::move(description), type, std::move(new_core),
                                             options.series_max);
  if (registry == nullptr) return family;
  return registry->RegisterFamily(std::move(family));
}

}  // namespace detail
}  // namespace narthex::client
