// Moving data on: head to blocks, blocks to longer blocks.
#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "tsdb/compact/compactor.h"
#include "tsdb/compact/planner.h"
#include "tsdb/db/db_impl.h"
#include "tsdb/db/head_source.h"
#include "util/log.h"

namespace narthex::tsdb {
namespace {

// Notes that a block is being written, and for how long.
class BlockTimer {
 public:
  BlockTimer(Distribution* seconds, std::atomic<bool>* populating)
      : seconds_(*seconds), populating_(*populating) {
    populating_ = true;
  }
  ~BlockTimer() {
    populating_ = false;
    seconds_.Observe(static_cast<double>(MonotonicNanos() - start_) * 1e-9);
  }
  BlockTimer(const BlockTimer&) = delete;
  BlockTimer& operator=(const BlockTimer&) = delete;

 private:
  Distribution& seconds_;
  std::atomic<bool>& populating_;
  const int64_t start_ = MonotonicNanos();
};

// Some of them share times.
bool Overlap(std::span<const std::shared_ptr<Block>> blocks) {
  int64_t end = INT64_MIN;
  for (const auto& block : blocks) {
    if (block->min_ms() < end) return true;
    end = std::max(end, block->max_ms());
  }
  return false;
}

// Stale series are not worth blocks of their own when the head is cut within that time.
constexpr int64_t kHeadCutSoonMs = 10 * 60 * 1000;
constexpr auto kAppenderPoll = std::chrono::milliseconds(20);

}  // namespace

BlockWriteOptions Db::Impl::WriteOptions() {
  BlockWriteOptions write;
  write.segment_bytes = static_cast<uint64_t>(options.block_chunk_segment_bytes);
  {
    const std::lock_guard guard(reloadable_mutex);
    write.float_encoding =
        reloadable.float_encoding == FloatEncoding::kXor2 || options.start_timestamp_storage
            ? ChunkEncoding::kXor2
            : ChunkEncoding::kXor;
  }
  write.stop = stop_source.get_token();
  write.chunks = &chunk_distributions;
  return write;
}

// One block of [mint_ms, maxt_ms), after which the head lets go of everything before maxt_ms.
Status Db::Impl::CompactHeadRange(int64_t mint_ms, int64_t maxt_ms) {
  // Samples of running appenders may still belong into the block.
  while (head->HasAppenderBelow(maxt_ms - 1)) {
    if (Stopping()) return Status(ErrorCode::kCanceled, "the database is closing");
    std::this_thread::sleep_for(kAppenderPoll);
  }
  head_compacted_ms = clock.NowMillis();
  BlockMeta meta = NewHeadBlockMeta(mint_ms, maxt_ms, *head_compacted_ms);
  const int64_t start = MonotonicNanos();
  {
    const BlockTimer timer(&compaction_seconds, &populating_block);
    const std::unique_ptr<BlockSource> source = NewHeadSource(head.get());
    BlockSource* const sources[] = {source.get()};
    NARTHEX_RETURN_IF_ERROR(WriteBlock(files, options.path, sources, WriteOptions(), &meta)
                                .WithPrefix("persist head block: "));
  }
  compactions.fetch_add(1, std::memory_order_relaxed);
  if (meta.stats.samples > 0) {
    LOG_INFO("write block completed", {"mint", meta.min_ms}, {"maxt", meta.max_ms},
             {"ulid", meta.ulid.ToString()},
             {"duration", FormatGoDuration(MonotonicNanos() - start)});
    if (Status status = blocks->Reload(Limits()); !status.ok()) {
      // Nobody may see half of the move: the head keeps its samples and the block goes.
      static_cast<void>(blocks->Remove(JoinPath(options.path, meta.ulid.ToString())));
      return status.WithPrefix("reloadBlocks blocks: ");
    }
  }
  return head->TruncateMemory(maxt_ms).WithPrefix("head memory truncate: ");
}

// Blocks of what came out of order, one for each range that has any.
Status Db::Impl::CompactLate() {
  if (wbl == nullptr) return {};
  NARTHEX_TRY(const Head::LateSnapshot snapshot, head->PrepareLateCompaction());
  if (snapshot.last_chunk != 0) {
    const std::unique_ptr<BlockSource> source = NewLateSource(head.get(), snapshot);
    NARTHEX_RETURN_IF_ERROR(
        WriteRanges(source.get(), {snapshot.min_ms, snapshot.max_ms}, kHintFromOutOfOrder)
            .WithPrefix("compact ooo head: "));
  }
  return head->TruncateLate(snapshot).WithPrefix("truncate ooo head: ");
}

Status Db::Impl::WriteRanges(BlockSource* source, TimeRange times, std::string_view hint) {
  BlockSource* const sources[] = {source};
  const int64_t range = options.min_block_duration_ms;
  std::vector<std::string> made;
  Status status;
  for (int64_t t = range * (times.start_ms / range); status.ok() && t <= times.end_ms; t += range) {
    BlockMeta meta = NewHeadBlockMeta(t, t + range, clock.NowMillis(), hint);
    const BlockTimer timer(&compaction_seconds, &populating_block);
    status = WriteBlock(files, options.path, sources, WriteOptions(), &meta);
    if (status.ok() && meta.stats.samples > 0) made.push_back(meta.ulid.ToString());
  }
  if (status.ok()) status = blocks->Reload(Limits());
  if (!status.ok()) {
    for (const std::string& name : made) {
      static_cast<void>(blocks->Remove(JoinPath(options.path, name)));
    }
    return status;
  }
  compactions.fetch_add(made.size(), std::memory_order_relaxed);
  return {};
}

// Series that have ended leave memory before the rest of their hours: blocks of them alone, and
// then the head forgets them.
Status Db::Impl::CompactStale() {
  const int64_t start = MonotonicNanos();
  LOG_INFO("Starting stale series compaction");
  const Head::StaleSelection selection = head->SelectStale();
  size_t evicted = 0;
  if (!selection.sorted.series.empty()) {
    const std::unique_ptr<BlockSource> source = NewSelectedSource(head.get(), selection.sorted);
    NARTHEX_RETURN_IF_ERROR(
        WriteRanges(source.get(), {head->min_time_ms(), head->max_time_ms()}, kHintFromStaleSeries)
            .WithPrefix("persist head portion: "));
    Result<size_t> gone = head->EvictStale(selection);
    if (!gone.ok()) return std::move(gone).status().WithPrefix("head truncate: ");
    evicted = *gone;
  }
  const int64_t took = MonotonicNanos() - start;
  stale_compaction_seconds.Observe(static_cast<double>(took) * 1e-9);
  LOG_INFO("Ending stale series compaction", {"num_series", selection.sorted.series.size()},
           {"evicted", evicted}, {"duration", FormatGoDuration(took)});
  return {};
}

Status Db::Impl::CompactStaleSeries() {
  const std::lock_guard guard(compaction_mutex);
  stale_compactions_triggered.fetch_add(1, std::memory_order_relaxed);
  Status status = CompactStale();
  if (!status.ok()) stale_compactions_failed.fetch_add(1, std::memory_order_relaxed);
  return status;
}

bool Db::Impl::StaleSeriesDue() {
  double threshold;
  {
    const std::lock_guard guard(reloadable_mutex);
    threshold = reloadable.stale_series_compaction_threshold;
  }
  const size_t all = head->series_count();
  if (threshold <= 0 || all == 0 || !options.auto_compaction || !compactions_enabled) return false;
  const auto stale = static_cast<double>(head->counters().stale_series.load());
  if (stale / static_cast<double>(all) < threshold) return false;
  const std::lock_guard guard(compaction_mutex);
  return !head_compacted_ms.has_value() ||
         clock.NowMillis() + kHeadCutSoonMs <= *head_compacted_ms + options.min_block_duration_ms;
}

bool Db::Impl::WaitingForDelay() {
  const int64_t now_ms = clock.NowMillis();
  if (!delay_started_ms.has_value()) delay_started_ms = now_ms;
  return now_ms - *delay_started_ms < compaction_delay_ms;
}

Status Db::Impl::CompactHead() {
  int64_t last = INT64_MIN;
  Status status;
  const int64_t start = MonotonicNanos();
  while (status.ok() && head->compactable() && compactions_enabled && !Stopping()) {
    if (WaitingForDelay()) break;
    const int64_t mint = head->min_time_ms();
    const int64_t maxt = RangeEnd(mint, options.min_block_duration_ms);
    status = CompactHeadRange(mint, maxt);
    if (status.ok()) last = maxt;
  }
  // All of it is done when the head cannot be cut any more; the next time waits anew.
  if (!head->compactable()) delay_started_ms.reset();
  if (last != INT64_MIN) {
    const int64_t took_ms = (MonotonicNanos() - start) / kNanosPerMilli;
    if (took_ms > options.min_block_duration_ms) {
      LOG_WARN(
          "Head compaction took longer than the block time range, compactions are falling "
          "behind and won't be able to catch up",
          {"duration", FormatGoDuration(took_ms * kNanosPerMilli)});
    }
    Status truncated = head->TruncateWal(last).WithPrefix("WAL truncation in Compact: ");
    if (status.ok()) status = std::move(truncated);
    if (status.ok()) status = CompactLate();
  }
  return status;
}

std::vector<BlockMeta> Db::Impl::PlannableBlocks() {
  std::vector<BlockMeta> metas;
  std::string uploaded;
  if (!options.delay_compact_file.empty()) {
    // A list that cannot be read names no block.
    Result<std::string> text = files.ReadAll(options.delay_compact_file);
    if (text.ok()) uploaded = *std::move(text);
  }
  boost::system::error_code parse_error;
  const boost::json::value list = boost::json::parse(uploaded, parse_error);
  const auto is_uploaded = [&](const Ulid& ulid) {
    if (parse_error || !list.is_object()) return false;
    const boost::json::value* names = list.as_object().if_contains("uploaded");
    if (names == nullptr || !names->is_array()) return false;
    const std::string text = ulid.ToString();
    return std::any_of(names->as_array().begin(), names->as_array().end(), [&](const auto& name) {
      return name.is_string() && std::string_view(name.as_string()) == text;
    });
  };
  // A block of late samples may end behind everything that was cut in order. Merged with others it
  // would lose its hint, and the next start would take all of its time for written: the log's
  // samples of that time would be dropped. It waits until the head has come that far. (Upstream
  // merges.)
  const std::optional<int64_t> in_order_end = blocks->InOrderMaxTime();
  for (const auto& block : *blocks->Snapshot()) {
    BlockMeta meta = block->meta();
    if (IsPartialBlock(meta) && in_order_end.has_value() && meta.max_ms > *in_order_end) continue;
    if (!options.delay_compact_file.empty() && meta.compaction.level <= 1 &&
        !is_uploaded(meta.ulid)) {
      break;
    }
    metas.push_back(std::move(meta));
  }
  return metas;
}

Status Db::Impl::CompactBlocks() {
  Compactor compactor(files, clock, options.path);
  PlanOptions plan_options;
  plan_options.ranges_ms = CompactionRanges(options.min_block_duration_ms, MaxBlockDuration());
  plan_options.allow_overlapping = options.allow_overlapping_compaction;
  while (compactions_enabled && !Stopping()) {
    if (head->compactable() && !WaitingForDelay()) {
      LOG_WARN("aborting block compactions to persist the head block");
      return {};
    }
    const std::vector<Ulid> plan = PlanCompaction(PlannableBlocks(), plan_options);
    if (plan.empty()) return {};
    std::vector<std::shared_ptr<Block>> parents;
    for (const Ulid& ulid : plan) {
      for (const auto& block : *blocks->Snapshot()) {
        if (block->ulid() == ulid) parents.push_back(block);
      }
    }
    if (Overlap(parents)) vertical_compactions.fetch_add(1, std::memory_order_relaxed);
    Result<std::optional<Ulid>> made = [&] {
      const BlockTimer timer(&compaction_seconds, &populating_block);
      return compactor.Compact(parents, WriteOptions());
    }();
    if (!made.ok()) {
      // Marked as failed blocks change what is planned next.
      return std::move(made).status().WithPrefix("compact blocks: ");
    }
    compactions.fetch_add(1, std::memory_order_relaxed);
    if (Status status = blocks->Reload(Limits()); !status.ok()) {
      if (made->has_value()) {
        static_cast<void>(blocks->Remove(JoinPath(options.path, (*made)->ToString())));
      }
      return status.WithPrefix("reloadBlocks after compact: ");
    }
  }
  return {};
}

Status Db::Impl::Compact() {
  const std::lock_guard guard(compaction_mutex);
  compactions_triggered.fetch_add(1, std::memory_order_relaxed);
  if (!compactions_enabled) {
    compactions_skipped.fetch_add(1, std::memory_order_relaxed);
    return {};
  }
  Status status = CompactHead();
  if (status.ok()) status = CompactBlocks();
  if (!status.ok() && status.code() != ErrorCode::kCanceled) {
    compactions_failed.fetch_add(1, std::memory_order_relaxed);
  }
  return status;
}

Status Db::Impl::CleanTombstones() {
  const std::lock_guard guard(compaction_mutex);
  const int64_t start = MonotonicNanos();
  Compactor compactor(files, clock, options.path);
  for (;;) {
    bool changed = false;
    for (const auto& block : *blocks->Snapshot()) {
      bool is_empty = false;
      NARTHEX_TRY(const std::optional<Ulid> made,
                  compactor.CleanTombstones(block, WriteOptions(), &is_empty));
      // The newest block cut in order stays, with its tombstones: it alone tells the next start
      // that the log's samples of its time are not wanted. Later calls take it, once there is a
      // newer one.
      is_empty = is_empty && (IsPartialBlock(block->meta()) ||
                              block->max_ms() != blocks->InOrderMaxTime().value_or(INT64_MAX));
      if (is_empty) NARTHEX_RETURN_IF_ERROR(block->SetDeletable());
      changed |= made.has_value() || is_empty;
    }
    if (!changed) break;
    NARTHEX_RETURN_IF_ERROR(blocks->Reload(Limits()));
  }
  tombstone_cleanup_seconds.Observe(static_cast<double>(MonotonicNanos() - start) * 1e-9);
  return {};
}

Status Db::Impl::Snapshot(const std::string& directory, bool with_head) {
  if (directory == options.path) {
    return Status(ErrorCode::kInvalidInput, "cannot snapshot into base directory");
  }
  const std::lock_guard guard(compaction_mutex);
  NARTHEX_RETURN_IF_ERROR(files.CreateDirectories(directory));
  for (const auto& block : *blocks->Snapshot()) {
    LOG_INFO("Snapshotting block", {"block", block->ulid().ToString()});
    NARTHEX_RETURN_IF_ERROR(block->Snapshot(directory).WithPrefix(
        "error snapshotting block: " + block->directory() + ": "));
  }
  if (!with_head || !head->initialized()) return {};
  int64_t min_ms = head->min_time_ms();
  int64_t max_ms = head->max_time_ms();
  const std::unique_ptr<BlockSource> source = NewHeadSource(head.get());
  std::vector<BlockSource*> sources{source.get()};
  // Upstream leaves late samples out of its snapshots; a copy without them would not be one.
  std::unique_ptr<BlockSource> late_source;
  if (wbl != nullptr) {
    NARTHEX_TRY(const Head::LateSnapshot late, head->PrepareLateCompaction());
    if (late.last_chunk != 0) {
      min_ms = std::min(min_ms, late.min_ms);
      max_ms = std::max(max_ms, late.max_ms);
      late_source = NewLateSource(head.get(), late);
      sources.push_back(late_source.get());
    }
  }
  BlockMeta meta = NewHeadBlockMeta(min_ms, max_ms + 1, clock.NowMillis());
  return WriteBlock(files, directory, sources, WriteOptions(), &meta)
      .WithPrefix("snapshot head block: ");
}

Status Db::Compact() {
  return impl_->Compact();
}
Status Db::CompactStaleSeries() {
  return impl_->CompactStaleSeries();
}
Status Db::CleanTombstones() {
  return impl_->CleanTombstones();
}
Status Db::Snapshot(const std::string& directory, bool with_head) {
  return impl_->Snapshot(directory, with_head);
}

Status Db::CompactHeadForTest(int64_t max_time_ms) {
  const std::lock_guard guard(impl_->compaction_mutex);
  while (impl_->head->initialized() && impl_->head->min_time_ms() < max_time_ms) {
    const int64_t mint = impl_->head->min_time_ms();
    const int64_t maxt =
        std::min(RangeEnd(mint, impl_->options.min_block_duration_ms), max_time_ms);
    NARTHEX_RETURN_IF_ERROR(impl_->CompactHeadRange(mint, maxt));
    if (impl_->head->min_time_ms() <= mint) break;
  }
  NARTHEX_RETURN_IF_ERROR(impl_->head->TruncateWal(impl_->head->min_time_ms()));
  return impl_->CompactLate();
}

}  // namespace narthex::tsdb
