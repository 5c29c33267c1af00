// Checks every invariant of a data directory, and mends what can be mended.
//
// Verify only reads: blocks (index order, symbols, postings, checksums, chunks and their times, the
// counts of meta.json), the logs (framing, checksums, records, references), checkpoints, head chunk
// files, what lies about. It may run beside a server, whose newest segment may then end in the
// middle of a record.
//
// Repair may not: its caller holds the directory's lock. It never deletes: what it replaces or
// cannot read goes to <directory>/quarantine/ under the path that it had.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "util/file.h"
#include "util/status.h"

namespace narthex::tsdb {

enum class Severity : uint8_t {
  kNote,     // Ordinary, worth knowing.
  kWarning,  // A start mends it, or it costs space only.
  kError,    // Samples cannot be read, or a start fails.
};
std::string_view SeverityName(Severity severity);

struct Finding {
  Severity severity = Severity::kNote;
  std::string place;  // Relative to the directory: "wal/00000003".
  std::string text;
};

struct VerifyReport {
  std::vector<Finding> findings;
  uint64_t blocks = 0, series = 0, chunks = 0, samples = 0;
  uint64_t segments = 0, records = 0, log_samples = 0;
  uint64_t head_chunk_files = 0, head_chunks = 0;

  bool ok() const { return errors() == 0; }
  size_t errors() const;
};

// Fails only when the directory itself cannot be looked through.
Result<VerifyReport> VerifyDirectory(FileSystem& files, const std::string& directory);

// What was done, a line each.
using RepairLog = std::function<void(std::string_view)>;
// An error of the disk stops it; it can be run again.
Status RepairDirectory(FileSystem& files, const std::string& directory, const RepairLog& log);

}  // namespace narthex::tsdb
