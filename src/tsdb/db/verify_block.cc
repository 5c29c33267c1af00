// One block: does its index hold together, is every chunk where it says and what it says, are the
// counts of meta.json true?
#include <fmt/format.h>

#include <optional>
#include <string_view>
#include <vector>

#include "tsdb/block/block.h"
#include "tsdb/block/tombstones.h"
#include "tsdb/chunks/segment_files.h"
#include "tsdb/db/verify_internal.h"
#include "tsdb/index/index_reader.h"

namespace narthex::tsdb {
namespace {

constexpr TimeRange kAllTime{INT64_MIN, INT64_MAX};

class BlockVerifier {
 public:
  BlockVerifier(const BlockMeta& meta, const IndexReader& index, const ChunkSegmentReader& chunks,
                Findings& findings)
      : meta_(meta), index_(index), chunks_(chunks), findings_(findings) {}

  void Run() {
    VerifySymbols();
    const Result<BigEndianPostings> all = index_.AllPostings();
    if (!all.ok()) return findings_.Error("postings of all series: " + all.status().message());
    all_ = *all;
    for (size_t i = 0; i < all_.size(); ++i) {
      if (i > 0 && all_[i] <= all_[i - 1]) {
        findings_.Error(fmt::format("postings of all series are not ascending at {}", i));
      }
      VerifySeries(all_[i]);
    }
    VerifyPostings();
  }
  const BlockStats& counted() const { return counted_; }
  bool Knows(uint64_t ref) const { return Contains(ref); }

 private:
  void VerifySymbols() {
    std::optional<std::string_view> before;
    static_cast<void>(index_
                          .ForEachSymbol([&](std::string_view symbol) -> Status {
                            if (before.has_value() && symbol <= *before) {
                              findings_.Error(
                                  fmt::format("symbols are not ascending at {:?}", symbol));
                            }
                            before = symbol;
                            return {};
                          })
                          .ok());
  }

  void VerifySeries(uint32_t ref) {
    if (const Status status = index_.ReadSeries(ref, &labels_, &metas_); !status.ok()) {
      return findings_.Error(fmt::format("series {}: {}", ref, status.message()));
    }
    const std::string name = fmt::format("series {}", ref);
    for (size_t i = 1; i < labels_.size(); ++i) {
      if (labels_[i].name <= labels_[i - 1].name) {
        findings_.Error(name + ": its labels are not sorted");
        return;
      }
    }
    pairs_ += labels_.size();
    const Labels labels = Labels::FromSorted(labels_);
    if (counted_.series > 0 && !(last_labels_ < labels)) {
      findings_.Error(
          fmt::format("{} {}: series are not in order of their labels", name, labels.ToString()));
    }
    last_labels_ = labels;
    ++counted_.series;
    if (metas_.empty()) findings_.Warning(name + ": it has no chunk");
    for (size_t i = 0; i < metas_.size(); ++i) {
      const ChunkMeta& chunk = metas_[i];
      if (i > 0 && chunk.min_ms <= metas_[i - 1].max_ms) {
        findings_.Error(fmt::format("{}: chunk minT {} is not higher than previous chunk maxT {}",
                                    name, chunk.min_ms, metas_[i - 1].max_ms));
      }
      VerifyChunk(name, chunk);
    }
  }

  void VerifyChunk(const std::string& name, const ChunkMeta& chunk) {
    const Result<ChunkView> view = chunks_.Read(chunk.ref);
    if (!view.ok()) {
      return findings_.Error(
          fmt::format("{}: chunk {:#x}: {}", name, chunk.ref, view.status().message()));
    }
    ++counted_.chunks;
    storage::SampleColumns columns;
    const Status decoded = DecodeChunk(view->encoding, view->bytes, kAllTime, {}, &columns);
    if (!decoded.ok() || columns.size() == 0) {
      return findings_.Error(fmt::format("{}: chunk {:#x}: {}", name, chunk.ref,
                                         decoded.ok() ? "no samples" : decoded.message()));
    }
    counted_.samples += columns.size();
    (KindOf(view->encoding) == ValueKind::kFloat ? counted_.float_samples
                                                 : counted_.histogram_samples) += columns.size();
    const std::vector<int64_t>& times = columns.timestamps_ms;
    for (size_t i = 1; i < times.size(); ++i) {
      if (times[i] <= times[i - 1]) {
        findings_.Error(fmt::format("{}: chunk {:#x}: times are not ascending", name, chunk.ref));
        break;
      }
    }
    if (times.front() != chunk.min_ms || times.back() != chunk.max_ms) {
      findings_.Error(fmt::format("{}: chunk {:#x} holds [{}, {}], the index says [{}, {}]", name,
                                  chunk.ref, times.front(), times.back(), chunk.min_ms,
                                  chunk.max_ms));
    }
    if (chunk.min_ms < meta_.min_ms || chunk.max_ms >= meta_.max_ms) {
      findings_.Error(fmt::format("{}: chunk {:#x} of [{}, {}] is outside the block's [{}, {})",
                                  name, chunk.ref, chunk.min_ms, chunk.max_ms, meta_.min_ms,
                                  meta_.max_ms));
    }
  }

  bool Contains(uint64_t ref) const {
    size_t low = 0;
    size_t high = all_.size();
    while (low < high) {
      const size_t middle = (low + high) / 2;
      if (all_[middle] < ref) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low < all_.size() && all_[low] == ref;
  }

  void VerifyPostings() {
    uint64_t listed = 0;
    for (const std::string_view name : index_.LabelNames()) {
      std::optional<std::string_view> before;
      index_.ForEachValue(name, [&](std::string_view value, uint64_t offset) {
        if (index_.version() != 1 && before.has_value() && value <= *before) {
          findings_.Error(fmt::format("values of {} are not ascending at {:?}", name, value));
        }
        before = value;
        listed += VerifyList(name, value, offset);
        return true;
      });
    }
    if (listed != pairs_) {
      findings_.Error(fmt::format("postings name {} pairs of label and series, the series have {}",
                                  listed, pairs_));
    }
  }

  uint64_t VerifyList(std::string_view name, std::string_view value, uint64_t offset) {
    const auto place = [&] { return fmt::format("postings of {}={:?}: ", name, value); };
    const Result<BigEndianPostings> list = index_.ListAt(offset);
    if (!list.ok()) {
      findings_.Error(place() + list.status().message());
      return 0;
    }
    for (size_t i = 0; i < list->size(); ++i) {
      const uint32_t ref = (*list)[i];
      if (i > 0 && ref <= (*list)[i - 1]) {
        findings_.Error(place() + "not ascending");
        break;
      }
      if (!Contains(ref)) {
        findings_.Error(place() + fmt::format("there is no series {}", ref));
        break;
      }
      const Result<std::string_view> actual = index_.LabelValueOf(ref, name);
      if (actual.ok() && *actual != value) {
        findings_.Error(place() + fmt::format("series {} has {:?}", ref, *actual));
        break;
      }
    }
    return list->size();
  }

  const BlockMeta& meta_;
  const IndexReader& index_;
  const ChunkSegmentReader& chunks_;
  Findings& findings_;
  BigEndianPostings all_;
  BlockStats counted_;
  uint64_t pairs_ = 0;
  std::vector<LabelView> labels_;
  std::vector<ChunkMeta> metas_;
  Labels last_labels_;
};

void CompareStats(const BlockStats& told, const BlockStats& counted, Findings& findings) {
  const auto compare = [&](std::string_view name, uint64_t a, uint64_t b) {
    if (a != b) {
      findings.Warning(fmt::format("meta.json tells {} = {}, there are {}", name, a, b));
    }
  };
  compare("numSamples", told.samples, counted.samples);
  // Blocks of older writers tell no kinds.
  if (told.float_samples + told.histogram_samples > 0) {
    compare("numFloatSamples", told.float_samples, counted.float_samples);
    compare("numHistogramSamples", told.histogram_samples, counted.histogram_samples);
  }
  compare("numSeries", told.series, counted.series);
  compare("numChunks", told.chunks, counted.chunks);
  compare("numTombstones", told.tombstones, counted.tombstones);
}

void VerifyOrigin(const BlockMeta& meta, const std::string& name, Findings& findings) {
  if (meta.ulid.ToString() != name) {
    findings.Error(
        fmt::format("meta.json names block {}, the folder is {}", meta.ulid.ToString(), name));
  }
  if (meta.min_ms >= meta.max_ms) {
    findings.Error(fmt::format("meta.json tells the times [{}, {})", meta.min_ms, meta.max_ms));
  }
  if (meta.compaction.level < 1) {
    findings.Warning(fmt::format("meta.json tells the level {}", meta.compaction.level));
  }
  if (meta.compaction.failed) findings.Warning("its compaction failed; it is not planned again");
}

}  // namespace

BlockContents VerifyBlock(FileSystem& files, const std::string& directory, const std::string& name,
                          VerifyReport* report) {
  BlockContents contents;
  const std::string path = JoinPath(directory, name);
  Findings findings(report, name);
  ++report->blocks;
  const Result<BlockMeta> meta = ReadBlockMeta(files, path);
  if (meta.ok()) {
    contents.meta = *meta;
    VerifyOrigin(*meta, name, findings);
    contents.meta_ok = !findings.any_error();
  } else {
    findings.Error("meta.json: " + meta.status().message());
  }
  const Result<Tombstones> tombstones = ReadTombstones(files, path);
  contents.tombstones_ok = tombstones.ok();
  if (!tombstones.ok()) findings.Error("tombstones: " + tombstones.status().message());

  const auto index = IndexReader::Open(files, JoinPath(path, "index"));
  if (!index.ok()) findings.Error("index: " + index.status().message());
  const auto chunks = ChunkSegmentReader::Open(files, JoinPath(path, "chunks"));
  if (!chunks.ok()) findings.Error("chunks: " + chunks.status().message());
  if (!index.ok() || !chunks.ok() || !meta.ok()) return contents;

  Findings data(report, name);
  BlockVerifier verifier(*meta, **index, *chunks, data);
  verifier.Run();
  contents.data_ok = !data.any_error();
  contents.counted = verifier.counted();
  if (tombstones.ok()) {
    contents.counted.tombstones = tombstones->count();
    for (const auto& [ref, ranges] : tombstones->by_ref()) {
      if (!verifier.Knows(ref)) {
        findings.Warning(fmt::format("tombstones: there is no series {}", ref));
      }
    }
  }
  if (contents.data_ok) CompareStats(meta->stats, contents.counted, findings);
  report->series += contents.counted.series;
  report->chunks += contents.counted.chunks;
  report->samples += contents.counted.samples;
  return contents;
}

}  // namespace narthex::tsdb
