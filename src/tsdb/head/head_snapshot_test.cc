// Chunk snapshots: a start from one equals a start from the log, damage falls back to the log, and
// no prefix of a record crashes the decoder.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tsdb/head/chunk_snapshot.h"
#include "tsdb/head/head.h"
#include "util/file.h"

namespace narthex::tsdb {
namespace {

constexpr TimeRange kAllTime{INT64_MIN, INT64_MAX};

// A head with its log, as the database opens and closes them.
struct Incarnation {
  explicit Incarnation(const std::string& directory, bool snapshot, bool xor2 = false) {
    FileSystem& files = FileSystem::Posix();
    wal = *Wal::Open(files, JoinPath(directory, "wal"), {});
    HeadOptions options;
    options.directory = directory;
    options.wal = wal.get();
    options.load_snapshot = snapshot;
    options.xor2 = xor2;
    options.exemplars_max = 10;
    head = std::make_unique<Head>(options);
    std::optional<WalCorruption> corruption;
    const Status status = head->Replay(INT64_MIN, &corruption);
    EXPECT_TRUE(status.ok()) << status.message();
  }
  void Close(bool snapshot) {
    EXPECT_TRUE(head->Close().ok());
    EXPECT_TRUE(wal->Close().ok());
    if (!snapshot) return;
    const Status status = head->WriteSnapshot();
    EXPECT_TRUE(status.ok()) << status.message();
  }
  std::unique_ptr<Wal> wal;
  std::unique_ptr<Head> head;
};

std::string ReadAll(Head& head) {
  const auto querier = head.OpenQuerier(kAllTime);
  storage::SelectHints hints;
  hints.start_ms = INT64_MIN;
  hints.end_ms = INT64_MAX;
  auto set = querier->Select(storage::SeriesOrder::kSorted, hints, {});
  EXPECT_TRUE(set.ok());
  std::string text;
  while (const auto series = (*set)->Next()) {
    storage::SampleColumns columns;
    EXPECT_TRUE(series->Read(&columns).ok());
    text += series->labels().ToMetricString();
    for (size_t i = 0; i < columns.size(); ++i) {
      const FloatHistogram* h = columns.histogram(i);
      text += fmt::format(" {}={}", columns.timestamps_ms[i],
                          h != nullptr ? h->ToString() : fmt::format("{}", columns.values[i]));
    }
    text += '\n';
  }
  for (const auto& found : head.exemplars().Select(kAllTime, {{}})) {
    for (const Exemplar& e : found.exemplars) {
      text += fmt::format("{} {}@{}\n", found.series.ToMetricString(), e.value, e.timestamp_ms);
    }
  }
  return text;
}

// Samples of all kinds at `round`; enough that chunks get full.
void Fill(Head& head, int round) {
  for (int i = 0; i < 150; ++i) {
    const int64_t t = (round * 150 + i) * int64_t{15'000};
    auto appender = head.NewAppender();
    for (int s = 0; s < 3; ++s) {
      const Labels labels{{"__name__", "m"}, {"s", std::to_string(s)}};
      ASSERT_TRUE(appender->Append(0, labels, t, s + i * 0.25, {}).ok());
    }
    Histogram h;
    h.positive_spans = {{0, 2}};
    h.positive_buckets = {round * 150 + i + 1, 1};
    h.count = 2 * static_cast<uint64_t>(round * 150 + i + 1) + 1;
    h.sum = i;
    const auto ref = appender->AppendHistogram(0, Labels{{"__name__", "h"}}, t, h, {});
    ASSERT_TRUE(ref.ok()) << ref.status().message();
    ASSERT_TRUE(appender->Commit().ok());
  }
  Exemplar exemplar;
  exemplar.labels = Labels{{"trace", std::to_string(round)}};
  exemplar.value = round;
  exemplar.timestamp_ms = int64_t{1000} * round;
  exemplar.has_timestamp = true;
  auto appender = head.NewAppender();
  const Labels owner{{"__name__", "m"}, {"s", "0"}};
  const auto ref = appender->Append(0, owner, int64_t{15'000} * 150 * (round + 1) - 1, 1, {});
  ASSERT_TRUE(ref.ok()) << ref.status().message();
  ASSERT_TRUE(appender->AppendExemplar(*ref, owner, exemplar).ok());
  ASSERT_TRUE(appender->Commit().ok());
  ASSERT_TRUE(head.Delete({int64_t{1000} * round, int64_t{1000} * round + 20'000},
                          std::vector<Matcher>{*Matcher::Create(MatchType::kEqual, "s", "1")})
                  .ok());
}

TEST(HeadSnapshot, StartEqualsReplay) {
  for (const bool xor2 : {false, true}) {
    const TemporaryDirectory directory;
    std::string written;
    for (int round = 0; round < 3; ++round) {
      Incarnation run(directory.path(), true, xor2);
      if (round > 0) EXPECT_EQ(ReadAll(*run.head), written) << round;
      EXPECT_EQ(run.head->counters().snapshot_replay_errors, 0u);
      Fill(*run.head, round);
      written = ReadAll(*run.head);
      run.Close(true);
    }
    const auto found = FindLastChunkSnapshot(FileSystem::Posix(), directory.path());
    ASSERT_TRUE(found.ok() && found->has_value());
    // What is newer than the snapshot comes from the log, before and after a crash.
    {
      Incarnation run(directory.path(), true, xor2);
      Fill(*run.head, 3);
      written = ReadAll(*run.head);
      ASSERT_TRUE(run.head->MapFullChunks().ok());
    }
    {
      Incarnation run(directory.path(), true, xor2);
      EXPECT_EQ(ReadAll(*run.head), written);
    }
    Incarnation plain(directory.path(), false, xor2);
    EXPECT_EQ(ReadAll(*plain.head), written);
  }
}

// The log is not read from its beginning: what only the snapshot still has is there.
TEST(HeadSnapshot, ReplacesTheLogBeforeIt) {
  const TemporaryDirectory directory;
  std::string written;
  {
    Incarnation run(directory.path(), true);
    Fill(*run.head, 0);
    written = ReadAll(*run.head);
    run.Close(true);
  }
  const std::string segment = JoinPath(directory.path(), "wal/00000000");
  {
    const auto file = FileSystem::Posix().OpenForWrite(segment, FileSystem::OpenMode::kExisting);
    ASSERT_TRUE((*file)->WriteAt(0, std::string(512, '\xff')).ok());
  }
  Incarnation run(directory.path(), true);
  EXPECT_EQ(ReadAll(*run.head), written);
}

TEST(HeadSnapshot, DamageFallsBackToTheLog) {
  FileSystem& files = FileSystem::Posix();
  for (const uint64_t at : {uint64_t{3}, uint64_t{400}}) {
    const TemporaryDirectory directory;
    std::string written;
    {
      Incarnation run(directory.path(), true);
      Fill(*run.head, 0);
      written = ReadAll(*run.head);
      run.Close(true);
    }
    const auto found = FindLastChunkSnapshot(files, directory.path());
    ASSERT_TRUE(found.ok() && found->has_value());
    {
      const auto file =
          files.OpenForWrite(JoinPath((*found)->path, "00000000"), FileSystem::OpenMode::kExisting);
      ASSERT_TRUE((*file)->WriteAt(at, "broken").ok());
    }
    {
      Incarnation run(directory.path(), true);
      EXPECT_EQ(run.head->counters().snapshot_replay_errors, 1u);
      EXPECT_EQ(ReadAll(*run.head), written);
      run.Close(true);
    }
    Incarnation run(directory.path(), true);
    EXPECT_EQ(run.head->counters().snapshot_replay_errors, 0u);
    EXPECT_EQ(ReadAll(*run.head), written);
  }
}

// A log that is behind the snapshot cannot belong to it.
TEST(HeadSnapshot, AheadOfTheLogIsRemoved) {
  FileSystem& files = FileSystem::Posix();
  const TemporaryDirectory directory;
  const std::string path = ChunkSnapshotPath(directory.path(), {7, 0});
  EXPECT_EQ(path, directory.path() + "/chunk_snapshot.000007.0000000000");
  ASSERT_TRUE(files.CreateDirectories(path).ok());
  Incarnation run(directory.path(), true);
  EXPECT_EQ(run.head->counters().snapshot_replay_errors, 0u);
  EXPECT_FALSE(files.Exists(path));
}

TEST(ChunkSnapshot, NoPrefixOfARecordDecodes) {
  SnapshotSeries series;
  series.ref = 7;
  const std::string labels(
      "\x01\x01"
      "a\x01"
      "b",
      5);
  series.labels = labels;
  series.encoding = ChunkEncoding::kXor;
  series.min_ms = -5;
  series.max_ms = 9;
  series.chunk = std::string_view("\0\1abcdefgh", 10);
  series.last_value = 1.5;
  std::string record;
  EncodeSnapshotSeries(series, &record);
  SnapshotSeries decoded;
  ASSERT_TRUE(DecodeSnapshotSeries(record, &decoded).ok());
  EXPECT_EQ(decoded.ref, 7u);
  EXPECT_EQ(decoded.labels, labels);
  EXPECT_EQ(decoded.min_ms, -5);
  EXPECT_EQ(decoded.max_ms, 9);
  EXPECT_EQ(decoded.chunk, series.chunk);
  EXPECT_EQ(decoded.last_value, 1.5);
  // ref 8, labels 5, unused 8, flag 1, times 16, encoding 1, chunk 1 + 10, values 64, type 1.
  EXPECT_EQ(record.size(), 115u);
  for (size_t size = 0; size < record.size(); ++size) {
    EXPECT_FALSE(DecodeSnapshotSeries(record.substr(0, size), &decoded).ok()) << size;
  }
  EXPECT_FALSE(DecodeSnapshotSeries(record + "x", &decoded).ok());

  record.clear();
  EncodeSnapshotTombstones({{3, -1, 5}, {4, 0, 1}}, &record);
  std::vector<SnapshotTombstone> stones;
  ASSERT_TRUE(DecodeSnapshotTombstones(record, &stones).ok());
  ASSERT_EQ(stones.size(), 2u);
  EXPECT_EQ(stones[0].min_ms, -1);
  for (size_t size = 0; size < record.size(); ++size) {
    EXPECT_FALSE(DecodeSnapshotTombstones(record.substr(0, size), &stones).ok()) << size;
  }
}

}  // namespace
}  // namespace narthex::tsdb
