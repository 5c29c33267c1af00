#include "push/consistency.h"

#include <algorithm>

#include "push/gather.h"

namespace narthex::push {
namespace {

constexpr std::string_view kSuffixes[] = {"_count", "_sum", "_bucket"};

// Info metrics and state sets are gauges here.
uint8_t TypeIndex(client::MetricType type) {
  const auto index = static_cast<uint8_t>(type);
  return index <= static_cast<uint8_t>(client::MetricType::kGaugeHistogram)
             ? index
             : static_cast<uint8_t>(client::MetricType::kGauge);
}

}  // namespace

bool ConsistencyIndex::Name::present() const {
  return own || std::any_of(families.begin(), families.end(), [](uint32_t n) { return n > 0; });
}

bool ConsistencyIndex::Name::mixed() const {
  size_t kinds = 0;
  for (size_t type = 0; type < kTypes; ++type) {
    kinds += families[type] > 0 || (own && own_type == type) ? 1 : 0;
  }
  return kinds > 1;
}

bool ConsistencyIndex::Name::has(client::MetricType type) const {
  const uint8_t index = TypeIndex(type);
  return families[index] > 0 || (own && own_type == index);
}

const ConsistencyIndex::Name* ConsistencyIndex::Find(std::string_view name) const {
  const auto it = names_.find(name);
  return it == names_.end() ? nullptr : &it->second;
}

size_t ConsistencyIndex::Clashes(std::string_view name) const {
  const auto clash = [](const Name* base, const Name* suffixed, std::string_view suffix) {
    if (base == nullptr || suffixed == nullptr || !suffixed->present()) return false;
    return base->has(client::MetricType::kHistogram) ||
           (base->has(client::MetricType::kSummary) && suffix != "_bucket");
  };
  const Name* self = Find(name);
  size_t count = 0;
  for (const std::string_view suffix : kSuffixes) {
    if (name.ends_with(suffix)) {
      count += clash(Find(name.substr(0, name.size() - suffix.size())), self, suffix) ? 1 : 0;
    }
    const bool may_be_base = self != nullptr && (self->has(client::MetricType::kHistogram) ||
                                                 self->has(client::MetricType::kSummary));
    if (!may_be_base) continue;
    count += clash(self, Find(std::string(name).append(suffix)), suffix) ? 1 : 0;
  }
  return count;
}

template <typename Change>
void ConsistencyIndex::ChangeName(const std::string& name, Change&& change) {
  const size_t clashes_before = Clashes(name);
  const auto it = names_.try_emplace(name).first;
  const bool mixed_before = it->second.mixed();
  change(it->second);
  mixed_names_ += it->second.mixed() ? 1 : 0;
  mixed_names_ -= mixed_before ? 1 : 0;
  if (!it->second.present()) names_.erase(it);
  clashing_names_ += Clashes(name);
  clashing_names_ -= clashes_before;
}

void ConsistencyIndex::SetOwn(const std::vector<client::MetricFamily>& own) {
  for (const client::MetricFamily& family : own) {
    ChangeName(family.name, [&](Name& name) {
      name.own = true;
      name.own_type = TypeIndex(family.type);
    });
    for (const client::Metric& metric : family.metrics) {
      ++series_[HashSeries(family.name, metric)];
    }
  }
}

void ConsistencyIndex::Add(const client::MetricFamily& family) {
  if (family.metrics.empty()) return;
  ChangeName(family.name, [&](Name& name) { ++name.families[TypeIndex(family.type)]; });
  unsound_families_ += IsSound(family) ? 0 : 1;
  series_count_ += family.metrics.size();
  for (const client::Metric& metric : family.metrics) {
    repeated_series_ += ++series_[HashSeries(family.name, metric)] > 1 ? 1 : 0;
  }
}

void ConsistencyIndex::Remove(const client::MetricFamily& family) {
  if (family.metrics.empty()) return;
  ChangeName(family.name, [&](Name& name) { --name.families[TypeIndex(family.type)]; });
  unsound_families_ -= IsSound(family) ? 0 : 1;
  series_count_ -= family.metrics.size();
  for (const client::Metric& metric : family.metrics) {
    const auto it = series_.find(HashSeries(family.name, metric));
    repeated_series_ -= it->second > 1 ? 1 : 0;
    if (--it->second == 0) series_.erase(it);
  }
}

}  // namespace narthex::push
