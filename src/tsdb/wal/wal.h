// The write-ahead log: numbered segment files of 32 KiB pages in which records lie one after the
// other. WAL, WBL, checkpoints and chunk snapshots are all written and read by this code.
//
//   page     [fragment][fragment]...[zeros]          32768 bytes
//   fragment [type][length u16 BE][crc u32 BE][data]  a record is one fragment (full), or
//                                                     first, middle..., last across pages
//
// A record is compressed as a whole before it is cut into fragments, never spans segments, and is
// on its way to the disk when Log returns (one write a call); it is durable against a crash of the
// machine only after Sync or the next segment. Opening for writing always begins a new segment, so
// a torn tail is never written over.
//
// Byte diagram: docs/formats/wal.md. Threads: Log, NextSegment, Truncate, Sync and the accessors
// may be called from any thread; they exclude one another.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "util/duration_window.h"
#include "util/file.h"
#include "util/status.h"

namespace narthex::tsdb {

inline constexpr size_t kWalPageBytes = 32 * 1024;
inline constexpr size_t kWalFragmentHeaderBytes = 7;
inline constexpr uint64_t kWalSegmentBytesDefault = 128 * 1024 * 1024;
// No record may decompress to more: a bound against damaged lengths.
inline constexpr size_t kWalRecordBytesMax = size_t{1} << 30;

enum class WalCompression : uint8_t { kNone, kSnappy, kZstd };

struct WalSegment {
  int index = 0;
  std::string path;
  uint64_t size = 0;
};
std::string WalSegmentPath(const std::string& directory, int index);
// In order; files whose names are not numbers are ignored. `segments are not sequential`. A folder
// that is not there has no segments.
Result<std::vector<WalSegment>> ListWalSegments(FileSystem& files, const std::string& directory);

// Where reading stopped, precise enough to repair.
struct WalCorruption {
  std::string directory;
  int segment = -1;  // -1: the place is not known.
  uint64_t offset = 0;
  std::string reason;

  // `corruption in segment <path> at <offset>: <reason>`
  Status ToStatus() const;
};

struct WalOptions {
  uint64_t segment_bytes = kWalSegmentBytesDefault;  // A multiple of the page size.
  WalCompression compression = WalCompression::kSnappy;
};

struct WalPosition {
  int segment = 0;
  uint64_t offset = 0;
};

class Wal {
 public:
  // Makes the folder if needed and begins a segment behind the last one. `invalid segment size`.
  static Result<std::unique_ptr<Wal>> Open(FileSystem& files, const std::string& directory,
                                           const WalOptions& options);
  ~Wal();
  Wal(const Wal&) = delete;
  Wal& operator=(const Wal&) = delete;

  // Appends the records in order, with one write at the end (one a segment, should they need
  // several). After a failed write the segment is as it was before that write, or the log refuses
  // everything that follows.
  Status Log(std::span<const std::string_view> records);
  Status Log(std::string_view record) { return Log(std::span(&record, 1)); }

  // Begins the next segment and gives its number. The finished one is synced in the background.
  Result<int> NextSegment();
  // Removes the segments below `index`.
  Status Truncate(int index);
  // Drops what lies behind the corruption: later segments go, the damaged one keeps the records
  // before it, and a new segment is begun. Refuses a corruption of another folder (a checkpoint),
  // which upstream would answer by deleting healthy segments.
  Status Repair(const WalCorruption& corruption);
  Status Sync();
  // Pads the last page, syncs, closes. Log fails afterwards.
  Status Close();

  const std::string& directory() const { return directory_; }
  WalCompression compression() const { return options_.compression; }
  // Where the next record will begin at the earliest.
  WalPosition position() const;
  // Bytes of all segments.
  Result<uint64_t> Size() const;
  // Counters for metrics, under upstream's names.
  struct Stats {
    uint64_t page_flushes = 0;
    uint64_t completed_pages = 0;
    uint64_t writes_failed = 0;
    uint64_t record_part_writes = 0;
    uint64_t record_parts_bytes_written = 0;
    uint64_t record_bytes_saved = 0;  // By compression.
    DurationWindow::Reading fsync;
  };
  Stats stats() const;

 private:
  Wal(FileSystem& files, std::string directory, WalOptions options);

  Status OpenSegment(int index);
  Status CutSegment();
  Status PadPage();
  Status SyncFile(WritableFile& file);
  Status Flush();
  Status LogLocked(std::span<const std::string_view> records);
  Status AppendRecord(std::string_view record);
  void SyncInBackground(std::unique_ptr<WritableFile> file);
  void JoinBackground();
  uint64_t page_used() const { return (written_ + pending_.size()) % kWalPageBytes; }

  FileSystem& files_;
  const std::string directory_;
  const WalOptions options_;

  mutable std::mutex mutex_;
  std::unique_ptr<WritableFile> file_;
  int segment_ = 0;
  uint64_t written_ = 0;    // Bytes of the segment that reached the file.
  std::string compressed_;  // Of the record that is being written.
  std::string pending_;     // Bytes behind them that a Flush writes.
  Status broken_;           // Set when the file could not be brought back after an error.
  bool closed_ = false;
  Stats stats_;                     // Without fsync.
  mutable std::mutex fsync_mutex_;  // Taken last; the background sync holds no other.
  DurationWindow fsync_;
  std::thread background_;
  Status background_status_;
};

// Reads records over segments, in order.
class WalReader {
 public:
  WalReader(FileSystem& files, std::vector<WalSegment> segments);
  // Starts inside the first segment.
  WalReader(FileSystem& files, std::vector<WalSegment> segments, uint64_t offset);

  // False at the end, on corruption and when a file cannot be read; see status().
  bool Next();
  // The current record. The view holds until the next call.
  std::string_view record() const { return record_; }
  // Moves the current record to `*buffer`, whose memory the reader uses in exchange, and gives a
  // view of it there.
  std::string_view TakeRecord(std::string* buffer);
  int segment() const { return segments_.empty() ? -1 : segments_[current_].index; }
  // Behind the current record, within its segment.
  uint64_t offset() const { return offset_; }

  const Status& status() const { return status_; }
  // Set when status() is a corruption (code kCorruption).
  const WalCorruption* corruption() const {
    return status_.ok() || !is_corrupt_ ? nullptr : &corruption_;
  }

 private:
  enum class Step { kRecord, kMore, kEnd, kError };

  bool MapCurrent();
  Step ReadFragment();
  Step SkipPadding();
  Step FinishRecord(uint8_t header, std::string_view data);
  Step Corrupt(std::string reason);

  FileSystem& files_;
  std::vector<WalSegment> segments_;
  size_t current_ = 0;
  bool mapped_ = false;
  std::unique_ptr<MappedFile> map_;
  std::string_view data_;
  uint64_t padded_size_ = 0;  // Of the segment, filled up to a whole page with zeros.
  uint64_t offset_ = 0;
  bool in_record_ = false;
  std::string joined_;  // Fragments of a record that spans pages.
  std::string decompressed_;
  std::string_view record_;
  Status status_;
  bool is_corrupt_ = false;
  WalCorruption corruption_;
};

// A reader over the segments first to last (both included) of a folder.
Result<WalReader> OpenWalReader(FileSystem& files, const std::string& directory, int first = 0,
                                int last = std::numeric_limits<int>::max());

}  // namespace narthex::tsdb
