// The pushes since the last state file was written, each on disk before it is answered.
//
//   file      "NXPUSH01" | size u64 | crc32c u32      the state file it goes on from (0, 0: none)
//             ( length u32 | crc32c u32 | record )*   little groups of records are synced together
//   record    kind u8 | fields, see journal.cc
//
// A record that a crash has torn ends the journal: it was never answered. The state file is
// replaced first and the journal emptied after; a mark in the journal tells which of the two a
// crash in between left behind. A journal that belongs to another state file (another program wrote
// that one since) is moved aside, not applied.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "push/group.h"
#include "util/file.h"
#include "util/status.h"

namespace narthex::push {

// A change to one group: replayed, it gives the same group again.
struct Change {
  enum class Kind : uint8_t {
    kReplace,  // The group is exactly this.
    kMerge,    // These families replace those of their names.
    kDelete,
  };
  Kind kind = Kind::kReplace;
  Group group;
};
void ApplyChange(const Change& change, Groups* groups);

// What tells state files apart.
struct StateIdentity {
  uint64_t size = 0;
  uint32_t checksum = 0;
  friend bool operator==(const StateIdentity&, const StateIdentity&) = default;
};
StateIdentity IdentityOf(std::string_view state_file);

class Journal {
 public:
  // What opening found.
  struct Replay {
    size_t changes = 0;
    uint64_t torn_bytes = 0;  // Cut off behind the last whole record.
    std::string moved_aside;  // Where a journal of another state file went.
  };

  // Opens or creates `path`, applies its changes to `groups` (the content of the state file).
  static Result<std::unique_ptr<Journal>> Open(FileSystem& files, const std::string& path,
                                               const StateIdentity& state, Groups* groups,
                                               Replay* replay);

  // Records pile up in memory until Commit() writes and syncs them. A failed commit forgets them
  // and leaves the file as it was.
  void Add(const Change& change);
  Status Commit();
  // Before the state file is replaced by one with this identity.
  Status MarkState(const StateIdentity& next);
  // After it was: starts the journal anew.
  Status Restart(const StateIdentity& state);

  uint64_t bytes() const { return bytes_; }

 private:
  Journal(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
  Status Reopen();

  FileSystem& files_;
  const std::string path_;
  std::unique_ptr<WritableFile> file_;  // Null after an error that Reopen() has to mend.
  uint64_t bytes_ = 0;                  // Of whole, synced records.
  std::string pending_;
};

}  // namespace narthex::push
