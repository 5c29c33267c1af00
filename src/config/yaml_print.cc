#include "config/yaml_print.h"

#include "config/yaml_decode.h"
#include "util/strings.h"

namespace narthex {

namespace {

// Lines are folded at the first space beyond this column.
constexpr size_t kWidth = 80;

bool IsLetter(char32_t rune) {
  if (rune < 0x80) return (rune | 0x20) >= 'a' && (rune | 0x20) <= 'z';
  return rune >= 0xaa;  // Close enough: other scripts are mostly letters.
}
bool IsDigit(char32_t rune) {
  return rune >= '0' && rune <= '9';
}

std::vector<char32_t> Runes(std::string_view text) {
  std::vector<char32_t> runes;
  while (!text.empty()) {
    size_t size = 1;
    runes.push_back(DecodeRune(text, &size));
    text.remove_prefix(size);
  }
  return runes;
}

bool IsPrintable(char32_t rune) {
  // Upstream escapes what lies beyond the basic plane.
  return rune == '\n' || (rune >= 0x20 && rune <= 0x7e) || (rune >= 0xa0 && rune <= 0xd7ff) ||
         (rune >= 0xe000 && rune <= 0xfffd && rune != 0xfeff);
}
bool IsBreak(char32_t rune) {
  return rune == '\r' || rune == '\n' || rune == 0x85 || rune == 0x2028 || rune == 0x2029;
}
bool IsBlank(char32_t rune) {
  return rune == ' ' || rune == '\t';
}

// Which ways of writing a text are open to it.
struct TextShape {
  bool multiline = false;
  bool flow_plain = true;
  bool block_plain = true;
  bool single_quoted = true;
  bool block = true;
};

TextShape Analyze(const std::vector<char32_t>& runes) {
  TextShape shape;
  if (runes.empty()) {
    shape.flow_plain = false;
    shape.block = false;
    return shape;
  }
  bool block_indicator = false;
  bool flow_indicator = false;
  bool special = false;
  bool space_break = false;
  bool break_space = false;
  bool after_blank = true;
  bool after_space = false;
  bool after_break = false;
  if (runes.size() >= 3 && runes[0] == runes[1] && runes[1] == runes[2] &&
      (runes[0] == '-' || runes[0] == '.')) {
    block_indicator = flow_indicator = true;
  }
  for (size_t i = 0; i < runes.size(); ++i) {
    const char32_t rune = runes[i];
    const bool before_blank = i + 1 >= runes.size() || IsBlank(runes[i + 1]);
    if (i == 0) {
      constexpr std::u32string_view kIndicators = U"#,[]{}&*!|>'\"%@`";
      if (kIndicators.find(rune) != std::u32string_view::npos) {
        flow_indicator = block_indicator = true;
      } else if (rune == '?' || rune == ':') {
        flow_indicator = true;
        block_indicator = block_indicator || before_blank;
      } else if (rune == '-' && before_blank) {
        flow_indicator = block_indicator = true;
      }
    } else {
      constexpr std::u32string_view kIndicators = U",?[]{}";
      if (kIndicators.find(rune) != std::u32string_view::npos) {
        flow_indicator = true;
      } else if (rune == ':') {
        flow_indicator = true;
        block_indicator = block_indicator || before_blank;
      } else if (rune == '#' && after_blank) {
        flow_indicator = block_indicator = true;
      }
    }
    special = special || !IsPrintable(rune);
    if (rune == ' ') {
      break_space = break_space || after_break;
      after_space = true;
      after_break = false;
    } else if (IsBreak(rune)) {
      shape.multiline = true;
      space_break = space_break || after_space;
      after_space = false;
      after_break = true;
    } else {
      after_space = after_break = false;
    }
    after_blank = IsBlank(rune) || IsBreak(rune);
  }
  const bool edge_space = runes.front() == ' ' || runes.back() == ' ';
  const bool edge_break = IsBreak(runes.front()) || IsBreak(runes.back());
  const bool hard = space_break || special;
  const bool plain = !edge_space && !edge_break && !break_space && !hard && !shape.multiline;
  shape.flow_plain = plain && !flow_indicator;
  shape.block_plain = plain && !block_indicator;
  shape.single_quoted = !break_space && !hard;
  shape.block = runes.back() != ' ' && !hard;
  return shape;
}

// [-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?: sexagesimal numbers, which other readers still
// take for such.
bool IsBase60(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || !IsDigit(static_cast<unsigned char>(text.front()))) return false;
  size_t at = 0;
  while (at < text.size() && (IsDigit(static_cast<unsigned char>(text[at])) || text[at] == '_')) {
    ++at;
  }
  text.remove_prefix(at);
  int groups = 0;
  while (text.starts_with(':')) {
    text.remove_prefix(1);
    size_t digits = 0;
    while (digits < text.size() && IsDigit(static_cast<unsigned char>(text[digits]))) ++digits;
    if (digits == 0 || digits > 2 || (digits == 2 && text[0] > '5')) return false;
    text.remove_prefix(digits);
    ++groups;
  }
  if (groups == 0) return false;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    while (!text.empty() &&
           (IsDigit(static_cast<unsigned char>(text.front())) || text.front() == '_')) {
      text.remove_prefix(1);
    }
  }
  return text.empty();
}

std::string EncodeBase64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (size_t k = 0; k < 4; ++k) {
      out += k <= count ? kDigits[group >> (18 - 6 * k) & 63] : '=';
    }
  }
  return out;
}

}  // namespace

YamlValue YamlValue::Verbatim(std::string text) {
  YamlValue value(Kind::kVerbatim);
  value.text_ = std::move(text);
  return value;
}

YamlValue YamlValue::Text(std::string_view text) {
  YamlValue value(Kind::kText);
  value.text_ = text;
  return value;
}

bool YamlKeyLess(std::string_view a, std::string_view b) {
  const std::vector<char32_t> left = Runes(a);
  const std::vector<char32_t> right = Runes(b);
  for (size_t i = 0; i < left.size() && i < right.size(); ++i) {
    if (left[i] == right[i]) continue;
    const bool left_letter = IsLetter(left[i]);
    const bool right_letter = IsLetter(right[i]);
    if (left_letter && right_letter) return left[i] < right[i];
    if (left_letter || right_letter) return right_letter;
    int64_t left_number = 0;
    int64_t right_number = 0;
    if (left[i] == '0' || right[i] == '0') {
      // Zeros inside a number count, zeros in front of it do not.
      for (size_t j = i; j > 0 && IsDigit(left[j - 1]); --j) {
        if (left[j - 1] != '0') {
          left_number = right_number = 1;
          break;
        }
      }
    }
    const auto take = [&](const std::vector<char32_t>& runes, int64_t* number) {
      size_t end = i;
      for (; end < runes.size() && IsDigit(runes[end]); ++end) {
        *number = static_cast<int64_t>(static_cast<uint64_t>(*number) * 10 + (runes[end] - '0'));
      }
      return end;
    };
    const size_t left_end = take(left, &left_number);
    const size_t right_end = take(right, &right_number);
    if (left_number != right_number) return left_number < right_number;
    if (left_end != right_end) return left_end < right_end;
    return left[i] < right[i];
  }
  return left.size() < right.size();
}

// Writes one document. Columns count runes, as the folding of long lines depends on them.
class YamlPrinter {
 public:
  std::string Run(const YamlValue& root) {
    if (IsBlockCollection(root)) {
      PrintBlock(root, 0, false);
    } else {
      PrintScalarOrFlow(root, 0, false);
      Break();
    }
    return std::move(out_);
  }

 private:
  static bool IsBlockCollection(const YamlValue& value) {
    const bool collection =
        value.kind_ == YamlValue::Kind::kSequence || value.kind_ == YamlValue::Kind::kMapping;
    return collection && !value.flow_ && !value.items_.empty();
  }

  void Put(std::string_view text) {
    out_ += text;
    column_ += CountRunes(text);
  }
  void PutRune(char32_t rune) {
    AppendRune(rune, &out_);
    ++column_;
  }
  void Break() {
    out_ += '\n';
    column_ = 0;
  }
  void Indent(size_t indent) {
    if (column_ > 0) Break();
    Put(std::string(indent, ' '));
  }

  // A collection at `indent`. With `inline_first` its first line continues the current one, as the
  // items of a sequence do behind "- ".
  void PrintBlock(const YamlValue& value, size_t indent, bool inline_first) {
    for (size_t i = 0; i < value.items_.size(); ++i) {
      if (i > 0 || !inline_first) Indent(indent);
      const YamlValue& item = value.items_[i];
      if (value.kind_ == YamlValue::Kind::kSequence) {
        Put("-");
        if (IsBlockCollection(item)) {
          Put(" ");
          PrintBlock(item, indent + 2, true);
          continue;
        }
        PrintScalarOrFlow(item, indent + 2, false);
      } else {
        PrintKey(value.keys_[i], indent);
        if (IsBlockCollection(item)) {
          // Sequences below a key are not indented further.
          const bool sequence = item.kind_ == YamlValue::Kind::kSequence;
          PrintBlock(item, sequence ? indent : indent + 2, false);
          continue;
        }
        PrintScalarOrFlow(item, indent + 2, false);
      }
      if (column_ > 0) Break();
    }
  }

  void PrintKey(const std::string& key, size_t indent) {
    const std::vector<char32_t> runes = Runes(key);
    if (Analyze(runes).multiline || key.size() > 128) {
      Put("?");
      PrintText(key, indent + 2, false, false);
      if (column_ > 0) Break();
      Indent(indent);
      Put(":");
      return;
    }
    starting_line_ = true;
    PrintText(key, indent, true, false);
    Put(":");
  }

  void PrintScalarOrFlow(const YamlValue& value, size_t indent, bool in_flow) {
    switch (value.kind_) {
      case YamlValue::Kind::kVerbatim:
        Space();
        Put(value.text_);
        return;
      case YamlValue::Kind::kText: return PrintText(value.text_, indent, false, in_flow);
      case YamlValue::Kind::kSequence:
        Space();
        Put("[");
        for (size_t i = 0; i < value.items_.size(); ++i) {
          if (i > 0) Put(",");
          if (column_ > kWidth) {
            Indent(indent);
            starting_line_ = true;
          } else if (i == 0) {
            starting_line_ = true;
          }
          PrintScalarOrFlow(value.items_[i], indent, true);
        }
        Put("]");
        return;
      case YamlValue::Kind::kMapping:
        Space();
        Put("{");
        for (size_t i = 0; i < value.items_.size(); ++i) {
          if (i > 0) Put(",");
          starting_line_ = i == 0;
          PrintText(value.keys_[i], indent, true, true);
          Put(":");
          PrintScalarOrFlow(value.items_[i], indent, true);
        }
        Put("}");
        return;
    }
  }

  // The space before a value; none where the line or a bracket has just begun.
  void Space() {
    if (!starting_line_ && column_ > 0) Put(" ");
    starting_line_ = false;
  }

  void PrintText(std::string_view text, size_t indent, bool key, bool in_flow) {
    if (!IsValidUtf8(text)) {
      Space();
      Put("!!binary ");
      Put(EncodeBase64(text));
      return;
    }
    const std::vector<char32_t> runes = Runes(text);
    const TextShape shape = Analyze(runes);
    const bool reads_as_text = PlainScalarType(text) == YamlScalar::Type::kText && !IsBase60(text);
    if (text.find('\n') != std::string_view::npos && shape.block && !in_flow && !key) {
      return PrintLiteral(runes, indent);
    }
    Space();
    const bool want_double = !reads_as_text || text.find('\n') != std::string_view::npos;
    if (!want_double) {
      const bool plain = in_flow ? shape.flow_plain : shape.block_plain;
      if (plain && !(key && shape.multiline) && !(text.empty() && (in_flow || key))) {
        return PrintFolded(runes, indent, !key);
      }
      if (shape.single_quoted && !(key && shape.multiline)) {
        return PrintSingleQuoted(runes, indent, !key);
      }
    }
    PrintDoubleQuoted(runes, indent, !key);
  }

  void PrintFolded(const std::vector<char32_t>& runes, size_t indent, bool may_fold) {
    bool after_space = false;
    for (size_t i = 0; i < runes.size(); ++i) {
      if (runes[i] == ' ' && may_fold && !after_space && column_ > kWidth &&
          !(i + 1 < runes.size() && runes[i + 1] == ' ')) {
        Indent(indent);
        after_space = true;
        continue;
      }
      after_space = runes[i] == ' ';
      PutRune(runes[i]);
    }
  }

  void PrintSingleQuoted(const std::vector<char32_t>& runes, size_t indent, bool may_fold) {
    Put("'");
    bool after_space = false;
    bool after_break = false;
    for (size_t i = 0; i < runes.size(); ++i) {
      const char32_t rune = runes[i];
      if (rune == ' ') {
        const bool fold = may_fold && !after_space && column_ > kWidth && i > 0 &&
                          i + 1 < runes.size() && runes[i + 1] != ' ';
        if (fold) {
          Indent(indent);
        } else {
          PutRune(rune);
        }
        after_space = true;
      } else if (IsBreak(rune)) {
        if (!after_break && rune == '\n') Break();
        PutBreak(rune);
        after_break = true;
      } else {
        if (after_break) Indent(indent);
        if (rune == '\'') Put("'");
        PutRune(rune);
        after_space = after_break = false;
      }
    }
    Put("'");
  }

  void PrintDoubleQuoted(const std::vector<char32_t>& runes, size_t indent, bool may_fold) {
    Put("\"");
    bool after_space = false;
    for (size_t i = 0; i < runes.size(); ++i) {
      const char32_t rune = runes[i];
      if (!IsPrintable(rune) || rune == 0xfeff || IsBreak(rune) || rune == '"' || rune == '\\') {
        PutEscape(rune);
        after_space = false;
      } else if (rune == ' ') {
        if (may_fold && !after_space && column_ > kWidth && i > 0 && i + 1 < runes.size()) {
          Indent(indent);
          if (runes[i + 1] == ' ') Put("\\");
        } else {
          PutRune(rune);
        }
        after_space = true;
      } else {
        PutRune(rune);
        after_space = false;
      }
    }
    Put("\"");
  }

  void PutEscape(char32_t rune) {
    struct Short {
      char32_t rune;
      char letter;
    };
    constexpr Short kShort[] = {{0, '0'},    {7, 'a'},      {8, 'b'},     {9, 't'},
                                {10, 'n'},   {11, 'v'},     {12, 'f'},    {13, 'r'},
                                {27, 'e'},   {'"', '"'},    {'\\', '\\'}, {0x85, 'N'},
                                {0xa0, '_'}, {0x2028, 'L'}, {0x2029, 'P'}};
    for (const Short& entry : kShort) {
      if (entry.rune == rune) {
        Put("\\");
        Put(std::string_view(&entry.letter, 1));
        return;
      }
    }
    const auto code = static_cast<uint32_t>(rune);
    if (code <= 0xff) {
      Put(fmt::format("\\x{:02X}", code));
    } else if (code <= 0xffff) {
      Put(fmt::format("\\u{:04X}", code));
    } else {
      Put(fmt::format("\\U{:08X}", code));
    }
  }

  void PutBreak(char32_t rune) {
    if (rune == '\n') return Break();
    AppendRune(rune, &out_);
    column_ = 0;
  }

  void PrintLiteral(const std::vector<char32_t>& runes, size_t indent) {
    Space();
    Put("|");
    if (runes.front() == ' ' || IsBreak(runes.front())) Put("2");
    if (!IsBreak(runes.back())) {
      Put("-");
    } else if (runes.size() == 1 || IsBreak(runes[runes.size() - 2])) {
      Put("+");
    }
    Break();
    bool after_break = true;
    for (const char32_t rune : runes) {
      if (IsBreak(rune)) {
        PutBreak(rune);
        after_break = true;
      } else {
        if (after_break) Indent(indent);
        PutRune(rune);
        after_break = false;
      }
    }
  }

  std::string out_;
  size_t column_ = 0;
  bool starting_line_ = false;
};

std::string YamlValue::Print() const {
  return YamlPrinter().Run(*this);
}

}  // namespace narthex
