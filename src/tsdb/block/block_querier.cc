#include "tsdb/block/block_querier.h"

#include <algorithm>
#include <set>

#include "tsdb/chunks/chunk.h"
#include "tsdb/index/postings_for_matchers.h"

namespace narthex::tsdb {
namespace {

using storage::LabelQueryHints;
using storage::SampleColumns;
using storage::SelectHints;
using storage::Series;
using storage::SeriesOrder;
using storage::SeriesSet;

// What all series of a querier share.
struct BlockView {
  std::shared_ptr<const Block> block;
  std::shared_ptr<const Tombstones> tombstones;
};

class BlockSeries : public Series {
 public:
  BlockSeries(const BlockView& view, Labels labels, std::vector<ChunkMeta> chunks,
              std::span<const TimeRange> deleted, TimeRange range, DecodeOptions options)
      : view_(view),
        labels_(std::move(labels)),
        chunks_(std::move(chunks)),
        deleted_(deleted),
        range_(range),
        options_(options) {}

  const Labels& labels() const override { return labels_; }

  Status Read(SampleColumns* out) const override {
    std::vector<ChunkInput> inputs;
    inputs.reserve(chunks_.size());
    bool any_deleted = false;
    Status status;
    for (const ChunkMeta& chunk : chunks_) {
      const auto view = view_.block->chunks().Read(chunk.ref);
      if (!view.ok()) {
        status = view.status();
        break;
      }
      inputs.push_back({.encoding = view->encoding, .bytes = view->bytes});
      any_deleted = any_deleted || OverlapsRange(deleted_, {chunk.min_ms, chunk.max_ms});
    }
    // What lies before a damaged chunk is given beside the error.
    const size_t before = out->size();
    const Status decoded = DecodeChunks(inputs, range_, options_, out);
    if (any_deleted) RemoveDeleted(deleted_, before, out);
    return decoded.ok() ? status : decoded;
  }

 private:
  const BlockView& view_;
  Labels labels_;
  std::vector<ChunkMeta> chunks_;
  std::span<const TimeRange> deleted_;
  TimeRange range_;
  DecodeOptions options_;
};

class BlockSeriesSet : public SeriesSet {
 public:
  BlockSeriesSet(const BlockView& view, std::vector<uint32_t> refs, TimeRange range,
                 const SelectHints& hints)
      : view_(view), refs_(std::move(refs)), range_(range), limit_(hints.limit) {
    options_.histogram_stats = hints.histogram_stats;
  }

  std::unique_ptr<Series> Next() override {
    while (status_.ok() && next_ < refs_.size()) {
      if (limit_ != 0 && given_ == limit_) return nullptr;
      const uint32_t ref = refs_[next_++];
      std::vector<ChunkMeta> chunks;
      status_ = view_.block->index().ReadSeries(ref, &labels_, &chunks);
      if (!status_.ok()) return nullptr;
      const std::span<const TimeRange> deleted = view_.tombstones->Of(ref);
      std::erase_if(chunks, [&](const ChunkMeta& chunk) {
        return chunk.max_ms < range_.start_ms || chunk.min_ms > range_.end_ms ||
               CoversRange(deleted, {chunk.min_ms, chunk.max_ms});
      });
      if (chunks.empty()) continue;
      ++given_;
      return std::make_unique<BlockSeries>(view_, Labels::FromSorted(labels_), std::move(chunks),
                                           deleted, range_, options_);
    }
    return nullptr;
  }
  Status status() const override { return status_; }

 private:
  const BlockView& view_;
  std::vector<uint32_t> refs_;
  size_t next_ = 0;
  TimeRange range_;
  DecodeOptions options_;
  size_t limit_;
  size_t given_ = 0;
  std::vector<LabelView> labels_;
  Status status_;
};

class BlockQuerier : public storage::Querier {
 public:
  BlockQuerier(std::shared_ptr<const Block> block, TimeRange range) : range_(range) {
    view_.tombstones = block->tombstones();
    view_.block = std::move(block);
  }

  // References of a block ascend in label order, so every order is sorted.
  Result<std::unique_ptr<SeriesSet>> Select(SeriesOrder, const SelectHints& hints,
                                            std::span<const Matcher> matchers) override {
    const TimeRange range = {std::max(range_.start_ms, hints.start_ms),
                             std::min(range_.end_ms, hints.end_ms)};
    NARTHEX_TRY(std::vector<uint32_t> refs, PostingsForMatchers(index(), matchers));
    return std::unique_ptr<SeriesSet>(
        std::make_unique<BlockSeriesSet>(view_, std::move(refs), range, hints));
  }

  Result<std::vector<std::string>> LabelValues(std::string_view name, const LabelQueryHints& hints,
                                               std::span<const Matcher> matchers) override;
  Result<std::vector<std::string>> LabelNames(const LabelQueryHints& hints,
                                              std::span<const Matcher> matchers) override;

 private:
  const IndexReader& index() const { return view_.block->index(); }

  BlockView view_;
  TimeRange range_;
};

// Below this many series the labels are read; above, the lists of all values are looked through.
constexpr size_t kReadLabelsBelow = 8;

Result<std::vector<std::string>> BlockQuerier::LabelValues(std::string_view name,
                                                           const LabelQueryHints& hints,
                                                           std::span<const Matcher> matchers) {
  std::vector<std::string> values;
  const auto is_full = [&] { return hints.limit != 0 && values.size() >= hints.limit; };
  if (matchers.empty()) {
    index().ForEachValue(name, [&](std::string_view value, uint64_t) {
      values.emplace_back(value);
      return !is_full();
    });
    return values;
  }
  NARTHEX_TRY(const std::vector<uint32_t> refs, PostingsForMatchers(index(), matchers));
  const size_t count = index().LabelValueCount(name);
  if (refs.size() / kReadLabelsBelow < count) {
    std::set<std::string_view> found;
    for (const uint32_t ref : refs) {
      NARTHEX_TRY(const std::string_view value, index().LabelValueOf(ref, name));
      if (!value.empty()) found.insert(value);
    }
    for (const std::string_view value : found) {
      if (is_full()) break;
      values.emplace_back(value);
    }
    return values;
  }
  Status status;
  index().ForEachValue(name, [&](std::string_view value, uint64_t offset) {
    const auto list = index().ListAt(offset);
    if (!list.ok()) {
      status = list.status();
      return false;
    }
    if (Intersects(*list, refs)) values.emplace_back(value);
    return !is_full();
  });
  if (!status.ok()) return status;
  return values;
}

Result<std::vector<std::string>> BlockQuerier::LabelNames(const LabelQueryHints& hints,
                                                          std::span<const Matcher> matchers) {
  std::vector<std::string> names;
  if (matchers.empty()) {
    for (const std::string_view name : index().LabelNames()) names.emplace_back(name);
  } else {
    NARTHEX_TRY(const std::vector<uint32_t> refs, PostingsForMatchers(index(), matchers));
    std::set<std::string_view> found;
    std::vector<LabelView> labels;
    for (const uint32_t ref : refs) {
      NARTHEX_RETURN_IF_ERROR(index().ReadSeries(ref, &labels, nullptr));
      for (const LabelView& label : labels) found.insert(label.name);
    }
    names.assign(found.begin(), found.end());
  }
  if (hints.limit != 0 && names.size() > hints.limit) names.resize(hints.limit);
  return names;
}

}  // namespace

std::unique_ptr<storage::Querier> NewBlockQuerier(std::shared_ptr<const Block> block,
                                                  TimeRange range) {
  return std::make_unique<BlockQuerier>(std::move(block), range);
}

}  // namespace narthex::tsdb
