// A hash table of 32-bit ids whose keys lie elsewhere: series by labels, texts and label pairs.
//
//   shard (64, by the top bits of the hash)
//   entries   [ h1 a | h2 b |  --  | h5 c | h5 d | h6 e | -- ]      8 bytes each, ascending by hash
//
// Each entry stands at its home or in the unbroken run behind it, so that looking for what is not
// there (every new series does) ends soon although the table is nearly full. Hashes are kept: to
// grow or shrink is one pass in order that touches no key, a shard at a time, by a quarter. A
// table that rehashes its keys at once stops appends for a quarter of a second at a million
// entries, and under churn it does so again and again.
//
// Invariants: no id in it is the one that names nothing; runs may reach behind the last home.
// Threads: none of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace narthex::tsdb {

class IdTable {
 public:
  // `none` names nothing.
  explicit IdTable(uint32_t none) : none_(none) {}

  // The id of that hash for which `same` is true; it is asked for few others. `none` if there is
  // not any.
  template <typename Same>
  uint32_t Find(uint64_t hash, Same&& same) const {
    const Shard& shard = shards_[ShardOf(hash)];
    const uint32_t low = static_cast<uint32_t>(hash);
    for (size_t at = shard.Home(low); at < shard.entries.size(); ++at) {
      const Entry& entry = shard.entries[at];
      if (entry.id == none_ || entry.hash > low) break;
      if (entry.hash == low && same(entry.id)) return entry.id;
    }
    return none_;
  }
  // The id is not there yet.
  void Insert(uint64_t hash, uint32_t id);
  // The id is there.
  void Erase(uint64_t hash, uint32_t id);
  size_t size() const { return size_; }

 private:
  static constexpr size_t kShards = 64;
  struct Entry {
    uint32_t hash;
    uint32_t id;
  };
  struct Shard {
    std::vector<Entry> entries;
    size_t homes = 0;
    size_t size = 0;
    size_t Home(uint32_t hash) const {
      return static_cast<size_t>((static_cast<uint64_t>(hash) * homes) >> 32);
    }
  };
  static size_t ShardOf(uint64_t hash) { return static_cast<size_t>(hash >> 58); }
  void Rebuild(Shard& shard, size_t homes);

  const uint32_t none_;
  size_t size_ = 0;
  Shard shards_[kShards];
};

}  // namespace narthex::tsdb
