#include "config/yaml_decode.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <map>

#include "util/numbers.h"
#include "util/strings.h"

namespace narthex {

namespace {

constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";

std::string ShortTag(std::string_view tag) {
  if (tag.starts_with(kTagPrefix)) return "!!" + std::string(tag.substr(kTagPrefix.size()));
  return std::string(tag);
}

std::string_view TypeTag(YamlScalar::Type type) {
  switch (type) {
    case YamlScalar::Type::kNull: return "!!null";
    case YamlScalar::Type::kBool: return "!!bool";
    case YamlScalar::Type::kInt:
    case YamlScalar::Type::kUint: return "!!int";
    case YamlScalar::Type::kFloat: return "!!float";
    case YamlScalar::Type::kText: return "!!str";
    case YamlScalar::Type::kTimestamp: return "!!timestamp";
    case YamlScalar::Type::kBinary: return "!!binary";
    case YamlScalar::Type::kMerge: return "!!merge";
  }
  return "";
}

template <size_t N>
bool IsOneOf(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

// The words that stand for something, by the dialect of YAML 1.1 that Go reads.
bool ResolveWord(std::string_view text, YamlScalar* scalar) {
  using Words11 = std::array<std::string_view, 11>;
  static constexpr Words11 kTrue = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                    "True", "TRUE", "on",  "On",  "ON"};
  static constexpr Words11 kFalse = {"n",     "N",     "no",  "No",  "NO", "false",
                                     "False", "FALSE", "off", "Off", "OFF"};
  static constexpr std::array<std::string_view, 5> kNull = {"", "~", "null", "Null", "NULL"};
  static constexpr std::array<std::string_view, 3> kNan = {".nan", ".NaN", ".NAN"};
  static constexpr std::array<std::string_view, 6> kInf = {".inf",  ".Inf",  ".INF",
                                                           "+.inf", "+.Inf", "+.INF"};
  static constexpr std::array<std::string_view, 3> kMinusInf = {"-.inf", "-.Inf", "-.INF"};
  if (text.size() > 5) return false;
  if (IsOneOf(text, kTrue) || IsOneOf(text, kFalse)) {
    scalar->type = YamlScalar::Type::kBool;
    scalar->boolean = IsOneOf(text, kTrue);
  } else if (IsOneOf(text, kNull)) {
    scalar->type = YamlScalar::Type::kNull;
  } else if (IsOneOf(text, kNan)) {
    scalar->type = YamlScalar::Type::kFloat;
    scalar->number = std::numeric_limits<double>::quiet_NaN();
  } else if (IsOneOf(text, kInf) || IsOneOf(text, kMinusInf)) {
    scalar->type = YamlScalar::Type::kFloat;
    scalar->number = IsOneOf(text, kInf) ? std::numeric_limits<double>::infinity()
                                         : -std::numeric_limits<double>::infinity();
  } else if (text == "<<") {
    scalar->type = YamlScalar::Type::kMerge;
  } else {
    return false;
  }
  return true;
}

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

// Takes up to `max` digits off the front; nothing when there are none.
std::optional<int> TakeNumber(std::string_view* text, size_t max) {
  size_t size = 0;
  int number = 0;
  while (size < text->size() && size < max && IsDigit((*text)[size])) {
    number = number * 10 + ((*text)[size] - '0');
    ++size;
  }
  if (size == 0) return std::nullopt;
  text->remove_prefix(size);
  return number;
}

// 2006-1-2, optionally followed by a time of day: only whether it is one matters.
bool IsTimestamp(std::string_view text) {
  if (text.size() < 8 || text[4] != '-') return false;
  for (size_t i = 0; i < 4; ++i) {
    if (!IsDigit(text[i])) return false;
  }
  text.remove_prefix(5);
  const auto month = TakeNumber(&text, 2);
  if (!month || *month < 1 || *month > 12 || !text.starts_with('-')) return false;
  text.remove_prefix(1);
  const auto day = TakeNumber(&text, 2);
  if (!day || *day < 1 || *day > 31) return false;
  if (text.empty()) return true;
  const char separator = text.front();
  if (separator != 'T' && separator != 't' && separator != ' ') return false;
  text.remove_prefix(1);
  for (int i = 0; i < 3; ++i) {
    const auto part = TakeNumber(&text, 2);
    if (!part || *part > (i == 0 ? 23 : 59)) return false;
    if (i < 2) {
      if (!text.starts_with(':')) return false;
      text.remove_prefix(1);
    }
  }
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (!TakeNumber(&text, 9)) return false;
  }
  if (separator == ' ') return text.empty();
  if (text == "Z") return true;
  return text.size() == 6 && (text[0] == '+' || text[0] == '-') && text[3] == ':' &&
         IsDigit(text[1]) && IsDigit(text[2]) && IsDigit(text[4]) && IsDigit(text[5]);
}

// strconv.ParseUint(text, 0, 64) without underscores: prefixes 0x, 0o, 0b, and 0 for octal.
std::optional<uint64_t> ParseUintAnyBase(std::string_view text) {
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char mark = static_cast<char>(text[1] | 0x20);
    if (mark == 'x' || mark == 'o' || mark == 'b') {
      base = mark == 'x' ? 16 : mark == 'o' ? 8 : 2;
      text.remove_prefix(2);
    } else {
      base = 8;
      text.remove_prefix(1);
    }
  }
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    return std::nullopt;
  }
  return value;
}

bool ResolveInteger(std::string_view text, YamlScalar* scalar) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const auto magnitude = ParseUintAnyBase(text);
  if (!magnitude) return false;
  constexpr uint64_t kIntMax = std::numeric_limits<int64_t>::max();
  if (negative) {
    if (*magnitude > kIntMax + 1) return false;
    scalar->type = YamlScalar::Type::kInt;
    scalar->integer = static_cast<int64_t>(0 - *magnitude);
  } else if (*magnitude <= kIntMax) {
    scalar->type = YamlScalar::Type::kInt;
    scalar->integer = static_cast<int64_t>(*magnitude);
  } else {
    scalar->type = YamlScalar::Type::kUint;
    scalar->unsigned_integer = *magnitude;
  }
  return true;
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool LooksLikeFloat(std::string_view text) {
  const auto take_digits = [&] {
    size_t size = 0;
    while (size < text.size() && IsDigit(text[size])) ++size;
    text.remove_prefix(size);
    return size > 0;
  };
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (!take_digits()) return false;
  } else {
    if (!take_digits()) return false;
    if (text.starts_with('.')) {
      text.remove_prefix(1);
      take_digits();
    }
  }
  if (text.empty()) return true;
  if (text.front() != 'e' && text.front() != 'E') return false;
  text.remove_prefix(1);
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return take_digits() && text.empty();
}

void ResolveNumber(std::string_view text, YamlScalar* scalar) {
  if (text.empty()) return;
  const char first = text.front();
  if (first == '.') {
    if (const auto number = ParseFloat(text)) {
      scalar->type = YamlScalar::Type::kFloat;
      scalar->number = *number;
    }
    return;
  }
  if (!IsDigit(first) && first != '+' && first != '-') return;
  if (IsTimestamp(text)) {
    scalar->type = YamlScalar::Type::kTimestamp;
    return;
  }
  std::string digits(text);
  std::erase(digits, '_');
  if (ResolveInteger(digits, scalar)) return;
  if (!LooksLikeFloat(digits)) return;
  bool out_of_range = false;
  const auto number = ParseFloat(digits, &out_of_range);
  if (!number || out_of_range) return;
  scalar->type = YamlScalar::Type::kFloat;
  scalar->number = *number;
}

YamlScalar ResolvePlain(std::string_view text) {
  YamlScalar scalar;
  scalar.text = text;
  if (!ResolveWord(text, &scalar)) ResolveNumber(text, &scalar);
  return scalar;
}

std::optional<std::string> DecodeBase64(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int bit_count = 0;
  size_t symbols = 0;
  size_t padding = 0;
  for (const char c : text) {
    uint32_t value = 0;
    if (c == '\n' || c == '\r') continue;
    if (c >= 'A' && c <= 'Z') {
      value = static_cast<uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      value = static_cast<uint32_t>(c - 'a') + 26;
    } else if (IsDigit(c)) {
      value = static_cast<uint32_t>(c - '0') + 52;
    } else if (c == '+' || c == '/') {
      value = c == '+' ? 62 : 63;
    } else if (c == '=') {
      ++padding;
      ++symbols;
      continue;
    } else {
      return std::nullopt;
    }
    if (padding > 0) return std::nullopt;
    ++symbols;
    bits = bits << 6 | value;
    bit_count += 6;
    if (bit_count >= 8) {
      bit_count -= 8;
      out.push_back(static_cast<char>(bits >> bit_count & 0xff));
    }
  }
  if (symbols % 4 != 0 || padding > 2) return std::nullopt;
  return out;
}

// A large file may owe less of its size to aliases than a small one: a short text that unfolds
// without end is refused.
double AliasShareMax(uint64_t decoded) {
  constexpr double kLow = 400'000;
  constexpr double kHigh = 4'000'000;
  const auto count = static_cast<double>(decoded);
  if (count <= kLow) return 0.99;
  if (count >= kHigh) return 0.10;
  return 0.99 - 0.89 * (count - kLow) / (kHigh - kLow);
}

}  // namespace

YamlScalar::Type PlainScalarType(std::string_view text) {
  return ResolvePlain(text).type;
}

bool YamlDecoder::Visit(const YamlNode& node, const std::function<bool(const YamlNode&)>& read) {
  if (failed()) return false;
  ++decoded_;
  if (!open_aliases_.empty()) ++decoded_in_aliases_;
  if (decoded_in_aliases_ > 100 && decoded_ > 1000 &&
      static_cast<double>(decoded_in_aliases_) >
          AliasShareMax(decoded_) * static_cast<double>(decoded_)) {
    Fail(Status(ErrorCode::kInvalidInput, "yaml: document contains excessive aliasing"));
    return false;
  }
  if (node.kind != YamlNode::Kind::kAlias) return read(node);
  const YamlNode* target = node.alias;
  if (target == nullptr ||
      std::find(open_aliases_.begin(), open_aliases_.end(), target) != open_aliases_.end()) {
    Fail(Status(ErrorCode::kInvalidInput, "yaml: anchor value contains itself"));
    return false;
  }
  open_aliases_.push_back(target);
  const bool good = Visit(*target, read);
  open_aliases_.pop_back();
  return good;
}

std::optional<YamlScalar> YamlDecoder::Resolve(const YamlNode& node) {
  YamlScalar scalar;
  scalar.text = node.value;
  if (node.tag.empty() && !node.plain) return scalar;
  if (node.tag.empty()) return ResolvePlain(node.value);
  const std::string tag = ShortTag(node.tag);
  if (tag == "!!str") return scalar;
  if (tag == "!!binary") {
    auto bytes = DecodeBase64(node.value);
    if (!bytes) {
      Fail(Status(ErrorCode::kInvalidInput, "yaml: !!binary value contains invalid base64 data"));
      return std::nullopt;
    }
    scalar.type = YamlScalar::Type::kBinary;
    scalar.text = std::move(*bytes);
    return scalar;
  }
  if (tag != "!!bool" && tag != "!!int" && tag != "!!float" && tag != "!!null" &&
      tag != "!!timestamp") {
    return scalar;  // A tag of somebody's own: the text counts.
  }
  scalar = ResolvePlain(node.value);
  if (tag == "!!float" && scalar.type == YamlScalar::Type::kInt) {
    scalar.type = YamlScalar::Type::kFloat;
    scalar.number = static_cast<double>(scalar.integer);
  }
  if (TypeTag(scalar.type) != tag) {
    Fail(MakeError(ErrorCode::kInvalidInput, "yaml: cannot decode {} `{}` as a {}",
                   TypeTag(scalar.type), node.value, tag));
    return std::nullopt;
  }
  return scalar;
}

bool YamlDecoder::ReadText(const YamlNode& node, std::string_view go_type, std::string* out) {
  return Visit(node, [&](const YamlNode& at) {
    if (!at.is_scalar()) {
      AddMismatch(at, go_type);
      return false;
    }
    const auto scalar = Resolve(at);
    if (!scalar) return false;
    if (scalar->type == YamlScalar::Type::kNull) {
      out->clear();
    } else {
      *out = scalar->text;
    }
    return true;
  });
}

bool YamlDecoder::ReadBool(const YamlNode& node, std::string_view go_type, bool* out) {
  return Visit(node, [&](const YamlNode& at) {
    if (at.is_scalar()) {
      const auto scalar = Resolve(at);
      if (!scalar) return false;
      if (scalar->type == YamlScalar::Type::kBool || scalar->type == YamlScalar::Type::kNull) {
        *out = scalar->boolean;
        return true;
      }
    }
    AddMismatch(at, go_type);
    return false;
  });
}

bool YamlDecoder::ReadInt(const YamlNode& node, std::string_view go_type, int64_t* out) {
  return Visit(node, [&](const YamlNode& at) {
    if (at.is_scalar()) {
      const auto scalar = Resolve(at);
      if (!scalar) return false;
      constexpr double kLimit = 9223372036854775808.0;
      if (scalar->type == YamlScalar::Type::kInt || scalar->type == YamlScalar::Type::kNull) {
        *out = scalar->integer;
        return true;
      }
      if (scalar->type == YamlScalar::Type::kFloat && scalar->number < kLimit &&
          scalar->number >= -kLimit) {
        *out = static_cast<int64_t>(scalar->number);
        return true;
      }
    }
    AddMismatch(at, go_type);
    return false;
  });
}

bool YamlDecoder::ReadUint(const YamlNode& node, std::string_view go_type, uint64_t* out) {
  return Visit(node, [&](const YamlNode& at) {
    if (at.is_scalar()) {
      const auto scalar = Resolve(at);
      if (!scalar) return false;
      constexpr double kLimit = 18446744073709551616.0;
      if ((scalar->type == YamlScalar::Type::kInt && scalar->integer >= 0) ||
          scalar->type == YamlScalar::Type::kNull) {
        *out = static_cast<uint64_t>(scalar->integer);
        return true;
      }
      if (scalar->type == YamlScalar::Type::kUint) {
        *out = scalar->unsigned_integer;
        return true;
      }
      if (scalar->type == YamlScalar::Type::kFloat && scalar->number < kLimit &&
          scalar->number >= 0) {
        *out = static_cast<uint64_t>(scalar->number);
        return true;
      }
    }
    AddMismatch(at, go_type);
    return false;
  });
}

bool YamlDecoder::ReadFloat(const YamlNode& node, std::string_view go_type, double* out) {
  return Visit(node, [&](const YamlNode& at) {
    if (at.is_scalar()) {
      const auto scalar = Resolve(at);
      if (!scalar) return false;
      switch (scalar->type) {
        case YamlScalar::Type::kNull: *out = 0; return true;
        case YamlScalar::Type::kInt: *out = static_cast<double>(scalar->integer); return true;
        case YamlScalar::Type::kUint:
          *out = static_cast<double>(scalar->unsigned_integer);
          return true;
        case YamlScalar::Type::kFloat: *out = scalar->number; return true;
        default: break;
      }
    }
    AddMismatch(at, go_type);
    return false;
  });
}

void YamlDecoder::ForEachPair(const YamlNode& mapping, const VisitPair& visit) {
  if (options_.dialect == YamlDialect::kV3 && !CheckUniqueKeys(mapping)) return;
  const YamlNode* merged = nullptr;
  std::vector<std::string> own_keys;
  for (size_t i = 0; i + 1 < mapping.children.size() && !failed(); i += 2) {
    const YamlNode& key_node = *mapping.children[i];
    const YamlNode& value = *mapping.children[i + 1];
    if (key_node.is_scalar() && key_node.value == "<<" &&
        (key_node.plain || ShortTag(key_node.tag) == "!!merge")) {
      if (options_.dialect == YamlDialect::kV3) {
        merged = &value;
      } else {
        MergeFrom(value, visit);
      }
      continue;
    }
    std::string key;
    if (!ReadText(key_node, "string", &key)) continue;
    if (options_.dialect == YamlDialect::kV3) own_keys.push_back(key);
    visit(key, key_node, value);
  }
  // In the newer dialect what a mapping says itself always wins over what it merges.
  if (merged == nullptr || failed()) return;
  MergeFrom(*merged, [&](const std::string& key, const YamlNode& key_node, const YamlNode& value) {
    if (std::find(own_keys.begin(), own_keys.end(), key) != own_keys.end()) return;
    own_keys.push_back(key);
    visit(key, key_node, value);
  });
}

bool YamlDecoder::CheckUniqueKeys(const YamlNode& mapping) {
  const size_t errors_before = errors_.size();
  std::map<std::pair<YamlNode::Kind, std::string_view>, const YamlNode*> seen;
  for (size_t i = 0; i < mapping.children.size(); i += 2) {
    const YamlNode& key = *mapping.children[i];
    const auto [entry, is_new] = seen.try_emplace({key.kind, key.value}, &key);
    if (is_new) continue;
    AddError(key, fmt::format("mapping key {} already defined at line {}", GoQuote(key.value),
                              entry->second->line));
  }
  return errors_.size() == errors_before;
}

void YamlDecoder::MergeFrom(const YamlNode& value, const VisitPair& visit) {
  const auto merge_one = [&](const YamlNode& node) {
    const YamlNode* target = node.kind == YamlNode::Kind::kAlias ? node.alias : &node;
    if (target == nullptr || target->kind != YamlNode::Kind::kMapping) {
      Fail(Status(ErrorCode::kInvalidInput,
                  "yaml: map merge requires map or sequence of maps as the value"));
      return;
    }
    ++merge_depth_;
    Visit(node, [&](const YamlNode& at) {
      ForEachPair(at, visit);
      return true;
    });
    --merge_depth_;
  };
  if (value.kind != YamlNode::Kind::kSequence) return merge_one(value);
  if (options_.dialect == YamlDialect::kV3) {
    for (const YamlNode* child : value.children) merge_one(*child);
  } else {
    // Earlier ones win, so they are applied last.
    for (auto child = value.children.rbegin(); child != value.children.rend(); ++child) {
      merge_one(**child);
    }
  }
}

void YamlDecoder::AddMismatch(const YamlNode& node, std::string_view go_type) {
  std::string tag = ShortTag(node.tag);
  std::string value;
  if (node.kind == YamlNode::Kind::kSequence) {
    if (tag.empty()) tag = "!!seq";
  } else if (node.kind == YamlNode::Kind::kMapping) {
    if (tag.empty()) tag = "!!map";
  } else {
    if (tag.empty()) {
      tag = TypeTag(node.plain ? PlainScalarType(node.value) : YamlScalar::Type::kText);
    }
    // Cut at bytes, as upstream does.
    value =
        node.value.size() > 10 ? " `" + node.value.substr(0, 7) + "...`" : " `" + node.value + "`";
  }
  AddError(node, fmt::format("cannot unmarshal {}{} into {}", tag, value, go_type));
}

void YamlDecoder::AddError(const YamlNode& node, std::string_view text) {
  errors_.push_back(fmt::format("line {}: {}", node.line, text));
}

void YamlDecoder::Fail(Status status) {
  if (failure_.ok()) failure_ = std::move(status);
}

Status YamlDecoder::Finish() const {
  if (failed()) return failure_;
  if (errors_.empty()) return {};
  return Status(ErrorCode::kInvalidInput, "yaml: unmarshal errors:\n  " + Join(errors_, "\n  "));
}

}  // namespace narthex
