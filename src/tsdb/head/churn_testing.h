// Churn in compressed time: every series is replaced every five minutes, the head is cut whenever
// it can be, and meanwhile somebody appends and somebody reads. For the test and the benchmark.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tsdb/head/head.h"
#include "util/time.h"

namespace narthex::tsdb {

struct ChurnResult {
  // After each cut: what the head holds.
  std::vector<uint64_t> slab_bytes;
  std::vector<uint64_t> symbol_bytes;
  std::vector<size_t> series;
  // The longest, while series are being collected and otherwise.
  int64_t append_nanos_max[2] = {0, 0};
  int64_t query_nanos_max[2] = {0, 0};
  int64_t collect_nanos_max = 0;
  // The same of CPU time, which a busy machine does not lengthen: what one commit takes itself, and
  // for how long a collection keeps the index from others.
  int64_t append_cpu_max = 0;
  int64_t hold_cpu_max = 0;
  int64_t collect_cpu_max = 0;
  uint64_t queries = 0;
  bool ok = true;
};

// `active` series (a multiple of 1000), a sample of each every minute, chunk ranges of 10 minutes.
// `wait`: nothing is appended while series are collected, so that what is held is the same each
// time.
inline ChurnResult RunChurn(int active, int minutes, bool wait) {
  constexpr int kPerCommit = 1000;
  constexpr int64_t kMinuteMs = 60'000;
  constexpr int kLifeMinutes = 5;
  const TemporaryDirectory directory;
  ChurnResult result;
  const auto wal = *Wal::Open(FileSystem::Posix(), JoinPath(directory.path(), "wal"), {});
  HeadOptions options;
  options.directory = directory.path();
  options.wal = wal.get();
  options.chunk_range_ms = 10 * kMinuteMs;
  Head head(options);
  std::optional<WalCorruption> corruption;
  result.ok = head.Replay(INT64_MIN, &corruption).ok();

  std::atomic<bool> done{false};
  std::atomic<bool> collecting{false};
  std::atomic<int> minute{0};
  const auto note = [](int64_t* longest, bool during, int64_t nanos) {
    longest[during] = std::max(longest[during], nanos);
  };
  const auto pod = [](int generation, int i) {
    return "pod-" + std::to_string(generation) + "-" + std::to_string(i);
  };
  std::thread reader([&] {
    storage::SelectHints hints;
    while (!done) {
      const int now = minute;
      const bool before = collecting;
      const int64_t start = MonotonicNanos();
      const auto querier = head.OpenQuerier({(now - 5) * kMinuteMs, now * kMinuteMs});
      const std::vector<Matcher> matchers{Matcher::Equal("pod", pod(now / kLifeMinutes, 7))};
      auto set = querier->Select(storage::SeriesOrder::kSorted, hints, matchers);
      while (const auto series = (*set)->Next()) {
        storage::SampleColumns columns;
        static_cast<void>(series->Read(&columns));
      }
      note(result.query_nanos_max, before || collecting, MonotonicNanos() - start);
      ++result.queries;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });

  std::vector<storage::SeriesRef> refs(static_cast<size_t>(active));
  std::thread collector;
  bool collected = true;
  for (int now = 1; now <= minutes && result.ok; ++now) {
    minute = now;
    if (now % kLifeMinutes == 0) std::fill(refs.begin(), refs.end(), 0);
    for (int first = 0; first < active; first += kPerCommit) {
      const bool before = collecting;
      const int64_t start = MonotonicNanos();
      const int64_t cpu_start = ThreadCpuNanos();
      auto appender = head.NewAppender();
      for (int i = first; i < first + kPerCommit; ++i) {
        storage::SeriesRef& ref = refs[static_cast<size_t>(i)];
        const Labels labels = ref != 0 ? Labels{}
                                       : Labels{{"__name__", "m" + std::to_string(i % 100)},
                                                {"job", "churn"},
                                                {"pod", pod(now / kLifeMinutes, i)}};
        const auto got = appender->Append(ref, labels, now * kMinuteMs, i + now, {});
        if (!got.ok()) result.ok = false;
        if (got.ok()) ref = *got;
      }
      if (!appender->Commit().ok()) result.ok = false;
      note(result.append_nanos_max, before || collecting, MonotonicNanos() - start);
      result.append_cpu_max = std::max(result.append_cpu_max, ThreadCpuNanos() - cpu_start);
    }
    if (!head.compactable()) continue;
    if (collector.joinable()) collector.join();
    const int64_t cut = RangeEnd(head.min_time_ms(), options.chunk_range_ms);
    collecting = true;
    collector = std::thread([&, cut] {
      const int64_t start = MonotonicNanos();
      const int64_t cpu_start = ThreadCpuNanos();
      if (!head.TruncateMemory(cut).ok() || !head.TruncateWal(cut).ok()) collected = false;
      collecting = false;
      result.collect_nanos_max = std::max(result.collect_nanos_max, MonotonicNanos() - start);
      result.collect_cpu_max = std::max(result.collect_cpu_max, ThreadCpuNanos() - cpu_start);
      result.slab_bytes.push_back(head.slab_bytes());
      result.symbol_bytes.push_back(head.symbol_bytes());
      result.series.push_back(head.series_count());
    });
    if (wait) collector.join();
  }
  if (collector.joinable()) collector.join();
  done = true;
  reader.join();
  result.hold_cpu_max = head.counters().gc_hold_nanos_max;
  result.ok = result.ok && collected && head.Close().ok();
  return result;
}

}  // namespace narthex::tsdb
