#include <fmt/format.h>

#include <algorithm>

#include "tsdb/wal/wal.h"
#include "tsdb/wal/wal_internal.h"
#include "util/bytes.h"
#include "util/compress.h"
#include "util/crc32c.h"

namespace narthex::tsdb {

WalReader::WalReader(FileSystem& files, std::vector<WalSegment> segments)
    : files_(files), segments_(std::move(segments)) {}

WalReader::WalReader(FileSystem& files, std::vector<WalSegment> segments, uint64_t offset)
    : files_(files), segments_(std::move(segments)), offset_(offset) {}

bool WalReader::MapCurrent() {
  auto map = files_.Map(segments_[current_].path);
  if (!map.ok()) {
    status_ = std::move(map).status();
    return false;
  }
  map_ = *std::move(map);
  data_ = map_->data();
  // A short last page reads as if it were filled with zeros: a segment that nobody closed.
  padded_size_ = (data_.size() + kWalPageBytes - 1) / kWalPageBytes * kWalPageBytes;
  mapped_ = true;
  return true;
}

WalReader::Step WalReader::Corrupt(std::string reason) {
  is_corrupt_ = true;
  corruption_ = {DirName(segments_[current_].path), segments_[current_].index, offset_,
                 std::move(reason)};
  status_ = corruption_.ToStatus();
  return Step::kError;
}

bool WalReader::Next() {
  if (!status_.ok()) return false;
  in_record_ = false;
  joined_.clear();
  for (;;) {
    const Step step = ReadFragment();
    if (step == Step::kRecord) return true;
    if (step == Step::kEnd && in_record_) {
      Corrupt("last record is torn");
      return false;
    }
    if (step != Step::kMore) return false;
  }
}

WalReader::Step WalReader::ReadFragment() {
  for (;;) {
    if (segments_.empty()) return Step::kEnd;
    if (!mapped_ && !MapCurrent()) return Step::kError;
    if (offset_ < padded_size_) break;
    if (current_ + 1 == segments_.size()) return Step::kEnd;
    ++current_;
    offset_ = 0;
    mapped_ = false;
  }

  // Everything is in the file for all but the torn last page, where zeros stand in.
  const auto byte_at = [&](uint64_t at) {
    return at < data_.size() ? static_cast<uint8_t>(data_[at]) : uint8_t{0};
  };
  const uint8_t header = byte_at(offset_);
  const uint8_t type = header & kFragmentTypeMask;
  if (type == kFragmentPageEnd) return SkipPadding();
  if (offset_ + kWalFragmentHeaderBytes > padded_size_) {
    offset_ = padded_size_;
    return Corrupt("unexpected EOF");
  }
  char fields[kWalFragmentHeaderBytes - 1];
  for (size_t i = 0; i < sizeof fields; ++i) {
    fields[i] = static_cast<char>(byte_at(offset_ + 1 + i));
  }
  const uint16_t length = LoadBigEndian16(fields);
  const uint32_t want_crc = LoadBigEndian32(fields + 2);
  offset_ += kWalFragmentHeaderBytes;
  if (length > kWalPageBytes - kWalFragmentHeaderBytes) {
    return Corrupt(fmt::format("invalid record size {}", length));
  }
  if (offset_ + length > padded_size_) {
    offset_ = padded_size_;
    return Corrupt("unexpected EOF");
  }
  std::string filled;
  std::string_view data;
  if (offset_ + length <= data_.size()) {
    data = data_.substr(offset_, length);
  } else {
    if (offset_ < data_.size()) filled = data_.substr(offset_);
    filled.resize(length, '\0');
    data = filled;
  }
  offset_ += length;
  if (const uint32_t crc = Crc32c(data); crc != want_crc) {
    return Corrupt(fmt::format("unexpected checksum {:x}, expected {:x}", crc, want_crc));
  }
  switch (type) {
    case kFragmentFull:
      if (in_record_) return Corrupt("unexpected full record");
      break;
    case kFragmentFirst:
      if (in_record_) return Corrupt("unexpected first record, dropping buffer");
      break;
    case kFragmentMiddle:
      if (!in_record_) return Corrupt("unexpected middle record, dropping buffer");
      break;
    case kFragmentLast:
      if (!in_record_) return Corrupt("unexpected last record, dropping buffer");
      break;
    default: return Corrupt(fmt::format("unexpected record type {}", type));
  }
  if (type == kFragmentFull) {
    if (!filled.empty()) {
      joined_ = std::move(filled);
      data = joined_;
    }
    return FinishRecord(header, data);
  }
  joined_.append(data);
  in_record_ = type != kFragmentLast;
  return in_record_ ? Step::kMore : FinishRecord(header, joined_);
}

WalReader::Step WalReader::SkipPadding() {
  const uint64_t page_end = (offset_ / kWalPageBytes + 1) * kWalPageBytes;
  const uint64_t stored_end = std::min<uint64_t>(page_end, data_.size());
  const std::string_view padding = offset_ < stored_end
                                       ? data_.substr(offset_ + 1, stored_end - offset_ - 1)
                                       : std::string_view();
  offset_ = page_end;
  if (padding.find_first_not_of('\0') != std::string_view::npos) {
    return Corrupt("unexpected non-zero byte in padded page");
  }
  return Step::kMore;
}

WalReader::Step WalReader::FinishRecord(uint8_t header, std::string_view data) {
  in_record_ = false;
  if ((header & (kFragmentSnappy | kFragmentZstd)) == 0) {
    record_ = data;
    return Step::kRecord;
  }
  if ((header & kFragmentSnappy) != 0) {
    auto decompressed = SnappyDecompressInto(data, kWalRecordBytesMax, &decompressed_);
    if (!decompressed.ok()) return Corrupt(decompressed.status().message());
    record_ = *decompressed;
    return Step::kRecord;
  }
  auto decompressed = ZstdDecompress(data, kWalRecordBytesMax);
  if (!decompressed.ok()) return Corrupt(decompressed.status().message());
  decompressed_ = *std::move(decompressed);
  record_ = decompressed_;
  return Step::kRecord;
}

std::string_view WalReader::TakeRecord(std::string* buffer) {
  const size_t size = record_.size();
  if (record_.data() == decompressed_.data()) {
    buffer->swap(decompressed_);
  } else if (record_.data() == joined_.data()) {
    buffer->swap(joined_);
  } else {
    buffer->assign(record_);
  }
  record_ = std::string_view(*buffer).substr(0, size);
  return record_;
}

Result<WalReader> OpenWalReader(FileSystem& files, const std::string& directory, int first,
                                int last) {
  NARTHEX_TRY(std::vector<WalSegment> segments, ListWalSegments(files, directory));
  std::erase_if(segments, [&](const WalSegment& s) { return s.index < first || s.index > last; });
  return WalReader(files, std::move(segments));
}

}  // namespace narthex::tsdb
