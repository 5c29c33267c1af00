#include "apps/tool_database.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <optional>
#include <utility>

#include "storage/merge.h"
#include "tsdb/block/block_querier.h"
#include "tsdb/block/ulid.h"
#include "util/file.h"

namespace narthex::apps {
namespace {

FileSystem& Files() {
  return FileSystem::Posix();
}

Status LinkOrCopy(const std::string& from, const std::string& to) {
  if (Files().HardLink(from, to).ok()) return {};
  NARTHEX_TRY(const std::string contents, Files().ReadAll(from));
  NARTHEX_TRY(const std::unique_ptr<WritableFile> file,
              Files().OpenForWrite(to, FileSystem::OpenMode::kTruncate));
  NARTHEX_RETURN_IF_ERROR(file->Append(contents));
  return file->Close();
}

// A folder that is not there gives an empty one.
Status LinkTree(const std::string& from, const std::string& to) {
  NARTHEX_RETURN_IF_ERROR(Files().CreateDirectories(to));
  if (!Files().Exists(from)) return {};
  NARTHEX_TRY(const std::vector<FileInfo> entries, Files().List(from));
  for (const FileInfo& entry : entries) {
    const std::string source = JoinPath(from, entry.name);
    const std::string target = JoinPath(to, entry.name);
    NARTHEX_RETURN_IF_ERROR(entry.is_directory ? LinkTree(source, target)
                                               : LinkOrCopy(source, target));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<ReadOnlyDatabase>> ReadOnlyDatabase::Open(const std::string& directory,
                                                                 const std::string& sandbox_root) {
  struct stat info = {};
  if (::stat(directory.c_str(), &info) != 0) {
    return MakeError(ErrorCode::kNotFound, "opening the db dir: stat {}: {}", directory,
                     ErrnoText(errno));
  }
  std::string sandbox =
      JoinPath(sandbox_root.empty() ? directory : sandbox_root, "tmp_dbro_sandboxXXXXXX");
  if (::mkdtemp(sandbox.data()) == nullptr) {
    return MakeError(ErrorCode::kIo, "setting up sandbox dir: mkdir {}: {}", sandbox,
                     ErrnoText(errno));
  }
  return std::unique_ptr<ReadOnlyDatabase>(new ReadOnlyDatabase(directory, std::move(sandbox)));
}

ReadOnlyDatabase::~ReadOnlyDatabase() {
  head_.reset();
  wbl_.reset();
  wal_.reset();
  // What cannot be removed is left over; there is nobody to tell.
  (void)Files().RemoveAll(sandbox_);
}

Result<ReadOnlyDatabase::Blocks> ReadOnlyDatabase::OpenBlocks() const {
  NARTHEX_TRY(const std::vector<FileInfo> entries, Files().List(directory_));
  Blocks blocks;
  std::map<tsdb::Ulid, Status> damaged;
  for (const FileInfo& entry : entries) {
    const std::optional<tsdb::Ulid> ulid = tsdb::Ulid::Parse(entry.name);
    if (!entry.is_directory || !ulid) continue;
    Result<std::shared_ptr<tsdb::Block>> block =
        tsdb::Block::Open(Files(), JoinPath(directory_, entry.name));
    if (block.ok()) {
      blocks.push_back(*std::move(block));
    } else {
      damaged[*ulid] = block.status();
    }
  }
  // What a readable block replaces need not be readable.
  for (const auto& block : blocks) {
    for (const tsdb::BlockParent& parent : block->meta().compaction.parents) {
      damaged.erase(parent.ulid);
    }
  }
  std::string errors;
  for (const auto& [ulid, status] : damaged) {
    errors += (errors.empty() ? "" : "\n") + ("corrupted block " + ulid.ToString() + ": ") +
              status.message();
  }
  if (!errors.empty()) return Status(ErrorCode::kCorruption, errors);
  std::stable_sort(blocks.begin(), blocks.end(),
                   [](const auto& a, const auto& b) { return a->min_ms() < b->min_ms(); });
  return blocks;
}

Result<std::shared_ptr<tsdb::Block>> ReadOnlyDatabase::OpenBlock(std::string ulid) const {
  if (ulid.empty()) {
    NARTHEX_TRY(const std::vector<FileInfo> entries, Files().List(directory_));
    int64_t newest = 0;
    for (const FileInfo& entry : entries) {
      const std::optional<tsdb::Ulid> parsed = tsdb::Ulid::Parse(entry.name);
      if (!parsed || parsed->time_ms() <= newest) continue;
      newest = parsed->time_ms();
      ulid = entry.name;
    }
    if (ulid.empty()) return Status(ErrorCode::kNotFound, "no blocks found");
  }
  const std::string path = JoinPath(directory_, ulid);
  if (!Files().Exists(path)) return Status(ErrorCode::kNotFound, "invalid block ID " + ulid);
  return tsdb::Block::Open(Files(), path);
}

Status ReadOnlyDatabase::OpenHead(int64_t min_valid_ms) {
  for (const char* folder : {"wal", "wbl", "chunks_head"}) {
    NARTHEX_RETURN_IF_ERROR(LinkTree(JoinPath(directory_, folder), JoinPath(sandbox_, folder)));
  }
  NARTHEX_TRY(wal_, tsdb::Wal::Open(Files(), JoinPath(sandbox_, "wal"), {}));
  if (Files().Exists(JoinPath(directory_, "wbl"))) {
    NARTHEX_TRY(wbl_, tsdb::Wal::Open(Files(), JoinPath(sandbox_, "wbl"), {}));
  }
  tsdb::HeadOptions options;
  options.directory = sandbox_;
  options.file_system = &Files();
  options.wal = wal_.get();
  options.wbl = wbl_.get();
  head_ = std::make_unique<tsdb::Head>(std::move(options));
  std::optional<tsdb::WalCorruption> corruption;
  return head_->Replay(min_valid_ms, &corruption).WithPrefix("read WAL: ");
}

Result<std::unique_ptr<storage::Querier>> ReadOnlyDatabase::OpenQuerier(TimeRange range) {
  NARTHEX_TRY(const Blocks blocks, OpenBlocks());
  int64_t blocks_end = INT64_MIN;
  if (!blocks.empty()) blocks_end = blocks.back()->max_ms();
  std::vector<std::unique_ptr<storage::Querier>> queriers;
  for (const auto& block : blocks) {
    if (block->Overlaps(range)) queriers.push_back(tsdb::NewBlockQuerier(block, range));
  }
  if (blocks_end <= range.end_ms) {
    if (head_ == nullptr) NARTHEX_RETURN_IF_ERROR(OpenHead(blocks_end));
    queriers.push_back(head_->OpenQuerier(range));
  }
  return storage::MergeQueriers(std::move(queriers));
}

}  // namespace narthex::apps
