#include "gotmpl/html_context.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <utility>

#include "gotmpl/builtins.h"
#include "gotmpl/format.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::gotmpl {
namespace {

// What stands in the place of a value that could do harm.
constexpr std::string_view kUnsafe = "ZgotmplZ";

bool IsSpace(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}
bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view TagName(std::string_view text) {
  size_t end = 0;
  while (end < text.size() &&
         (IsLetter(text[end]) || IsDigit(text[end]) || text[end] == '-' || text[end] == ':')) {
    ++end;
  }
  return text.substr(0, end);
}

// The value as text; nothing at all for no value.
std::string PlainText(const Value& value) {
  const Value shown = value.Indirect();
  if (!shown.valid() || shown.kind() == Kind::kNil) return {};
  return FormatValue(shown);
}

bool HasType(const Value& value, const Type* type) {
  return value.type() == type;
}

// html/template also escapes the plus, which old browsers read as the start of UTF-7.
std::string EscapeMarkup(std::string_view text) {
  std::string out;
  for (const char c : HtmlEscape(text)) {
    if (c == '+') {
      out += "&#43;";
    } else {
      out += c;
    }
  }
  return out;
}

// For values without quotes around: spaces and quotes would end them.
std::string EscapeUnquoted(std::string_view text) {
  if (text.empty()) return std::string(kUnsafe);
  std::string out;
  for (const char c : EscapeMarkup(text)) {
    switch (c) {
      case '\t':
      case '\n':
      case '\v':
      case '\f':
      case '\r':
      case ' ':
      case '=':
      case '`': out += fmt::format("&#{};", static_cast<int>(c)); break;
      default: out += c;
    }
  }
  return out;
}

// Text that is markup already, for places where no markup can stand.
std::string StripTags(std::string_view text) {
  std::string out;
  bool tag = false;
  for (const char c : text) {
    if (c == '<') tag = true;
    if (!tag) out += c;
    if (c == '>') tag = false;
  }
  return out;
}

std::string EscapeScriptString(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    size_t size = 0;
    const char32_t rune = DecodeRune(text, &size);
    switch (rune) {
      case 0: out += "\\u0000"; break;
      case '\t': out += "\\t"; break;
      case '\n': out += "\\n"; break;
      case '\v': out += "\\u000b"; break;
      case '\f': out += "\\f"; break;
      case '\r': out += "\\r"; break;
      case '"': out += "\\u0022"; break;
      case '`': out += "\\u0060"; break;
      case '&': out += "\\u0026"; break;
      case '\'': out += "\\u0027"; break;
      case '+': out += "\\u002b"; break;
      case '/': out += "\\/"; break;
      case '<': out += "\\u003c"; break;
      case '>': out += "\\u003e"; break;
      case '\\': out += "\\\\"; break;
      case 0x2028: out += "\\u2028"; break;
      case 0x2029: out += "\\u2029"; break;
      default: out += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  return out;
}

void AppendJson(const Value& value, std::string* out) {
  const Value shown = value.Indirect();
  switch (shown.kind()) {
    case Kind::kBool: out->append(shown.bool_value() ? "true" : "false"); return;
    case Kind::kInt:
      if (shown.type()->to_string != nullptr) break;
      out->append(fmt::format("{}", shown.int_value()));
      return;
    case Kind::kUint: out->append(fmt::format("{}", shown.uint_value())); return;
    case Kind::kFloat: {
      const double v = shown.float_value();
      const double magnitude = std::fabs(v);
      const bool exponent = magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21);
      out->append(!std::isfinite(v) ? "null" : exponent ? FormatFloatE(v) : FormatFloatF(v));
      return;
    }
    case Kind::kList: {
      out->push_back('[');
      bool first = true;
      for (const Value& element : shown.list()) {
        if (!std::exchange(first, false)) out->push_back(',');
        AppendJson(element, out);
      }
      out->push_back(']');
      return;
    }
    case Kind::kMap: {
      out->push_back('{');
      bool first = true;
      for (const auto& [name, element] : shown.map()) {
        if (!std::exchange(first, false)) out->push_back(',');
        AppendJsonString(name, JsonEscape::kGo, out);
        out->push_back(':');
        AppendJson(element, out);
      }
      out->push_back('}');
      return;
    }
    case Kind::kInvalid:
    case Kind::kNil: out->append("null"); return;
    default: break;
  }
  AppendJsonString(FormatValue(shown), JsonEscape::kGo, out);
}

bool IsIdentifierPart(char c) {
  return IsLetter(c) || IsDigit(c) || c == '$' || c == '_' || c == '.';
}

// A value as JavaScript, padded where it could run into a keyword.
std::string ScriptValue(const Value& value) {
  if (HasType(value, types::Js())) return value.string_value();
  if (HasType(value, types::JsStr())) return "\"" + value.string_value() + "\"";
  std::string json;
  AppendJson(value, &json);
  const bool pad = IsIdentifierPart(json.front()) || IsIdentifierPart(json.back());
  return pad ? " " + json + " " : json;
}

// Percent-encodes; a normalizing pass keeps what already is part of a URL.
std::string EncodeUrl(std::string_view text, bool normalize) {
  constexpr std::string_view kReserved = "!#$&*+,/:;=?@[]";
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool unreserved =
        IsLetter(c) || IsDigit(c) || c == '-' || c == '.' || c == '_' || c == '~';
    const auto is_hex = [&](size_t at) {
      return at < text.size() && std::isxdigit(static_cast<unsigned char>(text[at])) != 0;
    };
    const bool escape = c == '%' && is_hex(i + 1) && is_hex(i + 2);
    const bool kept = normalize && (kReserved.find(c) != std::string_view::npos || escape);
    if (unreserved || kept) {
      out += c;
    } else {
      out += fmt::format("%{:02x}", static_cast<uint8_t>(c));
    }
  }
  return out;
}

// Whether the scheme, if any, is one that runs no code.
bool IsSafeUrl(std::string_view url) {
  const size_t colon = url.find(':');
  if (colon == std::string_view::npos) return true;
  const std::string scheme = ToLower(url.substr(0, colon));
  if (scheme.find('/') != std::string::npos) return true;
  return scheme == "http" || scheme == "https" || scheme == "mailto";
}

}  // namespace

// -------------------------------------------------------------------------------------------------
// Text
// -------------------------------------------------------------------------------------------------

Status HtmlContext::Text(std::string_view text, std::string* out) {
  while (!text.empty()) {
    const State from = state_;
    const bool comment = from == State::kComment;
    size_t taken = 0;
    switch (state_) {
      case State::kText: taken = StepText(text); break;
      case State::kTag:
      case State::kAttrName:
      case State::kAfterName:
      case State::kBeforeValue: {
        NARTHEX_TRY(taken, StepTag(text));
        break;
      }
      case State::kValue: {
        NARTHEX_TRY(taken, StepValue(text));
        break;
      }
      case State::kComment: taken = StepComment(text); break;
      case State::kRaw: taken = StepRaw(text); break;
    }
    if (!comment) AppendText(text.substr(0, taken), from, out);
    text.remove_prefix(taken);
  }
  return {};
}

// A < that opens no tag is no markup and is written as an entity, unless it begins the doctype.
void HtmlContext::AppendText(std::string_view text, State from, std::string* out) const {
  const bool markup = from == State::kText;
  const bool plain_element = element_ == Element::kTextArea || element_ == Element::kTitle;
  if (!markup && !(from == State::kRaw && plain_element)) {
    out->append(text);
    return;
  }
  // The last one opened the tag, if the text led into one.
  const size_t tag = state_ == from || state_ == State::kComment ? text.size() : text.rfind('<');
  for (size_t i = 0; i < text.size(); ++i) {
    const bool doctype = ToUpper(text.substr(i, 9)) == "<!DOCTYPE";
    if (text[i] == '<' && i < tag && !doctype) {
      out->append("&lt;");
    } else {
      out->push_back(text[i]);
    }
  }
}

// Up to a comment, or up to and with the name of the next tag.
size_t HtmlContext::StepText(std::string_view text) {
  for (size_t at = text.find('<'); at != std::string_view::npos; at = text.find('<', at + 1)) {
    const std::string_view rest = text.substr(at + 1);
    if (rest.starts_with("!--")) {
      state_ = State::kComment;
      comment_begins_ = true;
      return at;
    }
    closing_tag_ = rest.starts_with('/');
    const std::string_view name = TagName(rest.substr(closing_tag_ ? 1 : 0));
    if (name.empty() || !IsLetter(name[0])) continue;
    const std::string lower = ToLower(name);
    element_ = lower == "script"     ? Element::kScript
               : lower == "style"    ? Element::kStyle
               : lower == "textarea" ? Element::kTextArea
               : lower == "title"    ? Element::kTitle
                                     : Element::kNone;
    state_ = State::kTag;
    return at + 1 + (closing_tag_ ? 1 : 0) + name.size();
  }
  return text.size();
}

size_t HtmlContext::StepComment(std::string_view text) {
  constexpr std::string_view kOpening = "<!--";
  constexpr std::string_view kClosing = "-->";
  const size_t from = std::exchange(comment_begins_, false) ? kOpening.size() : 0;
  const size_t end = text.find(kClosing, from);
  if (end == std::string_view::npos) return text.size();
  state_ = State::kText;
  return end + kClosing.size();
}

// -------------------------------------------------------------------------------------------------
// Tags
// -------------------------------------------------------------------------------------------------

namespace {

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Attributes by name; names of one's own are judged by what they sound like.
enum class NamedKind : uint8_t { kPlain, kUrl, kScript, kStyle };
NamedKind KindOfAttribute(std::string_view name) {
  if (name.starts_with("data-")) {
    name.remove_prefix(5);
  } else if (const size_t colon = name.find(':'); colon != std::string_view::npos) {
    if (name.substr(0, colon) == "xmlns") return NamedKind::kUrl;
    name.remove_prefix(colon + 1);
  }
  constexpr std::string_view kUrls[] = {"action",   "archive",  "background", "cite",    "classid",
                                        "codebase", "data",     "formaction", "href",    "icon",
                                        "longdesc", "manifest", "poster",     "profile", "src",
                                        "srcset",   "usemap",   "xmlns"};
  if (std::find(std::begin(kUrls), std::end(kUrls), name) != std::end(kUrls)) {
    return NamedKind::kUrl;
  }
  if (name == "style") return NamedKind::kStyle;
  if (name.starts_with("on")) return NamedKind::kScript;
  if (Contains(name, "src") || Contains(name, "uri") || Contains(name, "url")) {
    return NamedKind::kUrl;
  }
  return NamedKind::kPlain;
}

}  // namespace

void HtmlContext::BeginValue(char quote) {
  switch (KindOfAttribute(attr_name_)) {
    case NamedKind::kPlain: attr_kind_ = AttrKind::kPlain; break;
    case NamedKind::kUrl: attr_kind_ = AttrKind::kUrl; break;
    case NamedKind::kScript: attr_kind_ = AttrKind::kScript; break;
    case NamedKind::kStyle: attr_kind_ = AttrKind::kStyle; break;
  }
  quote_ = quote;
  script_ = Script::kCode;
  url_part_ = UrlPart::kNone;
  state_ = State::kValue;
}

// One step inside a tag; each takes at least one character or changes the state.
Result<size_t> HtmlContext::StepTag(std::string_view text) {
  constexpr std::string_view kNameEnd = " \t\n\r\f=>/";
  constexpr std::string_view kNeverInNames = "'\"<";
  const char c = text[0];
  if (c == '>' && (state_ != State::kAttrName || !attr_name_.empty())) {
    const bool raw = element_ != Element::kNone && !closing_tag_;
    state_ = raw ? State::kRaw : State::kText;
    script_ = Script::kCode;
    if (!raw) element_ = Element::kNone;
    return size_t{1};
  }
  switch (state_) {
    case State::kTag:
      if (IsSpace(c) || c == '/') return size_t{1};
      if (c == '=') {
        return MakeError(ErrorCode::kExecution,
                         "expected space, attr name, or end of tag, but got {}", GoQuote(text));
      }
      attr_name_.clear();
      state_ = State::kAttrName;
      return size_t{0};
    case State::kAttrName: {
      const size_t end = std::min(text.find_first_of(kNameEnd), text.size());
      const std::string_view name = text.substr(0, end);
      if (const size_t bad = name.find_first_of(kNeverInNames); bad != std::string_view::npos) {
        constexpr size_t kShownMax = 32;
        return MakeError(ErrorCode::kExecution, "{} in attribute name: {}",
                         GoQuote(name.substr(bad, 1)), GoQuote(text.substr(0, kShownMax)));
      }
      attr_name_ += ToLower(name);
      if (end == text.size()) return end;  // The name may go on behind an action.
      state_ = State::kAfterName;
      return end;
    }
    case State::kAfterName:
      if (IsSpace(c)) return size_t{1};
      state_ = c == '=' ? State::kBeforeValue : State::kTag;
      return size_t{c == '=' ? 1U : 0U};
    default: break;
  }
  if (IsSpace(c)) return size_t{1};
  const bool quoted = c == '"' || c == '\'';
  BeginValue(quoted ? c : ' ');
  return size_t{quoted ? 1U : 0U};
}

Result<size_t> HtmlContext::StepValue(std::string_view text) {
  constexpr std::string_view kNeverUnquoted = "\"'<=`";
  const bool quoted = quote_ != ' ';
  const size_t end = quoted ? text.find(quote_) : text.find_first_of(" \t\n\r\f>");
  const std::string_view part = text.substr(0, end);
  if (const size_t bad = part.find_first_of(kNeverUnquoted);
      !quoted && bad != std::string_view::npos) {
    return MakeError(ErrorCode::kExecution, "{} in unquoted attr: {}", GoQuote(part.substr(bad, 1)),
                     GoQuote(part));
  }
  if (attr_kind_ == AttrKind::kUrl) StepUrl(part);
  if (attr_kind_ == AttrKind::kScript) StepScript(part);
  if (end == std::string_view::npos) return text.size();
  state_ = State::kTag;
  return end + (quoted ? 1 : 0);
}

// The content of an element that ends only at its own closing tag.
size_t HtmlContext::StepRaw(std::string_view text) {
  const std::string_view name = element_ == Element::kScript     ? "script"
                                : element_ == Element::kStyle    ? "style"
                                : element_ == Element::kTextArea ? "textarea"
                                                                 : "title";
  for (size_t at = text.find("</"); at != std::string_view::npos; at = text.find("</", at + 2)) {
    const std::string_view found = TagName(text.substr(at + 2));
    if (ToLower(found) != name) continue;
    if (element_ == Element::kScript) StepScript(text.substr(0, at));
    state_ = State::kTag;
    closing_tag_ = true;
    return at + 2 + found.size();
  }
  if (element_ == Element::kScript) StepScript(text);
  return text.size();
}

void HtmlContext::StepScript(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const char next = i + 1 < text.size() ? text[i + 1] : 0;
    switch (script_) {
      case Script::kCode:
        if (c == '"') script_ = Script::kDouble;
        if (c == '\'') script_ = Script::kSingle;
        if (c == '`') script_ = Script::kBacktick;
        if (c == '/' && next == '/') script_ = Script::kLineComment;
        if (c == '/' && next == '*') script_ = Script::kBlockComment;
        break;
      case Script::kDouble:
      case Script::kSingle:
      case Script::kBacktick: {
        const char quote = script_ == Script::kDouble   ? '"'
                           : script_ == Script::kSingle ? '\''
                                                        : '`';
        if (c == '\\') {
          ++i;
        } else if (c == quote) {
          script_ = Script::kCode;
        }
        break;
      }
      case Script::kLineComment:
        if (c == '\n' || c == '\r') script_ = Script::kCode;
        break;
      case Script::kBlockComment:
        if (c == '*' && next == '/') {
          script_ = Script::kCode;
          ++i;
        }
        break;
    }
  }
}

void HtmlContext::StepUrl(std::string_view text) {
  if (text.find_first_of("?#") != std::string_view::npos) {
    url_part_ = UrlPart::kQuery;
  } else if (url_part_ == UrlPart::kNone &&
             text.find_first_not_of(" \t\n\r\f") != std::string_view::npos) {
    url_part_ = UrlPart::kPath;
  }
}

// -------------------------------------------------------------------------------------------------
// Values
// -------------------------------------------------------------------------------------------------

std::string HtmlContext::EscapeScript(const Value& value) const {
  switch (script_) {
    case Script::kCode: return ScriptValue(value);
    case Script::kDouble:
    case Script::kSingle:
    case Script::kBacktick:
      if (HasType(value, types::JsStr())) return value.string_value();
      return EscapeScriptString(PlainText(value));
    case Script::kLineComment:
    case Script::kBlockComment: return {};
  }
  return {};
}

std::string HtmlContext::EscapeUrl(const Value& value) const {
  const std::string text = PlainText(value);
  const bool trusted = HasType(value, types::Url());
  if (url_part_ == UrlPart::kQuery) return EncodeUrl(text, /*normalize=*/trusted);
  if (url_part_ == UrlPart::kNone && !trusted && !IsSafeUrl(text)) {
    return "#" + std::string(kUnsafe);
  }
  return EncodeUrl(text, /*normalize=*/true);
}

// Only words, numbers and colours pass into style sheets.
std::string HtmlContext::EscapeStyle(const Value& value) const {
  std::string text = PlainText(value);
  if (HasType(value, types::Css())) return text;
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return IsLetter(c) || IsDigit(c) || Contains(" #%+-.,_!", std::string_view(&c, 1));
  });
  const std::string lower = ToLower(text);
  if (!plain || Contains(lower, "expression") || Contains(lower, "mozbinding")) {
    return std::string(kUnsafe);
  }
  return text;
}

std::string HtmlContext::Describe() const {
  std::string_view state = "stateText";
  const bool script = (state_ == State::kRaw && element_ == Element::kScript) ||
                      (state_ == State::kValue && attr_kind_ == AttrKind::kScript);
  const bool style = (state_ == State::kRaw && element_ == Element::kStyle) ||
                     (state_ == State::kValue && attr_kind_ == AttrKind::kStyle);
  switch (state_) {
    case State::kText: break;
    case State::kTag: state = "stateTag"; break;
    case State::kAttrName: state = "stateAttrName"; break;
    case State::kAfterName: state = "stateAfterName"; break;
    case State::kBeforeValue: state = "stateBeforeValue"; break;
    case State::kComment: state = "stateHTMLCmt"; break;
    case State::kValue: state = attr_kind_ == AttrKind::kUrl ? "stateURL" : "stateAttr"; break;
    case State::kRaw: state = "stateRCDATA"; break;
  }
  if (script) {
    constexpr std::string_view kScripts[] = {"stateJS",        "stateJSDqStr",   "stateJSSqStr",
                                             "stateJSTmplLit", "stateJSLineCmt", "stateJSBlockCmt"};
    state = kScripts[static_cast<size_t>(script_)];
  }
  if (style) state = "stateCSS";
  std::string_view delim = "delimNone";
  std::string_view attr = "attrNone";
  if (state_ == State::kValue) {
    delim = quote_ == '"'    ? "delimDoubleQuote"
            : quote_ == '\'' ? "delimSingleQuote"
                             : "delimSpaceOrTagEnd";
    if (script) attr = "attrScript";
    if (style) attr = "attrStyle";
    if (attr_kind_ == AttrKind::kUrl) attr = "attrURL";
  }
  constexpr std::string_view kUrlParts[] = {"urlPartNone", "urlPartPreQuery", "urlPartQueryOrFrag"};
  constexpr std::string_view kElements[] = {"elementNone", "elementScript", "elementStyle",
                                            "elementTextarea", "elementTitle"};
  return fmt::format("{{{} {} {} jsCtxRegexp [] {} {} <nil>}}", state, delim,
                     kUrlParts[static_cast<size_t>(url_part_)], attr,
                     kElements[static_cast<size_t>(element_)]);
}

void HtmlContext::Append(const Value& value, std::string_view escaper, std::string* out) {
  const bool html = HasType(value, types::Html());
  switch (state_) {
    case State::kText:
      *out += html || escaper == "html" ? PlainText(value) : EscapeMarkup(PlainText(value));
      return;
    case State::kComment: return;
    case State::kRaw:
      if (element_ == Element::kScript) {
        *out += EscapeScript(value);
      } else if (element_ == Element::kStyle) {
        *out += EscapeStyle(value);
      } else {
        *out += escaper == "html" ? PlainText(value) : EscapeMarkup(PlainText(value));
      }
      return;
    case State::kTag:
    case State::kAttrName:
    case State::kAfterName: {
      // A name of an attribute, unless it is one that could run something.
      if (HasType(value, types::HtmlAttr())) {
        *out += PlainText(value);
        return;
      }
      const std::string name = ToLower(PlainText(value));
      const bool word =
          std::all_of(name.begin(), name.end(), [](char c) { return IsLetter(c) || IsDigit(c); });
      const bool safe = word && KindOfAttribute(name) == NamedKind::kPlain;
      *out += safe && !name.empty() ? name : std::string(kUnsafe);
      if (state_ == State::kTag) attr_name_.clear();
      state_ = State::kAttrName;
      return;
    }
    case State::kBeforeValue: BeginValue(' '); break;
    case State::kValue: break;
  }
  std::string text;
  switch (attr_kind_) {
    case AttrKind::kPlain: text = html ? StripTags(PlainText(value)) : PlainText(value); break;
    case AttrKind::kUrl:
      text = escaper == "urlquery" ? PlainText(value) : EscapeUrl(value);
      if (url_part_ == UrlPart::kNone) url_part_ = UrlPart::kPath;
      break;
    case AttrKind::kScript: text = EscapeScript(value); break;
    case AttrKind::kStyle: text = EscapeStyle(value); break;
  }
  if (html && attr_kind_ == AttrKind::kPlain) {
    *out += text;  // Its entities are in place already.
  } else {
    *out += quote_ == ' ' ? EscapeUnquoted(text) : EscapeMarkup(text);
  }
}

}  // namespace narthex::gotmpl
