#include "apps/tool_database.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <utility>

#include "tsdb/block/ulid.h"
#include "util/file.h"

namespace narthex::apps {
namespace {

FileSystem& Files() {
  return FileSystem::Posix();
}

Status CheckDirectory(const std::string& directory) {
  struct stat info = {};
  if (::stat(directory.c_str(), &info) == 0) return {};
  return MakeError(ErrorCode::kNotFound, "opening the db dir: stat {}: {}", directory,
                   ErrnoText(errno));
}

}  // namespace

Result<Blocks> OpenBlocks(const std::string& directory) {
  NARTHEX_RETURN_IF_ERROR(CheckDirectory(directory));
  NARTHEX_TRY(const std::vector<FileInfo> entries, Files().List(directory));
  Blocks blocks;
  std::map<tsdb::Ulid, Status> damaged;
  for (const FileInfo& entry : entries) {
    const std::optional<tsdb::Ulid> ulid = tsdb::Ulid::Parse(entry.name);
    if (!entry.is_directory || !ulid) continue;
    Result<std::shared_ptr<tsdb::Block>> block =
        tsdb::Block::Open(Files(), JoinPath(directory, entry.name));
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

Result<std::shared_ptr<tsdb::Block>> OpenBlock(const std::string& directory, std::string ulid) {
  NARTHEX_RETURN_IF_ERROR(CheckDirectory(directory));
  if (ulid.empty()) {
    NARTHEX_TRY(const std::vector<FileInfo> entries, Files().List(directory));
    int64_t newest = 0;
    for (const FileInfo& entry : entries) {
      const std::optional<tsdb::Ulid> parsed = tsdb::Ulid::Parse(entry.name);
      if (!parsed || parsed->time_ms() <= newest) continue;
      newest = parsed->time_ms();
      ulid = entry.name;
    }
    if (ulid.empty()) return Status(ErrorCode::kNotFound, "no blocks found");
  }
  const std::string path = JoinPath(directory, ulid);
  if (!Files().Exists(path)) return Status(ErrorCode::kNotFound, "invalid block ID " + ulid);
  return tsdb::Block::Open(Files(), path);
}

Result<std::unique_ptr<tsdb::ReadOnlyDb>> OpenDatabase(const std::string& directory,
                                                       const std::string& sandbox_root) {
  NARTHEX_RETURN_IF_ERROR(OpenBlocks(directory).status());
  return tsdb::ReadOnlyDb::Open(directory, sandbox_root);
}

}  // namespace narthex::apps
