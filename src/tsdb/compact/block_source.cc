#include "tsdb/compact/block_source.h"

#include <algorithm>
#include <deque>
#include <set>

#include "tsdb/chunks/sample_reader.h"

namespace narthex::tsdb {
namespace {

bool IsWanted(const AnySample& sample, TimeRange range, std::span<const TimeRange> deleted) {
  return sample.timestamp_ms >= range.start_ms && sample.timestamp_ms <= range.end_ms &&
         !ContainsTime(deleted, sample.timestamp_ms);
}

template <typename H>
Result<EncodedChunk> TrimHistograms(const SourceChunk& chunk, TimeRange range,
                                    std::span<const TimeRange> deleted) {
  EncodedChunk trimmed{0, 0, chunk.encoding, {}};
  ChunkSampleReader reader(chunk.encoding, chunk.bytes);
  HistogramChunkAppender<H> appender(chunk.encoding);
  AnySample sample;
  while (reader.Next(&sample)) {
    if (!IsWanted(sample, range, deleted)) continue;
    const H* histogram;
    if constexpr (std::is_same_v<H, Histogram>) {
      histogram = &sample.histogram;
    } else {
      histogram = &sample.float_histogram;
    }
    auto outcome = appender.Append(nullptr, sample.start_ms, sample.timestamp_ms, *histogram,
                                   AppendMode::kAppendOnly);
    if (!outcome.ok()) return outcome.status().WithPrefix("iterate chunk while re-encoding: ");
    if (appender.sample_count() == 1) trimmed.min_ms = sample.timestamp_ms;
    trimmed.max_ms = sample.timestamp_ms;
  }
  NARTHEX_RETURN_IF_ERROR(reader.status());
  if (appender.sample_count() > 0) trimmed.bytes = appender.bytes();
  return trimmed;
}

Result<EncodedChunk> TrimFloats(const SourceChunk& chunk, TimeRange range,
                                std::span<const TimeRange> deleted) {
  EncodedChunk trimmed{0, 0, chunk.encoding, {}};
  ChunkSampleReader reader(chunk.encoding, chunk.bytes);
  FloatChunkEncoder encoder(chunk.encoding);
  AnySample sample;
  while (reader.Next(&sample)) {
    if (!IsWanted(sample, range, deleted)) continue;
    if (encoder.sample_count() == 0) trimmed.min_ms = sample.timestamp_ms;
    trimmed.max_ms = sample.timestamp_ms;
    encoder.Append(sample.start_ms, sample.timestamp_ms, sample.value);
  }
  NARTHEX_RETURN_IF_ERROR(reader.status());
  if (encoder.sample_count() > 0) trimmed.bytes = encoder.Bytes();
  return trimmed;
}

// Gives the chunks of one series cut to a range, keeping the memory of those it had to encode.
class ChunkCutter {
 public:
  Status Cut(std::span<const SourceChunk> chunks, TimeRange range,
             std::span<const TimeRange> deleted) {
    kept_.clear();
    encoded_.clear();
    for (const SourceChunk& chunk : chunks) {
      const TimeRange span = {chunk.min_ms, chunk.max_ms};
      if (chunk.max_ms < range.start_ms || chunk.min_ms > range.end_ms ||
          CoversRange(deleted, span)) {
        continue;
      }
      if (chunk.min_ms >= range.start_ms && chunk.max_ms <= range.end_ms &&
          !OverlapsRange(deleted, span)) {
        kept_.push_back(chunk);
        continue;
      }
      NARTHEX_TRY(EncodedChunk trimmed, TrimChunk(chunk, range, deleted));
      if (trimmed.bytes.empty()) continue;
      const EncodedChunk& stored = encoded_.emplace_back(std::move(trimmed));
      kept_.push_back({stored.min_ms, stored.max_ms, stored.encoding, stored.bytes});
    }
    return {};
  }
  std::span<const SourceChunk> chunks() const { return kept_; }

 private:
  std::vector<SourceChunk> kept_;
  std::deque<EncodedChunk> encoded_;  // Stays put while kept_ looks into it.
};

class BlockIterator : public SourceSeriesIterator {
 public:
  BlockIterator(std::shared_ptr<const Block> block, TimeRange range)
      : block_(std::move(block)), tombstones_(block_->tombstones()), range_(range) {
    auto all = block_->index().AllPostings();
    if (all.ok()) {
      all_ = *all;
    } else {
      status_ = all.status();
    }
  }

  bool Next() override {
    while (status_.ok() && next_ < all_.size()) {
      const uint32_t ref = all_[next_++];
      status_ = Load(ref);
      if (status_.ok() && !cutter_.chunks().empty()) return true;
    }
    return false;
  }
  const Labels& labels() const override { return labels_; }
  std::span<const SourceChunk> chunks() const override { return cutter_.chunks(); }
  Status status() const override { return status_; }

 private:
  Status Load(uint32_t ref) {
    NARTHEX_RETURN_IF_ERROR(block_->index().ReadSeries(ref, &views_, &metas_));
    stored_.clear();
    for (const ChunkMeta& meta : metas_) {
      auto chunk = block_->chunks().Read(meta.ref);
      if (!chunk.ok()) return chunk.status().WithPrefix(block_->directory() + ": ");
      stored_.push_back({meta.min_ms, meta.max_ms, chunk->encoding, chunk->bytes});
    }
    NARTHEX_RETURN_IF_ERROR(cutter_.Cut(stored_, range_, tombstones_->Of(ref)));
    if (!cutter_.chunks().empty()) labels_ = Labels::FromSorted(views_);
    return {};
  }

  std::shared_ptr<const Block> block_;
  std::shared_ptr<const Tombstones> tombstones_;
  TimeRange range_;
  BigEndianPostings all_;
  size_t next_ = 0;
  std::vector<LabelView> views_;
  std::vector<ChunkMeta> metas_;
  std::vector<SourceChunk> stored_;
  ChunkCutter cutter_;
  Labels labels_;
  Status status_;
};

class BlockAsSource : public BlockSource {
 public:
  explicit BlockAsSource(std::shared_ptr<const Block> block) : block_(std::move(block)) {}
  Status ForEachSymbol(const std::function<Status(std::string_view)>& visit) override {
    return block_->index().ForEachSymbol(visit);
  }
  std::unique_ptr<SourceSeriesIterator> Series(TimeRange range) override {
    return std::make_unique<BlockIterator>(block_, range);
  }

 private:
  std::shared_ptr<const Block> block_;
};

class MemoryIterator : public SourceSeriesIterator {
 public:
  MemoryIterator(const std::vector<MemorySeries>& series, TimeRange range)
      : series_(series), range_(range) {}
  bool Next() override {
    while (status_.ok() && next_ < series_.size()) {
      current_ = &series_[next_++];
      stored_.clear();
      for (const EncodedChunk& chunk : current_->chunks) {
        stored_.push_back({chunk.min_ms, chunk.max_ms, chunk.encoding, chunk.bytes});
      }
      status_ = cutter_.Cut(stored_, range_, {});
      if (status_.ok() && !cutter_.chunks().empty()) return true;
    }
    return false;
  }
  const Labels& labels() const override { return current_->labels; }
  std::span<const SourceChunk> chunks() const override { return cutter_.chunks(); }
  Status status() const override { return status_; }

 private:
  const std::vector<MemorySeries>& series_;
  TimeRange range_;
  size_t next_ = 0;
  const MemorySeries* current_ = nullptr;
  std::vector<SourceChunk> stored_;
  ChunkCutter cutter_;
  Status status_;
};

class MemorySource : public BlockSource {
 public:
  explicit MemorySource(std::vector<MemorySeries> series) : series_(std::move(series)) {}
  Status ForEachSymbol(const std::function<Status(std::string_view)>& visit) override {
    // A head's symbols include the empty one, of the list of all series.
    std::set<std::string_view> symbols = {""};
    for (const MemorySeries& series : series_) {
      for (const LabelView& label : series.labels) {
        symbols.insert(label.name);
        symbols.insert(label.value);
      }
    }
    for (const std::string_view symbol : symbols) NARTHEX_RETURN_IF_ERROR(visit(symbol));
    return {};
  }
  std::unique_ptr<SourceSeriesIterator> Series(TimeRange range) override {
    return std::make_unique<MemoryIterator>(series_, range);
  }

 private:
  std::vector<MemorySeries> series_;
};

}  // namespace

Result<EncodedChunk> TrimChunk(const SourceChunk& chunk, TimeRange range,
                               std::span<const TimeRange> deleted) {
  switch (KindOf(chunk.encoding)) {
    case ValueKind::kFloat: return TrimFloats(chunk, range, deleted);
    case ValueKind::kHistogram: return TrimHistograms<Histogram>(chunk, range, deleted);
    case ValueKind::kFloatHistogram: return TrimHistograms<FloatHistogram>(chunk, range, deleted);
    case ValueKind::kNone: break;
  }
  return InvalidEncodingError(chunk.encoding);
}

std::unique_ptr<BlockSource> NewBlockSource(std::shared_ptr<const Block> block) {
  return std::make_unique<BlockAsSource>(std::move(block));
}

std::unique_ptr<BlockSource> NewMemorySource(std::vector<MemorySeries> series) {
  return std::make_unique<MemorySource>(std::move(series));
}

}  // namespace narthex::tsdb
