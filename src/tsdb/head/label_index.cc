#include "tsdb/head/label_index.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "util/bytes.h"

namespace narthex::tsdb {
namespace {

struct TextHeader {
  uint32_t uses;
  uint32_t size;
};

}  // namespace

LabelIndex::LabelIndex(SlabPool* pool)
    : pool_(pool),
      texts_(0, TextHash{this}, TextEqual{this}),
      name_set_(0, NameHash{this}, NameEqual{this}),
      pair_set_(0, PairHash{this}, PairEqual{this}) {}

// The count of uses changes under the exclusive lock while sorted texts are read without any: the
// two fields are therefore read and written apart.
std::string_view LabelIndex::TextAt(SlabRef text) const {
  const char* at = pool_->At(text);
  uint32_t size;
  std::memcpy(&size, at + offsetof(TextHeader, size), sizeof size);
  return {at + sizeof(TextHeader), size};
}

SlabRef LabelIndex::AcquireText(std::string_view text) {
  if (const auto found = texts_.find(text); found != texts_.end()) {
    char* uses_at = pool_->At(*found) + offsetof(TextHeader, uses);
    uint32_t uses;
    std::memcpy(&uses, uses_at, sizeof uses);
    ++uses;
    std::memcpy(uses_at, &uses, sizeof uses);
    return *found;
  }
  const SlabRef ref = pool_->Allocate(sizeof(TextHeader) + text.size());
  char* at = pool_->At(ref);
  const TextHeader header{1, static_cast<uint32_t>(text.size())};
  std::memcpy(at, &header, sizeof header);
  std::memcpy(at + sizeof header, text.data(), text.size());
  texts_.insert(ref);
  text_bytes_ += sizeof header + text.size();
  return ref;
}

void LabelIndex::ReleaseText(SlabRef text) {
  char* uses_at = pool_->At(text) + offsetof(TextHeader, uses);
  uint32_t uses;
  std::memcpy(&uses, uses_at, sizeof uses);
  if (--uses == 0) {
    text_bytes_ -= sizeof(TextHeader) + TextAt(text).size();
    texts_.erase(text);
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
    if (p.used) input.pairs.push_back({names_[p.name].text, p.value, id});
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
  if (hint < next_pair_ && At(hint).used && View(hint) == view) return hint;
  if (const auto found = pair_set_.find(view); found != pair_set_.end()) return *found;
  const NameId name_id = InternName(name);
  const PairId id = NewPair();
  Pair& p = At(id);
  p = Pair{};
  p.name = name_id;
  p.value = AcquireText(value);
  p.used = true;
  names_[name_id].pairs.push_back(id);
  pair_set_.insert(id);
  return id;
}

PairId LabelIndex::FindPair(std::string_view name, std::string_view value) const {
  const auto found = pair_set_.find(LabelView{name, value});
  return found == pair_set_.end() ? kNoId : *found;
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
  size_t kept = 0;
  auto next_dead = dead.begin();
  for (const uint64_t ref : refs) {
    next_dead = std::lower_bound(next_dead, dead.end(), ref);
    if (next_dead != dead.end() && *next_dead == ref) continue;
    refs[kept++] = ref;
  }
  if (kept == refs.size()) return;
  refs.resize(kept);
  Store(At(pair), refs);
  if (kept == 0) emptied_.push_back(pair);
}

void LabelIndex::Sweep() {
  if (emptied_.empty()) return;
  ++generation_;
  std::vector<NameId> touched;
  for (const PairId id : emptied_) {
    Pair& p = At(id);
    if (!p.used || p.count != 0) continue;  // Came back to life, or listed twice.
    pair_set_.erase(id);
    touched.push_back(p.name);
    ReleaseText(p.value);
    p.used = false;
    free_pairs_.push_back(id);
  }
  emptied_.clear();
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  for (const NameId id : touched) {
    Name& name = names_[id];
    std::erase_if(name.pairs, [&](PairId pair) { return !At(pair).used; });
    if (name.pairs.capacity() > 64 && name.pairs.capacity() / 4 > name.pairs.size()) {
      name.pairs.shrink_to_fit();
    }
    if (!name.pairs.empty()) continue;
    name_set_.erase(id);
    ReleaseText(name.text);
    name.text = kNoSlab;
    free_names_.push_back(id);
  }
}

void LabelIndex::SweepUnused() {
  for (PairId id = 0; id < next_pair_; ++id) {
    if (At(id).used && At(id).count == 0) emptied_.push_back(id);
  }
  Sweep();
}

void LabelIndex::ForEachName(const std::function<void(NameId, std::string_view)>& visit) const {
  for (const NameId id : name_set_) visit(id, NameText(id));
}

}  // namespace narthex::tsdb
