#include "tsdb/head/label_index.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "util/bytes.h"
#include "util/check.h"

namespace narthex::tsdb {
namespace {

struct TextHeader {
  uint32_t uses;
  uint32_t size;
};

// Both ascend.
void SubtractAscending(std::span<const uint64_t> dead, std::vector<uint64_t>* refs) {
  size_t kept = 0;
  auto next_dead = dead.begin();
  for (const uint64_t ref : *refs) {
    while (next_dead != dead.end() && *next_dead < ref) ++next_dead;
    if (next_dead != dead.end() && *next_dead == ref) continue;
    (*refs)[kept++] = ref;
  }
  refs->resize(kept);
}

uint64_t LoadListUvarint(const char** at) {
  uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    const uint64_t byte = static_cast<uint8_t>(*(*at)++);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

}  // namespace

LabelIndex::LabelIndex(SlabPool* pool)
    : pool_(pool), name_set_(0, NameHash{this}, NameEqual{this}) {}

// The count of uses changes under the exclusive lock while sorted texts are read without any: the
// two fields are therefore read and written apart.
std::string_view LabelIndex::TextAt(SlabRef text) const {
  const char* at = pool_->At(text);
  uint32_t size;
  std::memcpy(&size, at + offsetof(TextHeader, size), sizeof size);
  return {at + sizeof(TextHeader), size};
}

SlabRef LabelIndex::AcquireText(std::string_view text) {
  const uint64_t hash = FastHash64(text);
  const SlabRef known = texts_.Find(hash, [&](SlabRef at) { return TextAt(at) == text; });
  if (known != kNoSlab) {
    char* uses_at = pool_->At(known) + offsetof(TextHeader, uses);
    uint32_t uses;
    std::memcpy(&uses, uses_at, sizeof uses);
    ++uses;
    std::memcpy(uses_at, &uses, sizeof uses);
    return known;
  }
  const SlabRef ref = pool_->Allocate(sizeof(TextHeader) + text.size());
  char* at = pool_->At(ref);
  const TextHeader header{1, static_cast<uint32_t>(text.size())};
  std::memcpy(at, &header, sizeof header);
  std::memcpy(at + sizeof header, text.data(), text.size());
  texts_.Insert(hash, ref);
  text_bytes_ += sizeof header + text.size();
  return ref;
}

void LabelIndex::ReleaseText(SlabRef text) {
  char* uses_at = pool_->At(text) + offsetof(TextHeader, uses);
  uint32_t uses;
  std::memcpy(&uses, uses_at, sizeof uses);
  if (--uses == 0) {
    const std::string_view bytes = TextAt(text);
    text_bytes_ -= sizeof(TextHeader) + bytes.size();
    texts_.Erase(FastHash64(bytes), text);
    pool_->Free(text);
    return;
  }
  std::memcpy(uses_at, &uses, sizeof uses);
}

LabelIndex::OrderInput LabelIndex::CollectOrder() const {
  OrderInput input;
  input.id_count = next_pair_;
  input.pairs.reserve(pair_set_.size());
  for (PairId id = 0; id < next_pair_; ++id) {
    const Pair& p = At(id);
    if (p.used()) input.pairs.push_back({names_[p.name].text, p.value, id});
  }
  return input;
}

LabelIndex::Order LabelIndex::SortOrder(const OrderInput& input) const {
  Order order;
  order.texts.reserve(input.pairs.size());
  for (const OrderInput::Entry& entry : input.pairs) {
    order.texts.push_back(entry.name);
    order.texts.push_back(entry.value);
  }
  std::sort(order.texts.begin(), order.texts.end());
  order.texts.erase(std::unique(order.texts.begin(), order.texts.end()), order.texts.end());
  std::sort(order.texts.begin(), order.texts.end(),
            [&](SlabRef a, SlabRef b) { return TextAt(a) < TextAt(b); });
  HashMap<SlabRef, uint32_t> rank_of_text;
  rank_of_text.reserve(order.texts.size());
  for (uint32_t i = 0; i < order.texts.size(); ++i) rank_of_text.emplace(order.texts[i], i);
  std::vector<std::pair<uint64_t, PairId>> keys;
  keys.reserve(input.pairs.size());
  for (const OrderInput::Entry& entry : input.pairs) {
    const uint64_t name = rank_of_text.find(entry.name)->second;
    keys.emplace_back(name << 32 | rank_of_text.find(entry.value)->second, entry.pair);
  }
  std::sort(keys.begin(), keys.end());
  order.rank_of_pair.assign(input.id_count, 0);
  for (uint32_t i = 0; i < keys.size(); ++i) order.rank_of_pair[keys[i].second] = i;
  return order;
}

NameId LabelIndex::InternName(std::string_view name) {
  if (const auto found = name_set_.find(name); found != name_set_.end()) return *found;
  NameId id;
  if (!free_names_.empty()) {
    id = free_names_.back();
    free_names_.pop_back();
  } else {
    id = static_cast<NameId>(names_.size());
    names_.emplace_back();
  }
  names_[id].text = AcquireText(name);
  name_set_.insert(id);
  return id;
}

PairId LabelIndex::NewPair() {
  if (!free_pairs_.empty()) {
    const PairId id = free_pairs_.back();
    free_pairs_.pop_back();
    return id;
  }
  if (next_pair_ % kPairsPerBlock == 0) {
    pair_blocks_.push_back(std::make_unique<Pair[]>(kPairsPerBlock));
  }
  return next_pair_++;
}

PairId LabelIndex::Intern(std::string_view name, std::string_view value, PairId hint) {
  const LabelView view{name, value};
  if (hint < next_pair_ && At(hint).used() && View(hint) == view) return hint;
  const uint64_t hash = PairHash(view);
  const PairId known = pair_set_.Find(hash, [&](PairId pair) { return View(pair) == view; });
  if (known != kNoId) return known;
  const NameId name_id = InternName(name);
  const PairId id = NewPair();
  Pair& p = At(id);
  p = Pair{};
  p.name = name_id;
  p.value = AcquireText(value);
  p.position = static_cast<uint32_t>(names_[name_id].pairs.size());
  names_[name_id].pairs.push_back(id);
  pair_set_.Insert(hash, id);
  return id;
}

PairId LabelIndex::FindPair(std::string_view name, std::string_view value) const {
  const LabelView view{name, value};
  return pair_set_.Find(PairHash(view), [&](PairId pair) { return View(pair) == view; });
}

NameId LabelIndex::FindName(std::string_view name) const {
  const auto found = name_set_.find(name);
  return found == name_set_.end() ? kNoId : *found;
}

void LabelIndex::AppendDelta(Pair& p, uint64_t delta) {
  const size_t need = p.bytes + kVarintBytesMax;
  if (p.data == kNoSlab) {
    p.data = pool_->Allocate(need);
  } else if (pool_->Capacity(p.data) < need) {
    p.data = pool_->Grow(p.data, p.bytes, need + p.bytes / 4);
  }
  p.bytes += static_cast<uint32_t>(StoreUvarint(pool_->At(p.data) + p.bytes, delta));
}

void LabelIndex::AddPosting(PairId pair, uint64_t ref) {
  Pair& p = At(pair);
  if (p.count > 0 && ref <= p.last_ref) {
    if (ref != p.last_ref) late_.emplace_back(pair, ref);
    return;
  }
  if (p.count == 1) AppendDelta(p, p.last_ref);
  if (p.count >= 1) AppendDelta(p, ref - p.last_ref);
  p.last_ref = ref;
  ++p.count;
}

void LabelIndex::ReadPostings(PairId pair, std::vector<uint64_t>* out) const {
  const Pair& p = At(pair);
  if (p.count == 0) return;
  if (p.count == 1) {
    out->push_back(p.last_ref);
    return;
  }
  const size_t base = out->size();
  out->resize(base + p.count);
  uint64_t* write = out->data() + base;
  const uint8_t* at = reinterpret_cast<const uint8_t*>(pool_->At(p.data));
  uint64_t ref = 0;
  for (uint32_t i = 0; i < p.count; ++i) {
    uint64_t delta = *at++;
    if (delta >= 0x80) [[unlikely]] {
      delta &= 0x7f;
      for (unsigned shift = 7;; shift += 7) {
        const uint64_t byte = *at++;
        delta |= (byte & 0x7f) << shift;
        if (byte < 0x80) break;
      }
    }
    ref += delta;
    write[i] = ref;
  }
}

void LabelIndex::Store(Pair& p, std::span<const uint64_t> refs) {
  p.count = 0;
  p.bytes = 0;
  p.last_ref = 0;
  // A list that shrank a lot gives its room back.
  if (p.data != kNoSlab && (refs.size() < 2 || pool_->Capacity(p.data) > refs.size() * 20)) {
    pool_->Free(p.data);
    p.data = kNoSlab;
  }
  for (const uint64_t ref : refs) {
    if (p.count == 1) AppendDelta(p, p.last_ref);
    if (p.count >= 1) AppendDelta(p, ref - p.last_ref);
    p.last_ref = ref;
    ++p.count;
  }
}

void LabelIndex::MergeLatePostings() {
  std::sort(late_.begin(), late_.end());
  late_.erase(std::unique(late_.begin(), late_.end()), late_.end());
  std::vector<uint64_t> refs;
  for (size_t i = 0; i < late_.size();) {
    const PairId pair = late_[i].first;
    refs.clear();
    ReadPostings(pair, &refs);
    const auto middle = static_cast<std::ptrdiff_t>(refs.size());
    for (; i < late_.size() && late_[i].first == pair; ++i) refs.push_back(late_[i].second);
    std::inplace_merge(refs.begin(), refs.begin() + middle, refs.end());
    refs.erase(std::unique(refs.begin(), refs.end()), refs.end());
    Store(At(pair), refs);
  }
  late_.clear();
  late_.shrink_to_fit();
}

void LabelIndex::RemovePostings(PairId pair, std::span<const uint64_t> dead) {
  std::vector<uint64_t> refs;
  ReadPostings(pair, &refs);
  const size_t before = refs.size();
  SubtractAscending(dead, &refs);
  if (refs.size() == before) return;
  Store(At(pair), refs);
  if (refs.empty()) emptied_.push_back(pair);
}

LabelIndex::ShorterList LabelIndex::ReadList(PairId pair) const {
  const Pair& p = At(pair);
  NARTHEX_DCHECK(p.count >= 2);  // Shorter ones have no bytes.
  ShorterList list{.old_count = p.count, .old_bytes = p.bytes, .old_last_ref = p.last_ref};
  ReadPostings(pair, &list.refs);
  return list;
}

void LabelIndex::Shorten(std::span<const uint64_t> dead, ShorterList* list) {
  SubtractAscending(dead, &list->refs);
  list->bytes.resize(list->refs.size() * kVarintBytesMax);
  char* write = list->bytes.data();
  uint64_t last = 0;
  for (const uint64_t ref : list->refs) {
    write += StoreUvarint(write, ref - last);
    last = ref;
  }
  list->bytes.resize(static_cast<size_t>(write - list->bytes.data()));
}

void LabelIndex::ReplaceList(PairId pair, const ShorterList& list) {
  Pair& p = At(pair);
  // What was appended since.
  std::vector<uint64_t> added;
  const char* at = pool_->At(p.data) + list.old_bytes;
  uint64_t ref = list.old_last_ref;
  for (uint32_t i = list.old_count; i < p.count; ++i) {
    ref += LoadListUvarint(&at);
    added.push_back(ref);
  }
  if (list.refs.size() < 2) {  // Fewer are kept in the pair itself.
    added.insert(added.begin(), list.refs.begin(), list.refs.end());
    Store(p, added);
    if (added.empty()) emptied_.push_back(pair);
    return;
  }
  pool_->Free(p.data);
  p.data = pool_->Allocate(list.bytes.size());
  std::memcpy(pool_->At(p.data), list.bytes.data(), list.bytes.size());
  p.bytes = static_cast<uint32_t>(list.bytes.size());
  p.count = static_cast<uint32_t>(list.refs.size());
  p.last_ref = list.refs.back();
  for (const uint64_t later : added) AddPosting(pair, later);
}

bool LabelIndex::Sweep(size_t pairs_max) {
  for (; pairs_max > 0 && !emptied_.empty(); --pairs_max) {
    const PairId id = emptied_.back();
    emptied_.pop_back();
    const Pair& p = At(id);
    if (p.used() && p.count == 0) ForgetPair(id);  // Else it came back to life or was listed twice.
  }
  if (emptied_.empty()) emptied_.shrink_to_fit();
  return !emptied_.empty();
}

void LabelIndex::ForgetPair(PairId id) {
  Pair& p = At(id);
  pair_set_.Erase(PairHash(View(id)), id);
  Name& name = names_[p.name];
  // The last pair of the name takes its place.
  const PairId last = name.pairs.back();
  name.pairs[p.position] = last;
  At(last).position = p.position;
  name.pairs.pop_back();
  p.position = kNoId;
  ReleaseText(p.value);
  free_pairs_.push_back(id);
  // By a half each time: the copies stay fewer than the pairs that went.
  if (name.pairs.capacity() > 64 && name.pairs.capacity() / 4 > name.pairs.size()) {
    std::vector<PairId> smaller;
    smaller.reserve(name.pairs.capacity() / 2);
    smaller = name.pairs;
    name.pairs = std::move(smaller);
  }
  if (!name.pairs.empty()) return;
  name_set_.erase(p.name);
  ReleaseText(name.text);
  name.text = kNoSlab;
  free_names_.push_back(p.name);
}

void LabelIndex::SweepUnused() {
  for (PairId id = 0; id < next_pair_; ++id) {
    if (At(id).used() && At(id).count == 0) emptied_.push_back(id);
  }
  Sweep(SIZE_MAX);
}

void LabelIndex::ForEachName(const std::function<void(NameId, std::string_view)>& visit) const {
  for (const NameId id : name_set_) visit(id, NameText(id));
}

}  // namespace narthex::tsdb
