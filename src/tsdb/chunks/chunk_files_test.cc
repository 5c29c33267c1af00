#include <gtest/gtest.h>

#include "tsdb/chunks/conformance_for_test.h"
#include "tsdb/chunks/head_chunk_files.h"
#include "tsdb/chunks/sample_reader.h"
#include "tsdb/chunks/segment_files.h"

namespace narthex::tsdb {
namespace {

FileSystem& Disk() {
  return FileSystem::Posix();
}

std::string OneSample(int64_t t, double v) {
  FloatChunkEncoder encoder(ChunkEncoding::kXor);
  encoder.Append(0, t, v);
  return encoder.Bytes();
}

TEST(ChunkSegments, GoldenBytesAndReadBack) {
  const TemporaryDirectory folder;
  FloatChunkEncoder encoder(ChunkEncoding::kXor);
  encoder.Append(0, 1000, 1);
  encoder.Append(0, 16000, 3);
  const std::string first = encoder.Bytes();
  const std::string second = OneSample(1000, 2);
  auto writer = ChunkSegmentWriter::Open(Disk(), folder.path());
  ASSERT_TRUE(writer.ok());
  std::vector<uint64_t> refs;
  const ChunkView one[] = {{ChunkEncoding::kXor, first}};
  const ChunkView two[] = {{ChunkEncoding::kXor, second}};
  ASSERT_TRUE((*writer)->Write(one, &refs).ok());
  EXPECT_EQ(refs, std::vector<uint64_t>{8});
  ASSERT_TRUE((*writer)->Write(two, &refs).ok());
  ASSERT_TRUE((*writer)->Close().ok());
  EXPECT_EQ(
      EncodeHex(Disk().ReadAll(folder.path() + "/000001").value()),
      "85bd40dd0100000012010002d00f3ff00000000000009875c267ff805a7fcf4a0c010001d00f4000000000000"
      "000b44e9555");
  auto reader = ChunkSegmentReader::Open(Disk(), folder.path());
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(reader->Read(8)->bytes, first);
  EXPECT_EQ(reader->Read(refs[0])->bytes, second);
  EXPECT_EQ(reader->Read(9).status().code(), ErrorCode::kCorruption);
  EXPECT_EQ(reader->Read(uint64_t{1} << 32 | 8).status().message(), "segment index 1 out of range");
  EXPECT_EQ(reader->Read(48).status().message(),
            "segment doesn't include enough bytes to read the chunk size data field - required:53, "
            "available:50");
}

TEST(ChunkSegments, CutsAtTheSizeAlsoWithinASeries) {
  const TemporaryDirectory folder;
  auto writer = ChunkSegmentWriter::Open(Disk(), folder.path(), 100);
  const std::string chunk(30, 'c');
  std::vector<ChunkView> chunks(5, {ChunkEncoding::kXor, chunk});
  std::vector<uint64_t> refs;
  ASSERT_TRUE((*writer)->Write(chunks, &refs).ok());
  ASSERT_TRUE((*writer)->Close().ok());
  std::vector<uint64_t> segments;
  for (const uint64_t ref : refs) segments.push_back(ref >> 32);
  EXPECT_EQ(segments, (std::vector<uint64_t>{0, 0, 1, 1, 2}));
  auto reader = ChunkSegmentReader::Open(Disk(), folder.path());
  for (const uint64_t ref : refs) EXPECT_EQ(reader->Read(ref)->bytes, chunk);
}

TEST(ChunkSegments, RefusesForeignFiles) {
  for (const auto& [bytes, error] :
       {std::pair{std::string("abc"), "invalid segment header in segment 0: invalid size"},
        std::pair{DecodeHex("0102030401000000"), "invalid magic number 1020304"},
        std::pair{DecodeHex("85bd40dd02000000"), "invalid chunk format version 2"}}) {
    const TemporaryDirectory folder;
    ASSERT_TRUE(Disk().WriteAtomically(folder.path() + "/000001", bytes).ok());
    EXPECT_EQ(ChunkSegmentReader::Open(Disk(), folder.path()).status().message(), error);
  }
}

TEST(HeadChunks, GoldenBytesAndReadBack) {
  const TemporaryDirectory folder;
  const std::string chunk = OneSample(1000, 1);
  auto files = HeadChunkFiles::Open(Disk(), folder.path());
  ASSERT_TRUE(files.ok());
  EXPECT_EQ((*files)->Write(7, 1000, 1000, ChunkEncoding::kXor, false, chunk).value_or(0),
            4294967304u);
  EXPECT_EQ((*files)->Write(8, 1000, 1000, ChunkEncoding::kXor, true, chunk).value_or(0),
            4294967346u);
  EXPECT_EQ((*files)->Read(4294967346)->bytes, chunk);  // From the buffer.
  ASSERT_TRUE((*files)->Flush().ok());
  EXPECT_EQ((*files)->Read(4294967304)->bytes, chunk);  // From the map.
  EXPECT_TRUE((*files)->Read(4294967346)->is_out_of_order);
  ASSERT_TRUE((*files)->Close().ok());
  const std::string bytes = Disk().ReadAll(folder.path() + "/000001").value();
  ASSERT_EQ(bytes.size(), 131072u);
  EXPECT_EQ(
      EncodeHex(bytes.substr(0, 92)),
      "0130bc9101000000000000000000000700000000000003e800000000000003e8010c0001d00f3ff0000000000"
      "0002227296e000000000000000800000000000003e800000000000003e8810c0001d00f3ff00000000000001d"
      "2fc40d");
}

TEST(HeadChunks, SurvivesReopenTruncationAndDamage) {
  const TemporaryDirectory folder;
  std::vector<uint64_t> refs;
  std::vector<std::string> chunks;
  HeadChunkOptions options;
  options.file_bytes_max = 256 * 1024;
  options.write_buffer_bytes = 64 * 1024;
  {
    auto files = HeadChunkFiles::Open(Disk(), folder.path(), options);
    for (int i = 0; i < 2000; ++i) {
      chunks.push_back(std::string(10 + static_cast<size_t>(i) % 900, static_cast<char>(i)));
      const auto ref = (*files)->Write(static_cast<uint64_t>(i) + 1, i, i + 5, ChunkEncoding::kXor,
                                       i % 3 == 0, chunks.back());
      ASSERT_TRUE(ref.ok());
      refs.push_back(*ref);
      const size_t look = static_cast<size_t>(i) * 7919 % refs.size();
      const auto chunk = (*files)->Read(refs[look]);
      ASSERT_TRUE(chunk.ok()) << chunk.status().message();
      ASSERT_EQ(chunk->bytes, chunks[look]);
    }
    EXPECT_GT((*files)->last_file(), 3u);
  }
  {
    auto files = HeadChunkFiles::Open(Disk(), folder.path(), options);
    ASSERT_TRUE(files.ok());
    size_t seen = 0;
    std::optional<HeadChunkCorruption> corruption;
    ASSERT_TRUE((*files)
                    ->ForEach(
                        [&](const HeadChunkMeta& meta) {
                          EXPECT_EQ(meta.chunk_ref, refs[seen]);
                          EXPECT_EQ(meta.series_ref, seen + 1);
                          EXPECT_EQ(meta.is_out_of_order, seen % 3 == 0);
                          ++seen;
                          return Status();
                        },
                        &corruption)
                    .ok());
    EXPECT_EQ(seen, 2000u);
    const uint32_t last = (*files)->last_file();
    // A new file after a restart, numbers go on.
    EXPECT_EQ(
        HeadChunkFileNumber((*files)->Write(9, 1, 2, ChunkEncoding::kXor, false, "x").value_or(0)),
        last + 1);
    // A chunk that somebody holds outlives its file.
    const auto held = (*files)->Read(refs[0]);
    ASSERT_TRUE((*files)->Truncate(3).ok());
    EXPECT_EQ(held->bytes, chunks[0]);
    EXPECT_FALSE((*files)->Read(refs[0]).ok());
    EXPECT_FALSE(Disk().Exists(folder.path() + "/000002"));
    EXPECT_TRUE(Disk().Exists(folder.path() + "/000003"));
  }
  // One damaged byte: everything before it is visited, its file and the later ones can be dropped.
  {
    const std::string path = folder.path() + "/000004";
    std::string bytes = Disk().ReadAll(path).value();
    bytes[5000] ^= 1;
    ASSERT_TRUE(Disk().WriteAtomically(path, bytes).ok());
    auto files = HeadChunkFiles::Open(Disk(), folder.path(), options);
    std::optional<HeadChunkCorruption> corruption;
    const Status status =
        (*files)->ForEach([](const HeadChunkMeta&) { return Status(); }, &corruption);
    ASSERT_TRUE(corruption.has_value());
    EXPECT_EQ(corruption->file, 4u);
    EXPECT_TRUE(status.message().starts_with(
        fmt::format("corruption in head chunk file {}: checksum mismatch expected:", path)))
        << status.message();
    ASSERT_TRUE((*files)->DeleteFrom(corruption->file).ok());
    EXPECT_EQ((*files)->last_file(), 3u);
    EXPECT_TRUE((*files)->ForEach([](const HeadChunkMeta&) { return Status(); }, nullptr).ok());
  }
}

TEST(HeadChunks, OpenRepairsTheLastAndRefusesGaps) {
  const TemporaryDirectory folder;
  const std::string header = DecodeHex("0130bc9101000000");
  ASSERT_TRUE(Disk().WriteAtomically(folder.path() + "/000001", header).ok());
  ASSERT_TRUE(Disk().WriteAtomically(folder.path() + "/000002", std::string(100, '\0')).ok());
  {
    auto files = HeadChunkFiles::Open(Disk(), folder.path());
    ASSERT_TRUE(files.ok()) << files.status().message();
    EXPECT_EQ((*files)->last_file(), 1u);
    EXPECT_FALSE(Disk().Exists(folder.path() + "/000002"));
  }
  ASSERT_TRUE(Disk().WriteAtomically(folder.path() + "/000003", header).ok());
  EXPECT_EQ(HeadChunkFiles::Open(Disk(), folder.path()).status().message(),
            fmt::format("found unsequential head chunk files {0}/000001 (index: 1) and {0}/000003 "
                        "(index: 3)",
                        folder.path()));
}

}  // namespace
}  // namespace narthex::tsdb
