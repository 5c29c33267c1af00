// Turns YAML nodes into values the way Go's yaml library does, strictly: unknown keys, wrong types
// and repeated keys are collected with their lines in that library's words, and the first failed
// check of a section ends the reading.
//
//   yaml: unmarshal errors:
//     line 4: field foo not found in type config.plain
//     line 9: cannot unmarshal !!str `maybe` into bool
//
// fields.h builds on this and reads whole structs from tables.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/yaml_node.h"
#include "util/status.h"

namespace narthex {

// What a scalar is by its looks and tag.
struct YamlScalar {
  enum class Type { kNull, kBool, kInt, kUint, kFloat, kText, kTimestamp, kBinary, kMerge };
  Type type = Type::kText;
  bool boolean = false;
  int64_t integer = 0;
  uint64_t unsigned_integer = 0;  // kUint: beyond int64.
  double number = 0;
  std::string text;  // As written; decoded for kBinary.
};

// YAML 1.1 as Go's yaml v2 (configuration) and v3 (rule files) read it.
enum class YamlDialect { kV2, kV3 };

class YamlDecoder {
 public:
  struct Options {
    YamlDialect dialect = YamlDialect::kV2;
    bool strict = true;  // Unknown and repeated keys are errors.
  };

  YamlDecoder() : YamlDecoder(Options{}) {}
  explicit YamlDecoder(Options options) : options_(options) {}

  const Options& options() const { return options_; }

  // Calls `read` on the node itself or on what it stands for if it is an alias. False when reading
  // failed, or must not go on: after Fail(), on an alias inside itself, on a flood of aliases.
  bool Visit(const YamlNode& node, const std::function<bool(const YamlNode&)>& read);

  // Scalars. False after noting an error; then *out is as it was.
  bool ReadText(const YamlNode& node, std::string_view go_type, std::string* out);
  bool ReadBool(const YamlNode& node, std::string_view go_type, bool* out);
  bool ReadInt(const YamlNode& node, std::string_view go_type, int64_t* out);
  bool ReadUint(const YamlNode& node, std::string_view go_type, uint64_t* out);
  bool ReadFloat(const YamlNode& node, std::string_view go_type, double* out);
  // The scalar's type, or nothing after Fail() (`cannot decode !!str `x` as a !!int`).
  std::optional<YamlScalar> Resolve(const YamlNode& node);

  // Calls visit(key, key_node, value_node) for the pairs of a mapping, merge keys included, in the
  // order in which later ones overrule earlier ones.
  using VisitPair =
      std::function<void(const std::string& key, const YamlNode& key_node, const YamlNode& value)>;
  void ForEachPair(const YamlNode& mapping, const VisitPair& visit);
  // A mapping that another one pulls in with `<<`: repeated keys are counted for each apart.
  int merge_depth() const { return merge_depth_; }

  // `line 3: cannot unmarshal !!str `x` into bool`.
  void AddMismatch(const YamlNode& node, std::string_view go_type);
  void AddError(const YamlNode& node, std::string_view text);  // `line 3: ` in front.
  size_t error_count() const { return errors_.size(); }
  // Ends the reading; the first one counts.
  void Fail(Status status);
  bool failed() const { return !failure_.ok(); }
  // The outcome of it all.
  Status Finish() const;

 private:
  bool CheckUniqueKeys(const YamlNode& mapping);
  void MergeFrom(const YamlNode& value, const VisitPair& visit);

  const Options options_;
  std::vector<std::string> errors_;
  Status failure_;
  std::vector<const YamlNode*> open_aliases_;
  int merge_depth_ = 0;
  uint64_t decoded_ = 0;
  uint64_t decoded_in_aliases_ = 0;
};

// What an unquoted text would be read as; the printer quotes what would not come back as text.
YamlScalar::Type PlainScalarType(std::string_view text);

}  // namespace narthex
