// YAML text as a tree that remembers lines, tags and aliases.
//
// Only yaml_node.cc knows the YAML library. Anchors and merge keys are kept as they were written:
// the decoder resolves them, since what they mean differs between dialects.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "util/status.h"

namespace narthex {

struct YamlNode {
  enum class Kind { kScalar, kSequence, kMapping, kAlias };

  Kind kind = Kind::kScalar;
  std::string tag;     // Only an explicit one, in full: "tag:yaml.org,2002:str".
  bool plain = false;  // A scalar without quotes and tag, whose type follows from its looks.
  std::string value;   // Of a scalar.
  int line = 0;        // From 1.
  int column = 0;      // From 1.
  std::vector<const YamlNode*> children;  // Of a mapping: key, value, key, value, …
  const YamlNode* alias = nullptr;        // What an alias stands for.

  bool is_scalar() const { return kind == Kind::kScalar; }
  // Empty, `~`, `null`, or tagged so.
  bool is_null() const;
};

class YamlDocument {
 public:
  // Reads the first document. Syntax errors: `yaml: line 3: …`.
  static Result<YamlDocument> Parse(std::string_view text);

  // Moving a deque may allocate.
  // NOLINTBEGIN(performance-noexcept-move-constructor)
  YamlDocument(YamlDocument&&) = default;
  YamlDocument& operator=(YamlDocument&&) = default;
  // NOLINTEND(performance-noexcept-move-constructor)

  // Null when the text has no document at all (it is empty, or nothing but comments).
  const YamlNode* root() const { return root_; }
  bool has_second_document() const { return has_second_document_; }

 private:
  friend class YamlTreeBuilder;
  YamlDocument() = default;

  std::deque<YamlNode> nodes_;
  const YamlNode* root_ = nullptr;
  bool has_second_document_ = false;
};

}  // namespace narthex
