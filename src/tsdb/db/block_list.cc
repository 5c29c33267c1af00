#include "tsdb/db/block_list.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <utility>

#include "tsdb/block/ulid.h"
#include "util/log.h"

namespace narthex::tsdb {
namespace {

constexpr std::string_view kDeletionSuffix = ".tmp-for-deletion";

}  // namespace

bool IsPartialBlock(const BlockMeta& meta) {
  return meta.compaction.HasHint(kHintFromOutOfOrder) ||
         meta.compaction.HasHint(kHintFromStaleSeries) ||
         meta.compaction.HasHint(kHintFromSelectedSeries);
}

uint64_t FileSystemBytes(const std::string& path) {
  struct statvfs info;
  if (statvfs(path.c_str(), &info) != 0) return 0;
  return static_cast<uint64_t>(info.f_blocks) * info.f_frsize;
}

uint64_t DirectoryBytes(FileSystem& files, const std::string& path) {
  const Result<std::vector<FileInfo>> entries = files.List(path);
  if (!entries.ok()) return 0;
  uint64_t bytes = 0;
  for (const FileInfo& entry : *entries) {
    bytes += entry.is_directory ? DirectoryBytes(files, JoinPath(path, entry.name)) : entry.size;
  }
  return bytes;
}

BlockList::BlockList(FileSystem& files, std::string directory, std::function<uint64_t()> head_bytes,
                     Mode mode)
    : files_(files),
      directory_(std::move(directory)),
      head_bytes_(std::move(head_bytes)),
      mode_(mode) {}

std::shared_ptr<const BlockList::Blocks> BlockList::Snapshot() const {
  const std::lock_guard lock(mutex_);
  return blocks_;
}

std::optional<int64_t> BlockList::InOrderMaxTime() const {
  std::optional<int64_t> newest;
  for (const auto& block : *Snapshot()) {
    if (IsPartialBlock(block->meta())) continue;
    newest = newest.has_value() ? std::max(*newest, block->max_ms()) : block->max_ms();
  }
  return newest;
}

uint64_t BlockList::size_bytes() const {
  uint64_t bytes = 0;
  for (const auto& block : *Snapshot()) bytes += block->size_bytes();
  return bytes;
}

Result<BlockList::Found> BlockList::Scan() const {
  Found found;
  const std::shared_ptr<const Blocks> known = Snapshot();
  NARTHEX_TRY(const std::vector<FileInfo> entries, files_.List(directory_));
  for (const FileInfo& entry : entries) {
    if (!entry.is_directory || !Ulid::Parse(entry.name).has_value()) continue;
    const std::string path = JoinPath(directory_, entry.name);
    const auto loaded = std::find_if(known->begin(), known->end(),
                                     [&](const auto& block) { return block->directory() == path; });
    if (loaded != known->end()) {
      found.blocks.push_back(*loaded);
      continue;
    }
    Result<std::shared_ptr<Block>> block = Block::Open(files_, path);
    if (block.ok()) {
      found.blocks.push_back(*std::move(block));
      continue;
    }
    found.damaged.push_back(path);
    if (!reported_.contains(path)) {
      LOG_ERROR("A block cannot be read and is left aside; its samples are missing from queries",
                {"block", entry.name},
                {"err", "corrupted block " + entry.name + ": " + block.status().message()});
    }
  }
  std::sort(found.blocks.begin(), found.blocks.end(), [](const auto& a, const auto& b) {
    return a->min_ms() != b->min_ms() ? a->min_ms() < b->min_ms() : a->ulid() < b->ulid();
  });
  return found;
}

std::set<Ulid> BlockList::Deletable(const Blocks& blocks, const RetentionLimits& limits) {
  std::set<Ulid> gone;
  for (const auto& block : blocks) {
    if (block->meta().compaction.deletable) gone.insert(block->ulid());
  }
  Blocks newest_first = blocks;
  std::stable_sort(newest_first.begin(), newest_first.end(),
                   [](const auto& a, const auto& b) { return a->max_ms() > b->max_ms(); });
  if (limits.duration_ms > 0) {
    for (size_t i = 1; i < newest_first.size(); ++i) {
      if (newest_first.front()->max_ms() - newest_first[i]->max_ms() < limits.duration_ms) continue;
      for (; i < newest_first.size(); ++i) {
        if (gone.insert(newest_first[i]->ulid()).second) {
          time_retentions_.fetch_add(1, std::memory_order_relaxed);
        }
      }
    }
  }
  uint64_t bytes_max = limits.bytes > 0 ? static_cast<uint64_t>(limits.bytes) : 0;
  if (limits.percentage > 0) {
    const uint64_t disk = FileSystemBytes(directory_);
    if (disk == 0) {
      LOG_WARN(
          "Unable to retrieve filesystem size of database directory, skip percentage "
          "limitation and default to fixed size limitation",
          {"dir", directory_});
    } else {
      bytes_max = static_cast<uint64_t>(static_cast<double>(disk) * limits.percentage / 100);
    }
  }
  if (bytes_max > 0) {
    uint64_t bytes = head_bytes_();
    for (size_t i = 0; i < newest_first.size(); ++i) {
      bytes += newest_first[i]->size_bytes();
      if (bytes <= bytes_max) continue;
      for (; i < newest_first.size(); ++i) {
        if (gone.insert(newest_first[i]->ulid()).second) {
          size_retentions_.fetch_add(1, std::memory_order_relaxed);
        }
      }
    }
  }
  return gone;
}

void BlockList::WarnOfOverlaps(const Blocks& blocks) {
  bool overlaps = false;
  int64_t end = INT64_MIN;
  for (const auto& block : blocks) {
    overlaps |= block->min_ms() < end;
    end = std::max(end, block->max_ms());
  }
  if (overlaps && !overlaps_reported_) LOG_WARN("Overlapping blocks found during reloadBlocks");
  overlaps_reported_ = overlaps;
}

Status BlockList::Remove(const std::string& path) {
  // First out of sight in one step, so that a crash leaves no half of a block.
  const std::string hidden = path + std::string(kDeletionSuffix);
  NARTHEX_RETURN_IF_ERROR(files_.RemoveAll(hidden));
  NARTHEX_RETURN_IF_ERROR(files_.Rename(path, hidden));
  return files_.RemoveAll(hidden);
}

// What an earlier call could not remove wholly.
void BlockList::RemoveHidden() {
  const Result<std::vector<FileInfo>> entries = files_.List(directory_);
  if (!entries.ok()) return;
  for (const FileInfo& entry : *entries) {
    const std::string_view name = entry.name;
    if (!entry.is_directory || !name.ends_with(kDeletionSuffix) ||
        !Ulid::Parse(name.substr(0, name.size() - kDeletionSuffix.size())).has_value()) {
      continue;
    }
    static_cast<void>(files_.RemoveAll(JoinPath(directory_, entry.name)).ok());
  }
}

Status BlockList::Reload(const RetentionLimits& limits) {
  reloads_.fetch_add(1, std::memory_order_relaxed);
  Status status = ReloadOnce(limits);
  if (!status.ok()) reload_failures_.fetch_add(1, std::memory_order_relaxed);
  return status.WithPrefix("reloadBlocks: ");
}

Status BlockList::ReloadOnce(const RetentionLimits& limits) {
  NARTHEX_TRY(Found found, Scan());
  std::set<Ulid> gone = Deletable(found.blocks, limits);
  // What a loaded block was made of may be left over from a crash.
  std::set<std::string> replaced;
  for (const auto& block : found.blocks) {
    for (const BlockParent& parent : block->meta().compaction.parents) {
      gone.insert(parent.ulid);
      replaced.insert(JoinPath(directory_, parent.ulid.ToString()));
    }
  }
  std::vector<std::string> removed;
  auto kept = std::make_shared<Blocks>();
  for (const auto& block : found.blocks) {
    if (gone.contains(block->ulid())) {
      removed.push_back(block->directory());
      if (mode_ == Mode::kOwner) {
        LOG_INFO("Deleting obsolete block", {"block", block->ulid().ToString()});
      }
    } else {
      kept->push_back(block);
    }
  }
  reported_.clear();
  size_t damaged = 0;
  for (const std::string& path : found.damaged) {
    if (replaced.contains(path)) {
      removed.push_back(path);
      continue;
    }
    ++damaged;
    reported_.insert(path);
  }
  quarantined_.store(damaged, std::memory_order_relaxed);
  WarnOfOverlaps(*kept);
  {
    const std::lock_guard lock(mutex_);
    blocks_ = std::move(kept);
  }
  if (mode_ == Mode::kReadOnly) return {};
  RemoveHidden();
  // The list stands by now, and what replaces these blocks is in it: a caller that took a failure
  // here for one of its new block would remove the only copy.
  for (const std::string& path : removed) {
    if (const Status status = Remove(path); !status.ok()) {
      LOG_ERROR("Deleting an obsolete block failed; it is tried again", {"block", path},
                {"err", status.message()});
    }
  }
  return {};
}

}  // namespace narthex::tsdb
