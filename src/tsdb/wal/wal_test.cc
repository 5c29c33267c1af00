#include "tsdb/wal/wal.h"

#include <gtest/gtest.h>

#include <bit>
#include <map>
#include <random>
#include <set>

#include "tsdb/chunks/conformance_for_test.h"
#include "tsdb/wal/checkpoint.h"
#include "tsdb/wal/records.h"
#include "tsdb/wal/sample_compress.h"
#include "util/compress.h"
#include "util/file.h"

namespace narthex::tsdb {
namespace {

FileSystem& Disk() {
  return FileSystem::Posix();
}

std::vector<std::string> ReadAllRecords(const std::string& directory, Status* status = nullptr) {
  std::vector<std::string> records;
  auto reader = OpenWalReader(Disk(), directory);
  EXPECT_TRUE(reader.ok());
  while (reader->Next()) records.emplace_back(reader->record());
  if (status != nullptr) *status = reader->status();
  return records;
}

std::string Noise(std::mt19937_64& random, size_t size) {
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

void WriteFile(const std::string& path, std::string_view bytes) {
  auto file = Disk().OpenForWrite(path, FileSystem::OpenMode::kTruncate);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->Append(bytes).ok());
  ASSERT_TRUE((*file)->Close().ok());
}

// What the compressor of samples writes is a snappy block of the same bytes, whatever they are.
TEST(SampleCompress, IsLossless) {
  std::mt19937_64 random(11);
  std::string packed;
  const auto check = [&](std::string_view record) {
    SnappyCompressSamples(record, &packed);
    const Result<std::string> plain = SnappyDecompress(packed, record.size());
    ASSERT_TRUE(plain.ok()) << plain.status().message();
    ASSERT_EQ(*plain, record);
  };
  for (int round = 0; round < 400; ++round) {
    std::vector<WalSample> samples;
    uint64_t ref = random() % 1'000'000;
    const size_t count = random() % (round % 20 == 0 ? 20'000 : 300);
    const uint64_t kind = random() % 5;
    for (size_t i = 0; i < count; ++i) {
      ref += 1 + random() % (random() % 10 == 0 ? 100'000 : 2);
      double value = 0;
      switch (kind == 4 ? random() % 4 : kind) {
        case 0: value = static_cast<double>(random() % 10); break;
        case 1: value = static_cast<double>(random() % 100'000); break;
        case 2: value = static_cast<double>(random() % 100'000) / 7; break;
        default: value = std::bit_cast<double>(random()); break;
      }
      const auto late = static_cast<int64_t>(random() % (kind == 3 ? 100'000 : 1));
      samples.push_back({ref, 1'767'225'600'000 + late, 0, value});
    }
    std::string record;
    EncodeSamples(samples, SampleFormat::kV1, &record);
    check(record);
    // Cut anywhere, and changed anywhere.
    check(std::string_view(record).substr(0, random() % (record.size() + 1)));
    for (int i = 0; i < 5; ++i) record[random() % record.size()] = static_cast<char>(random());
    check(record);
    check(Noise(random, random() % 200));
    check(std::string(random() % 70'000, static_cast<char>(random())));
  }
}

// And about as small as the general one's.
TEST(SampleCompress, IsSmall) {
  std::mt19937_64 random(11);
  std::vector<WalSample> samples;
  for (uint64_t i = 0; i < 4000; ++i) {
    const double value = static_cast<double>(i % 3 == 0 ? random() % 20 : random() % 1'000'000);
    samples.push_back({100'000 + i, 1'767'225'600'000, 0, value});
  }
  std::string record;
  EncodeSamples(samples, SampleFormat::kV1, &record);
  std::string packed;
  SnappyCompressSamples(record, &packed);
  EXPECT_LE(packed.size(), SnappyCompress(record).size() * 11 / 10);
}

TEST(Wal, GoldenPage) {
  const TemporaryDirectory folder;
  auto wal = Wal::Open(Disk(), folder.path(), {.compression = WalCompression::kNone});
  ASSERT_TRUE(wal.ok());
  std::string series;
  BeginSeriesRecord(&series);
  AddSeries(1, Labels{{"__name__", "up"}, {"job", "x"}}, &series);
  AddSeries(2, Labels{{"__name__", "up"}, {"job", "y"}}, &series);
  std::string first;
  EncodeSamples(std::vector<WalSample>{{1, 1000, 0, 1}, {2, 1000, 0, 2}}, SampleFormat::kV1,
                &first);
  std::string second;
  EncodeSamples(std::vector<WalSample>{{1, 16000, 0, 3}}, SampleFormat::kV1, &second);
  const std::string_view batch[] = {series, first};
  ASSERT_TRUE((*wal)->Log(batch).ok());
  ASSERT_TRUE((*wal)->Log(second).ok());
  ASSERT_TRUE((*wal)->Close().ok());
  EXPECT_FALSE((*wal)->Log(second).ok());
  const std::string bytes = Disk().ReadAll(folder.path() + "/00000000").value();
  ASSERT_EQ(bytes.size(), 32768u);
  const std::string_view want =
      "010037ebf3f0f901000000000000000102085f5f6e616d655f5f027570036a6f620178000000000000000202085f"
      "5f"
      "6e616d655f5f027570036a6f620179010025a74438cc02000000000000000100000000000003e800003ff0000000"
      "00"
      "00000200400000000000000001001b52aec0ff0200000000000000010000000000";
  EXPECT_EQ(EncodeHex(bytes).substr(0, want.size()), want);
}

TEST(Wal, RoundTripsAcrossPagesSegmentsAndCompressions) {
  for (const WalCompression compression :
       {WalCompression::kNone, WalCompression::kSnappy, WalCompression::kZstd}) {
    const TemporaryDirectory folder;
    std::mt19937_64 random(3);
    std::vector<std::string> written;
    for (int reopen = 0; reopen < 3; ++reopen) {
      auto wal = Wal::Open(Disk(), folder.path(),
                           {.segment_bytes = 4 * kWalPageBytes, .compression = compression});
      ASSERT_TRUE(wal.ok()) << wal.status().message();
      for (int batch = 0; batch < 30; ++batch) {
        std::vector<std::string> records;
        for (uint64_t i = random() % 5; i > 0; --i) {
          const size_t size = random() % 3 == 0 ? random() % 90'000 : random() % 300;
          records.push_back(random() % 2 == 0 ? Noise(random, size) : std::string(size, 'a'));
        }
        // Just at the end of a page, where no header fits any more.
        if (batch == 5) {
          const uint64_t used = (*wal)->position().offset % kWalPageBytes;
          if (used + 20 < kWalPageBytes && compression == WalCompression::kNone) {
            records.insert(records.begin(), std::string(kWalPageBytes - used - 7 - 3, 'x'));
          }
        }
        const std::vector<std::string_view> views(records.begin(), records.end());
        ASSERT_TRUE((*wal)->Log(views).ok());
        written.insert(written.end(), records.begin(), records.end());
      }
      // A reader sees what was logged without a Close.
      EXPECT_EQ(ReadAllRecords(folder.path()), written);
    }
    Status status;
    EXPECT_EQ(ReadAllRecords(folder.path(), &status), written);
    EXPECT_TRUE(status.ok()) << status.message();
    const auto segments = ListWalSegments(Disk(), folder.path());
    ASSERT_TRUE(segments.ok());
    EXPECT_GT(segments->size(), compression == WalCompression::kNone ? 10u : 3u);
    for (const WalSegment& segment : *segments) EXPECT_EQ(segment.size % kWalPageBytes, 0u);
  }
}

TEST(Wal, RefusesBadSizesAndGaps) {
  const TemporaryDirectory folder;
  EXPECT_EQ(Wal::Open(Disk(), folder.path(), {.segment_bytes = 1000}).status().message(),
            "invalid segment size");
  WriteFile(folder.path() + "/00000001", "");
  WriteFile(folder.path() + "/00000003", "");
  EXPECT_EQ(Wal::Open(Disk(), folder.path(), {}).status().message(), "segments are not sequential");
}

TEST(Wal, ReportsCorruptionInUpstreamsWords) {
  const std::string full = DecodeHex("010003") + std::string(4, '\0') + "abc";
  struct Case {
    const char* name;
    std::string bytes;
    const char* reason;
    uint64_t offset;
  };
  std::string good = DecodeHex("0100000000000000000");  // Placeholder, replaced below.
  {
    const TemporaryDirectory folder;
    auto wal = Wal::Open(Disk(), folder.path(), {.compression = WalCompression::kNone});
    ASSERT_TRUE((*wal)->Log("abc").ok());
    good = Disk().ReadAll(folder.path() + "/00000000").value();
  }
  const auto with_type = [&](char type) {
    std::string bytes = good;
    bytes[0] = type;
    return bytes;
  };
  for (const Case& c : {
           Case{"checksum", full, "unexpected checksum 364b3fb7, expected 0", 10},
           Case{"type", with_type(5), "unexpected record type 5", 10},
           Case{"middle", with_type(3), "unexpected middle record, dropping buffer", 10},
           Case{"last", with_type(4), "unexpected last record, dropping buffer", 10},
           Case{"torn", with_type(2), "last record is torn", 32768},
           Case{"first in first", with_type(2) + with_type(2),
                "unexpected first record, dropping buffer", 20},
           Case{"full in first", with_type(2) + good, "unexpected full record", 20},
           Case{"size", DecodeHex("01ffff00000000"), "invalid record size 65535", 7},
           Case{"padding", good + std::string(1, '\0') + "x",
                "unexpected non-zero byte in padded page", 32768},
       }) {
    SCOPED_TRACE(c.name);
    const TemporaryDirectory folder;
    const std::string path = folder.path() + "/00000000";
    WriteFile(path, c.bytes);
    auto reader = OpenWalReader(Disk(), folder.path());
    ASSERT_TRUE(reader.ok());
    while (reader->Next()) {
    }
    ASSERT_NE(reader->corruption(), nullptr);
    EXPECT_EQ(reader->corruption()->reason, c.reason);
    EXPECT_EQ(reader->status().message(),
              fmt::format("corruption in segment {} at {}: {}", path, c.offset, c.reason));
  }
}

// Whatever byte is damaged or wherever the file is cut: what is read is a prefix of what was
// written, and after a repair exactly that prefix stays and the log goes on.
TEST(Wal, TornAndDamagedAtEveryPlaceKeepsAPrefix) {
  std::mt19937_64 random(11);
  std::vector<std::string> written;
  std::string segment[2];
  {
    const TemporaryDirectory folder;
    auto wal = Wal::Open(Disk(), folder.path(), {.compression = WalCompression::kSnappy});
    for (int i = 0; i < 40; ++i) {
      written.push_back(Noise(random, i == 20 ? 40'000 : 20 + random() % 60));
      ASSERT_TRUE((*wal)->Log(written.back()).ok());
      if (i == 29) {
        ASSERT_TRUE((*wal)->NextSegment().ok());
      }
    }
    ASSERT_TRUE((*wal)->Close().ok());
    segment[0] = Disk().ReadAll(folder.path() + "/00000000").value();
    segment[1] = Disk().ReadAll(folder.path() + "/00000001").value();
  }
  const TemporaryDirectory root;
  for (int round = 0; round < 150; ++round) {
    const std::string folder = fmt::format("{}/{}", root.path(), round);
    ASSERT_TRUE(Disk().CreateDirectories(folder).ok());
    std::string damaged = segment[0];
    if (round % 2 == 0) {
      damaged.resize(random() % (damaged.size() / (round % 4 == 0 ? 1 : 16)));
    } else {
      damaged[random() % 45'000] ^= static_cast<char>(1 + random() % 255);
    }
    WriteFile(folder + "/00000000", damaged);
    WriteFile(folder + "/00000001", segment[1]);

    WalCorruption corruption;
    std::vector<std::string> read;
    {
      auto reader = OpenWalReader(Disk(), folder);
      ASSERT_TRUE(reader.ok());
      while (reader->Next()) read.emplace_back(reader->record());
      if (reader->corruption() != nullptr) corruption = *reader->corruption();
    }
    if (corruption.segment < 0) {
      // A cut at the end of a record, or zeros in place of the tail: the next segment follows.
      for (const std::string& record : read) {
        EXPECT_NE(std::find(written.begin(), written.end(), record), written.end());
      }
      continue;
    }
    ASSERT_LE(read.size(), written.size());
    EXPECT_TRUE(std::equal(read.begin(), read.end(), written.begin()));
    auto wal = Wal::Open(Disk(), folder, {});
    ASSERT_TRUE(wal.ok());
    ASSERT_TRUE((*wal)->Repair(corruption).ok());
    EXPECT_EQ((*wal)->position().segment, corruption.segment + 1);
    ASSERT_TRUE((*wal)->Log("more").ok());
    Status status;
    const std::vector<std::string> after = ReadAllRecords(folder, &status);
    EXPECT_TRUE(status.ok()) << status.message();
    read.push_back("more");
    EXPECT_EQ(after, read);
  }
}

TEST(Wal, RepairRefusesAnotherFolder) {
  const TemporaryDirectory folder;
  auto wal = Wal::Open(Disk(), folder.path(), {});
  ASSERT_TRUE((*wal)->Log("kept").ok());
  const Status status =
      (*wal)->Repair({folder.path() + "/checkpoint.00000000", 0, 10, "unexpected full record"});
  EXPECT_EQ(status.message(), fmt::format("cannot handle error: corruption in segment {}/checkpoint"
                                          ".00000000/00000000 at 10: unexpected full record",
                                          folder.path()));
  EXPECT_EQ((*wal)->Repair({folder.path(), -1, 0, ""}).message(),
            "corruption error does not specify position");
  EXPECT_EQ(ReadAllRecords(folder.path()), std::vector<std::string>{"kept"});
}

TEST(Wal, TruncateRemovesOldSegments) {
  const TemporaryDirectory folder;
  auto wal = Wal::Open(Disk(), folder.path(), {});
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE((*wal)->Log(std::to_string(i)).ok());
    ASSERT_EQ((*wal)->NextSegment().value_or(-1), i + 1);
  }
  ASSERT_TRUE((*wal)->Truncate(2).ok());
  EXPECT_EQ(ReadAllRecords(folder.path()), (std::vector<std::string>{"2", "3"}));
}

TEST(Checkpoint, KeepsWhatIsStillNeeded) {
  const TemporaryDirectory folder;
  auto wal = Wal::Open(Disk(), folder.path(), {});
  ASSERT_TRUE(wal.ok());
  EXPECT_FALSE(FindLastCheckpoint(Disk(), folder.path())->has_value());
  for (int64_t segment = 0; segment < 4; ++segment) {
    const auto base = static_cast<uint64_t>(segment) * 10;
    std::string series;
    BeginSeriesRecord(&series);
    for (uint64_t i = 1; i <= 4; ++i) {
      AddSeries(base + i, Labels{{"n", std::to_string(base + i)}}, &series);
    }
    std::string samples;
    EncodeSamples(std::vector<WalSample>{{base + 1, segment * 100, 0, 1},
                                         {base + 2, segment * 100 + 50, 0, 2}},
                  SampleFormat::kV1, &samples);
    std::string stones;
    EncodeTombstones(std::vector<WalTombstone>{{base + 1, 0, segment * 100}, {base + 2, 0, 1000}},
                     &stones);
    std::string exemplars;
    EncodeExemplars(std::vector<WalExemplar>{{base + 1, segment * 100, 1, {}}}, &exemplars);
    std::string metadata;
    EncodeMetadata(std::vector<WalMetadata>{{2, MetricType::kGauge, "", std::to_string(segment)},
                                            {1, MetricType::kGauge, "", "gone"}},
                   &metadata);
    std::string markers;
    EncodeMmapMarkers(std::vector<WalMmapMarker>{{1, 2}}, &markers);
    const std::string_view batch[] = {series,   samples, stones,        exemplars,
                                      metadata, markers, "\x63 unknown"};
    ASSERT_TRUE((*wal)->Log(batch).ok());
    ASSERT_TRUE((*wal)->NextSegment().ok());
  }
  const auto even = [](uint64_t ref) { return ref % 2 == 0; };
  const auto collect = [&](int index) {
    std::map<RecordType, std::vector<std::string>> seen;
    auto reader = OpenWalReader(Disk(), CheckpointPath(folder.path(), index));
    EXPECT_TRUE(reader.ok());
    while (reader->Next()) {
      seen[TypeOfRecord(reader->record())].emplace_back(reader->record());
    }
    EXPECT_TRUE(reader->status().ok());
    return seen;
  };

  ASSERT_TRUE(Disk().CreateDirectories(folder.path() + "/checkpoint.00000000.tmp").ok());
  auto stats = CreateCheckpoint(
      Disk(), **wal, {.first_segment = 0, .last_segment = 1, .min_ms = 150, .keep = even});
  ASSERT_TRUE(stats.ok()) << stats.status().message();
  EXPECT_EQ(stats->series, 8u);
  EXPECT_EQ(stats->series_dropped, 4u);
  EXPECT_EQ(stats->samples_dropped, 3u);
  EXPECT_EQ(stats->tombstones_dropped, 2u);
  EXPECT_EQ(stats->exemplars_dropped, 2u);
  EXPECT_FALSE(Disk().Exists(folder.path() + "/checkpoint.00000000.tmp"));
  ASSERT_TRUE((*wal)->Truncate(2).ok());

  // The second takes the first and what came after; the bound never falls.
  stats = CreateCheckpoint(Disk(), **wal,
                           {.first_segment = 2, .last_segment = 3, .min_ms = 100, .keep = even});
  ASSERT_TRUE(stats.ok()) << stats.status().message();
  ASSERT_TRUE(DeleteCheckpoints(Disk(), folder.path(), 3).ok());
  const auto last = FindLastCheckpoint(Disk(), folder.path());
  ASSERT_TRUE(last->has_value());
  EXPECT_EQ((*last)->index, 3);
  EXPECT_EQ(ReadCheckpointMinValidTime(Disk(), folder.path())->value_or(0), 150);

  auto seen = collect(3);
  EXPECT_EQ(seen[RecordType::kMinValidTime].size(), 1u);
  std::set<uint64_t> refs;
  for (const std::string& record : seen[RecordType::kSeries]) {
    std::vector<WalSeries> series;
    ASSERT_TRUE(DecodeSeries(record, &series).ok());
    for (const WalSeries& s : series) {
      EXPECT_EQ(DecodeWalLabels(s.labels).Get("n"), std::to_string(s.ref));
      refs.insert(s.ref);
    }
  }
  EXPECT_EQ(refs, (std::set<uint64_t>{2, 4, 12, 14, 22, 24, 32, 34}));
  ASSERT_EQ(seen[RecordType::kMetadata].size(), 1u);
  std::vector<WalMetadata> metadata;
  ASSERT_TRUE(DecodeMetadata(seen[RecordType::kMetadata][0], &metadata).ok());
  ASSERT_EQ(metadata.size(), 1u);
  EXPECT_EQ(metadata[0].help, "3");
  EXPECT_TRUE(seen[RecordType::kMmapMarkers].empty());

  EXPECT_EQ(CreateCheckpoint(Disk(), **wal,
                             {.first_segment = 6, .last_segment = 7, .min_ms = 0, .keep = even})
                .status()
                .message(),
            "unexpected gap to last checkpoint. expected:4, requested:6");
}

}  // namespace
}  // namespace narthex::tsdb
