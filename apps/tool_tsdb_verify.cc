// `tsdb verify` and `tsdb repair`: what upstream has no tool for.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "apps/tool_tsdb.h"
#include "tsdb/db/lock_file.h"
#include "tsdb/db/verify.h"
#include "util/file.h"

namespace narthex::apps {
namespace {

struct VerifyOptions {
  std::string path = "data/";
  bool quiet = false;
};

// 0 when nothing is damaged; notes and warnings do not count.
int Verify(const VerifyOptions& options) {
  const auto report = tsdb::VerifyDirectory(FileSystem::Posix(), options.path);
  if (!report.ok()) return ReportError(report.status().WithPrefix("opening the db dir: "));
  size_t warnings = 0;
  for (const tsdb::Finding& finding : report->findings) {
    warnings += finding.severity == tsdb::Severity::kWarning;
    if (options.quiet && finding.severity != tsdb::Severity::kError) continue;
    PrintOut(fmt::format("{}: {}: {}\n", tsdb::SeverityName(finding.severity), finding.place,
                         finding.text));
  }
  PrintOut(fmt::format(
      "{} blocks with {} series, {} chunks, {} samples; {} log segments with {} records, {} "
      "samples; {} head chunk files with {} chunks\n",
      report->blocks, report->series, report->chunks, report->samples, report->segments,
      report->records, report->log_samples, report->head_chunk_files, report->head_chunks));
  PrintOut(report->ok()
               ? fmt::format("OK: no errors, {} warnings\n", warnings)
               : fmt::format("FAILED: {} errors, {} warnings\n", report->errors(), warnings));
  return report->ok() ? 0 : 1;
}

int Repair(const VerifyOptions& options) {
  FileSystem& files = FileSystem::Posix();
  if (!files.Exists(options.path)) {
    return ReportError(MakeError(ErrorCode::kNotFound,
                                 "opening the db dir: stat {}: no such file or directory",
                                 options.path));
  }
  const auto lock = tsdb::LockFile::Acquire(JoinPath(options.path, "lock"));
  if (!lock.ok()) return ReportError(lock.status());
  size_t changes = 0;
  const Status repaired = tsdb::RepairDirectory(files, options.path, [&](std::string_view line) {
    ++changes;
    PrintOut(std::string(line) + "\n");
  });
  if (!repaired.ok()) return ReportError(repaired);
  if (changes == 0) PrintOut("nothing to repair\n");
  VerifyOptions after = options;
  after.quiet = true;
  return Verify(after);
}

}  // namespace

void AddVerifyCommands(Command& tsdb) {
  constexpr char kPathHelp[] = "Database path (default is data/).";
  const auto verify_options = std::make_shared<VerifyOptions>();
  Command& verify = tsdb.AddCommand(
      "verify",
      "Check every invariant of a data directory: blocks, logs, checkpoints, head chunks. Changes "
      "nothing; ends with 1 when something is damaged.");
  verify.flags().Bool("quiet", &verify_options->quiet, "Print errors only.").Short('q');
  verify.TextArgument("db path", &verify_options->path, Presence::kOptional, kPathHelp);
  verify.OnRun([verify_options] { return Verify(*verify_options); });

  const auto repair_options = std::make_shared<VerifyOptions>();
  Command& repair = tsdb.AddCommand(
      "repair",
      "Mend a data directory that no server uses. Nothing is deleted: what is damaged moves to the "
      "folder quarantine within it.");
  repair.TextArgument("db path", &repair_options->path, Presence::kOptional, kPathHelp);
  repair.OnRun([repair_options] { return Repair(*repair_options); });
}

}  // namespace narthex::apps
