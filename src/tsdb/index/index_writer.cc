#include "tsdb/index/index_writer.h"

#include <algorithm>

#include "util/bytes.h"
#include "util/crc32c.h"
#include "util/strings.h"

namespace narthex::tsdb {
namespace {

constexpr size_t kBufferBytes = 1 << 20;

}  // namespace

Result<std::unique_ptr<IndexWriter>> IndexWriter::Create(FileSystem& files,
                                                         const std::string& path) {
  std::unique_ptr<IndexWriter> writer(new IndexWriter(files, path));
  NARTHEX_TRY(writer->file_, files.OpenForWrite(path, FileSystem::OpenMode::kTruncate));
  std::string header;
  ByteWriter(&header).PutBigEndian32(kIndexMagic);
  ByteWriter(&header).PutByte(kIndexVersionWritten);
  NARTHEX_RETURN_IF_ERROR(writer->Put(header));
  return writer;
}

IndexWriter::~IndexWriter() {
  // Without a Finish the file is being given up; the block's folder is removed by whoever began it.
  if (file_ != nullptr) (void)file_->Close();
}

Status IndexWriter::Flush() {
  NARTHEX_RETURN_IF_ERROR(file_->Append(buffer_));
  buffer_.clear();
  return {};
}

Status IndexWriter::Put(std::string_view bytes) {
  buffer_.append(bytes);
  position_ += bytes.size();
  if (position_ > kIndexBytesMax) {
    return MakeError(ErrorCode::kLimitExceeded, "\"{}\" exceeding max size of 64GiB", path_);
  }
  return buffer_.size() >= kBufferBytes ? Flush() : Status();
}

Status IndexWriter::Pad(uint64_t alignment) {
  const uint64_t over = position_ % alignment;
  if (over == 0) return {};
  return Put(std::string(alignment - over, '\0'));
}

Status IndexWriter::PutSection(std::string_view body) {
  std::string length;
  ByteWriter(&length).PutBigEndian32(static_cast<uint32_t>(body.size()));
  NARTHEX_RETURN_IF_ERROR(Put(length));
  NARTHEX_RETURN_IF_ERROR(Put(body));
  std::string crc;
  ByteWriter(&crc).PutBigEndian32(Crc32c(body));
  return Put(crc);
}

Status IndexWriter::AddSymbol(std::string_view symbol) {
  if (symbols_done_) return MakeError(ErrorCode::kInternal, "symbol added behind the first series");
  if (!symbol_starts_.empty()) {
    const std::string_view last = Symbol(static_cast<uint32_t>(symbol_starts_.size() - 1));
    if (!(last < symbol)) {
      return MakeError(ErrorCode::kInternal, "symbol {} out-of-order", GoQuote(symbol));
    }
  }
  ByteWriter writer(&symbols_);
  writer.PutUvarint(symbol.size());
  symbol_starts_.push_back(static_cast<uint32_t>(symbols_.size()));
  writer.PutBytes(symbol);
  symbol_ends_.push_back(static_cast<uint32_t>(symbols_.size()));
  if (symbols_.size() > UINT32_MAX - 16) {
    return MakeError(ErrorCode::kLimitExceeded, "symbol table size exceeds {} bytes", UINT32_MAX);
  }
  return {};
}

std::string_view IndexWriter::Symbol(uint32_t ref) const {
  return std::string_view(symbols_).substr(symbol_starts_[ref],
                                           symbol_ends_[ref] - symbol_starts_[ref]);
}

Status IndexWriter::FinishSymbols() {
  symbols_done_ = true;
  toc_.symbols = position_;
  // The count belongs to the checksum, so the section is put together from both.
  std::string count;
  ByteWriter(&count).PutBigEndian32(static_cast<uint32_t>(symbol_starts_.size()));
  std::string length;
  ByteWriter(&length).PutBigEndian32(static_cast<uint32_t>(symbols_.size() + count.size()));
  NARTHEX_RETURN_IF_ERROR(Put(length));
  NARTHEX_RETURN_IF_ERROR(Put(count));
  NARTHEX_RETURN_IF_ERROR(Put(symbols_));
  std::string crc;
  ByteWriter(&crc).PutBigEndian32(Crc32c(symbols_, Crc32c(count)));
  NARTHEX_RETURN_IF_ERROR(Put(crc));
  symbol_refs_.reserve(symbol_starts_.size());
  for (uint32_t ref = 0; ref < symbol_starts_.size(); ++ref) {
    symbol_refs_.emplace(Symbol(ref), ref);
  }
  toc_.series = position_;
  return {};
}

Result<uint32_t> IndexWriter::SymbolRef(std::string_view symbol) const {
  const auto found = symbol_refs_.find(symbol);
  if (found == symbol_refs_.end()) {
    return MakeError(ErrorCode::kInternal, "symbol entry for {} does not exist", GoQuote(symbol));
  }
  return found->second;
}

Status IndexWriter::AddSeries(const Labels& labels, std::span<const ChunkMeta> chunks) {
  if (!symbols_done_) NARTHEX_RETURN_IF_ERROR(FinishSymbols());
  if (series_count_ > 0 && !(last_labels_ < labels)) {
    return MakeError(ErrorCode::kInternal,
                     "out-of-order series added with label set {}, last label set {}",
                     GoQuote(labels.ToString()), GoQuote(last_labels_.ToString()));
  }
  NARTHEX_RETURN_IF_ERROR(Pad(kSeriesAlignment));
  if (position_ / kSeriesAlignment > UINT32_MAX) {
    return MakeError(ErrorCode::kLimitExceeded, "series 16-byte aligned at {} has no reference",
                     position_);
  }

  scratch_.clear();
  ByteWriter writer(&scratch_);
  writer.PutUvarint(labels.size());
  for (const LabelView& label : labels) {
    NARTHEX_TRY(const uint32_t name, SymbolRef(label.name));
    NARTHEX_TRY(const uint32_t value, SymbolRef(label.value));
    writer.PutUvarint(name);
    writer.PutUvarint(value);
    ++postings_by_name_[name];
  }
  writer.PutUvarint(chunks.size());
  int64_t previous_max = 0;
  uint64_t previous_ref = 0;
  bool is_first = true;
  for (const ChunkMeta& chunk : chunks) {
    if (chunk.max_ms < chunk.min_ms) {
      return MakeError(ErrorCode::kInternal, "chunk maxT {} is less than minT {}", chunk.max_ms,
                       chunk.min_ms);
    }
    if (is_first) {
      writer.PutVarint(chunk.min_ms);
      writer.PutUvarint(static_cast<uint64_t>(chunk.max_ms) - static_cast<uint64_t>(chunk.min_ms));
      writer.PutUvarint(chunk.ref);
    } else {
      if (chunk.min_ms <= previous_max) {
        return MakeError(ErrorCode::kInternal,
                         "chunk minT {} is not higher than previous chunk maxT {}", chunk.min_ms,
                         previous_max);
      }
      writer.PutUvarint(static_cast<uint64_t>(chunk.min_ms) - static_cast<uint64_t>(previous_max));
      writer.PutUvarint(static_cast<uint64_t>(chunk.max_ms) - static_cast<uint64_t>(chunk.min_ms));
      writer.PutVarint(static_cast<int64_t>(chunk.ref - previous_ref));
    }
    is_first = false;
    previous_max = chunk.max_ms;
    previous_ref = chunk.ref;
  }
  char length[kVarintBytesMax];
  const size_t length_bytes = StoreUvarint(length, scratch_.size());
  const uint32_t crc = Crc32c(scratch_);
  writer.PutBigEndian32(crc);
  NARTHEX_RETURN_IF_ERROR(Put({length, length_bytes}));
  NARTHEX_RETURN_IF_ERROR(Put(scratch_));
  last_labels_ = labels;
  ++series_count_;
  return {};
}

Status IndexWriter::WriteList(std::string_view name, std::string_view value,
                              std::span<const uint32_t> refs) {
  NARTHEX_RETURN_IF_ERROR(Pad(4));
  ByteWriter table(&offset_table_);
  table.PutUvarint(2);
  table.PutUvarintString(name);
  table.PutUvarintString(value);
  table.PutUvarint(position_);
  ++offset_entries_;

  scratch_.resize(4 + refs.size() * 4);
  StoreBigEndian32(scratch_.data(), static_cast<uint32_t>(refs.size()));
  for (size_t i = 0; i < refs.size(); ++i) {
    StoreBigEndian32(scratch_.data() + 4 + i * 4, refs[i]);
  }
  return PutSection(scratch_);
}

namespace {

// Calls visit(ref, label count, reader at the labels) for every series of the section.
template <typename Visit>
Status ScanSeries(std::string_view file, uint64_t begin, uint64_t end, Visit visit) {
  uint64_t at = begin;
  for (;;) {
    at = (at + kSeriesAlignment - 1) / kSeriesAlignment * kSeriesAlignment;
    if (at >= end) return {};
    ByteReader reader(file.substr(at, end - at));
    const uint64_t size = reader.Uvarint();
    const uint64_t header = end - at - reader.remaining();
    ByteReader body(reader.Bytes(size));
    if (reader.failed()) {
      return MakeError(ErrorCode::kCorruption, "series at {} read back wrongly", at);
    }
    visit(static_cast<uint32_t>(at / kSeriesAlignment), body);
    at += header + size + 4;
  }
}

}  // namespace

Status IndexWriter::WritePostingsOf(std::span<const uint32_t> names, std::string_view file) {
  // Per name: value and series, in series order.
  HashMap<uint32_t, std::vector<std::pair<uint32_t, uint32_t>>> pairs;
  for (const uint32_t name : names) pairs[name].reserve(postings_by_name_[name]);
  NARTHEX_RETURN_IF_ERROR(
      ScanSeries(file, toc_.series, toc_.label_indices, [&](uint32_t ref, ByteReader& body) {
        for (uint64_t left = body.Uvarint(); left > 0; --left) {
          const auto name = static_cast<uint32_t>(body.Uvarint());
          const auto value = static_cast<uint32_t>(body.Uvarint());
          if (const auto found = pairs.find(name); found != pairs.end()) {
            found->second.emplace_back(value, ref);
          }
        }
      }));
  std::vector<uint32_t> refs;
  for (const uint32_t name : names) {
    auto& of_name = pairs[name];
    // Symbol order is text order; within a value series stay ascending.
    std::sort(of_name.begin(), of_name.end());
    for (size_t i = 0; i < of_name.size();) {
      const uint32_t value = of_name[i].first;
      refs.clear();
      for (; i < of_name.size() && of_name[i].first == value; ++i) {
        refs.push_back(of_name[i].second);
      }
      NARTHEX_RETURN_IF_ERROR(WriteList(Symbol(name), Symbol(value), refs));
    }
    of_name = {};
  }
  return {};
}

Status IndexWriter::WritePostings() {
  NARTHEX_RETURN_IF_ERROR(Flush());
  NARTHEX_TRY(const std::unique_ptr<MappedFile> map, files_.Map(path_));
  const std::string_view file = map->data();
  toc_.postings = position_;
  {
    std::vector<uint32_t> all;
    all.reserve(series_count_);
    NARTHEX_RETURN_IF_ERROR(ScanSeries(file, toc_.series, toc_.label_indices,
                                       [&](uint32_t ref, ByteReader&) { all.push_back(ref); }));
    NARTHEX_RETURN_IF_ERROR(WriteList("", "", all));
  }
  std::vector<uint32_t> batch;
  uint64_t postings = 0;
  for (const auto& [name, count] : postings_by_name_) {
    if (!batch.empty() && postings + count > postings_batch_) {
      NARTHEX_RETURN_IF_ERROR(WritePostingsOf(batch, file));
      batch.clear();
      postings = 0;
    }
    batch.push_back(name);
    postings += count;
  }
  return WritePostingsOf(batch, file);
}

Status IndexWriter::Finish() {
  if (!symbols_done_) NARTHEX_RETURN_IF_ERROR(FinishSymbols());
  toc_.label_indices = position_;
  NARTHEX_RETURN_IF_ERROR(WritePostings());
  toc_.label_indices_table = position_;
  toc_.postings_table = position_;
  std::string table;
  ByteWriter(&table).PutBigEndian32(offset_entries_);
  table += offset_table_;
  if (table.size() > UINT32_MAX) {
    return MakeError(ErrorCode::kLimitExceeded, "postings offset table size exceeds 4 bytes: {}",
                     table.size());
  }
  NARTHEX_RETURN_IF_ERROR(PutSection(table));
  std::string toc;
  ByteWriter writer(&toc);
  for (const uint64_t offset : {toc_.symbols, toc_.series, toc_.label_indices,
                                toc_.label_indices_table, toc_.postings, toc_.postings_table}) {
    writer.PutBigEndian64(offset);
  }
  writer.PutBigEndian32(Crc32c(toc));
  NARTHEX_RETURN_IF_ERROR(Put(toc));
  NARTHEX_RETURN_IF_ERROR(Flush());
  NARTHEX_RETURN_IF_ERROR(file_->Sync());
  NARTHEX_RETURN_IF_ERROR(file_->Close());
  file_.reset();
  return {};
}

}  // namespace narthex::tsdb
