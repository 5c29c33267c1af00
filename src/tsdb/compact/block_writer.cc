#include "tsdb/compact/block_writer.h"

#include <algorithm>

#include "tsdb/block/tombstones.h"
#include "tsdb/compact/merge.h"
#include "tsdb/index/index_writer.h"

namespace narthex::tsdb {
namespace {

// Symbols of all sources, each once. Sources give theirs by calling back, so all but the first are
// collected before the merge.
Status WriteSymbols(std::span<BlockSource* const> sources, IndexWriter& index) {
  std::vector<std::string> merged;
  for (BlockSource* source : sources) {
    if (sources.size() == 1) {
      return source->ForEachSymbol(
          [&](std::string_view symbol) { return index.AddSymbol(symbol); });
    }
    std::vector<std::string> both;
    both.reserve(merged.size());
    size_t next = 0;
    NARTHEX_RETURN_IF_ERROR(source->ForEachSymbol([&](std::string_view symbol) {
      while (next < merged.size() && merged[next] < symbol) {
        both.push_back(std::move(merged[next++]));
      }
      if (next < merged.size() && merged[next] == symbol) ++next;
      both.emplace_back(symbol);
      return Status();
    }));
    while (next < merged.size()) both.push_back(std::move(merged[next++]));
    merged = std::move(both);
  }
  for (const std::string& symbol : merged) NARTHEX_RETURN_IF_ERROR(index.AddSymbol(symbol));
  return {};
}

void CountChunk(const SourceChunk& chunk, BlockStats* stats, ChunkDistributions* distributions) {
  const uint32_t samples = ChunkSampleCount(chunk.encoding, chunk.bytes);
  if (distributions != nullptr) {
    distributions->size_bytes.Observe(static_cast<double>(chunk.bytes.size()));
    distributions->samples.Observe(samples);
    distributions->range_ms.Observe(static_cast<double>(chunk.max_ms - chunk.min_ms));
  }
  stats->samples += samples;
  ++stats->chunks;
  if (KindOf(chunk.encoding) == ValueKind::kFloat) {
    stats->float_samples += samples;
  } else {
    stats->histogram_samples += samples;
  }
}

class Populator {
 public:
  Populator(IndexWriter& index, ChunkSegmentWriter& chunks, const BlockWriteOptions& options,
            BlockMeta* meta)
      : index_(index),
        chunks_(chunks),
        options_(options),
        meta_(*meta),
        merger_(options.float_encoding) {}

  Status Run(std::span<BlockSource* const> sources, TimeRange range) {
    std::vector<std::unique_ptr<SourceSeriesIterator>> open;
    for (BlockSource* source : sources) {
      auto iterator = source->Series(range);
      if (iterator->Next()) {
        open.push_back(std::move(iterator));
      } else {
        NARTHEX_RETURN_IF_ERROR(iterator->status());
      }
    }
    while (!open.empty()) {
      if (options_.stop.stop_requested()) {
        return MakeError(ErrorCode::kCanceled, "context canceled");
      }
      // Few sources: a scan finds the least labels faster than a heap would.
      const Labels* least = &open[0]->labels();
      for (size_t i = 1; i < open.size(); ++i) {
        if (open[i]->labels() < *least) least = &open[i]->labels();
      }
      same_.clear();
      for (const auto& iterator : open) {
        if (iterator->labels() == *least) same_.push_back(iterator.get());
      }
      NARTHEX_RETURN_IF_ERROR(WriteSeries(*least));
      for (SourceSeriesIterator* iterator : same_) {
        if (iterator->Next()) continue;
        NARTHEX_RETURN_IF_ERROR(iterator->status());
        std::erase_if(open, [&](const auto& o) { return o.get() == iterator; });
      }
    }
    return {};
  }

 private:
  Status WriteSeries(const Labels& labels) {
    std::span<const SourceChunk> chunks = same_[0]->chunks();
    if (same_.size() > 1 || Overlap(chunks)) {
      std::vector<SourceChunk> all;
      for (const SourceSeriesIterator* iterator : same_) {
        all.insert(all.end(), iterator->chunks().begin(), iterator->chunks().end());
      }
      NARTHEX_TRY(chunks, merger_.Merge(std::move(all)));
    }
    if (chunks.empty()) return {};
    views_.clear();
    for (const SourceChunk& chunk : chunks) {
      views_.push_back({chunk.encoding, chunk.bytes});
      CountChunk(chunk, &meta_.stats, meta_.compaction.level == 1 ? options_.chunks : nullptr);
    }
    NARTHEX_RETURN_IF_ERROR(chunks_.Write(views_, &refs_));
    metas_.clear();
    for (size_t i = 0; i < chunks.size(); ++i) {
      metas_.push_back({chunks[i].min_ms, chunks[i].max_ms, refs_[i]});
    }
    NARTHEX_RETURN_IF_ERROR(index_.AddSeries(labels, metas_));
    ++meta_.stats.series;
    return {};
  }

  static bool Overlap(std::span<const SourceChunk> chunks) {
    for (size_t i = 1; i < chunks.size(); ++i) {
      if (chunks[i].min_ms <= chunks[i - 1].max_ms) return true;
    }
    return false;
  }

  IndexWriter& index_;
  ChunkSegmentWriter& chunks_;
  const BlockWriteOptions& options_;
  BlockMeta& meta_;
  ChunkMerger merger_;
  std::vector<SourceSeriesIterator*> same_;
  std::vector<ChunkView> views_;
  std::vector<uint64_t> refs_;
  std::vector<ChunkMeta> metas_;
};

Status WriteInto(FileSystem& files, const std::string& temporary,
                 std::span<BlockSource* const> sources, const BlockWriteOptions& options,
                 BlockMeta* meta) {
  NARTHEX_RETURN_IF_ERROR(files.RemoveAll(temporary));
  NARTHEX_RETURN_IF_ERROR(files.CreateDirectories(temporary));
  NARTHEX_TRY(auto chunks, ChunkSegmentWriter::Open(files, JoinPath(temporary, "chunks"),
                                                    options.segment_bytes));
  NARTHEX_TRY(auto index, IndexWriter::Create(files, JoinPath(temporary, "index")));
  NARTHEX_RETURN_IF_ERROR(WriteSymbols(sources, *index));
  Populator populator(*index, *chunks, options, meta);
  NARTHEX_RETURN_IF_ERROR(
      populator.Run(sources, {meta->min_ms, meta->max_ms - 1}).WithPrefix("populate block: "));
  NARTHEX_RETURN_IF_ERROR(chunks->Close());
  NARTHEX_RETURN_IF_ERROR(index->Finish());
  if (meta->stats.samples == 0) return {};
  NARTHEX_RETURN_IF_ERROR(WriteBlockMeta(files, temporary, *meta));
  NARTHEX_RETURN_IF_ERROR(WriteTombstones(files, temporary, Tombstones()));
  return files.SyncDirectory(temporary);
}

}  // namespace

Status WriteBlock(FileSystem& files, const std::string& directory,
                  std::span<BlockSource* const> sources, const BlockWriteOptions& options,
                  BlockMeta* meta) {
  const std::string final_path = JoinPath(directory, meta->ulid.ToString());
  const std::string temporary = final_path + std::string(kBlockCreationSuffix);
  meta->stats = {};
  Status status = WriteInto(files, temporary, sources, options, meta);
  if (status.ok() && meta->stats.samples > 0) {
    status = files.Rename(temporary, final_path);
    if (status.ok()) {
      status = files.SyncDirectory(directory);
      if (status.ok()) return {};
      // A block whose name may be gone tomorrow is not one. Back in one step, so that no half of it
      // is ever seen.
      NARTHEX_RETURN_IF_ERROR(files.Rename(final_path, temporary));
    }
  }
  Status removed = files.RemoveAll(temporary);
  return status.ok() ? removed : status;
}

BlockMeta NewHeadBlockMeta(int64_t min_ms, int64_t max_ms, int64_t now_ms, std::string_view hint) {
  BlockMeta meta;
  meta.ulid = Ulid::Generate(now_ms);
  meta.min_ms = min_ms;
  meta.max_ms = max_ms;
  meta.compaction.level = 1;
  meta.compaction.sources = {meta.ulid};
  if (!hint.empty()) {
    meta.compaction.AddHint(hint);
    meta.compaction.parents.emplace_back();
  }
  return meta;
}

}  // namespace narthex::tsdb
