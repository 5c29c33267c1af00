#include "tsdb/head/id_table.h"

#include <algorithm>
#include <utility>

#include "util/check.h"

namespace narthex::tsdb {
namespace {

// Room behind the last home that spares most tables a reallocation.
constexpr size_t kOverrun = 64;
constexpr size_t kHomesMin = 16;

}  // namespace

void IdTable::Rebuild(Shard& shard, size_t homes) {
  const std::vector<Entry> old = std::move(shard.entries);
  shard.entries.clear();
  shard.entries.reserve(homes + kOverrun);
  shard.entries.resize(homes, Entry{0, none_});
  shard.homes = homes;
  size_t next = 0;
  for (const Entry& entry : old) {
    if (entry.id == none_) continue;
    const size_t at = std::max(next, shard.Home(entry.hash));
    if (at == shard.entries.size()) shard.entries.push_back({});
    shard.entries[at] = entry;
    next = at + 1;
  }
}

void IdTable::Insert(uint64_t hash, uint32_t id) {
  Shard& shard = shards_[ShardOf(hash)];
  if ((shard.size + 1) * 8 > shard.homes * 7) {
    Rebuild(shard, std::max(kHomesMin, shard.homes + shard.homes / 4));
  }
  std::vector<Entry>& entries = shard.entries;
  const Entry entry{static_cast<uint32_t>(hash), id};
  size_t at = shard.Home(entry.hash);
  while (at < entries.size() && entries[at].id != none_ && entries[at].hash <= entry.hash) ++at;
  size_t gap = at;
  while (gap < entries.size() && entries[gap].id != none_) ++gap;
  if (gap == entries.size()) entries.push_back({});
  std::copy_backward(entries.begin() + static_cast<std::ptrdiff_t>(at),
                     entries.begin() + static_cast<std::ptrdiff_t>(gap),
                     entries.begin() + static_cast<std::ptrdiff_t>(gap) + 1);
  entries[at] = entry;
  ++shard.size;
  ++size_;
}

void IdTable::Erase(uint64_t hash, uint32_t id) {
  Shard& shard = shards_[ShardOf(hash)];
  std::vector<Entry>& entries = shard.entries;
  size_t hole = shard.Home(static_cast<uint32_t>(hash));
  while (entries[hole].id != id) {
    NARTHEX_CHECK(entries[hole].id != none_);
    ++hole;
  }
  // What stands behind its home moves up.
  for (; hole + 1 < entries.size(); ++hole) {
    const Entry& next = entries[hole + 1];
    if (next.id == none_ || shard.Home(next.hash) == hole + 1) break;
    entries[hole] = next;
  }
  entries[hole] = Entry{0, none_};
  --shard.size;
  --size_;
  if (shard.homes > 4 * kHomesMin && shard.size < shard.homes / 4) {
    Rebuild(shard, shard.homes / 2);
  }
}

}  // namespace narthex::tsdb
