#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <future>
#include <limits>

#include "util/bytes.h"
#include "util/compress.h"
#include "util/crc32c.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/numbers.h"
#include "util/status.h"
#include "util/strings.h"
#include "util/thread_pool.h"
#include "util/time.h"

namespace narthex {
namespace {

TEST(Status, PrefixKeepsCodeAndSuccess) {
  EXPECT_TRUE(Status().WithPrefix("x: ").ok());
  const Status error = MakeError(ErrorCode::kTimeout, "took {}s", 3).WithPrefix("query: ");
  EXPECT_EQ(error.code(), ErrorCode::kTimeout);
  EXPECT_EQ(error.message(), "query: took 3s");
}

TEST(Bytes, VarintsRoundTrip) {
  for (const int64_t v :
       {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{63}, int64_t{-64}, int64_t{1} << 40,
        std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}) {
    std::string bytes;
    ByteWriter writer(&bytes);
    writer.PutVarint(v);
    writer.PutUvarint(static_cast<uint64_t>(v));
    ByteReader reader(bytes);
    EXPECT_EQ(reader.Varint(), v);
    EXPECT_EQ(reader.Uvarint(), static_cast<uint64_t>(v));
    EXPECT_FALSE(reader.failed());
    EXPECT_TRUE(reader.empty());
  }
}

TEST(Bytes, ReaderFailsInsteadOfReadingPastTheEnd) {
  for (const std::string_view bytes :
       {std::string_view("\x80", 1),
        std::string_view("\x05"
                         "ab"),
        std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")}) {
    ByteReader reader(bytes);
    reader.UvarintString();
    EXPECT_TRUE(reader.failed());
    EXPECT_EQ(reader.BigEndian64(), 0u);
  }
}

TEST(Crc32c, KnownAnswers) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c("6789", Crc32c("12345")), 0xe3069283u);
}

TEST(Hash, KnownAnswers) {
  EXPECT_EQ(XxHash64(""), 0xef46db3751d8e999u);
  EXPECT_EQ(Fnv1a64("a"), 0xaf63dc4c8601ec8cu);
}

TEST(Numbers, FormatsAsGo) {
  struct Case {
    double value;
    std::string_view f, g, e, json;
  };
  const double inf = std::numeric_limits<double>::infinity();
  for (const Case& c : {
           Case{0, "0", "0", "0e+00", "0"},
           Case{-0.0, "-0", "-0", "-0e+00", "-0"},
           Case{1, "1", "1", "1e+00", "1"},
           Case{0.1, "0.1", "0.1", "1e-01", "0.1"},
           Case{1e6, "1000000", "1e+06", "1e+06", "1000000"},
           Case{123456789, "123456789", "1.23456789e+08", "1.23456789e+08", "123456789"},
           Case{1e21, "1000000000000000000000", "1e+21", "1e+21", "1e+21"},
           Case{1e-5, "0.00001", "1e-05", "1e-05", "0.00001"},
           Case{1e-7, "0.0000001", "1e-07", "1e-07", "1e-07"},
           Case{inf, "+Inf", "+Inf", "+Inf", "+Inf"},
           Case{18446744073709551616.0, "18446744073709552000", "1.8446744073709552e+19",
                "1.8446744073709552e+19", "18446744073709552000"},
           Case{-1e25, "-10000000000000000000000000", "-1e+25", "-1e+25", "-1e+25"},
           Case{9007199254740994.0, "9007199254740994", "9.007199254740994e+15",
                "9.007199254740994e+15", "9007199254740994"},
           Case{-inf, "-Inf", "-Inf", "-Inf", "-Inf"},
           Case{NormalNan(), "NaN", "NaN", "NaN", "NaN"},
       }) {
    EXPECT_EQ(FormatFloatF(c.value), c.f);
    EXPECT_EQ(FormatFloatG(c.value), c.g);
    EXPECT_EQ(FormatFloatE(c.value), c.e);
    std::string json;
    AppendJsonFloat(c.value, &json);
    EXPECT_EQ(json, c.json);
  }
}

TEST(Numbers, ParsesFloatsAsGo) {
  struct Case {
    std::string_view text;
    std::optional<double> want;
  };
  const double inf = std::numeric_limits<double>::infinity();
  for (const Case& c : {
           Case{"1", 1.0},
           Case{"-1.5e3", -1500.0},
           Case{"+2", 2.0},
           Case{".5", 0.5},
           Case{"5.", 5.0},
           Case{"0x1p-2", 0.25},
           Case{"0x10", std::nullopt},
           Case{"", std::nullopt},
           Case{"inf", inf},
           Case{"-Infinity", -inf},
           Case{"+Inf", inf},
           Case{"1_000", std::nullopt},
           Case{"1e", std::nullopt},
           Case{"--1", std::nullopt},
           Case{"+-1", std::nullopt},
           Case{"1e400", inf},
           Case{"1e-400", 0.0},
           Case{"+nan", std::nullopt},
       }) {
    SCOPED_TRACE(c.text);
    EXPECT_EQ(ParseFloat(c.text), c.want);
  }
  EXPECT_TRUE(std::isnan(*ParseFloat("NaN")));
  EXPECT_FALSE(IsStaleNan(*ParseFloat("nan")));
  bool out_of_range = false;
  ASSERT_TRUE(ParseFloat("1e400", &out_of_range).has_value());
  EXPECT_TRUE(out_of_range);
}

TEST(Time, DurationsRoundTrip) {
  struct Case {
    std::string_view text;
    int64_t millis;
    std::string_view canonical;
  };
  for (const Case& c : {Case{"0", 0, "0s"}, Case{"15s", 15'000, "15s"},
                        Case{"1h30m", 5'400'000, "1h30m"}, Case{"90m", 5'400'000, "1h30m"},
                        Case{"7d", 604'800'000, "1w"}, Case{"8d", 691'200'000, "8d"},
                        Case{"1y", 31'536'000'000, "1y"}, Case{"1m30ms", 60'030, "1m30ms"}}) {
    SCOPED_TRACE(c.text);
    const Result<int64_t> nanos = ParseDuration(c.text);
    ASSERT_TRUE(nanos.ok());
    EXPECT_EQ(*nanos, c.millis * kNanosPerMilli);
    EXPECT_EQ(FormatDuration(*nanos), c.canonical);
  }
}

TEST(Time, RefusesDurationsInUpstreamsWords) {
  struct Case {
    std::string_view text;
    std::string_view error;
  };
  for (const Case& c :
       {Case{"", "empty duration string"}, Case{"1", "not a valid duration string: \"1\""},
        Case{"1s1h", "not a valid duration string: \"1s1h\""},
        Case{"1.5h", "unknown unit \".\" in duration \"1.5h\""},
        Case{"294y", "duration out of range"}}) {
    EXPECT_EQ(ParseDuration(c.text).status().message(), c.error) << c.text;
  }
}

TEST(Time, GoDurations) {
  struct Case {
    int64_t nanos;
    std::string_view want;
  };
  for (const Case& c :
       {Case{0, "0s"}, Case{1, "1ns"}, Case{1'500, "1.5µs"}, Case{100'000'000, "100ms"},
        Case{1'500'000'000, "1.5s"}, Case{120'000'000'000, "2m0s"},
        Case{5'400'000'000'000, "1h30m0s"}, Case{-1'000'000'000, "-1s"}}) {
    EXPECT_EQ(FormatGoDuration(c.nanos), c.want);
  }
}

TEST(Time, Rfc3339RoundTrips) {
  for (const std::string_view text :
       {"2026-01-01T00:00:00Z", "1969-12-31T23:59:59.5Z", "2024-02-29T12:34:56.123456789Z"}) {
    const Result<int64_t> nanos = ParseRfc3339(text);
    ASSERT_TRUE(nanos.ok()) << text;
    EXPECT_EQ(FormatRfc3339Nano(*nanos), text);
  }
  EXPECT_EQ(*ParseRfc3339("2026-01-01T02:30:00+02:30"), *ParseRfc3339("2026-01-01T00:00:00Z"));
  for (const std::string_view text :
       {"", "2026-01-01", "2026-13-01T00:00:00Z", "2025-02-29T00:00:00Z", "2026-01-01T00:00:00"}) {
    EXPECT_FALSE(ParseRfc3339(text).ok()) << text;
  }
}

TEST(Strings, QuotesAsGo) {
  EXPECT_EQ(GoQuote("a\"b\\\n\x01\xff é"), R"("a\"b\\\n\x01\xff é")");
  EXPECT_EQ(GoQuote("\u200b\U000e0001"), R"("\u200b\U000e0001")");
  EXPECT_EQ(GoQuoteRune('\''), R"('\'')");
}

TEST(Strings, Utf8) {
  EXPECT_TRUE(IsValidUtf8("aé€😀"));
  EXPECT_EQ(CountRunes("aé€😀"), 4u);
  for (const std::string_view bad : {"\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82"}) {
    EXPECT_FALSE(IsValidUtf8(bad));
  }
}

TEST(Strings, JsonEscapes) {
  std::string go;
  AppendJsonString("<a&\"\n\u2028\xff", JsonEscape::kGo, &go);
  EXPECT_EQ(go, R"("\u003ca\u0026\"\n\u2028\ufffd")");
  std::string plain;
  AppendJsonString("<a>", JsonEscape::kPlain, &plain);
  EXPECT_EQ(plain, "\"<a>\"");
}

TEST(Compress, RoundTripsAndBounds) {
  std::string text;
  for (int i = 0; i < 10'000; ++i) text += std::to_string(i * i);
  EXPECT_EQ(*SnappyDecompress(SnappyCompress(text), text.size()), text);
  EXPECT_EQ(*SnappyFramedDecompress(SnappyFramedCompress(text), text.size()), text);
  EXPECT_EQ(*ZstdDecompress(ZstdCompress(text), text.size()), text);
  EXPECT_EQ(*GzipDecompress(GzipCompress(text) + GzipCompress("tail"), text.size() + 4),
            text + "tail");
  EXPECT_EQ(SnappyDecompress(SnappyCompress(text), 10).status().code(), ErrorCode::kLimitExceeded);
  EXPECT_EQ(SnappyFramedDecompress(SnappyFramedCompress(text), 10).status().code(),
            ErrorCode::kLimitExceeded);
  EXPECT_EQ(SnappyFramedDecompress("sNaPpY", 10).status().code(), ErrorCode::kCorruption);
  EXPECT_EQ(ZstdDecompress(ZstdCompress(text), 10).status().code(), ErrorCode::kLimitExceeded);
  EXPECT_EQ(GzipDecompress(GzipCompress(text), 10).status().code(), ErrorCode::kLimitExceeded);
  EXPECT_EQ(GzipDecompress("garbage", 10).status().code(), ErrorCode::kCorruption);
  EXPECT_FALSE(ZstdDecompress(ZstdCompress(text).substr(0, 50), text.size()).ok());
}

TEST(File, PublishesListsAndRemoves) {
  const TemporaryDirectory folder;
  FileSystem& fs = FileSystem::Posix();
  const std::string nested = JoinPath(folder.path(), "a/b");
  ASSERT_TRUE(fs.CreateDirectories(nested).ok());
  ASSERT_TRUE(fs.WriteAtomically(JoinPath(nested, "f"), "hello").ok());
  EXPECT_EQ(*fs.ReadAll(JoinPath(nested, "f")), "hello");
  EXPECT_EQ((*fs.Map(JoinPath(nested, "f")))->data(), "hello");
  const auto entries = fs.List(nested);
  ASSERT_TRUE(entries.ok());
  ASSERT_EQ(entries->size(), 1u);
  EXPECT_EQ(entries->front().size, 5u);
  EXPECT_EQ(fs.ReadAll(JoinPath(nested, "none")).status().code(), ErrorCode::kNotFound);
  ASSERT_TRUE(fs.RemoveAll(JoinPath(folder.path(), "a")).ok());
  EXPECT_FALSE(fs.Exists(nested));
}

// Without the privilege to raise it again, so that a thread of another priority takes over.
TEST(ThreadPoolPriority, OfALongTaskIsLoweredToItsEndOnly) {
  const auto niceness = [] { return getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())); };
  const int usual = niceness();
  ThreadPool pool("test", 2);
  for (int round = 0; round < 20; ++round) {
    std::array<std::promise<int>, 4> seen;
    for (size_t task = 0; task < seen.size(); ++task) {
      pool.Submit([&, task] {
        const int before = niceness();
        if (task % 2 == 0) {
          ThreadPool::LowerPriority();
          ThreadPool::LowerPriority();
        }
        EXPECT_EQ(before, usual);
        seen[task].set_value(niceness());
      });
    }
    for (size_t task = 0; task < seen.size(); ++task) {
      const int got = seen[task].get_future().get();
      EXPECT_EQ(got, task % 2 == 0 ? std::min(usual + 10, 19) : usual);
    }
  }
  // Nothing that is queued is lost when the pool goes.
  std::atomic<int> ran{0};
  {
    ThreadPool single("single", 1);
    for (int i = 0; i < 50; ++i) {
      single.Submit([&ran] {
        ThreadPool::LowerPriority();
        ++ran;
      });
    }
  }
  EXPECT_EQ(ran.load(), 50);
  EXPECT_EQ(pool.thread_count(), 2u);
  std::atomic<int> sum{0};
  pool.ParallelFor(100, [&](size_t i) { sum += static_cast<int>(i); });
  EXPECT_EQ(sum.load(), 4950);
  ThreadPool::LowerPriority();  // Not a thread of a pool.
  EXPECT_EQ(niceness(), usual);
}

TEST(ThreadPool, ParallelForRunsEachIndexOnceEvenNested) {
  ThreadPool pool("test", 3);
  std::vector<std::atomic<int>> hits(200);
  pool.ParallelFor(20, [&](size_t outer) {
    pool.ParallelFor(10, [&](size_t inner) { hits[outer * 10 + inner].fetch_add(1); });
  });
  for (const auto& hit : hits) EXPECT_EQ(hit.load(), 1);
}

}  // namespace
}  // namespace narthex
