#include "scrape/failure_log.h"

#include "util/log.h"
#include "util/strings.h"

namespace narthex::scrape {

Result<std::shared_ptr<FailureLog>> FailureLog::Open(FileSystem& files, const std::string& path,
                                                     const Clock& clock) {
  NARTHEX_TRY(std::unique_ptr<WritableFile> file,
              files.OpenForWrite(path, FileSystem::OpenMode::kAppend));
  return std::shared_ptr<FailureLog>(new FailureLog(std::move(file), clock));
}

void FailureLog::Write(std::string_view job, std::string_view target, std::string_view error) {
  std::string line = "{\"time\":";
  AppendJsonString(FormatRfc3339Millis(clock_.NowMillis()), JsonEscape::kPlain, &line);
  line += ",\"level\":\"ERROR\",\"msg\":";
  AppendJsonString(error, JsonEscape::kPlain, &line);
  line += ",\"job_name\":";
  AppendJsonString(job, JsonEscape::kPlain, &line);
  line += ",\"target\":";
  AppendJsonString(target, JsonEscape::kPlain, &line);
  line += "}\n";
  const std::lock_guard lock(mutex_);
  if (const Status status = file_->Append(line); !status.ok()) {
    LOG_WARN("Writing the scrape failure log failed", {"err", status.message()});
  }
}

}  // namespace narthex::scrape
