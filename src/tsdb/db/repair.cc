// Mending a data directory. Whatever is replaced or unreadable is moved, or linked before it is
// written anew, to quarantine/<the path it had>.
#include <fmt/format.h>

#include <optional>
#include <vector>

#include "tsdb/block/block.h"
#include "tsdb/db/verify.h"
#include "tsdb/db/verify_internal.h"
#include "tsdb/wal/checkpoint.h"
#include "tsdb/wal/wal.h"

namespace narthex::tsdb {
namespace {

class Repairer {
 public:
  Repairer(FileSystem& files, const std::string& directory, const RepairLog& log)
      : files_(files), directory_(directory), log_(log) {}

  Status Run() {
    NARTHEX_TRY(const std::vector<FileInfo> entries, files_.List(directory_));
    for (const FileInfo& entry : entries) {
      if (!entry.is_directory || !Ulid::Parse(entry.name).has_value()) continue;
      NARTHEX_RETURN_IF_ERROR(RepairBlock(entry.name).WithPrefix(entry.name + ": "));
    }
    NARTHEX_RETURN_IF_ERROR(RepairCheckpoint().WithPrefix("checkpoint: "));
    NARTHEX_RETURN_IF_ERROR(RepairLogFolder("wal").WithPrefix("wal: "));
    NARTHEX_RETURN_IF_ERROR(RepairLogFolder("wbl").WithPrefix("wbl: "));
    return RepairHeadChunks().WithPrefix("chunks_head: ");
  }

 private:
  std::string Full(const std::string& name) const { return JoinPath(directory_, name); }

  // A place in quarantine that is free: of a second repair the names get a number.
  Result<std::string> PlaceFor(const std::string& name) {
    const std::string wanted = JoinPath(Full("quarantine"), name);
    NARTHEX_RETURN_IF_ERROR(files_.CreateDirectoriesDurably(DirName(wanted)));
    std::string place = wanted;
    for (int i = 1; files_.Exists(place); ++i) place = fmt::format("{}.{}", wanted, i);
    return place;
  }
  Status MoveAside(const std::string& name, std::string_view why) {
    NARTHEX_TRY(const std::string place, PlaceFor(name));
    NARTHEX_RETURN_IF_ERROR(files_.Rename(Full(name), place));
    NARTHEX_RETURN_IF_ERROR(files_.SyncDirectory(DirName(place)));
    NARTHEX_RETURN_IF_ERROR(files_.SyncDirectory(DirName(Full(name))));
    log_(fmt::format("{}: moved to {}: {}", name, place, why));
    return {};
  }
  Status KeepCopy(const std::string& name) {
    NARTHEX_TRY(const std::string place, PlaceFor(name));
    NARTHEX_TRY(const std::string bytes, files_.ReadAll(Full(name)));
    NARTHEX_RETURN_IF_ERROR(files_.WriteAtomically(place, bytes));
    log_(fmt::format("{}: copied to {}", name, place));
    return {};
  }

  Status RepairBlock(const std::string& name) {
    const std::string path = Full(name);
    NARTHEX_TRY(const bool version, RepairBadIndexVersion(files_, path));
    if (version) log_(name + ": index version repaired");
    VerifyReport report;
    BlockContents contents = VerifyBlock(files_, directory_, name, &report);
    if (!contents.meta_ok || !contents.data_ok) {
      for (const Finding& finding : report.findings) {
        if (finding.severity == Severity::kError) return MoveAside(name, finding.text);
      }
      return MoveAside(name, "it is damaged");
    }
    if (!contents.tombstones_ok) {
      NARTHEX_RETURN_IF_ERROR(
          MoveAside(JoinPath(name, kTombstonesFileName),
                    "it cannot be read; samples that it deleted are visible again"));
      NARTHEX_RETURN_IF_ERROR(WriteTombstones(files_, path, Tombstones()));
      contents.counted.tombstones = 0;
    }
    BlockStats told = contents.meta.stats;
    if (told.float_samples + told.histogram_samples == 0) {
      told.float_samples = contents.counted.float_samples;
      told.histogram_samples = contents.counted.histogram_samples;
    }
    if (told == contents.counted) return {};
    NARTHEX_RETURN_IF_ERROR(KeepCopy(JoinPath(name, kMetaFileName)));
    contents.meta.stats = contents.counted;
    NARTHEX_RETURN_IF_ERROR(WriteBlockMeta(files_, path, contents.meta));
    log_(name + ": counts of meta.json corrected");
    return {};
  }

  // The first damage of the log's records, if any.
  Result<std::optional<WalCorruption>> FindDamage(const std::string& folder) {
    NARTHEX_TRY(const std::vector<WalSegment> segments, ListWalSegments(files_, folder));
    for (const WalSegment& segment : segments) {
      WalReader reader(files_, {segment});
      while (reader.Next()) {
      }
      if (const WalCorruption* damage = reader.corruption(); damage != nullptr) {
        WalCorruption found = *damage;
        found.directory = folder;
        found.segment = segment.index;
        return std::optional<WalCorruption>(found);
      }
      NARTHEX_RETURN_IF_ERROR(reader.status());
    }
    return std::optional<WalCorruption>();
  }

  // A checkpoint is written anew up to the damage: a start would refuse it otherwise.
  Status RepairCheckpoint() {
    const std::string wal = Full("wal");
    NARTHEX_TRY(const std::optional<CheckpointInfo> last, FindLastCheckpoint(files_, wal));
    if (!last.has_value()) return {};
    NARTHEX_TRY(const std::optional<WalCorruption> damage, FindDamage(last->path));
    if (!damage.has_value()) return {};
    const std::string name = JoinPath("wal", BaseName(last->path));
    const std::string temporary = last->path + ".tmp";
    NARTHEX_RETURN_IF_ERROR(files_.RemoveAll(temporary));
    NARTHEX_TRY(const std::unique_ptr<Wal> log, Wal::Open(files_, temporary, {}));
    NARTHEX_TRY(WalReader reader, OpenWalReader(files_, last->path));
    uint64_t kept = 0;
    while (reader.Next()) {
      NARTHEX_RETURN_IF_ERROR(log->Log(reader.record()));
      ++kept;
    }
    NARTHEX_RETURN_IF_ERROR(log->Close());
    NARTHEX_RETURN_IF_ERROR(MoveAside(name, damage->reason));
    NARTHEX_RETURN_IF_ERROR(files_.Rename(temporary, last->path));
    NARTHEX_RETURN_IF_ERROR(files_.SyncDirectory(wal));
    log_(fmt::format("{}: {} records before the damage written anew", name, kept));
    return {};
  }

  Status RepairLogFolder(const std::string& name) {
    const std::string folder = Full(name);
    if (!files_.Exists(folder)) return {};
    if (const auto segments = ListWalSegments(files_, folder); !segments.ok()) {
      NARTHEX_RETURN_IF_ERROR(CloseGap(name));
    }
    NARTHEX_TRY(const std::optional<WalCorruption> damage, FindDamage(folder));
    if (!damage.has_value()) return {};
    NARTHEX_TRY(const std::vector<WalSegment> segments, ListWalSegments(files_, folder));
    for (const WalSegment& segment : segments) {
      if (segment.index < damage->segment) continue;
      NARTHEX_RETURN_IF_ERROR(KeepCopy(JoinPath(name, BaseName(segment.path))));
    }
    NARTHEX_TRY(const std::unique_ptr<Wal> wal, Wal::Open(files_, folder, {}));
    NARTHEX_RETURN_IF_ERROR(wal->Repair(*damage));
    NARTHEX_RETURN_IF_ERROR(wal->Close());
    log_(fmt::format("{}: cut at segment {} offset {}: {}", name, damage->segment, damage->offset,
                     damage->reason));
    return {};
  }

  // Segments behind a gap cannot be replayed: what they refer to may stand in the missing ones.
  Status CloseGap(const std::string& name) {
    NARTHEX_TRY(const std::vector<FileInfo> entries, files_.List(Full(name)));
    int64_t before = -1;
    bool behind_gap = false;
    for (const FileInfo& entry : entries) {
      const bool is_number = !entry.is_directory && entry.name.size() == 8 &&
                             entry.name.find_first_not_of("0123456789") == std::string::npos;
      if (!is_number) continue;
      const int64_t number = std::stoll(entry.name);
      behind_gap |= before >= 0 && number != before + 1;
      before = number;
      if (!behind_gap) continue;
      NARTHEX_RETURN_IF_ERROR(MoveAside(JoinPath(name, entry.name), "segments are not sequential"));
    }
    return {};
  }

  // The log has everything that stands in them, so the first damaged one and those behind it go.
  Status RepairHeadChunks() {
    VerifyReport report;
    VerifyHeadChunks(files_, directory_, &report);
    std::string first;
    std::string why;
    for (const Finding& finding : report.findings) {
      if (finding.severity == Severity::kNote || !first.empty()) continue;
      first = BaseName(finding.place);
      why = finding.text;
    }
    if (first.empty()) return {};
    NARTHEX_TRY(const std::vector<FileInfo> entries, files_.List(Full("chunks_head")));
    for (const FileInfo& entry : entries) {
      if (entry.name < first || entry.name.size() != first.size()) continue;
      NARTHEX_RETURN_IF_ERROR(MoveAside(JoinPath("chunks_head", entry.name), why));
    }
    return {};
  }

  FileSystem& files_;
  const std::string directory_;
  const RepairLog& log_;
};

}  // namespace

Status RepairDirectory(FileSystem& files, const std::string& directory, const RepairLog& log) {
  if (!files.Exists(directory)) {
    return MakeError(ErrorCode::kNotFound, "open DB dir: stat {}: no such file or directory",
                     directory);
  }
  return Repairer(files, directory, log).Run();
}

}  // namespace narthex::tsdb
