#include "scrape/metadata_cache.h"

#include <algorithm>

#include "util/hash.h"

namespace narthex::scrape {
namespace {

constexpr uint64_t kScrapesUnseenMax = 10;

uint64_t HashOf(const FamilyMetadata& m) {
  return FastHash64(m.family) * 31 + FastHash64(m.metadata.help) * 7 + FastHash64(m.metadata.unit) +
         static_cast<uint64_t>(m.metadata.type);
}

}  // namespace

std::shared_ptr<const FamilyMetadata> MetadataInterner::Intern(FamilyMetadata metadata) {
  const uint64_t hash = HashOf(metadata);
  const std::lock_guard lock(mutex_);
  const auto [first, last] = by_hash_.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    if (auto known = it->second.lock(); known != nullptr && *known == metadata) return known;
  }
  auto fresh = std::make_shared<const FamilyMetadata>(std::move(metadata));
  by_hash_.emplace(hash, fresh);
  if (by_hash_.size() > next_sweep_) {
    std::erase_if(by_hash_, [](const auto& item) { return item.second.expired(); });
    next_sweep_ = 2 * by_hash_.size() + 1024;
  }
  return fresh;
}

void MetadataCache::Begin() {
  open_ = false;
  current_changed_ = false;
  expected_ = 0;
  ++scrape_;
}

size_t MetadataCache::Find(std::string_view family) {
  // The place on the page first; a look-up only where the page changed.
  if (expected_ < entries_.size() && entries_[expected_].metadata->family == family) {
    return expected_;
  }
  if (index_.size() != entries_.size()) {
    for (size_t i = index_.size(); i < entries_.size(); ++i) {
      index_.emplace(entries_[i].metadata->family, i);
    }
  }
  const auto found = index_.find(family);
  return found == index_.end() ? entries_.size() : found->second;
}

void MetadataCache::Open(std::string_view family) {
  if (open_ && (open_index_ < entries_.size() ? entries_[open_index_].metadata->family
                                              : open_family_) == family) {
    return;
  }
  Flush();
  open_ = true;
  open_index_ = Find(family);
  dirty_ = open_index_ == entries_.size();
  if (dirty_) open_family_ = family;
  has_type_ = has_help_ = has_unit_ = false;
  current_changed_ = false;
}

void MetadataCache::SetType(std::string_view family, MetricType type) {
  Open(family);
  has_type_ = true;
  type_ = type;
  dirty_ = dirty_ || open_index_ == entries_.size() ||
           entries_[open_index_].metadata->metadata.type != type;
}

void MetadataCache::SetHelp(std::string_view family, std::string_view help) {
  Open(family);
  if (open_index_ < entries_.size() && entries_[open_index_].metadata->metadata.help == help) {
    return;
  }
  has_help_ = true;
  help_ = help;
  dirty_ = true;
}

void MetadataCache::SetUnit(std::string_view family, std::string_view unit) {
  Open(family);
  if (open_index_ < entries_.size() && entries_[open_index_].metadata->metadata.unit == unit) {
    return;
  }
  has_unit_ = true;
  unit_ = unit;
  dirty_ = true;
}

void MetadataCache::Flush() {
  if (!open_) return;
  if (dirty_) {
    FamilyMetadata next;
    if (open_index_ < entries_.size()) {
      next = *entries_[open_index_].metadata;
    } else {
      next.family = open_family_;
    }
    if (has_type_) next.metadata.type = type_;
    if (has_help_) next.metadata.help = help_;
    if (has_unit_) next.metadata.unit = unit_;
    auto shared = interner_->Intern(std::move(next));
    const std::lock_guard lock(mutex_);
    if (open_index_ < entries_.size()) {
      // The key's text goes with the old metadata.
      if (index_.erase(entries_[open_index_].metadata->family) > 0) {
        index_.emplace(shared->family, open_index_);
      }
      entries_[open_index_].metadata = std::move(shared);
    } else {
      entries_.push_back({std::move(shared), 0});
    }
    dirty_ = false;
    current_changed_ = true;
  }
  entries_[open_index_].last_scrape = scrape_;
  expected_ = open_index_ + 1;
}

const FamilyMetadata* MetadataCache::Current() {
  if (!open_) return nullptr;
  if (dirty_ || entries_[open_index_].last_scrape != scrape_) Flush();
  return entries_[open_index_].metadata.get();
}

void MetadataCache::End(bool complete) {
  Flush();
  open_ = false;
  index_ = {};
  if (!complete) return;
  const auto old = [this](const Entry& e) { return scrape_ - e.last_scrape > kScrapesUnseenMax; };
  if (std::none_of(entries_.begin(), entries_.end(), old)) return;
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, old);
}

std::vector<std::shared_ptr<const FamilyMetadata>> MetadataCache::List() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const FamilyMetadata>> list;
  list.reserve(entries_.size());
  for (const Entry& entry : entries_) list.push_back(entry.metadata);
  return list;
}

size_t MetadataCache::count() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

size_t MetadataCache::text_bytes() const {
  const std::lock_guard lock(mutex_);
  size_t bytes = 0;
  for (const Entry& entry : entries_) {
    const Metadata& m = entry.metadata->metadata;
    bytes += m.help.size() + m.unit.size() + MetricTypeName(m.type).size();
  }
  return bytes;
}

}  // namespace narthex::scrape
