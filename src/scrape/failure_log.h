// The file of failed scrapes (scrape_failure_log_file): one JSON object a line.
//
//   {"time":"2026-01-01T00:00:00.000Z","level":"ERROR","msg":"<error>","job_name":"j","target":"<url>"}
//
// Threads: any; a line is written whole.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "util/file.h"
#include "util/status.h"
#include "util/time.h"

namespace narthex::scrape {

class FailureLog {
 public:
  // Appends to the file; opening again after a reload lets it be rotated.
  static Result<std::shared_ptr<FailureLog>> Open(FileSystem& files, const std::string& path,
                                                  const Clock& clock);

  void Write(std::string_view job, std::string_view target, std::string_view error);

 private:
  FailureLog(std::unique_ptr<WritableFile> file, const Clock& clock)
      : file_(std::move(file)), clock_(clock) {}

  std::mutex mutex_;
  std::unique_ptr<WritableFile> file_;
  const Clock& clock_;
};

}  // namespace narthex::scrape
