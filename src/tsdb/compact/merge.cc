#include "tsdb/compact/merge.h"

#include <algorithm>

namespace narthex::tsdb {

void ChunkRewriter::Close() {
  if (samples_ == 0) return;
  EncodedChunk chunk{min_ms_, max_ms_, ChunkEncoding::kNone, {}};
  if (float_chunk_ != nullptr) {
    chunk.encoding = float_chunk_->encoding();
    chunk.bytes = float_chunk_->Bytes();
  } else if (histogram_chunk_ != nullptr) {
    chunk.encoding = histogram_chunk_->encoding();
    chunk.bytes = histogram_chunk_->bytes();
  } else {
    chunk.encoding = float_histogram_chunk_->encoding();
    chunk.bytes = float_histogram_chunk_->bytes();
  }
  done_.push_back(std::move(chunk));
  float_chunk_.reset();
  histogram_chunk_.reset();
  float_histogram_chunk_.reset();
  samples_ = 0;
}

template <typename H>
Status ChunkRewriter::AddHistogram(std::unique_ptr<HistogramChunkAppender<H>>& open,
                                   const AnySample& sample, const H& histogram,
                                   ChunkEncoding wanted) {
  if (samples_ > 0 && open->encoding() != wanted) Close();
  if (samples_ == 0) open = std::make_unique<HistogramChunkAppender<H>>(wanted);
  NARTHEX_TRY(auto outcome, open->Append(nullptr, sample.start_ms, sample.timestamp_ms, histogram));
  if (outcome.kind == HistogramAppendKind::kNewChunk) {
    Close();
    open = std::move(outcome.next);
  }
  return {};
}

Status ChunkRewriter::Add(const AnySample& sample) {
  const bool has_start = sample.start_ms != 0;
  if (sample.kind != kind_ || samples_ >= kRewrittenChunkSamplesMax) Close();
  kind_ = sample.kind;
  switch (sample.kind) {
    case ValueKind::kFloat: {
      // XOR and XOR2 go on in one chunk, but XOR has no place for a start timestamp.
      if (samples_ > 0 && has_start && float_chunk_->encoding() == ChunkEncoding::kXor) Close();
      if (samples_ == 0) {
        float_chunk_ =
            std::make_unique<FloatChunkEncoder>(has_start ? ChunkEncoding::kXor2 : floats_);
      }
      float_chunk_->Append(sample.start_ms, sample.timestamp_ms, sample.value);
      break;
    }
    case ValueKind::kHistogram:
      NARTHEX_RETURN_IF_ERROR(AddHistogram(histogram_chunk_, sample, sample.histogram,
                                           EncodingFor(sample.kind, has_start)));
      break;
    case ValueKind::kFloatHistogram:
      NARTHEX_RETURN_IF_ERROR(AddHistogram(float_histogram_chunk_, sample, sample.float_histogram,
                                           EncodingFor(sample.kind, has_start)));
      break;
    case ValueKind::kNone: return MakeError(ErrorCode::kInternal, "sample without a value");
  }
  if (samples_ == 0) min_ms_ = sample.timestamp_ms;
  max_ms_ = sample.timestamp_ms;
  ++samples_;
  return {};
}

std::vector<EncodedChunk> ChunkRewriter::Finish() {
  Close();
  kind_ = ValueKind::kNone;
  return std::exchange(done_, {});
}

namespace {

// Samples of one chunk with the next one at hand.
struct Cursor {
  ChunkSampleReader reader;
  AnySample sample;
  bool has_sample;

  explicit Cursor(const SourceChunk& chunk) : reader(chunk.encoding, chunk.bytes) { Advance(); }
  void Advance() { has_sample = reader.Next(&sample); }
};

// After a change of source nothing is known about resets.
void ForgetHint(AnySample& sample) {
  const auto forget = [](CounterResetHint& hint) {
    if (hint != CounterResetHint::kGauge) hint = CounterResetHint::kUnknown;
  };
  forget(sample.histogram.counter_reset_hint);
  forget(sample.float_histogram.counter_reset_hint);
}

}  // namespace

Status ChunkMerger::MergeGroup(std::span<const SourceChunk> group) {
  std::vector<Cursor> cursors;
  cursors.reserve(group.size());
  for (const SourceChunk& chunk : group) cursors.emplace_back(chunk);
  const Cursor* last = nullptr;
  for (;;) {
    Cursor* first = nullptr;
    for (Cursor& cursor : cursors) {
      NARTHEX_RETURN_IF_ERROR(cursor.reader.status());
      if (cursor.has_sample &&
          (first == nullptr || cursor.sample.timestamp_ms < first->sample.timestamp_ms)) {
        first = &cursor;
      }
    }
    if (first == nullptr) break;
    if (first != last) ForgetHint(first->sample);
    NARTHEX_RETURN_IF_ERROR(rewriter_.Add(first->sample));
    const int64_t t = first->sample.timestamp_ms;
    last = first;
    for (Cursor& cursor : cursors) {
      while (cursor.has_sample && cursor.sample.timestamp_ms <= t) {
        if (&cursor != first && last == first) last = nullptr;
        cursor.Advance();
      }
    }
  }
  for (EncodedChunk& chunk : rewriter_.Finish()) {
    const EncodedChunk& stored = encoded_.emplace_back(std::move(chunk));
    merged_.push_back({stored.min_ms, stored.max_ms, stored.encoding, stored.bytes});
  }
  return {};
}

Result<std::span<const SourceChunk>> ChunkMerger::Merge(std::vector<SourceChunk> chunks) {
  merged_.clear();
  encoded_.clear();
  std::ranges::stable_sort(chunks, [](const SourceChunk& a, const SourceChunk& b) {
    return a.min_ms != b.min_ms ? a.min_ms < b.min_ms : a.max_ms < b.max_ms;
  });
  std::vector<SourceChunk> group;
  for (size_t i = 0; i < chunks.size();) {
    group.assign(1, chunks[i]);
    int64_t end_ms = chunks[i].max_ms;
    for (++i; i < chunks.size() && chunks[i].min_ms <= end_ms; ++i) {
      const SourceChunk& before = group.back();
      const bool is_copy = chunks[i].min_ms == before.min_ms && chunks[i].max_ms == before.max_ms &&
                           chunks[i].bytes == before.bytes;
      if (is_copy) continue;
      group.push_back(chunks[i]);
      end_ms = std::max(end_ms, chunks[i].max_ms);
    }
    if (group.size() == 1) {
      merged_.push_back(group.front());
    } else {
      NARTHEX_RETURN_IF_ERROR(MergeGroup(group));
    }
  }
  return std::span<const SourceChunk>(merged_);
}

}  // namespace narthex::tsdb
