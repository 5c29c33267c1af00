// Reads index files of versions 1, 2 and 3 where they lie in memory.
//
// Of the tables only samples are kept: the place of every 8th symbol, and of every 32nd value (and
// the last) of each label name. A look-up goes to the nearest one and walks. Everything returned is
// a view into the mapped file and lives as long as the reader.
//
// Sections are verified against their checksums: the tables when opening, series and postings when
// they are read.
//
// Byte diagram: docs/formats/index.md. Threads: immutable once open.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/labels.h"
#include "tsdb/index/index_format.h"
#include "tsdb/index/postings.h"
#include "tsdb/index/postings_for_matchers.h"
#include "util/bytes.h"
#include "util/file.h"
#include "util/status.h"

namespace narthex::tsdb {

class IndexReader {
 public:
  using Ref = uint32_t;
  using List = BigEndianPostings;

  static Result<std::unique_ptr<IndexReader>> Open(FileSystem& files, const std::string& path);
  // For tests and fuzzers; `data` outlives the reader.
  static Result<std::unique_ptr<IndexReader>> OpenBytes(std::string_view data);

  int version() const { return version_; }
  uint64_t size_bytes() const { return data_.size(); }
  const IndexToc& toc() const { return toc_; }

  // All symbols in order, through visit(std::string_view) -> Status.
  template <typename Visit>
  Status ForEachSymbol(Visit&& visit) const {
    ByteReader reader(symbols_);
    for (uint32_t left = symbol_count_; left > 0; --left) {
      NARTHEX_RETURN_IF_ERROR(visit(reader.UvarintString()));
    }
    return {};
  }

  // Labels and chunks of a series; either may be null. The texts are views.
  Status ReadSeries(Ref ref, std::vector<LabelView>* labels, std::vector<ChunkMeta>* chunks) const;
  // One label's value; "" when the series does not have it.
  Result<std::string_view> LabelValueOf(Ref ref, std::string_view name) const;

  // Sorted names, without the empty one.
  std::vector<std::string_view> LabelNames() const;
  // Sorted values.
  std::vector<std::string_view> LabelValues(std::string_view name) const;
  size_t LabelValueCount(std::string_view name) const;

  // The source of PostingsForMatchers.
  Result<List> Postings(std::string_view name, std::string_view value) const;
  Result<List> AllPostings() const { return Postings("", ""); }
  template <typename Accept>
  Status PostingsMatching(std::string_view name, Accept accept, std::vector<List>* lists) const {
    Status status;
    ForEachValue(name, [&](std::string_view value, uint64_t offset) {
      if (!accept(value)) return true;
      Result<List> list = ListAt(offset);
      if (!list.ok()) {
        status = std::move(list).status();
        return false;
      }
      lists->push_back(*list);
      return true;
    });
    return status;
  }
  // Values in order with the offsets of their lists, as long as visit(value, offset) gives true.
  template <typename Visit>
  void ForEachValue(std::string_view name, Visit visit) const {
    const auto found = names_.find(name);
    if (found == names_.end()) return;
    const Name& entry = found->second;
    if (version_ == 1) {
      // Not in order in the file; every entry is kept.
      for (const ValueSample& sample : entry.samples) {
        ByteReader reader(postings_table_.substr(sample.position));
        if (!visit(sample.value, SkipToOffset(reader))) return;
      }
      return;
    }
    ByteReader reader(postings_table_.substr(entry.samples.front().position));
    for (uint64_t left = entry.value_count; left > 0; --left) {
      reader.Uvarint();
      reader.UvarintString();
      const std::string_view value = reader.UvarintString();
      if (!visit(value, reader.Uvarint())) return;
    }
  }
  Result<List> ListAt(uint64_t offset) const;

 private:
  struct ValueSample {
    std::string_view value;
    uint64_t position;  // Of the entry within postings_table_.
  };
  struct Name {
    uint64_t value_count = 0;
    std::vector<ValueSample> samples;  // Ascending; the last is the last value.
  };

  IndexReader() = default;
  Status Init();
  Status ReadToc();
  Status ReadSymbols();
  Status ReadPostingsTable();
  // Body of a section of u32 length, after its checksum was found right.
  Result<std::string_view> Section(uint64_t offset, std::string_view what) const;
  Result<std::string_view> SeriesBody(Ref ref) const;
  Result<std::string_view> Symbol(uint64_t ref) const;
  static uint64_t SkipToOffset(ByteReader& reader) {
    reader.Uvarint();
    reader.UvarintString();
    reader.UvarintString();
    return reader.Uvarint();
  }

  std::unique_ptr<MappedFile> map_;
  std::string_view data_;
  int version_ = 0;
  IndexToc toc_;
  std::string_view symbols_;  // Entries.
  uint32_t symbol_count_ = 0;
  std::vector<uint32_t> symbol_offsets_;  // Of every kSymbolStride-th, within symbols_.
  std::string_view postings_table_;       // Entries.
  std::map<std::string_view, Name, std::less<>> names_;
};

}  // namespace narthex::tsdb
