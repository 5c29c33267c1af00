// The metadata that a target exposes: type, unit and help of each family.
//
// Targets of one job expose the same texts, so these are shared: a cache holds pointers into an
// interner. In the steady state a family is found by its place on the page and compared, and
// nothing is written.
//
// Threads: one scrape at a time writes; List and the sizes may be called by any thread meanwhile.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/sample.h"
#include "util/hash_map.h"

namespace narthex::scrape {

struct FamilyMetadata {
  std::string family;
  Metadata metadata;
  friend bool operator==(const FamilyMetadata&, const FamilyMetadata&) = default;
};

// One copy of each text set for all targets. Safe from any thread.
class MetadataInterner {
 public:
  std::shared_ptr<const FamilyMetadata> Intern(FamilyMetadata metadata);

 private:
  std::mutex mutex_;
  std::unordered_multimap<uint64_t, std::weak_ptr<const FamilyMetadata>> by_hash_;
  size_t next_sweep_ = 1024;
};

class MetadataCache {
 public:
  explicit MetadataCache(std::shared_ptr<MetadataInterner> interner)
      : interner_(std::move(interner)) {}

  // Lines of a page, between Begin and End.
  void Begin();
  void SetType(std::string_view family, MetricType type);
  void SetHelp(std::string_view family, std::string_view help);
  void SetUnit(std::string_view family, std::string_view unit);
  // A sample follows: what the lines before it said about their family counts from here on.
  // Null when no family was named yet.
  const FamilyMetadata* Current();
  // Whether what the lines say differs from the scrape before.
  bool current_changed() const { return open_ && (dirty_ || current_changed_); }
  // `complete`: the scrape succeeded, families unseen for ten scrapes are forgotten.
  void End(bool complete);

  std::vector<std::shared_ptr<const FamilyMetadata>> List() const;
  size_t count() const;
  // Bytes of types, units and helps.
  size_t text_bytes() const;

 private:
  struct Entry {
    std::shared_ptr<const FamilyMetadata> metadata;
    uint64_t last_scrape = 0;
  };
  void Open(std::string_view family);
  // Stores what was said about the open family.
  void Flush();
  size_t Find(std::string_view family);

  std::shared_ptr<MetadataInterner> interner_;
  mutable std::mutex mutex_;  // Held to change entries_, and to read them elsewhere.
  std::vector<Entry> entries_;
  uint64_t scrape_ = 0;

  // The family whose lines are being read.
  bool open_ = false;
  size_t open_index_ = 0;  // entries_.size(): new.
  std::string open_family_;
  bool has_type_ = false, has_help_ = false, has_unit_ = false;
  MetricType type_ = MetricType::kUnknown;
  std::string help_, unit_;
  bool dirty_ = false;
  bool current_changed_ = false;
  size_t expected_ = 0;
  // Families by name, only during a scrape whose page changed. Keys live in the metadata.
  StringViewMap<size_t> index_;
};

}  // namespace narthex::scrape
