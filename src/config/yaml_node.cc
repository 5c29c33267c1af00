#include "config/yaml_node.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <sstream>

#include "util/strings.h"

namespace narthex {

namespace {

constexpr std::string_view kNullTag = "tag:yaml.org,2002:null";

// The characters that YAML forbids; the library lets them pass.
Status CheckCharacters(std::string_view text) {
  const bool other_encoding = text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff");
  if (other_encoding) return {};
  if (!IsValidUtf8(text)) {
    return Status(ErrorCode::kInvalidInput, "yaml: invalid leading UTF-8 octet");
  }
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7f) {
      return Status(ErrorCode::kInvalidInput, "yaml: control characters are not allowed");
    }
  }
  return {};
}

}  // namespace

bool YamlNode::is_null() const {
  if (!is_scalar()) return false;
  if (tag == kNullTag) return true;
  return plain && (value.empty() || value == "~" || value == "null");
}

// Builds the tree from the library's events. Anchors carry numbers, in order of appearance.
class YamlTreeBuilder : public YAML::EventHandler {
 public:
  explicit YamlTreeBuilder(YamlDocument& document) : document_(document) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add(YamlNode::Kind::kScalar, mark, "?", anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    YamlNode& node = Add(YamlNode::Kind::kAlias, mark, "", 0);
    node.alias = anchor < anchors_.size() ? anchors_[anchor] : nullptr;
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Add(YamlNode::Kind::kScalar, mark, tag, anchor).value = value;
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open_.push_back(&Add(YamlNode::Kind::kSequence, mark, tag, anchor));
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open_.push_back(&Add(YamlNode::Kind::kMapping, mark, tag, anchor));
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  // The library says "?" of plain scalars and untagged collections and "!" of quoted scalars.
  YamlNode& Add(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
                YAML::anchor_t anchor) {
    YamlNode& node = document_.nodes_.emplace_back();
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    node.plain = kind == YamlNode::Kind::kScalar && tag == "?";
    if (tag != "?" && tag != "!") node.tag = tag;
    if (anchor != 0) {
      if (anchors_.size() <= anchor) anchors_.resize(anchor + 1, nullptr);
      anchors_[anchor] = &node;
    }
    if (open_.empty()) {
      if (document_.root_ == nullptr) document_.root_ = &node;
    } else {
      open_.back()->children.push_back(&node);
    }
    return node;
  }

  YamlDocument& document_;
  std::vector<YamlNode*> open_;
  std::vector<const YamlNode*> anchors_;
};

namespace {

// Takes note of whether there is a document, and nothing else.
class IgnoreEvents : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

}  // namespace

Result<YamlDocument> YamlDocument::Parse(std::string_view text) {
  NARTHEX_RETURN_IF_ERROR(CheckCharacters(text));
  YamlDocument document;
  std::istringstream stream{std::string(text)};
  try {
    YAML::Parser parser(stream);
    YamlTreeBuilder builder(document);
    if (parser.HandleNextDocument(builder)) {
      try {
        IgnoreEvents ignore;
        document.has_second_document_ = parser.HandleNextDocument(ignore);
      } catch (const YAML::Exception&) {
        // What follows the first document is never read, so its mistakes do not matter.
        document.has_second_document_ = true;
      }
    }
  } catch (const YAML::Exception& error) {
    if (error.mark.is_null()) {
      return MakeError(ErrorCode::kInvalidInput, "yaml: {}", error.msg);
    }
    return MakeError(ErrorCode::kInvalidInput, "yaml: line {}: {}", error.mark.line + 1, error.msg);
  }
  return document;
}

}  // namespace narthex
