// The head's inverted index: every text once, every label pair once, and for each pair the series
// that carry it.
//
//   text    "node_cpu_seconds_total"      a piece of the pool: uses, length, bytes
//   name    "__name__" -> its pairs
//   pair    {name, value, postings}       32 bytes, named by a PairId; a series' labels are an
//                                         array of PairIds in label order
//   postings of one series live in the pair itself; more are a byte string of varint deltas of
//   ascending references (one to two bytes a series, since a target's series are made together)
//
// References grow for ever, so in a running head a list is only appended to. Replay meets them in
// the order of commits, which is nearly ascending: what comes late waits until MergeLatePostings.
//
// Invariants: a pair is found as long as a series carries it; Sweep() forgets pairs without series
// and texts without pairs.
// Threads: none of its own. The head guards it with a reader-writer lock; const methods may run
// beside each other.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/labels.h"
#include "tsdb/head/id_table.h"
#include "tsdb/head/slab_pool.h"
#include "util/hash_map.h"

namespace narthex::tsdb {

using PairId = uint32_t;
using NameId = uint32_t;
inline constexpr uint32_t kNoId = 0xffffffff;

class LabelIndex {
 public:
  explicit LabelIndex(SlabPool* pool);
  LabelIndex(const LabelIndex&) = delete;
  LabelIndex& operator=(const LabelIndex&) = delete;

  // The pair, made if needed. `hint` is where the caller last met such a pair (kNoId: nowhere):
  // neighbours in a page of samples share most labels, and comparing is cheaper than hashing.
  PairId Intern(std::string_view name, std::string_view value, PairId hint);
  PairId FindPair(std::string_view name, std::string_view value) const;
  NameId FindName(std::string_view name) const;
  LabelView View(PairId pair) const {
    const Pair& p = At(pair);
    return {TextAt(names_[p.name].text), TextAt(p.value)};
  }

  NameId NameOf(PairId pair) const { return At(pair).name; }

  // The place of every pair in the order of names and values, by id; and all texts, ascending. The
  // texts can be read without the lock as long as nothing is swept.
  struct Order {
    std::vector<uint32_t> rank_of_pair;
    std::vector<SlabRef> texts;
  };
  struct OrderInput {
    struct Entry {
      SlabRef name;
      SlabRef value;
      PairId pair;
    };
    std::vector<Entry> pairs;
    PairId id_count = 0;
  };
  // Under the lock; the sorting itself, which takes long, is done without.
  OrderInput CollectOrder() const;
  Order SortOrder(const OrderInput& input) const;
  std::string_view TextAt(SlabRef text) const;

  void AddPosting(PairId pair, uint64_t ref);
  void MergeLatePostings();
  // Takes `dead` (ascending) out of the pair's list.
  void RemovePostings(PairId pair, std::span<const uint64_t> dead);
  // The same in three parts, for lists of two or more: reading under the lock, shortening without,
  // replacing under the exclusive lock. Meanwhile the list is only appended to.
  struct ShorterList {
    uint32_t old_count = 0;
    uint32_t old_bytes = 0;
    uint64_t old_last_ref = 0;
    std::vector<uint64_t> refs;
    std::string bytes;  // Of refs as they are stored.
  };
  ShorterList ReadList(PairId pair) const;
  static void Shorten(std::span<const uint64_t> dead, ShorterList* list);
  void ReplaceList(PairId pair, const ShorterList& list);
  // Forgets pairs whose lists became empty, at most so many of them; true: there are more. Ids of
  // forgotten pairs are issued again.
  bool Sweep(size_t pairs_max);
  // The same for all pairs that have no list now.
  void SweepUnused();

  uint32_t PostingCount(PairId pair) const { return At(pair).count; }
  // Appends the references, ascending.
  void ReadPostings(PairId pair, std::vector<uint64_t>* out) const;

  // All names that have pairs, unordered.
  void ForEachName(const std::function<void(NameId, std::string_view)>& visit) const;
  // The pairs of a name, unordered; some may have lost their last series.
  std::span<const PairId> PairsOf(NameId name) const { return names_[name].pairs; }
  std::string_view NameText(NameId name) const { return TextAt(names_[name].text); }

  size_t pair_count() const { return pair_set_.size(); }
  size_t name_count() const { return name_set_.size(); }
  // Bytes of all texts with their look-up structures.
  uint64_t symbol_bytes() const { return text_bytes_ + texts_.size() * 10; }

 private:
  struct Pair {
    NameId name = 0;
    SlabRef value = kNoSlab;
    uint32_t count = 0;
    uint32_t bytes = 0;     // Used bytes of `data`.
    uint64_t last_ref = 0;  // The largest; with count 1 the only one.
    SlabRef data = kNoSlab;
    uint32_t position = kNoId;  // Among the pairs of its name; kNoId: the id is free.
    bool used() const { return position != kNoId; }
  };
  static_assert(sizeof(Pair) == 32);
  struct Name {
    SlabRef text = kNoSlab;
    std::vector<PairId> pairs;
  };
  static constexpr size_t kPairsPerBlock = 4096;

  struct NameHash {
    using is_transparent = void;
    using is_avalanching = void;
    const LabelIndex* index;
    size_t operator()(NameId name) const { return FastHash64(index->NameText(name)); }
    size_t operator()(std::string_view text) const { return FastHash64(text); }
  };
  struct NameEqual {
    using is_transparent = void;
    const LabelIndex* index;
    bool operator()(NameId a, NameId b) const { return a == b; }
    bool operator()(std::string_view a, NameId b) const { return a == index->NameText(b); }
    bool operator()(NameId a, std::string_view b) const { return index->NameText(a) == b; }
  };

  Pair& At(PairId pair) { return pair_blocks_[pair / kPairsPerBlock][pair % kPairsPerBlock]; }
  const Pair& At(PairId pair) const {
    return pair_blocks_[pair / kPairsPerBlock][pair % kPairsPerBlock];
  }
  static uint64_t PairHash(const LabelView& pair) {
    return FastHash64(pair.name) * 0x9e3779b97f4a7c15 + FastHash64(pair.value);
  }
  SlabRef AcquireText(std::string_view text);
  void ReleaseText(SlabRef text);
  NameId InternName(std::string_view name);
  PairId NewPair();
  void ForgetPair(PairId id);
  void AppendDelta(Pair& p, uint64_t delta);
  void Store(Pair& p, std::span<const uint64_t> refs);

  SlabPool* pool_;
  IdTable texts_{kNoSlab};
  std::vector<Name> names_;
  std::vector<NameId> free_names_;
  boost::unordered_flat_set<NameId, NameHash, NameEqual> name_set_;
  std::vector<std::unique_ptr<Pair[]>> pair_blocks_;
  PairId next_pair_ = 0;
  std::vector<PairId> free_pairs_;
  IdTable pair_set_{kNoId};
  std::vector<std::pair<PairId, uint64_t>> late_;
  std::vector<PairId> emptied_;
  uint64_t text_bytes_ = 0;
};

}  // namespace narthex::tsdb
