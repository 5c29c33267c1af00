// Writes an index file (version 2) from symbols and series in ascending order.
//
// Series go straight to the file. Postings are made at the end by reading the series section back
// from the file, a bounded number of postings at a time, so that memory follows the symbols and the
// number of label pairs, not the number of series times labels.
//
// Byte diagram: docs/formats/index.md. Threads: one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/labels.h"
#include "tsdb/index/index_format.h"
#include "util/file.h"
#include "util/hash_map.h"
#include "util/status.h"

namespace narthex::tsdb {

class IndexWriter {
 public:
  static Result<std::unique_ptr<IndexWriter>> Create(FileSystem& files, const std::string& path);
  ~IndexWriter();

  // All symbols first: ascending, each once, and every name and value of the series to come.
  Status AddSymbol(std::string_view symbol);
  // Then the series in label order, chunks ascending and not overlapping.
  // `out-of-order series added with label set "…", last label set "…"`, `symbol entry for "…" does
  // not exist`, `chunk minT %d is not higher than previous chunk maxT %d`.
  Status AddSeries(const Labels& labels, std::span<const ChunkMeta> chunks);
  // Writes postings and tables, syncs, closes.
  Status Finish();

  uint64_t series_count() const { return series_count_; }
  // For tests: how many postings are collected at once.
  void SetPostingsBatchForTest(uint64_t batch) { postings_batch_ = batch; }

 private:
  IndexWriter(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}

  Status Put(std::string_view bytes);
  Status Pad(uint64_t alignment);
  Status Flush();
  Status FinishSymbols();
  Result<uint32_t> SymbolRef(std::string_view symbol) const;
  // Length, body, checksum.
  Status PutSection(std::string_view body);
  Status WritePostings();
  Status WritePostingsOf(std::span<const uint32_t> names, std::string_view series_section);
  Status WriteList(std::string_view name, std::string_view value, std::span<const uint32_t> refs);
  std::string_view Symbol(uint32_t ref) const;

  FileSystem& files_;
  const std::string path_;
  std::unique_ptr<WritableFile> file_;
  std::string buffer_;
  uint64_t position_ = 0;
  IndexToc toc_;

  std::string symbols_;                // Encoded entries; views of the map point into it.
  std::vector<uint32_t> symbol_ends_;  // Of the text within symbols_.
  std::vector<uint32_t> symbol_starts_;
  StringViewMap<uint32_t> symbol_refs_;
  bool symbols_done_ = false;

  Labels last_labels_;
  uint64_t series_count_ = 0;
  std::map<uint32_t, uint64_t> postings_by_name_;  // Series with the label, by its name's symbol.
  uint64_t postings_batch_ = 8 << 20;
  std::string scratch_;
  std::string offset_table_;
  uint32_t offset_entries_ = 0;
};

}  // namespace narthex::tsdb
