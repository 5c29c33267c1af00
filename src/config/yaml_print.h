// Prints values as YAML byte for byte as Go's yaml v2 does, which is what people see in
// /api/v1/status/config and what upstream hashes.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace narthex {

// A value to print.
class YamlValue {
 public:
  static YamlValue Null() { return Verbatim("null"); }
  // Numbers and booleans, printed as they are.
  static YamlValue Verbatim(std::string text);
  // Text, quoted where it would otherwise be read as something else.
  static YamlValue Text(std::string_view text);
  static YamlValue Sequence() { return YamlValue(Kind::kSequence); }
  static YamlValue Mapping() { return YamlValue(Kind::kMapping); }

  void Add(YamlValue item) { items_.push_back(std::move(item)); }
  void Add(std::string key, YamlValue value) {
    keys_.push_back(std::move(key));
    items_.push_back(std::move(value));
  }
  // [a, b] on one line.
  void set_flow() { flow_ = true; }

  // With the final newline.
  std::string Print() const;

 private:
  friend class YamlPrinter;
  enum class Kind { kVerbatim, kText, kSequence, kMapping };
  explicit YamlValue(Kind kind) : kind_(kind) {}

  Kind kind_;
  bool flow_ = false;
  std::string text_;
  std::vector<std::string> keys_;
  std::vector<YamlValue> items_;
};

// The order in which Go's yaml sorts the keys of a map: numbers inside by their value, letters
// after everything else.
bool YamlKeyLess(std::string_view a, std::string_view b);

}  // namespace narthex
