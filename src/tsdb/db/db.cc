#include "tsdb/db/db.h"

#include <chrono>
#include <utility>

#include "tsdb/db/db_impl.h"
#include "tsdb/wal/checkpoint.h"
#include "util/log.h"

namespace narthex::tsdb {

Db::Impl::Impl(DbOptions db_options)
    : options(std::move(db_options)),
      files(options.file_system != nullptr ? *options.file_system : FileSystem::Posix()),
      clock(options.clock != nullptr ? *options.clock : Clock::System()),
      wal_directory(JoinPath(options.path, "wal")) {}

Db::Impl::~Impl() {
  if (const Status status = Close(); !status.ok()) {
    LOG_ERROR("Closing the database failed", {"err", status.message()});
  }
}

Status Db::Impl::Open() {
  if (options.reloadable.out_of_order_window_ms > 0) {
    return Status(ErrorCode::kUnsupported, "an out-of-order window above 0 is not supported yet");
  }
  NARTHEX_RETURN_IF_ERROR(files.CreateDirectories(options.path));
  if (files.Exists(wal_directory)) {
    NARTHEX_RETURN_IF_ERROR(DeleteTemporaryCheckpoints(files, wal_directory));
  }
  if (!options.no_lockfile) {
    NARTHEX_TRY(lock, LockFile::Acquire(JoinPath(options.path, "lock")));
  }
  WalOptions wal_options;
  wal_options.segment_bytes = static_cast<uint64_t>(options.wal_segment_bytes);
  wal_options.compression = options.wal_compression;
  NARTHEX_TRY(wal, Wal::Open(files, wal_directory, wal_options));

  HeadOptions head_options;
  head_options.directory = options.path;
  head_options.chunk_range_ms = options.min_block_duration_ms;
  head_options.samples_per_chunk = options.samples_per_chunk;
  head_options.start_timestamp_storage = options.start_timestamp_storage;
  head_options.histogram_start_timestamps = options.histogram_start_timestamps;
  head_options.xor2 = options.reloadable.float_encoding == FloatEncoding::kXor2;
  head_options.exemplars_max = options.reloadable.exemplars_max;
  head_options.file_system = &files;
  head_options.wal = wal.get();
  head_options.on_wal_write = options.on_wal_write;
  head_options.on_full_chunks = [this] { Wake(); };
  if (options.replay_progress != nullptr) {
    head_options.on_replay_progress = [progress = options.replay_progress](int64_t min, int64_t max,
                                                                           int64_t current) {
      progress->min = min;
      progress->max = max;
      progress->current = current;
    };
  }
  head = std::make_unique<Head>(std::move(head_options));

  std::optional<WalCorruption> corruption;
  if (Status status = head->Replay(INT64_MIN, &corruption); !status.ok()) {
    if (!corruption.has_value()) return status;
    head->counters().wal_corruptions.fetch_add(1, std::memory_order_relaxed);
    LOG_WARN("Encountered WAL read error, attempting repair", {"err", status.message()});
    NARTHEX_RETURN_IF_ERROR(wal->Repair(*corruption).WithPrefix("repair corrupted WAL: "));
    LOG_INFO("Successfully repaired WAL");
  }
  if (options.background) background = std::thread([this] { RunBackground(); });
  return {};
}

Status Db::Impl::Close() {
  {
    const std::lock_guard guard(background_mutex);
    if (closed) return {};
    closed = true;
    stopping = true;
  }
  background_changed.notify_all();
  if (background.joinable()) background.join();
  Status result;
  const auto keep_first = [&](Status status) {
    if (result.ok()) result = std::move(status);
  };
  if (head != nullptr) keep_first(head->Close());
  if (wal != nullptr) keep_first(wal->Close());
  lock.reset();
  return result;
}

void Db::Impl::Wake() {
  {
    const std::lock_guard guard(background_mutex);
    full_chunks = true;
  }
  background_changed.notify_all();
}

void Db::Impl::RunBackground() {
  const auto interval = std::chrono::milliseconds(options.block_reload_interval_ms);
  auto due = std::chrono::steady_clock::now() + interval;
  for (;;) {
    bool tick;
    {
      std::unique_lock guard(background_mutex);
      background_changed.wait_until(guard, due, [&] { return stopping || full_chunks; });
      if (stopping) return;
      full_chunks = false;
      tick = std::chrono::steady_clock::now() >= due;
    }
    const Status status = tick ? Tick() : head->MapFullChunks();
    if (!status.ok()) LOG_ERROR("Background work failed", {"err", status.message()});
    if (tick) due = std::chrono::steady_clock::now() + interval;
  }
}

Status Db::Impl::Tick() {
  return head->MapFullChunks();
}

// --- Db
// -------------------------------------------------------------------------------------------

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
  return impl_->head->OpenQuerier(range);
}

Result<std::vector<storage::SeriesExemplars>> Db::SelectExemplars(
    TimeRange range, const std::vector<std::vector<Matcher>>& matcher_sets) {
  return impl_->head->exemplars().Select(range, matcher_sets);
}

Status Db::Tick() {
  return impl_->Tick();
}
Status Db::Close() {
  return impl_->Close();
}

}  // namespace narthex::tsdb
