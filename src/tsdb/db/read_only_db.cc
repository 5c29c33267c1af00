#include "tsdb/db/read_only_db.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "storage/merge.h"
#include "tsdb/block/block_querier.h"
#include "tsdb/block/ulid.h"
#include "tsdb/db/block_list.h"
#include "tsdb/head/head.h"
#include "tsdb/wal/checkpoint.h"
#include "util/log.h"

namespace narthex::tsdb {

struct ReadOnlyDb::Impl {
  FileSystem* files = nullptr;
  std::string path;
  std::string sandbox;
  std::unique_ptr<BlockList> blocks;
  std::unique_ptr<Head> head;

  ~Impl() {
    head.reset();
    if (!sandbox.empty()) static_cast<void>(files->RemoveAll(sandbox));
  }

  Status LinkHeadChunks() {
    const std::string from = JoinPath(path, "chunks_head");
    const std::string to = JoinPath(sandbox, "chunks_head");
    NARTHEX_RETURN_IF_ERROR(files->CreateDirectories(to));
    if (!files->Exists(from)) return {};
    NARTHEX_TRY(const std::vector<FileInfo> entries, files->List(from));
    for (const FileInfo& entry : entries) {
      if (entry.is_directory) continue;
      Status linked = files->HardLink(JoinPath(from, entry.name), JoinPath(to, entry.name));
      // A server may delete files while we look.
      if (!linked.ok() && linked.code() != ErrorCode::kNotFound) return linked;
    }
    return {};
  }

  Status Open(const std::string& sandbox_root) {
    if (!files->Exists(path)) {
      return MakeError(ErrorCode::kNotFound, "open DB dir: stat {}: no such file or directory",
                       path);
    }
    blocks = std::make_unique<BlockList>(
        *files, path, [] { return uint64_t{0}; }, BlockList::Mode::kReadOnly);
    NARTHEX_RETURN_IF_ERROR(blocks->Reload({}));
    const std::string wal = JoinPath(path, "wal");
    if (!files->Exists(wal)) return {};
    sandbox = JoinPath(sandbox_root.empty() ? path : sandbox_root,
                       "tmp_dbro_sandbox" + Ulid::Generate(Clock::System().NowMillis()).ToString());
    NARTHEX_RETURN_IF_ERROR(LinkHeadChunks());
    HeadOptions options;
    options.directory = sandbox;
    options.file_system = files;
    options.wal_directory = wal;
    if (const std::string wbl = JoinPath(path, "wbl"); files->Exists(wbl)) {
      options.wbl_directory = wbl;
    }
    head = std::make_unique<Head>(std::move(options));
    int64_t min_valid = blocks->InOrderMaxTime().value_or(INT64_MIN);
    if (const auto bound = ReadCheckpointMinValidTime(*files, wal); bound.ok() && *bound) {
      min_valid = std::max(min_valid, **bound);
    }
    std::optional<WalCorruption> corruption;
    Status replayed = head->Replay(min_valid, &corruption);
    if (replayed.ok()) return {};
    if (!corruption.has_value()) return replayed;
    LOG_WARN("The log is damaged; what stands before the damage is shown",
             {"err", replayed.message()});
    return {};
  }
};

ReadOnlyDb::ReadOnlyDb(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ReadOnlyDb::~ReadOnlyDb() = default;

Result<std::unique_ptr<ReadOnlyDb>> ReadOnlyDb::Open(const std::string& path,
                                                     const std::string& sandbox_root,
                                                     FileSystem* file_system) {
  auto impl = std::make_unique<Impl>();
  impl->files = file_system != nullptr ? file_system : &FileSystem::Posix();
  impl->path = path;
  NARTHEX_RETURN_IF_ERROR(impl->Open(sandbox_root));
  return std::unique_ptr<ReadOnlyDb>(new ReadOnlyDb(std::move(impl)));
}

Result<std::unique_ptr<storage::Querier>> ReadOnlyDb::OpenQuerier(TimeRange range) {
  std::vector<std::unique_ptr<storage::Querier>> queriers;
  if (impl_->head != nullptr) queriers.push_back(impl_->head->OpenQuerier(range));
  for (const auto& block : *impl_->blocks->Snapshot()) {
    if (block->Overlaps(range)) queriers.push_back(NewBlockQuerier(block, range));
  }
  return storage::MergeQueriers(std::move(queriers));
}

std::vector<BlockInfo> ReadOnlyDb::Blocks() const {
  std::vector<BlockInfo> infos;
  for (const auto& block : *impl_->blocks->Snapshot()) {
    infos.push_back({block->ulid().ToString(), block->min_ms(), block->max_ms(),
                     block->size_bytes(), FormatBlockMeta(block->meta())});
  }
  return infos;
}

}  // namespace narthex::tsdb
