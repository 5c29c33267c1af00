#include "tsdb/index/index_reader.h"

#include <algorithm>

#include "util/crc32c.h"

namespace narthex::tsdb {
namespace {

constexpr uint32_t kSymbolStride = 8;
constexpr uint64_t kValueStride = 32;

Status InvalidSize(std::string_view what) {
  return MakeError(ErrorCode::kCorruption, "{}: invalid size", what);
}
Status InvalidChecksum(std::string_view what) {
  return MakeError(ErrorCode::kCorruption, "{}: invalid checksum", what);
}

}  // namespace

Result<std::unique_ptr<IndexReader>> IndexReader::Open(FileSystem& files, const std::string& path) {
  auto map = files.Map(path);
  // Upstream's words for an index that is not there.
  if (!map.ok()) return map.status().WithPrefix("try lock file: ");
  std::unique_ptr<IndexReader> reader(new IndexReader);
  reader->map_ = *std::move(map);
  reader->data_ = reader->map_->data();
  NARTHEX_RETURN_IF_ERROR(reader->Init());
  return reader;
}

Result<std::unique_ptr<IndexReader>> IndexReader::OpenBytes(std::string_view data) {
  std::unique_ptr<IndexReader> reader(new IndexReader);
  reader->data_ = data;
  NARTHEX_RETURN_IF_ERROR(reader->Init());
  return reader;
}

Status IndexReader::Init() {
  if (data_.size() < kIndexHeaderBytes) return InvalidSize("index header");
  if (const uint32_t magic = LoadBigEndian32(data_.data()); magic != kIndexMagic) {
    return MakeError(ErrorCode::kCorruption, "invalid magic number {:x}", magic);
  }
  version_ = static_cast<uint8_t>(data_[4]);
  if (version_ < 1 || version_ > 3) {
    return MakeError(ErrorCode::kCorruption, "unknown index file version {}", version_);
  }
  NARTHEX_RETURN_IF_ERROR(ReadToc());
  NARTHEX_RETURN_IF_ERROR(ReadSymbols());
  return ReadPostingsTable();
}

Status IndexReader::ReadToc() {
  if (data_.size() < kIndexTocBytes) return InvalidSize("read TOC");
  const std::string_view bytes = data_.substr(data_.size() - kIndexTocBytes);
  if (Crc32c(bytes.substr(0, kIndexTocBytes - 4)) !=
      LoadBigEndian32(bytes.data() + kIndexTocBytes - 4)) {
    return MakeError(ErrorCode::kCorruption, "read TOC: read TOC: invalid checksum");
  }
  ByteReader reader(bytes);
  toc_.symbols = reader.BigEndian64();
  toc_.series = reader.BigEndian64();
  toc_.label_indices = reader.BigEndian64();
  toc_.label_indices_table = reader.BigEndian64();
  toc_.postings = reader.BigEndian64();
  toc_.postings_table = reader.BigEndian64();
  return {};
}

Result<std::string_view> IndexReader::Section(uint64_t offset, std::string_view what) const {
  if (offset > data_.size() || data_.size() - offset < 4) return InvalidSize(what);
  const uint64_t length = LoadBigEndian32(data_.data() + offset);
  if (data_.size() - offset - 4 < length + 4) return InvalidSize(what);
  const std::string_view body = data_.substr(offset + 4, length);
  if (Crc32c(body) != LoadBigEndian32(body.data() + length)) return InvalidChecksum(what);
  return body;
}

Status IndexReader::ReadSymbols() {
  NARTHEX_TRY(const std::string_view section, Section(toc_.symbols, "read symbols"));
  ByteReader reader(section);
  symbol_count_ = reader.BigEndian32();
  symbols_ = reader.rest();
  symbol_offsets_.reserve(std::min<size_t>(symbol_count_, symbols_.size()) / kSymbolStride + 1);
  for (uint32_t i = 0; i < symbol_count_ && !reader.failed(); ++i) {
    if (i % kSymbolStride == 0) {
      symbol_offsets_.push_back(static_cast<uint32_t>(symbols_.size() - reader.remaining()));
    }
    reader.UvarintString();
  }
  return reader.failed() ? InvalidSize("read symbols") : Status();
}

Result<std::string_view> IndexReader::Symbol(uint64_t ref) const {
  if (version_ == 1) {
    // The reference is the symbol's place in the file.
    const uint64_t start = toc_.symbols + 8;
    if (ref < start || ref - start >= symbols_.size()) {
      return MakeError(ErrorCode::kCorruption, "unknown symbol offset {}", ref);
    }
    ByteReader reader(symbols_.substr(ref - start));
    const std::string_view text = reader.UvarintString();
    if (reader.failed()) return InvalidSize("symbol");
    return text;
  }
  if (ref >= symbol_count_) {
    return MakeError(ErrorCode::kCorruption, "unknown symbol offset {}", ref);
  }
  ByteReader reader(symbols_.substr(symbol_offsets_[ref / kSymbolStride]));
  for (uint64_t skip = ref % kSymbolStride; skip > 0; --skip) reader.UvarintString();
  return reader.UvarintString();
}

Status IndexReader::ReadPostingsTable() {
  NARTHEX_TRY(const std::string_view section, Section(toc_.postings_table, "read postings table"));
  ByteReader reader(section);
  const uint32_t count = reader.BigEndian32();
  postings_table_ = reader.rest();
  Name* current = nullptr;
  std::string_view current_name;
  ValueSample last{};
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t position = postings_table_.size() - reader.remaining();
    const uint64_t keys = reader.Uvarint();
    if (!reader.failed() && keys != 2) {
      return MakeError(ErrorCode::kCorruption,
                       "unexpected number of keys for postings offset table {}", keys);
    }
    const std::string_view name = reader.UvarintString();
    const std::string_view value = reader.UvarintString();
    reader.Uvarint();
    if (reader.failed()) return InvalidSize("read postings table");
    if (current == nullptr || name != current_name) {
      if (current != nullptr && version_ != 1 &&
          current->samples.back().position != last.position) {
        current->samples.push_back(last);
      }
      const bool is_new = !names_.contains(name);
      if (!is_new && version_ != 1) {
        return MakeError(ErrorCode::kCorruption, "postings of label {} are not together", name);
      }
      current = &names_[name];
      current_name = name;
    } else if (version_ != 1 && !(last.value < value)) {
      return MakeError(ErrorCode::kCorruption, "postings of label {} are not in order", name);
    }
    if (version_ == 1 || current->value_count % kValueStride == 0) {
      current->samples.push_back({value, position});
    }
    ++current->value_count;
    last = {value, position};
  }
  if (current != nullptr && version_ != 1 && current->samples.back().position != last.position) {
    current->samples.push_back(last);
  }
  if (version_ == 1) {
    for (auto& [name, entry] : names_) {
      std::ranges::sort(entry.samples, {}, &ValueSample::value);
    }
  }
  return {};
}

Result<IndexReader::List> IndexReader::ListAt(uint64_t offset) const {
  NARTHEX_TRY(const std::string_view body, Section(offset, "get postings entry"));
  ByteReader reader(body);
  const uint64_t count = reader.BigEndian32();
  if (reader.failed() || reader.remaining() != count * 4) {
    return MakeError(ErrorCode::kCorruption,
                     "unexpected postings length, should be {} bytes for {} postings, got {} bytes",
                     count * 4, count, reader.remaining());
  }
  return List(reader.rest());
}

Result<IndexReader::List> IndexReader::Postings(std::string_view name,
                                                std::string_view value) const {
  const auto found = names_.find(name);
  if (found == names_.end()) return List();
  const std::vector<ValueSample>& samples = found->second.samples;
  if (value > samples.back().value) return List();
  // The last sample that is not above the value; from there on, walk.
  auto at = std::ranges::upper_bound(samples, value, {}, &ValueSample::value);
  if (at == samples.begin()) return List();
  --at;
  ByteReader reader(postings_table_.substr(at->position));
  for (uint64_t i = 0; i < (version_ == 1 ? 1 : kValueStride); ++i) {
    if (reader.empty()) break;
    reader.Uvarint();
    if (reader.UvarintString() != name) break;
    const std::string_view here = reader.UvarintString();
    const uint64_t offset = reader.Uvarint();
    if (here == value) return ListAt(offset);
    if (here > value) break;
  }
  return List();
}

std::vector<std::string_view> IndexReader::LabelNames() const {
  std::vector<std::string_view> names;
  for (const auto& [name, entry] : names_) {
    if (!name.empty()) names.push_back(name);
  }
  return names;
}

std::vector<std::string_view> IndexReader::LabelValues(std::string_view name) const {
  std::vector<std::string_view> values;
  values.reserve(LabelValueCount(name));
  ForEachValue(name, [&](std::string_view value, uint64_t) {
    values.push_back(value);
    return true;
  });
  return values;
}

size_t IndexReader::LabelValueCount(std::string_view name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? 0 : found->second.value_count;
}

Result<std::string_view> IndexReader::SeriesBody(Ref ref) const {
  const uint64_t offset = version_ == 1 ? ref : ref * kSeriesAlignment;
  if (offset >= data_.size()) return InvalidSize("read series");
  ByteReader reader(data_.substr(offset));
  const uint64_t length = reader.Uvarint();
  const std::string_view body = reader.Bytes(length);
  const uint32_t crc = reader.BigEndian32();
  if (reader.failed()) return InvalidSize("read series");
  if (Crc32c(body) != crc) return InvalidChecksum("read series");
  return body;
}

Status IndexReader::ReadSeries(Ref ref, std::vector<LabelView>* labels,
                               std::vector<ChunkMeta>* chunks) const {
  NARTHEX_TRY(const std::string_view body, SeriesBody(ref));
  ByteReader reader(body);
  if (labels != nullptr) labels->clear();
  for (uint64_t left = reader.Uvarint(); left > 0 && !reader.failed(); --left) {
    const uint64_t name_ref = reader.Uvarint();
    const uint64_t value_ref = reader.Uvarint();
    if (labels == nullptr) continue;
    NARTHEX_TRY(const std::string_view name, Symbol(name_ref));
    NARTHEX_TRY(const std::string_view value, Symbol(value_ref));
    labels->push_back({name, value});
  }
  if (chunks != nullptr) {
    chunks->clear();
    const uint64_t count = reader.Uvarint();
    // Three bytes a chunk at least.
    if (count > reader.remaining()) return InvalidSize("read series");
    chunks->reserve(count);
    ChunkMeta chunk;
    for (uint64_t i = 0; i < count; ++i) {
      if (i == 0) {
        chunk.min_ms = reader.Varint();
      } else {
        chunk.min_ms = static_cast<int64_t>(static_cast<uint64_t>(chunk.max_ms) + reader.Uvarint());
      }
      chunk.max_ms = static_cast<int64_t>(static_cast<uint64_t>(chunk.min_ms) + reader.Uvarint());
      chunk.ref = i == 0 ? reader.Uvarint() : chunk.ref + static_cast<uint64_t>(reader.Varint());
      chunks->push_back(chunk);
    }
  }
  return reader.failed() ? InvalidSize("read series") : Status();
}

Result<std::string_view> IndexReader::LabelValueOf(Ref ref, std::string_view name) const {
  NARTHEX_TRY(const std::string_view body, SeriesBody(ref));
  ByteReader reader(body);
  for (uint64_t left = reader.Uvarint(); left > 0 && !reader.failed(); --left) {
    const uint64_t name_ref = reader.Uvarint();
    const uint64_t value_ref = reader.Uvarint();
    NARTHEX_TRY(const std::string_view here, Symbol(name_ref));
    if (here == name) return Symbol(value_ref);
    if (here > name) break;
  }
  return std::string_view();
}

}  // namespace narthex::tsdb
