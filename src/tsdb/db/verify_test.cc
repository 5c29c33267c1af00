// A healthy directory has no findings; each kind of damage has one, repair cures it, nothing that
// was moved is lost, and the database opens afterwards.
#include "tsdb/db/verify.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "testing/simulated_disk.h"
#include "tsdb/block/block_meta.h"
#include "tsdb/db/db.h"
#include "tsdb/wal/checkpoint.h"
#include "util/log.h"

namespace narthex::tsdb {
namespace {

constexpr char kPath[] = "/data";

std::unique_ptr<Db> OpenOn(FileSystem& disk) {
  DbOptions options;
  options.path = kPath;
  options.background = false;
  options.no_lockfile = true;
  options.file_system = &disk;
  options.reloadable.retention_ms = 0;
  options.reloadable.out_of_order_window_ms = 1'200'000;
  options.min_block_duration_ms = 600'000;
  options.max_block_duration_ms = 600'000;
  options.wal_segment_bytes = 32 << 10;
  options.samples_per_chunk = 10;
  auto db = Db::Open(std::move(options));
  EXPECT_TRUE(db.ok()) << db.status().message();
  return db.ok() ? *std::move(db) : nullptr;
}

void Fill(FileSystem& disk) {
  const auto db = OpenOn(disk);
  for (int i = 0; i < 120; ++i) {
    auto appender = db->NewAppender();
    const int64_t t = 1'700'000'400'000 + int64_t{30'000} * i;
    for (int n = 0; n < 20; ++n) {
      const Labels labels{{"__name__", "m"}, {"n", std::to_string(n)}};
      ASSERT_TRUE(appender->Append(0, labels, t, i * n, {}).ok());
      if (i % 10 == 5) static_cast<void>(appender->Append(0, labels, t - 100'001, i, {}).ok());
    }
    ASSERT_TRUE(appender->Commit().ok());
    if (i % 20 == 19) ASSERT_TRUE(db->Tick().ok());
  }
  const std::vector<Matcher> matchers{Matcher::Equal("n", "3")};
  ASSERT_TRUE(db->Delete({1'700'000'400'000, 1'700'000'700'000}, matchers).ok());
  ASSERT_TRUE(db->Close().ok());
}

std::string FirstBlock(FileSystem& disk) {
  const std::vector<FileInfo> entries = *disk.List(kPath);
  for (const FileInfo& entry : entries) {
    if (Ulid::Parse(entry.name).has_value()) return JoinPath(kPath, entry.name);
  }
  return {};
}

void Flip(FileSystem& disk, const std::string& path, uint64_t from_end) {
  std::string bytes = *disk.ReadAll(path);
  ASSERT_GT(bytes.size(), from_end);
  bytes[bytes.size() - 1 - from_end] ^= 0x41;
  ASSERT_TRUE(disk.WriteAtomically(path, bytes).ok());
}

std::string Describe(const VerifyReport& report) {
  std::string text;
  for (const Finding& finding : report.findings) {
    text += std::string(SeverityName(finding.severity)) + ": " + finding.place + ": " +
            finding.text + "\n";
  }
  return text;
}

TEST(Verify, FindsEachKindOfDamageAndRepairCuresIt) {
  SetLogLevel(LogLevel(4));
  struct Case {
    std::string_view name;
    std::function<void(FileSystem&)> damage;
    std::string_view finding;  // A part of what is told.
    bool is_error = true;
  };
  const auto newest = [](FileSystem& disk, const std::string& folder) {
    std::string path;
    const std::vector<FileInfo> infos = *disk.List(folder);
    for (const FileInfo& info : infos) {
      if (!info.is_directory && info.size > 0) path = JoinPath(folder, info.name);
    }
    return path;
  };
  const Case cases[] = {
      {"nothing", [](FileSystem&) {}, "", false},
      {"a byte of a chunk",
       [](FileSystem& disk) { Flip(disk, FirstBlock(disk) + "/chunks/000001", 20); },
       "checksum mismatch"},
      {"a byte of the index's table",
       [](FileSystem& disk) { Flip(disk, FirstBlock(disk) + "/index", 60); },
       "index: read postings table: invalid checksum"},
      {"the index is cut",
       [](FileSystem& disk) {
         std::string bytes = *disk.ReadAll(FirstBlock(disk) + "/index");
         bytes.resize(bytes.size() / 2);
         ASSERT_TRUE(disk.WriteAtomically(FirstBlock(disk) + "/index", bytes).ok());
       },
       "index: "},
      {"a block without its chunks",
       [](FileSystem& disk) {
         ASSERT_TRUE(disk.RemoveFile(FirstBlock(disk) + "/chunks/000001").ok());
       },
       "segment index 0 out of range"},
      {"meta.json is garbage",
       [](FileSystem& disk) {
         ASSERT_TRUE(disk.WriteAtomically(FirstBlock(disk) + "/meta.json", "{").ok());
       },
       "meta.json: "},
      {"meta.json counts wrongly",
       [](FileSystem& disk) {
         BlockMeta meta = *ReadBlockMeta(disk, FirstBlock(disk));
         meta.stats.series += 5;
         ASSERT_TRUE(WriteBlockMeta(disk, FirstBlock(disk), meta).ok());
       },
       "meta.json tells numSeries = 25, there are 20", false},
      {"meta.json tells other times",
       [](FileSystem& disk) {
         BlockMeta meta = *ReadBlockMeta(disk, FirstBlock(disk));
         meta.max_ms -= 60'000;
         ASSERT_TRUE(WriteBlockMeta(disk, FirstBlock(disk), meta).ok());
       },
       "is outside the block's"},
      {"tombstones", [](FileSystem& disk) { Flip(disk, FirstBlock(disk) + "/tombstones", 1); },
       "tombstones: checksum did not match"},
      {"a log segment in the middle",
       [](FileSystem& disk) {
         const std::vector<WalSegment> segments = *ListWalSegments(disk, "/data/wal");
         ASSERT_GT(segments.size(), 2U);
         Flip(disk, segments[segments.size() - 3].path, 32'700);
       },
       "unexpected checksum"},
      {"a log segment is missing",
       [](FileSystem& disk) {
         const std::vector<WalSegment> segments = *ListWalSegments(disk, "/data/wal");
         ASSERT_TRUE(disk.RemoveFile(segments[segments.size() - 2].path).ok());
       },
       "segments are not sequential"},
      {"a checkpoint",
       [](FileSystem& disk) {
         const auto checkpoint = *FindLastCheckpoint(disk, "/data/wal");
         ASSERT_TRUE(checkpoint.has_value());
         Flip(disk, checkpoint->path + "/00000000", 32'500);
       },
       "wal/checkpoint."},
      {"a head chunk",
       [&](FileSystem& disk) {
         const std::string path = newest(disk, "/data/chunks_head");
         std::string bytes = *disk.ReadAll(path);
         bytes[50] ^= 1;
         ASSERT_TRUE(disk.WriteAtomically(path, bytes).ok());
       },
       "checksum mismatch", false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    testing::SimulatedDisk disk(1);
    ASSERT_NO_FATAL_FAILURE(Fill(disk));
    ASSERT_NO_FATAL_FAILURE(c.damage(disk));
    const Result<VerifyReport> report = VerifyDirectory(disk, kPath);
    ASSERT_TRUE(report.ok()) << report.status().message();
    EXPECT_EQ(report->ok(), !c.is_error) << Describe(*report);
    EXPECT_NE(Describe(*report).find(c.finding), std::string::npos) << Describe(*report);
    if (c.finding.empty()) {
      EXPECT_EQ(Describe(*report), "");
      EXPECT_GT(report->blocks, 2U);
      EXPECT_GT(report->samples, 1000U);
      EXPECT_GT(report->log_samples, 100U);
      EXPECT_GT(report->head_chunks, 0U);
    }
    std::vector<std::string> log;
    const Status repaired =
        RepairDirectory(disk, kPath, [&](std::string_view line) { log.emplace_back(line); });
    ASSERT_TRUE(repaired.ok()) << repaired.message();
    EXPECT_EQ(log.empty(), c.finding.empty());
    const Result<VerifyReport> after = VerifyDirectory(disk, kPath);
    EXPECT_TRUE(after->ok()) << Describe(*after);
    EXPECT_EQ(disk.Exists("/data/quarantine"), !c.finding.empty());
    const auto db = OpenOn(disk);
    ASSERT_NE(db, nullptr);
    for (const MetricValue& metric : db->Metrics()) {
      if (metric.name == "narthex_tsdb_blocks_quarantined") EXPECT_EQ(metric.value, 0);
    }
  }
}

}  // namespace
}  // namespace narthex::tsdb
