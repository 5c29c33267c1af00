// Escaping by context: what a value must look like depends on where in the page it stands.
//
// The tracker reads the literal text of a page and knows at every action whether it stands in text,
// in a tag, in an attribute (and of which kind), in a script or in a style sheet. Go decides this
// when it parses a template, for all branches at once; here it is decided while the text is
// written, so that a page whose branches end in different contexts is no error.
//
//   <a href="/x?q={{.Q}}" onclick="f({{.A}})">{{.Text}}</a><script>var s = '{{.S}}';</script>
//                  query               value     text                          JS string
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "gotmpl/value.h"
#include "util/status.h"

namespace narthex::gotmpl {

class HtmlContext {
 public:
  // Reads text of the template and appends it to the page, without HTML comments. Fails where a tag
  // is written so that browsers would disagree about it.
  Status Text(std::string_view text, std::string* out);
  // Appends a value as it is safe here. `escaper` names the function that the pipeline ended with
  // (html, urlquery), whose work is not done twice.
  void Append(const Value& value, std::string_view escaper, std::string* out);

  // Whether a page may end here; an open tag or script is an error.
  bool in_text() const { return state_ == State::kText; }
  // The context as html/template's errors show it.
  std::string Describe() const;

 private:
  enum class State : uint8_t {
    kText,
    kTag,  // Inside a tag, between attributes.
    kAttrName,
    kAfterName,
    kBeforeValue,  // Behind the equals sign.
    kValue,        // In an attribute's value.
    kComment,
    kRaw,  // In an element whose content is no markup: script, style, textarea, title.
  };
  enum class Element : uint8_t { kNone, kScript, kStyle, kTextArea, kTitle };
  enum class AttrKind : uint8_t { kPlain, kUrl, kScript, kStyle };
  enum class Script : uint8_t { kCode, kDouble, kSingle, kBacktick, kLineComment, kBlockComment };
  enum class UrlPart : uint8_t { kNone, kPath, kQuery };

  void AppendText(std::string_view text, State from, std::string* out) const;
  size_t StepText(std::string_view text);
  size_t StepComment(std::string_view text);
  Result<size_t> StepTag(std::string_view text);
  Result<size_t> StepValue(std::string_view text);
  size_t StepRaw(std::string_view text);
  void StepScript(std::string_view text);
  void StepUrl(std::string_view text);
  void BeginValue(char quote);
  std::string EscapeScript(const Value& value) const;
  std::string EscapeUrl(const Value& value) const;
  std::string EscapeStyle(const Value& value) const;

  State state_ = State::kText;
  Element element_ = Element::kNone;  // Of the tag or of the content.
  bool closing_tag_ = false;
  bool comment_begins_ = false;  // Its opening is still ahead.
  std::string attr_name_;
  AttrKind attr_kind_ = AttrKind::kPlain;
  char quote_ = 0;  // Around the value; a space when there is none.
  Script script_ = Script::kCode;
  UrlPart url_part_ = UrlPart::kNone;
};

}  // namespace narthex::gotmpl
