// The query log (global.query_log_file): one JSON line a query. parity/storage.md section 14.
// Threads: any; a line is written whole.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "promql/engine/engine.h"
#include "promql/engine/query_result.h"
#include "util/file.h"
#include "util/status.h"

namespace narthex::promql {

struct QueryLogEntry {
  std::string_view query;
  int64_t start_ms = 0;
  int64_t end_ms = 0;
  int64_t step_ms = 0;
  Status status;
  const QueryStats* stats = nullptr;
  const QueryOrigin* origin = nullptr;
};

class QueryLog {
 public:
  // Appends to the file; `can't create json log file: …` on failure.
  static Result<std::unique_ptr<QueryLog>> Open(const std::string& path);

  Status Write(const QueryLogEntry& entry);

 private:
  explicit QueryLog(std::unique_ptr<WritableFile> file) : file_(std::move(file)) {}

  std::mutex mutex_;
  std::unique_ptr<WritableFile> file_;  // Guarded by mutex_.
};

// The line, with its newline, for a query that ended at `now_ns`.
std::string QueryLogLine(const QueryLogEntry& entry, int64_t now_ns);
// The `stats` object of the API and the log.
void AppendStatsJson(const QueryStats& stats, std::string* out);

}  // namespace narthex::promql
