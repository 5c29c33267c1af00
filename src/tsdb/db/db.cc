#include "tsdb/db/db.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>
#include <utility>

#include "storage/merge.h"
#include "tsdb/block/block_querier.h"
#include "tsdb/db/db_impl.h"
#include "tsdb/wal/checkpoint.h"
#include "util/log.h"

namespace narthex::tsdb {

namespace {

constexpr std::chrono::milliseconds kBackoffMin{1'000};
constexpr std::chrono::milliseconds kBackoffMax{60'000};
constexpr int64_t kDayMs = 24LL * 3600 * 1000;
constexpr std::string_view kTemporarySuffixes[] = {".tmp-for-creation", ".tmp-for-deletion",
                                                   ".tmp"};

// Whether a crash left this behind in the middle of making or removing it.
bool IsTemporary(const FileInfo& entry) {
  if (!entry.is_directory) return false;
  for (const std::string_view suffix : kTemporarySuffixes) {
    const std::string_view name = entry.name;
    if (!name.ends_with(suffix)) continue;
    const std::string_view stem = name.substr(0, name.size() - suffix.size());
    return Ulid::Parse(stem).has_value() || name.starts_with("chunk_snapshot.");
  }
  return false;
}

Status CheckReloadable(const DbReloadableOptions& options, bool start_timestamp_storage,
                       bool encoding_chosen) {
  if (start_timestamp_storage && encoding_chosen && options.float_encoding == FloatEncoding::kXor) {
    return Status(ErrorCode::kInvalidInput,
                  "float chunk encoding \"xor\" is incompatible with start-timestamp storage; XOR "
                  "chunks do not store start timestamps, use \"xor2\"");
  }
  return {};
}

}  // namespace

Db::Impl::Impl(DbOptions db_options)
    : options(std::move(db_options)),
      files(options.file_system != nullptr ? *options.file_system : FileSystem::Posix()),
      clock(options.clock != nullptr ? *options.clock : Clock::System()),
      wal_directory(JoinPath(options.path, "wal")),
      reloadable(options.reloadable) {}

Db::Impl::~Impl() {
  if (const Status status = Close(); !status.ok()) {
    LOG_ERROR("Closing the database failed", {"err", status.message()});
  }
}

Status Db::Impl::PrepareDirectory() {
  NARTHEX_RETURN_IF_ERROR(files.CreateDirectoriesDurably(options.path));
  NARTHEX_TRY(const std::vector<FileInfo> entries, files.List(options.path));
  for (const FileInfo& entry : entries) {
    if (!entry.is_directory || !Ulid::Parse(entry.name).has_value()) continue;
    const Result<bool> repaired = RepairBadIndexVersion(files, JoinPath(options.path, entry.name));
    if (!repaired.ok()) {
      LOG_WARN("Repairing the index version of a block failed", {"block", entry.name},
               {"err", repaired.status().message()});
    } else if (*repaired) {
      LOG_INFO("Repaired the index version of a block", {"block", entry.name});
    }
  }
  for (const std::string& folder : {wal_directory, options.path}) {
    if (!files.Exists(folder)) continue;
    NARTHEX_TRY(const std::vector<FileInfo> content, files.List(folder));
    for (const FileInfo& entry : content) {
      if (!IsTemporary(entry)) continue;
      LOG_INFO("Found and deleted tmp block dir", {"dir", entry.name});
      NARTHEX_RETURN_IF_ERROR(files.RemoveAll(JoinPath(folder, entry.name)));
    }
    NARTHEX_RETURN_IF_ERROR(DeleteTemporaryCheckpoints(files, folder));
  }
  return {};
}

Status Db::Impl::OpenWbl() {
  if (wbl != nullptr) return {};
  WalOptions wal_options;
  wal_options.segment_bytes = static_cast<uint64_t>(options.wal_segment_bytes);
  wal_options.compression = options.wal_compression;
  NARTHEX_TRY(wbl, Wal::Open(files, JoinPath(options.path, "wbl"), wal_options));
  return {};
}

Status Db::Impl::OpenHead() {
  WalOptions wal_options;
  wal_options.segment_bytes = static_cast<uint64_t>(options.wal_segment_bytes);
  wal_options.compression = options.wal_compression;
  NARTHEX_TRY(wal, Wal::Open(files, wal_directory, wal_options));

  // Late samples that were accepted once are kept although the window may be closed now.
  if (reloadable.out_of_order_window_ms > 0 ||
      DirectoryBytes(files, JoinPath(options.path, "wbl")) > 0) {
    NARTHEX_RETURN_IF_ERROR(OpenWbl());
  }
  HeadOptions head_options;
  head_options.directory = options.path;
  head_options.chunk_range_ms = options.min_block_duration_ms;
  head_options.samples_per_chunk = options.samples_per_chunk;
  head_options.start_timestamp_storage = options.start_timestamp_storage;
  head_options.histogram_start_timestamps = options.histogram_start_timestamps;
  head_options.load_snapshot = options.snapshot_on_shutdown;
  head_options.xor2 = reloadable.float_encoding == FloatEncoding::kXor2;
  head_options.exemplars_max = reloadable.exemplars_max;
  head_options.file_system = &files;
  head_options.wal = wal.get();
  head_options.wbl = wbl.get();
  head_options.out_of_order_window_ms = reloadable.out_of_order_window_ms;
  head_options.on_wal_write = options.on_wal_write;
  head_options.on_full_chunks = [this] { Wake(); };
  head_options.on_compactable = [this] { Wake(/*to_compact=*/true); };
  if (options.replay_progress != nullptr) {
    head_options.on_replay_progress = [progress = options.replay_progress](int64_t min, int64_t max,
                                                                           int64_t current) {
      progress->min = min;
      progress->max = max;
      progress->current = current;
    };
  }
  head = std::make_unique<Head>(std::move(head_options));
  if (options.compaction_delay_percent_max > 0) {
    const int64_t most = options.min_block_duration_ms * options.compaction_delay_percent_max / 100;
    std::random_device random;
    compaction_delay_ms =
        std::uniform_int_distribution<int64_t>(0, std::max<int64_t>(most, 1) - 1)(random);
  }
  return {};
}

Status Db::Impl::ReplayHead() {
  int64_t min_valid = blocks->InOrderMaxTime().value_or(INT64_MIN);
  const Result<std::optional<int64_t>> in_checkpoint =
      ReadCheckpointMinValidTime(files, wal_directory);
  if (!in_checkpoint.ok()) {
    LOG_WARN("Reading the min valid time of the checkpoint failed",
             {"err", in_checkpoint.status().message()});
  } else if (in_checkpoint->has_value()) {
    min_valid = std::max(min_valid, **in_checkpoint);
  }
  std::optional<WalCorruption> corruption;
  Status status = head->Replay(min_valid, &corruption);
  if (status.ok()) return head->RewriteLateLog().WithPrefix("rewrite the WBL: ");
  if (!corruption.has_value()) return status;
  head->counters().wal_corruptions.fetch_add(1, std::memory_order_relaxed);
  if (corruption->directory != wal_directory && wbl != nullptr) {
    LOG_WARN("Encountered WBL read error, attempting repair", {"err", status.message()});
    NARTHEX_RETURN_IF_ERROR(wbl->Repair(*corruption).WithPrefix("repair corrupted WBL: "));
    LOG_INFO("Successfully repaired WBL");
    return head->RewriteLateLog().WithPrefix("rewrite the WBL: ");
  }
  LOG_WARN("Encountered WAL read error, attempting repair", {"err", status.message()});
  NARTHEX_RETURN_IF_ERROR(wal->Repair(*corruption).WithPrefix("repair corrupted WAL: "));
  LOG_INFO("Successfully repaired WAL");
  return head->RewriteLateLog().WithPrefix("rewrite the WBL: ");
}

Status Db::Impl::Open() {
  NARTHEX_RETURN_IF_ERROR(CheckReloadable(reloadable, false, false));
  if (options.min_block_duration_ms <= 0) {
    return Status(ErrorCode::kInvalidInput, "at least one range must be provided");
  }
  NARTHEX_RETURN_IF_ERROR(PrepareDirectory());
  if (!options.no_lockfile) {
    NARTHEX_TRY(lock, LockFile::Acquire(JoinPath(options.path, "lock")));
  }
  NARTHEX_RETURN_IF_ERROR(OpenHead());
  blocks = std::make_unique<BlockList>(files, options.path, [this] { return HeadBytes(); });
  NARTHEX_RETURN_IF_ERROR(blocks->Reload(Limits()));
  NARTHEX_RETURN_IF_ERROR(ReplayHead());
  replayed = true;
  if (options.background) background = std::thread([this] { RunBackground(); });
  return {};
}

RetentionLimits Db::Impl::Limits() const {
  const std::lock_guard guard(reloadable_mutex);
  return {reloadable.retention_ms, reloadable.retention_bytes, reloadable.retention_percentage};
}

int64_t Db::Impl::MaxBlockDuration() const {
  int64_t max = options.max_block_duration_ms;
  if (max == 0) {
    max = 31 * kDayMs;
    const int64_t retention = Limits().duration_ms;
    if (retention > 0) max = std::min(max, retention / 10);
  }
  return std::max(max, options.min_block_duration_ms);
}

uint64_t Db::Impl::HeadBytes() const {
  uint64_t bytes = DirectoryBytes(files, JoinPath(options.path, "chunks_head")) +
                   DirectoryBytes(files, JoinPath(options.path, "wbl"));
  if (const Result<uint64_t> size = wal->Size(); size.ok()) bytes += *size;
  return bytes;
}

bool Db::Impl::Stopping() {
  const std::lock_guard guard(background_mutex);
  return stopping;
}

Status Db::Impl::Close() {
  {
    const std::lock_guard guard(background_mutex);
    if (closed) return {};
    closed = true;
    stopping = true;
  }
  stop_source.request_stop();
  background_changed.notify_all();
  if (background.joinable()) background.join();
  Status result;
  const auto keep_first = [&](Status status) {
    if (result.ok()) result = std::move(status);
  };
  if (head != nullptr) keep_first(head->Close());
  if (wal != nullptr) keep_first(wal->Close());
  if (wbl != nullptr) keep_first(wbl->Close());
  if (replayed && options.snapshot_on_shutdown && result.ok()) keep_first(head->WriteSnapshot());
  lock.reset();
  return result;
}

void Db::Impl::Wake(bool to_compact) {
  {
    const std::lock_guard guard(background_mutex);
    woken = true;
    compaction_wanted |= to_compact;
  }
  background_changed.notify_all();
}

void Db::Impl::RunBackground() {
  using std::chrono::steady_clock;
  const auto interval = std::chrono::milliseconds(options.block_reload_interval_ms);
  auto due = steady_clock::now() + interval;
  // After a failure the next attempt waits: a full disk is not filled with attempts.
  auto backoff = kBackoffMin;
  auto not_before = steady_clock::now();
  for (;;) {
    bool tick;
    bool compact;
    {
      std::unique_lock guard(background_mutex);
      background_changed.wait_until(guard, due, [&] { return stopping || woken; });
      if (stopping) return;
      woken = false;
      compact = std::exchange(compaction_wanted, false) && options.auto_compaction;
      tick = steady_clock::now() >= due;
    }
    if (steady_clock::now() < not_before) {
      due = not_before;
      continue;
    }
    Status status = tick ? Tick() : head->MapFullChunks();
    if (!tick && compact && status.ok()) status = Compact();
    if (status.ok() || status.code() == ErrorCode::kCanceled) {
      backoff = kBackoffMin;
    } else {
      LOG_ERROR("compaction failed", {"err", status.message()});
      not_before = steady_clock::now() + backoff;
      backoff = std::min(backoff * 2, kBackoffMax);
    }
    if (tick) due = steady_clock::now() + interval;
  }
}

Status Db::Impl::Tick() {
  NARTHEX_RETURN_IF_ERROR(head->MapFullChunks());
  {
    const std::lock_guard guard(compaction_mutex);
    NARTHEX_RETURN_IF_ERROR(blocks->Reload(Limits()));
  }
  if (StaleSeriesDue()) {
    // The rest of the tick does not depend on it.
    if (const Status status = CompactStaleSeries(); !status.ok()) {
      LOG_ERROR("immediate stale series compaction failed", {"err", status.message()});
    }
  }
  return options.auto_compaction ? Compact() : Status();
}

Db::Db(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Db::~Db() = default;

Result<std::unique_ptr<Db>> Db::Open(DbOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  NARTHEX_RETURN_IF_ERROR(impl->Open());
  return std::unique_ptr<Db>(new Db(std::move(impl)));
}

std::unique_ptr<storage::Appender> Db::NewAppender() {
  return impl_->head->NewAppender();
}

Result<std::unique_ptr<storage::Querier>> Db::OpenQuerier(TimeRange range) {
  std::vector<std::unique_ptr<storage::Querier>> queriers;
  // The head first: what a truncation takes from it afterwards stands in a block that is listed
  // before the truncation begins.
  const bool has_head =
      range.end_ms >= std::min(impl_->head->min_time_ms(), impl_->head->min_late_ms());
  if (has_head) {
    queriers.push_back(impl_->head->OpenQuerier(range));
  }
  for (const auto& block : *impl_->blocks->Snapshot()) {
    if (block->Overlaps(range)) queriers.push_back(NewBlockQuerier(block, range));
  }
  // Merged in the order of time, in which the head comes last.
  if (has_head) std::rotate(queriers.begin(), queriers.begin() + 1, queriers.end());
  return storage::MergeQueriers(std::move(queriers));
}

Result<std::vector<storage::SeriesExemplars>> Db::SelectExemplars(
    TimeRange range, const std::vector<std::vector<Matcher>>& matcher_sets) {
  return impl_->head->exemplars().Select(range, matcher_sets);
}

Status Db::ApplyConfig(const DbReloadableOptions& options) {
  NARTHEX_RETURN_IF_ERROR(CheckReloadable(options, impl_->options.start_timestamp_storage, true));
  {
    const std::lock_guard guard(impl_->reloadable_mutex);
    impl_->reloadable = options;
  }
  impl_->head->exemplars().Resize(options.exemplars_max);
  if (options.out_of_order_window_ms > 0) {
    const std::lock_guard guard(impl_->compaction_mutex);
    NARTHEX_RETURN_IF_ERROR(impl_->OpenWbl());
  }
  impl_->head->SetOutOfOrderWindow(options.out_of_order_window_ms, impl_->wbl.get());
  impl_->head->SetXor2(options.float_encoding == FloatEncoding::kXor2);
  return {};
}

Status Db::Delete(TimeRange range, std::span<const Matcher> matchers) {
  const std::lock_guard guard(impl_->compaction_mutex);
  for (const auto& block : *impl_->blocks->Snapshot()) {
    if (!block->Overlaps(range)) continue;
    NARTHEX_RETURN_IF_ERROR(
        block->Delete(range, matchers).WithPrefix("delete in block " + block->directory() + ": "));
  }
  if (range.start_ms <= impl_->head->max_time_ms() && range.end_ms >= impl_->head->min_time_ms()) {
    return impl_->head->Delete(range, matchers);
  }
  return {};
}

HeadStatus Db::ReadHeadStatus(size_t limit) const {
  const HeadCardinality cardinality = impl_->head->Cardinality(limit == 0 ? 10 : limit);
  const auto convert = [](const std::vector<HeadCardinality::Entry>& entries) {
    std::vector<NamedCount> counts;
    for (const auto& entry : entries) counts.push_back({entry.name, entry.count});
    return counts;
  };
  HeadStatus status;
  status.series_count = cardinality.series;
  status.label_pair_count = cardinality.label_pairs;
  const HeadCounters& counters = impl_->head->counters();
  status.chunk_count = counters.chunks_created.load() - counters.chunks_removed.load();
  status.min_time_ms = impl_->head->min_time_ms();
  status.max_time_ms = impl_->head->max_time_ms();
  status.series_by_metric_name = convert(cardinality.series_by_metric_name);
  status.values_by_label_name = convert(cardinality.values_by_label_name);
  status.memory_by_label_name = convert(cardinality.memory_by_label_name);
  status.series_by_label_pair = convert(cardinality.series_by_label_pair);
  return status;
}

std::vector<BlockInfo> Db::Blocks() const {
  std::vector<BlockInfo> infos;
  for (const auto& block : *impl_->blocks->Snapshot()) {
    infos.push_back({block->ulid().ToString(), block->min_ms(), block->max_ms(),
                     block->size_bytes(), FormatBlockMeta(block->meta())});
  }
  return infos;
}

int64_t Db::StartTimeMs() const {
  const auto blocks = impl_->blocks->Snapshot();
  return blocks->empty() ? impl_->head->min_time_ms() : blocks->front()->min_ms();
}
int64_t Db::HeadMinTimeMs() const {
  return impl_->head->min_time_ms();
}
int64_t Db::HeadMaxTimeMs() const {
  return impl_->head->max_time_ms();
}
const std::string& Db::path() const {
  return impl_->options.path;
}
std::string Db::wal_directory() const {
  return impl_->wal_directory;
}
void Db::EnableCompactions() {
  impl_->compactions_enabled = true;
}
void Db::DisableCompactions() {
  impl_->compactions_enabled = false;
}

Status Db::MapFullChunksForTest() {
  return impl_->head->MapFullChunks();
}
Status Db::Tick() {
  return impl_->Tick();
}
Status Db::Close() {
  return impl_->Close();
}

}  // namespace narthex::tsdb
