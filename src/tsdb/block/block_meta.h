// meta.json: what a block says about itself, written exactly as upstream prints it.
//
// Layout: docs/formats/meta-json.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tsdb/block/ulid.h"
#include "util/file.h"
#include "util/status.h"

namespace narthex::tsdb {

inline constexpr std::string_view kHintFromOutOfOrder = "from-out-of-order";
inline constexpr std::string_view kHintFromStaleSeries = "from-stale-series";
inline constexpr std::string_view kHintFromSelectedSeries = "from-selected-series";
inline constexpr std::string_view kMetaFileName = "meta.json";

struct BlockStats {
  uint64_t samples = 0;
  uint64_t float_samples = 0;
  uint64_t histogram_samples = 0;
  uint64_t series = 0;
  uint64_t chunks = 0;
  uint64_t tombstones = 0;
  friend bool operator==(const BlockStats&, const BlockStats&) = default;
};

struct BlockParent {
  Ulid ulid;
  int64_t min_ms = 0;
  int64_t max_ms = 0;
  friend bool operator==(const BlockParent&, const BlockParent&) = default;
};

struct BlockCompaction {
  int level = 0;
  std::vector<Ulid> sources;
  bool deletable = false;
  std::vector<BlockParent> parents;
  bool failed = false;
  std::vector<std::string> hints;

  bool HasHint(std::string_view hint) const;
  // Keeps them sorted and each once.
  void AddHint(std::string_view hint);
  friend bool operator==(const BlockCompaction&, const BlockCompaction&) = default;
};

struct BlockMeta {
  Ulid ulid;
  int64_t min_ms = 0;
  int64_t max_ms = 0;  // Not included.
  BlockStats stats;
  BlockCompaction compaction;

  friend bool operator==(const BlockMeta&, const BlockMeta&) = default;
};

std::string FormatBlockMeta(const BlockMeta& meta);
// `unexpected meta file version %d`. Unknown fields are ignored. `version` gets the version also
// of files that are refused.
Result<BlockMeta> ParseBlockMeta(std::string_view json, int64_t* version = nullptr);
Result<BlockMeta> ReadBlockMeta(FileSystem& files, const std::string& block_directory);
// Atomically.
Status WriteBlockMeta(FileSystem& files, const std::string& block_directory, const BlockMeta& meta);

}  // namespace narthex::tsdb
