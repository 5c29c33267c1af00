#include "tsdb/db/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tsdb/block/ulid.h"
#include "tsdb/db/verify_internal.h"

namespace narthex::tsdb {
namespace {

// What else a server keeps in the directory.
bool IsKnown(std::string_view name) {
  return name == "wal" || name == "wbl" || name == "chunks_head" || name == "lock" ||
         name == "queries.active" || name == "snapshots" || name == "quarantine" ||
         name.starts_with("chunk_snapshot.");
}

void CompareBlocks(const std::vector<BlockMeta>& metas, VerifyReport* report) {
  Findings findings(report, ".");
  std::set<Ulid> names;
  for (const BlockMeta& meta : metas) names.insert(meta.ulid);
  std::vector<BlockMeta> sorted = metas;
  std::sort(sorted.begin(), sorted.end(),
            [](const BlockMeta& a, const BlockMeta& b) { return a.min_ms < b.min_ms; });
  const BlockMeta* longest = nullptr;
  for (const BlockMeta& meta : sorted) {
    for (const BlockParent& parent : meta.compaction.parents) {
      if (names.contains(parent.ulid)) {
        findings.Note(
            fmt::format("block {} is still there although {} replaces it; a start "
                        "removes it",
                        parent.ulid.ToString(), meta.ulid.ToString()));
      }
    }
    if (longest != nullptr && meta.min_ms < longest->max_ms) {
      findings.Note(fmt::format("blocks {} and {} overlap; compaction merges them",
                                longest->ulid.ToString(), meta.ulid.ToString()));
    }
    if (longest == nullptr || meta.max_ms > longest->max_ms) longest = &meta;
  }
}

}  // namespace

std::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kNote: return "note";
    case Severity::kWarning: return "warning";
    case Severity::kError: return "error";
  }
  return "";
}

size_t VerifyReport::errors() const {
  return static_cast<size_t>(std::ranges::count(findings, Severity::kError, &Finding::severity));
}

void Findings::Add(Severity severity, std::string text) {
  any_error_ |= severity == Severity::kError;
  if (++count_ == kFindingsMax + 1) text = "and so on; only the first are told";
  if (count_ <= kFindingsMax + 1) report_.findings.push_back({severity, place_, std::move(text)});
}

Result<VerifyReport> VerifyDirectory(FileSystem& files, const std::string& directory) {
  VerifyReport report;
  NARTHEX_TRY(const std::vector<FileInfo> entries, files.List(directory));
  std::vector<BlockMeta> metas;
  for (const FileInfo& entry : entries) {
    Findings findings(&report, entry.name);
    if (entry.is_directory && Ulid::Parse(entry.name).has_value()) {
      const BlockContents contents = VerifyBlock(files, directory, entry.name, &report);
      if (contents.meta_ok) metas.push_back(contents.meta);
    } else if (entry.name.find(".tmp") != std::string::npos) {
      findings.Note("left by a crash; a start removes it");
    } else if (!IsKnown(entry.name)) {
      findings.Note("not a part of the database");
    }
  }
  CompareBlocks(metas, &report);
  VerifyLogs(files, directory, &report);
  VerifyHeadChunks(files, directory, &report);
  return report;
}

}  // namespace narthex::tsdb
