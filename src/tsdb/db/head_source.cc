#include "tsdb/db/head_source.h"

#include <utility>
#include <vector>

namespace narthex::tsdb {
namespace {

class HeadIterator : public SourceSeriesIterator {
 public:
  // `late_until` 0: samples in order; otherwise late chunks up to that reference.
  HeadIterator(const Head* head, const Head::SortedSeries* sorted, uint64_t late_until,
               TimeRange range)
      : head_(head), sorted_(sorted), late_until_(late_until), range_(range) {}

  bool Next() override {
    while (status_.ok() && next_ < sorted_->series.size()) {
      const Head::SortedSeries::Entry& entry = sorted_->series[next_++];
      status_ = late_until_ == 0 ? head_->ReadRange(entry, range_, &series_)
                                 : head_->ReadLateRange(entry, range_, late_until_, &series_);
      if (status_.ok()) status_ = Cut();
      if (status_.ok() && !chunks_.empty()) return true;
    }
    return false;
  }
  const Labels& labels() const override { return series_.labels; }
  std::span<const SourceChunk> chunks() const override { return chunks_; }
  Status status() const override { return status_; }

 private:
  // Leaves of the chunks what lies in the range and is not deleted.
  Status Cut() {
    chunks_.clear();
    if (series_.chunks.empty()) return {};
    std::vector<TimeRange> deleted;
    for (const auto& [from, to] : series_.deleted) deleted.push_back({from, to});
    for (EncodedChunk& chunk : series_.chunks) {
      const SourceChunk whole{chunk.min_ms, chunk.max_ms, chunk.encoding, chunk.bytes};
      const bool inside = chunk.min_ms >= range_.start_ms && chunk.max_ms <= range_.end_ms;
      if (!inside || OverlapsRange(deleted, {chunk.min_ms, chunk.max_ms})) {
        NARTHEX_TRY(EncodedChunk cut, TrimChunk(whole, range_, deleted));
        if (cut.bytes.empty()) continue;
        chunk = std::move(cut);
      }
      chunks_.push_back({chunk.min_ms, chunk.max_ms, chunk.encoding, chunk.bytes});
    }
    return {};
  }

  const Head* head_;
  const Head::SortedSeries* sorted_;
  uint64_t late_until_;
  TimeRange range_;
  size_t next_ = 0;
  Head::RangeSeries series_;
  std::vector<SourceChunk> chunks_;
  Status status_;
};

class HeadSource : public BlockSource {
 public:
  HeadSource(const Head* head, uint64_t late_until, const Head::SortedSeries& sorted)
      : head_(head), late_until_(late_until), sorted_(sorted) {}
  HeadSource(const Head* head, uint64_t late_until, Head::SortedSeries&& sorted)
      : head_(head), late_until_(late_until), own_(std::move(sorted)), sorted_(own_) {}

  Status ForEachSymbol(const std::function<Status(std::string_view)>& visit) override {
    // The empty text stands in every block of the head: upstream's key of all series.
    NARTHEX_RETURN_IF_ERROR(visit(""));
    for (const SlabRef text : sorted_.texts) NARTHEX_RETURN_IF_ERROR(visit(head_->TextOf(text)));
    return {};
  }
  std::unique_ptr<SourceSeriesIterator> Series(TimeRange range) override {
    return std::make_unique<HeadIterator>(head_, &sorted_, late_until_, range);
  }

 private:
  const Head* head_;
  uint64_t late_until_;
  const Head::SortedSeries own_;
  const Head::SortedSeries& sorted_;
};

}  // namespace

std::unique_ptr<BlockSource> NewHeadSource(const Head* head) {
  return std::make_unique<HeadSource>(head, 0, head->SortSeries(Head::Which::kAll));
}

std::unique_ptr<BlockSource> NewLateSource(const Head* head, const Head::LateSnapshot& snapshot) {
  return std::make_unique<HeadSource>(head, snapshot.last_chunk,
                                      head->SortSeries(Head::Which::kLate));
}

std::unique_ptr<BlockSource> NewSelectedSource(const Head* head,
                                               const Head::SortedSeries& selected) {
  return std::make_unique<HeadSource>(head, 0, selected);
}

}  // namespace narthex::tsdb
