#include "tsdb/head/exemplar_store.h"

#include <algorithm>
#include <bit>

#include "util/strings.h"

namespace narthex::tsdb {
namespace {

constexpr size_t kLabelRunesMax = 128;

Status OutOfOrderExemplar() {
  return Status(ErrorCode::kOutOfOrderExemplar, "out of order exemplar");
}

bool MatchesSome(const Labels& labels, const std::vector<std::vector<Matcher>>& matcher_sets) {
  return std::any_of(matcher_sets.begin(), matcher_sets.end(), [&](const auto& set) {
    return std::all_of(set.begin(), set.end(), [&](const Matcher& matcher) {
      return matcher.Matches(labels.Get(matcher.name()));
    });
  });
}

bool SameExemplar(const Exemplar& a, const Exemplar& b) {
  // Upstream compares the timestamps only when both came with the exemplar.
  if (a.labels != b.labels) return false;
  if ((a.has_timestamp || b.has_timestamp) && a.timestamp_ms != b.timestamp_ms) return false;
  return a.value == b.value;
}

}  // namespace

ExemplarStore::ExemplarStore(int64_t exemplars_max)
    : max_(exemplars_max > 0 ? static_cast<size_t>(exemplars_max) : 0) {}

bool ExemplarStore::enabled() const {
  const std::lock_guard lock(mutex_);
  return max_ > 0;
}

void ExemplarStore::SetOutOfOrderWindow(int64_t window_ms) {
  const std::lock_guard lock(mutex_);
  window_ms_ = window_ms;
}

Status ExemplarStore::ValidateLocked(const SeriesEntry* series, const Exemplar& exemplar) const {
  if (max_ == 0) {
    return Status(ErrorCode::kExemplarsDisabled,
                  "exemplar storage is disabled or max exemplars is less than or equal to 0");
  }
  size_t runes = 0;
  for (const LabelView& label : exemplar.labels) {
    runes += CountRunes(label.name) + CountRunes(label.value);
    if (runes > kLabelRunesMax) {
      return MakeError(ErrorCode::kInvalidInput,
                       "label length for exemplar exceeds maximum of {} UTF-8 characters",
                       kLabelRunesMax);
    }
  }
  if (series == nullptr) return {};
  const Exemplar& newest = slots_[series->slots.back()].exemplar;
  if (SameExemplar(newest, exemplar)) {
    return Status(ErrorCode::kDuplicateExemplar, "duplicate exemplar");
  }
  const int64_t t = exemplar.timestamp_ms;
  if (t < newest.timestamp_ms && t <= newest.timestamp_ms - window_ms_) return OutOfOrderExemplar();
  if (t == newest.timestamp_ms) {
    // Several exemplars of one time (buckets of native histograms) come by value, then label hash.
    if (exemplar.value < newest.value) return OutOfOrderExemplar();
    if (exemplar.value == newest.value && exemplar.labels.Hash() < newest.labels.Hash()) {
      return OutOfOrderExemplar();
    }
  }
  return {};
}

Status ExemplarStore::Validate(const Labels& series, const Exemplar& exemplar) const {
  const std::lock_guard lock(mutex_);
  const auto found = series_.find(series);
  return ValidateLocked(found == series_.end() ? nullptr : found->second.get(), exemplar);
}

void ExemplarStore::Evict(uint32_t slot) {
  SeriesEntry* series = slots_[slot].series;
  if (series == nullptr) return;
  slots_[slot].series = nullptr;
  series->slots.erase(std::find(series->slots.begin(), series->slots.end(), slot));
  if (series->slots.empty()) series_.erase(series_.find(series->labels));
}

Status ExemplarStore::Add(const Labels& labels, const Exemplar& exemplar) {
  const std::lock_guard lock(mutex_);
  auto found = series_.find(labels);
  const SeriesEntry* known = found == series_.end() ? nullptr : found->second.get();
  Status status = ValidateLocked(known, exemplar);
  if (!status.ok()) {
    if (status.code() == ErrorCode::kDuplicateExemplar) return {};
    if (status.code() == ErrorCode::kOutOfOrderExemplar) ++out_of_order_;
    return status;
  }
  const auto time_of = [&](uint32_t slot) { return slots_[slot].exemplar.timestamp_ms; };
  if (known != nullptr && exemplar.timestamp_ms < time_of(known->slots.back()) &&
      std::any_of(
          known->slots.begin(), known->slots.end(),
          [&](uint32_t slot) { return time_of(slot) == exemplar.timestamp_ms; })) {
    return {};  // Late, and there is one of that very time: taken for a duplicate.
  }
  const uint32_t slot = static_cast<uint32_t>(next_);
  if (slot < slots_.size()) {
    Evict(slot);
  } else {
    slots_.emplace_back();
  }
  std::unique_ptr<SeriesEntry>& entry = series_[labels];
  if (entry == nullptr) entry = std::make_unique<SeriesEntry>(SeriesEntry{labels, {}});
  slots_[slot] = Slot{entry.get(), exemplar};
  auto place = entry->slots.end();
  while (place != entry->slots.begin() && time_of(*(place - 1)) > exemplar.timestamp_ms) --place;
  entry->slots.insert(place, slot);
  next_ = (next_ + 1) % max_;
  ++appended_;
  return {};
}

void ExemplarStore::Resize(int64_t exemplars_max) {
  const std::lock_guard lock(mutex_);
  const size_t wanted = exemplars_max > 0 ? static_cast<size_t>(exemplars_max) : 0;
  if (wanted == max_) return;
  // In order of arrival, oldest first; empty slots stand only behind the end.
  const size_t size = slots_.size();
  const size_t first = size < max_ ? 0 : next_;
  const size_t drop = size > wanted ? size - wanted : 0;
  for (size_t i = 0; i < drop; ++i) Evict(static_cast<uint32_t>((first + i) % size));
  std::vector<Slot> kept;
  std::vector<uint32_t> moved_to(size);
  for (size_t i = drop; i < size; ++i) {
    const size_t from = (first + i) % size;
    moved_to[from] = static_cast<uint32_t>(kept.size());
    kept.push_back(std::move(slots_[from]));
  }
  for (auto& [labels, entry] : series_) {
    for (uint32_t& slot : entry->slots) slot = moved_to[slot];
  }
  slots_ = std::move(kept);
  max_ = wanted;
  next_ = max_ == 0 ? 0 : slots_.size() % max_;
}

std::vector<storage::SeriesExemplars> ExemplarStore::Select(
    TimeRange range, const std::vector<std::vector<Matcher>>& matcher_sets) const {
  std::vector<storage::SeriesExemplars> result;
  const std::lock_guard lock(mutex_);
  for (const auto& [labels, entry] : series_) {
    if (slots_[entry->slots.front()].exemplar.timestamp_ms > range.end_ms ||
        slots_[entry->slots.back()].exemplar.timestamp_ms < range.start_ms ||
        !MatchesSome(labels, matcher_sets)) {
      continue;
    }
    storage::SeriesExemplars found{labels, {}};
    for (const uint32_t slot : entry->slots) {
      const int64_t t = slots_[slot].exemplar.timestamp_ms;
      if (t >= range.start_ms && t <= range.end_ms) {
        found.exemplars.push_back(slots_[slot].exemplar);
      }
    }
    if (!found.exemplars.empty()) result.push_back(std::move(found));
  }
  std::sort(result.begin(), result.end(),
            [](const auto& a, const auto& b) { return a.series < b.series; });
  return result;
}

void ExemplarStore::Clear() {
  const std::lock_guard lock(mutex_);
  slots_.clear();
  series_.clear();
  next_ = 0;
}

void ExemplarStore::ForEach(
    const std::function<void(const Labels&, const Exemplar&)>& visit) const {
  const std::lock_guard lock(mutex_);
  const size_t first = slots_.size() < max_ ? 0 : next_;
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[(first + i) % slots_.size()];
    if (slot.series != nullptr) visit(slot.series->labels, slot.exemplar);
  }
}

ExemplarStore::Stats ExemplarStore::stats() const {
  const std::lock_guard lock(mutex_);
  Stats stats;
  stats.appended = appended_;
  stats.out_of_order = out_of_order_;
  stats.in_storage = slots_.size();
  stats.series = series_.size();
  stats.max = max_;
  if (!slots_.empty()) {
    const size_t oldest = slots_.size() < max_ ? 0 : next_;
    stats.last_timestamp_ms = slots_[oldest].exemplar.timestamp_ms;
  }
  return stats;
}

}  // namespace narthex::tsdb
