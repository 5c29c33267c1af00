// A disk in memory that can fail: it loses power, tears writes, fills up, refuses a sync.
//
// Every file and folder has two states: what the process sees, and what would be found after a
// loss of power. Sync moves a file's bytes from the first to the second, SyncDirectory a folder's
// entries; nothing else does, so a program that forgets one of them is caught. What was not synced
// is kept, dropped or torn by pages when the power goes, as the seed has it; the entries of a
// folder come back up to some point of their history.
//
//   SimulatedDisk disk(seed);
//   disk.Schedule({.kind = FaultKind::kCrash, .operation = 17});
//   ... a workload, whose operations 17 and later fail ...
//   disk.Crash(Survivors::kSynced);      // or kWritten: only the process died
//   ... open again ...
//
// Operations that change something count one each, in the order in which they begin. Mapped files
// show later writes, as mapped files do; a file has at most kFileBytesMax bytes.
//
// Threads: any; one mutex guards all of it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "util/file.h"

namespace narthex::testing {

enum class FaultKind : uint8_t {
  kCrash,      // The operation is done in part or not at all, and everything after it fails.
  kError,      // The operation fails once: input/output error.
  kNoSpace,    // Writes fail, after half of their bytes, for `operations` operations.
  kSyncError,  // The next Sync or SyncDirectory fails; what it should have kept may be lost.
};

struct Fault {
  FaultKind kind = FaultKind::kError;
  uint64_t operation = 0;   // The first one it hits; counted from 0.
  uint64_t operations = 1;  // How long a full disk stays full.
};

// What a crash leaves.
enum class Survivors : uint8_t {
  kWritten,  // The process died: all that was written.
  kSynced,   // The power failed, and the disk had written nothing of its own accord.
  kTorn,     // The power failed; of what was not synced some pages are there.
};

class SimulatedDisk : public FileSystem {
 public:
  static constexpr uint64_t kFileBytesMax = 64 << 20;

  explicit SimulatedDisk(uint64_t seed);
  ~SimulatedDisk() override;

  void Schedule(const Fault& fault);
  // Forgets scheduled faults that have not struck, and ends those that have.
  void Heal();
  // From now on only what survives is there. Files open since before refuse everything.
  void Crash(Survivors survivors);
  uint64_t operations() const;
  // Whether a scheduled fault has struck, and whether one was a crash.
  bool struck() const;
  bool dead() const;
  // "sync /data/wal/00000003": the operation that the first fault struck.
  std::string struck_operation() const;
  // Whether the file would be found after a loss of power, with at least its first `bytes` bytes.
  bool IsDurable(const std::string& path, uint64_t bytes) const;

  Result<std::unique_ptr<WritableFile>> OpenForWrite(const std::string& path,
                                                     OpenMode mode) override;
  Result<std::unique_ptr<MappedFile>> Map(const std::string& path) override;
  Result<std::string> ReadAll(const std::string& path) override;
  Result<std::vector<FileInfo>> List(const std::string& directory) override;
  Result<FileInfo> Stat(const std::string& path) override;
  Status CreateDirectories(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status RemoveFile(const std::string& path) override;
  Status RemoveAll(const std::string& path) override;
  Status HardLink(const std::string& from, const std::string& to) override;
  Status SyncDirectory(const std::string& path) override;

 private:
  struct Node;
  using Entries = std::map<std::string, std::shared_ptr<Node>>;
  class File;
  class View;
  // How an operation is to go.
  enum class Verdict : uint8_t { kGo, kHalf, kNothing };

  // With mutex_ held. `writes`: takes space; `syncs`: makes durable.
  Verdict Begin(bool writes, bool syncs, Status* error, std::string_view name,
                const std::string& path);
  std::shared_ptr<Node> Find(const std::string& path) const;
  std::shared_ptr<Node> Parent(const std::string& path, std::string* name) const;
  // One step of a folder's history: names and what they stand for from then on (null: nothing).
  using Change = std::vector<std::pair<std::string, std::shared_ptr<Node>>>;
  static void ApplyChange(const Change& change, Entries* entries);
  static void Alter(Node& folder, Change change);
  void Settle(Node& node, Survivors survivors);
  Status RemoveTree(const std::string& path, Node& parent, const std::string& name);

  mutable std::mutex mutex_;
  std::mt19937_64 random_;
  std::shared_ptr<Node> root_;
  std::vector<Fault> faults_;
  std::optional<Fault> active_;  // A crash or a full disk under way.
  uint64_t operations_ = 0;
  uint64_t lifetime_ = 0;  // Of the process; files of earlier ones are dead.
  bool struck_ = false;
  std::string struck_operation_;
  bool dead_ = false;
};

}  // namespace narthex::testing
