#include "narthex/client/labels.h"

#include <algorithm>
#include <new>

#include "narthex/client/names.h"
#include "text_parts.h"

namespace narthex::client {

LabelSet::LabelSet(Labels pairs) : LabelSet(std::move(pairs), {}) {}

LabelSet::LabelSet(Labels pairs, std::string_view text) {
  if (pairs.empty()) return;
  void* const memory =
      ::operator new(Block::PairsOffset(text.size()) + pairs.size() * sizeof(LabelPair));
  block_ = new (memory) Block;
  block_->count = static_cast<uint32_t>(pairs.size());
  block_->text_size = static_cast<uint32_t>(text.size());
  std::copy(text.begin(), text.end(), block_->text());
  std::uninitialized_move(pairs.begin(), pairs.end(), block_->pairs());
}

LabelSet LabelSet::WithText(Labels pairs) {
  std::string text;
  AppendLabels(pairs.data(), pairs.data() + pairs.size(), text);
  const bool legacy = std::all_of(pairs.begin(), pairs.end(), [](const LabelPair& pair) {
    return IsValidLegacyMetricName(pair.name);
  });
  LabelSet labels(std::move(pairs), text);
  if (labels.block_ != nullptr) labels.block_->legacy_names = legacy;
  return labels;
}

void LabelSet::Destroy() noexcept {
  std::destroy_n(block_->pairs(), block_->count);
  block_->~Block();
  ::operator delete(block_);
}

}  // namespace narthex::client
