// The parts of verify.h.
#pragma once

#include <string>
#include <utility>

#include "tsdb/block/block_meta.h"
#include "tsdb/db/verify.h"

namespace narthex::tsdb {

// Collects findings about one place. Of each place at most kFindingsMax are kept, so that one bad
// file does not hide the others.
class Findings {
 public:
  static constexpr size_t kFindingsMax = 20;

  Findings(VerifyReport* report, std::string place) : report_(*report), place_(std::move(place)) {}
  void Add(Severity severity, std::string text);
  void Error(std::string text) { Add(Severity::kError, std::move(text)); }
  void Warning(std::string text) { Add(Severity::kWarning, std::move(text)); }
  void Note(std::string text) { Add(Severity::kNote, std::move(text)); }
  bool any_error() const { return any_error_; }
  VerifyReport& report() { return report_; }

 private:
  VerifyReport& report_;
  std::string place_;
  size_t count_ = 0;
  bool any_error_ = false;
};

// What is in a block in truth.
struct BlockContents {
  bool meta_ok = false;
  bool data_ok = false;  // Index and chunks; `counted` is right then.
  bool tombstones_ok = false;
  BlockMeta meta;
  BlockStats counted;
};
BlockContents VerifyBlock(FileSystem& files, const std::string& directory, const std::string& name,
                          VerifyReport* report);
// wal/ with its checkpoints, or wbl/.
void VerifyLogs(FileSystem& files, const std::string& directory, VerifyReport* report);
void VerifyHeadChunks(FileSystem& files, const std::string& directory, VerifyReport* report);

}  // namespace narthex::tsdb
