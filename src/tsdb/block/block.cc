#include "tsdb/block/block.h"

#include <algorithm>

#include "tsdb/index/postings_for_matchers.h"

namespace narthex::tsdb {
namespace {

constexpr std::string_view kIndexFileName = "index";
constexpr std::string_view kChunksFolder = "chunks";

}  // namespace

Result<std::shared_ptr<Block>> Block::Open(FileSystem& files, const std::string& directory) {
  std::shared_ptr<Block> block(new Block(files, directory));
  NARTHEX_RETURN_IF_ERROR(block->Init());
  return block;
}

Status Block::Init() {
  NARTHEX_TRY(meta_, ReadBlockMeta(files_, directory_));
  ulid_ = meta_.ulid;
  min_ms_ = meta_.min_ms;
  max_ms_ = meta_.max_ms;
  NARTHEX_TRY(chunks_, ChunkSegmentReader::Open(files_, JoinPath(directory_, kChunksFolder)));
  NARTHEX_TRY(index_, IndexReader::Open(files_, JoinPath(directory_, kIndexFileName)));
  NARTHEX_TRY(Tombstones tombstones, ReadTombstones(files_, directory_));
  tombstones_ = std::make_shared<const Tombstones>(std::move(tombstones));
  small_files_bytes_ = FormatBlockMeta(meta_).size() + EncodeTombstonesFile(*tombstones_).size();
  return {};
}

BlockMeta Block::meta() const {
  const std::lock_guard lock(mutex_);
  return meta_;
}

uint64_t Block::size_bytes() const {
  const std::lock_guard lock(mutex_);
  return index_->size_bytes() + chunks_.size_bytes() + small_files_bytes_;
}

std::shared_ptr<const Tombstones> Block::tombstones() const {
  const std::lock_guard lock(mutex_);
  return tombstones_;
}

Status Block::Delete(TimeRange range, std::span<const Matcher> matchers) {
  NARTHEX_TRY(const std::vector<uint32_t> refs, PostingsForMatchers(*index_, matchers));
  const std::lock_guard lock(mutex_);
  Tombstones changed = *tombstones_;
  std::vector<ChunkMeta> chunks;
  bool any = false;
  for (const uint32_t ref : refs) {
    NARTHEX_RETURN_IF_ERROR(index_->ReadSeries(ref, nullptr, &chunks));
    const bool overlaps = std::ranges::any_of(chunks, [&](const ChunkMeta& chunk) {
      return chunk.min_ms <= range.end_ms && range.start_ms <= chunk.max_ms;
    });
    if (!overlaps) continue;
    changed.Add(ref, {std::max(range.start_ms, chunks.front().min_ms),
                      std::min(range.end_ms, chunks.back().max_ms)});
    any = true;
  }
  if (!any) return {};
  BlockMeta meta = meta_;
  meta.stats.tombstones = changed.count();
  NARTHEX_RETURN_IF_ERROR(WriteTombstones(files_, directory_, changed));
  NARTHEX_RETURN_IF_ERROR(WriteBlockMeta(files_, directory_, meta));
  meta_ = std::move(meta);
  tombstones_ = std::make_shared<const Tombstones>(std::move(changed));
  small_files_bytes_ = FormatBlockMeta(meta_).size() + EncodeTombstonesFile(*tombstones_).size();
  return {};
}

template <typename Change>
Status Block::ChangeMeta(Change change) {
  const std::lock_guard lock(mutex_);
  BlockMeta meta = meta_;
  change(meta);
  NARTHEX_RETURN_IF_ERROR(WriteBlockMeta(files_, directory_, meta));
  meta_ = std::move(meta);
  return {};
}

Status Block::SetCompactionFailed() {
  return ChangeMeta([](BlockMeta& meta) { meta.compaction.failed = true; });
}

Status Block::SetDeletable() {
  return ChangeMeta([](BlockMeta& meta) { meta.compaction.deletable = true; });
}

Status Block::Snapshot(const std::string& directory) const {
  const std::string target = JoinPath(directory, ulid_.ToString());
  NARTHEX_RETURN_IF_ERROR(files_.CreateDirectories(JoinPath(target, kChunksFolder)));
  const std::lock_guard lock(mutex_);
  for (const std::string_view name : {kMetaFileName, kIndexFileName, kTombstonesFileName}) {
    const std::string source = JoinPath(directory_, name);
    if (name == kTombstonesFileName && !files_.Exists(source)) continue;
    NARTHEX_RETURN_IF_ERROR(files_.HardLink(source, JoinPath(target, name)));
  }
  const std::string chunks = JoinPath(directory_, kChunksFolder);
  NARTHEX_TRY(const std::vector<FileInfo> infos, files_.List(chunks));
  for (const FileInfo& info : infos) {
    NARTHEX_RETURN_IF_ERROR(files_.HardLink(JoinPath(chunks, info.name),
                                            JoinPath(JoinPath(target, kChunksFolder), info.name)));
  }
  return {};
}

Result<bool> RepairBadIndexVersion(FileSystem& files, const std::string& block_directory) {
  auto json = files.ReadAll(JoinPath(block_directory, kMetaFileName));
  if (!json.ok()) return false;  // Told when the block is opened.
  int64_t version = 0;
  const auto parsed = ParseBlockMeta(*json, &version);
  if (parsed.ok() || version != 2) return false;

  // The block was written with meta version 2 although its index is of format 1 in all but name.
  const std::string index_path = JoinPath(block_directory, kIndexFileName);
  NARTHEX_TRY(std::string index, files.ReadAll(index_path));
  if (index.size() < kIndexHeaderBytes) {
    return MakeError(ErrorCode::kCorruption, "{}: index header: invalid size", index_path);
  }
  index[4] = static_cast<char>(kIndexVersionWritten);
  const std::string repaired = index_path + ".repaired";
  NARTHEX_TRY(auto file, files.OpenForWrite(repaired, FileSystem::OpenMode::kTruncate));
  NARTHEX_RETURN_IF_ERROR(file->Append(index));
  NARTHEX_RETURN_IF_ERROR(file->Sync());
  NARTHEX_RETURN_IF_ERROR(file->Close());
  NARTHEX_RETURN_IF_ERROR(files.Rename(repaired, index_path));
  NARTHEX_RETURN_IF_ERROR(files.SyncDirectory(block_directory));

  // Only the version changes; everything else is taken over as it is understood.
  const size_t at = json->rfind("\"version\"");
  const size_t digit = at == std::string::npos ? at : json->find('2', at);
  if (digit == std::string::npos) {
    return MakeError(ErrorCode::kCorruption, "{}: no version", block_directory);
  }
  std::string changed = *json;
  changed[digit] = '1';
  NARTHEX_TRY(const BlockMeta meta, ParseBlockMeta(changed));
  NARTHEX_RETURN_IF_ERROR(WriteBlockMeta(files, block_directory, meta));
  return true;
}

}  // namespace narthex::tsdb
