#include "tsdb/block/block_meta.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "util/strings.h"

namespace narthex::tsdb {
namespace {

constexpr int64_t kMetaVersion = 1;

// A JSON object printed over several lines, one tab a level; "{}" when nothing was added.
class ObjectPrinter {
 public:
  ObjectPrinter(std::string* out, int depth) : out_(out), depth_(depth) { out_->push_back('{'); }

  std::string* Key(std::string_view key) {
    out_->append(empty_ ? "\n" : ",\n");
    empty_ = false;
    out_->append(static_cast<size_t>(depth_) + 1, '\t');
    AppendJsonString(key, JsonEscape::kGo, out_);
    out_->append(": ");
    return out_;
  }
  void Number(std::string_view key, int64_t v) { Key(key)->append(std::to_string(v)); }
  void Count(std::string_view key, uint64_t v) {
    if (v != 0) Key(key)->append(std::to_string(v));
  }
  void Text(std::string_view key, std::string_view v) {
    AppendJsonString(v, JsonEscape::kGo, Key(key));
  }
  void Flag(std::string_view key, bool v) {
    if (v) Key(key)->append("true");
  }
  template <typename Items, typename Print>
  void List(std::string_view key, const Items& items, Print print) {
    if (items.empty()) return;
    Key(key)->push_back('[');
    const char* separator = "\n";
    for (const auto& item : items) {
      out_->append(separator);
      separator = ",\n";
      out_->append(static_cast<size_t>(depth_) + 2, '\t');
      print(item);
    }
    out_->push_back('\n');
    out_->append(static_cast<size_t>(depth_) + 1, '\t');
    out_->push_back(']');
  }
  void End() {
    if (!empty_) {
      out_->push_back('\n');
      out_->append(static_cast<size_t>(depth_), '\t');
    }
    out_->push_back('}');
  }

 private:
  std::string* out_;
  int depth_;
  bool empty_ = true;
};

Status WrongField(std::string_view field) {
  return MakeError(ErrorCode::kCorruption, "meta file has an unexpected value in {}", field);
}

// Fields that are missing keep their zero; fields of another type are errors.
class ObjectReader {
 public:
  ObjectReader(const boost::json::object* object, Status* status)
      : object_(object), status_(status) {}

  template <typename T>
  void Number(std::string_view key, T* out) {
    const boost::json::value* v = Find(key);
    if (v == nullptr) return;
    boost::system::error_code error;
    *out = v->to_number<T>(error);
    if (error) *status_ = WrongField(key);
  }
  void Flag(std::string_view key, bool* out) {
    const boost::json::value* v = Find(key);
    if (v == nullptr) return;
    if (!v->is_bool()) {
      *status_ = WrongField(key);
      return;
    }
    *out = v->get_bool();
  }
  void Name(std::string_view key, Ulid* out) {
    const boost::json::value* v = Find(key);
    if (v != nullptr) ParseUlid(key, *v, out);
  }
  void ParseUlid(std::string_view key, const boost::json::value& v, Ulid* out) {
    std::optional<Ulid> ulid;
    if (v.is_string()) ulid = Ulid::Parse({v.get_string().data(), v.get_string().size()});
    if (ulid) {
      *out = *ulid;
    } else {
      *status_ = WrongField(key);
    }
  }
  ObjectReader Object(std::string_view key) {
    const boost::json::value* v = Find(key);
    if (v != nullptr && !v->is_object()) *status_ = WrongField(key);
    return {v != nullptr ? v->if_object() : nullptr, status_};
  }
  const boost::json::array* List(std::string_view key) {
    const boost::json::value* v = Find(key);
    if (v != nullptr && !v->is_array()) *status_ = WrongField(key);
    return v != nullptr ? v->if_array() : nullptr;
  }

 private:
  const boost::json::value* Find(std::string_view key) const {
    if (object_ == nullptr) return nullptr;
    const boost::json::value* v = object_->if_contains({key.data(), key.size()});
    return v == nullptr || v->is_null() ? nullptr : v;
  }

  const boost::json::object* object_;
  Status* status_;
};

}  // namespace

bool BlockCompaction::HasHint(std::string_view hint) const {
  return std::ranges::find(hints, hint) != hints.end();
}

void BlockCompaction::AddHint(std::string_view hint) {
  if (HasHint(hint)) return;
  hints.emplace_back(hint);
  std::ranges::sort(hints);
}

std::string FormatBlockMeta(const BlockMeta& meta) {
  std::string out;
  ObjectPrinter root(&out, 0);
  root.Text("ulid", meta.ulid.ToString());
  root.Number("minTime", meta.min_ms);
  root.Number("maxTime", meta.max_ms);
  ObjectPrinter stats(root.Key("stats"), 1);
  stats.Count("numSamples", meta.stats.samples);
  stats.Count("numFloatSamples", meta.stats.float_samples);
  stats.Count("numHistogramSamples", meta.stats.histogram_samples);
  stats.Count("numSeries", meta.stats.series);
  stats.Count("numChunks", meta.stats.chunks);
  stats.Count("numTombstones", meta.stats.tombstones);
  stats.End();
  ObjectPrinter compaction(root.Key("compaction"), 1);
  compaction.Number("level", meta.compaction.level);
  compaction.List("sources", meta.compaction.sources, [&](const Ulid& source) {
    AppendJsonString(source.ToString(), JsonEscape::kGo, &out);
  });
  compaction.Flag("deletable", meta.compaction.deletable);
  compaction.List("parents", meta.compaction.parents, [&](const BlockParent& parent) {
    ObjectPrinter printer(&out, 3);
    printer.Text("ulid", parent.ulid.ToString());
    printer.Number("minTime", parent.min_ms);
    printer.Number("maxTime", parent.max_ms);
    printer.End();
  });
  compaction.Flag("failed", meta.compaction.failed);
  compaction.List("hints", meta.compaction.hints,
                  [&](const std::string& hint) { AppendJsonString(hint, JsonEscape::kGo, &out); });
  compaction.End();
  root.Number("version", kMetaVersion);
  root.End();
  return out;
}

Result<BlockMeta> ParseBlockMeta(std::string_view json, int64_t* version) {
  boost::system::error_code error;
  boost::json::value root;
  try {
    root = boost::json::parse({json.data(), json.size()}, error);
  } catch (const std::exception& e) {
    return MakeError(ErrorCode::kCorruption, "meta file cannot be parsed: {}", e.what());
  }
  if (error) {
    return MakeError(ErrorCode::kCorruption, "meta file cannot be parsed: {}", error.message());
  }
  if (!root.is_object()) return MakeError(ErrorCode::kCorruption, "meta file is not an object");

  Status status;
  ObjectReader reader(&root.get_object(), &status);
  int64_t found_version = 0;
  reader.Number("version", &found_version);
  if (version != nullptr) *version = found_version;
  if (found_version != kMetaVersion) {
    return MakeError(ErrorCode::kCorruption, "unexpected meta file version {}", found_version);
  }
  BlockMeta meta;
  reader.Name("ulid", &meta.ulid);
  reader.Number("minTime", &meta.min_ms);
  reader.Number("maxTime", &meta.max_ms);
  ObjectReader stats = reader.Object("stats");
  stats.Number("numSamples", &meta.stats.samples);
  stats.Number("numFloatSamples", &meta.stats.float_samples);
  stats.Number("numHistogramSamples", &meta.stats.histogram_samples);
  stats.Number("numSeries", &meta.stats.series);
  stats.Number("numChunks", &meta.stats.chunks);
  stats.Number("numTombstones", &meta.stats.tombstones);
  ObjectReader compaction = reader.Object("compaction");
  compaction.Number("level", &meta.compaction.level);
  compaction.Flag("deletable", &meta.compaction.deletable);
  compaction.Flag("failed", &meta.compaction.failed);
  if (const boost::json::array* list = compaction.List("sources")) {
    for (const boost::json::value& v : *list) {
      compaction.ParseUlid("sources", v, &meta.compaction.sources.emplace_back());
    }
  }
  if (const boost::json::array* list = compaction.List("parents")) {
    for (const boost::json::value& v : *list) {
      if (!v.is_object()) return WrongField("parents");
      ObjectReader parent(&v.get_object(), &status);
      BlockParent& entry = meta.compaction.parents.emplace_back();
      parent.Name("ulid", &entry.ulid);
      parent.Number("minTime", &entry.min_ms);
      parent.Number("maxTime", &entry.max_ms);
    }
  }
  if (const boost::json::array* list = compaction.List("hints")) {
    for (const boost::json::value& v : *list) {
      if (!v.is_string()) return WrongField("hints");
      meta.compaction.hints.emplace_back(v.get_string().data(), v.get_string().size());
    }
  }
  if (!status.ok()) return status;
  return meta;
}

Result<BlockMeta> ReadBlockMeta(FileSystem& files, const std::string& block_directory) {
  NARTHEX_TRY(const std::string json, files.ReadAll(JoinPath(block_directory, kMetaFileName)));
  return ParseBlockMeta(json);
}

Status WriteBlockMeta(FileSystem& files, const std::string& block_directory,
                      const BlockMeta& meta) {
  return files.WriteAtomically(JoinPath(block_directory, kMetaFileName), FormatBlockMeta(meta));
}

}  // namespace narthex::tsdb
