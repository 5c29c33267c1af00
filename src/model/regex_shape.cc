#include "model/regex_shape.h"

#include <algorithm>
#include <utility>

#include "util/strings.h"

namespace narthex {
namespace {

// More globs than this are slower to try one after another than RE2's automaton is.
constexpr size_t kGlobsMax = 16;
constexpr int kDepthMax = 200;

struct Node {
  enum class Kind : uint8_t {
    kLiteral,  // text
    kGap,      // .* or .+ with newlines: at least runes_min characters
    kConcat,
    kAlternate,
    kBegin,
    kEnd,
    kOpaque,
  };
  Kind kind = Kind::kOpaque;
  uint32_t runes_min = 0;
  std::string text;
  std::vector<Node> children;
};

Node LiteralNode(std::string text) {
  return {Node::Kind::kLiteral, 0, std::move(text), {}};
}

// Reads the expressions of Go and RE2. It need not notice errors: RE2 has.
class ShapeParser {
 public:
  explicit ShapeParser(std::string_view pattern) : rest_(pattern) {}

  Node Parse() {
    Node node = Alternation(0);
    return rest_.empty() ? node : Node{};
  }

 private:
  struct Flags {
    bool fold_case = false;
    bool multi_line = false;
    bool dot_newline = true;
  };

  bool Peek(char c) const { return !rest_.empty() && rest_.front() == c; }
  bool Take(char c) {
    if (!Peek(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool Take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  char32_t TakeRune() {
    size_t size = 0;
    const char32_t rune = DecodeRune(rest_, &size);
    rest_.remove_prefix(std::min(size, rest_.size()));
    return rune;
  }

  Node Alternation(int depth) {
    const Flags outer = flags_;
    std::vector<Node> branches;
    do {
      branches.push_back(Concatenation(depth));
    } while (Take('|'));
    flags_ = outer;
    if (branches.size() == 1) return std::move(branches.front());
    return {Node::Kind::kAlternate, 0, {}, std::move(branches)};
  }

  Node Concatenation(int depth) {
    Node concat{Node::Kind::kConcat, 0, {}, {}};
    while (!rest_.empty() && !Peek('|') && !Peek(')')) {
      if (IsFlagSwitch()) continue;
      Node atom = Atom(depth);
      bool repeated = false;
      Repetition(&atom, &repeated);
      concat.children.push_back(std::move(atom));
    }
    return concat;
  }

  // (?i) and the like hold until the end of the group.
  bool IsFlagSwitch() {
    if (!rest_.starts_with("(?")) return false;
    const size_t end = rest_.find_first_not_of("imsU-", 2);
    if (end == std::string_view::npos || rest_[end] != ')') return false;
    SetFlags(rest_.substr(2, end - 2));
    rest_.remove_prefix(end + 1);
    return true;
  }

  void SetFlags(std::string_view letters) {
    bool on = true;
    for (const char letter : letters) {
      switch (letter) {
        case '-': on = false; break;
        case 'i': flags_.fold_case = on; break;
        case 'm': flags_.multi_line = on; break;
        case 's': flags_.dot_newline = on; break;
        default: break;
      }
    }
  }

  Node Atom(int depth) {
    switch (rest_.front()) {
      case '(': return Group(depth);
      case '[': return Class();
      case '\\': return Escape();
      case '.':
        rest_.remove_prefix(1);
        any_ = flags_.dot_newline;
        return {};
      case '^':
        rest_.remove_prefix(1);
        return flags_.multi_line ? Node{} : Node{Node::Kind::kBegin, 0, {}, {}};
      case '$':
        rest_.remove_prefix(1);
        return flags_.multi_line ? Node{} : Node{Node::Kind::kEnd, 0, {}, {}};
      default: return RuneLiteral(TakeRune());
    }
  }

  Node RuneLiteral(char32_t rune) const {
    if (flags_.fold_case) return {};
    std::string text;
    AppendRune(rune, &text);
    return LiteralNode(std::move(text));
  }

  Node Group(int depth) {
    const Flags outer = flags_;
    rest_.remove_prefix(1);
    if (Take('?')) {
      if (Peek('P') || Peek('<')) {
        rest_.remove_prefix(std::min(rest_.find('>'), rest_.size() - 1) + 1);
      } else {
        const size_t end = rest_.find(':');
        if (end == std::string_view::npos) return Abandon();
        SetFlags(rest_.substr(0, end));
        rest_.remove_prefix(end + 1);
      }
    }
    if (depth >= kDepthMax) return Abandon();
    Node inner = Alternation(depth + 1);
    flags_ = outer;
    any_ = false;
    if (!Take(')')) return Abandon();
    return inner;
  }

  // Gives up on the whole expression.
  Node Abandon() {
    abandoned_ = true;
    rest_ = {};
    return {};
  }

  void Repetition(Node* atom, bool* repeated) {
    const bool any = std::exchange(any_, false);
    while (!rest_.empty()) {
      uint32_t runes_min = 0;
      bool gap = any && !*repeated;
      if (Take('*')) {
        runes_min = 0;
      } else if (Take('+')) {
        runes_min = 1;
      } else if (Take('?')) {
        gap = false;
      } else if (const size_t size = CountedRepetition(); size > 0) {
        rest_.remove_prefix(size);
        gap = false;
      } else {
        return;
      }
      Take('?');
      *atom = gap ? Node{Node::Kind::kGap, runes_min, {}, {}} : Node{};
      *repeated = true;
    }
  }

  // The length of a {n}, {n,} or {n,m} at the front; 0 when the brace is a literal.
  size_t CountedRepetition() const {
    if (!Peek('{')) return 0;
    const size_t end = rest_.find('}');
    if (end == std::string_view::npos || end == 1) return 0;
    const std::string_view body = rest_.substr(1, end - 1);
    if (body.find_first_not_of("0123456789,") != std::string_view::npos) return 0;
    if (body.front() == ',' || std::count(body.begin(), body.end(), ',') > 1) return 0;
    return end + 1;
  }

  Node Escape() {
    rest_.remove_prefix(1);
    if (Take('Q')) return Quoted();
    bool is_set = false;
    std::vector<std::pair<char32_t, char32_t>> ranges;
    const std::optional<char32_t> rune = EscapedRune(&is_set, &ranges);
    if (is_set) return ClassNode(ranges);
    return rune ? RuneLiteral(*rune) : Node{};
  }

  Node Quoted() {
    const size_t end = std::min(rest_.find("\\E"), rest_.size());
    Node concat{Node::Kind::kConcat, 0, {}, {}};
    const std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(end);
    Take("\\E");
    // A quantifier after \E belongs to the last character alone; quoting is rare enough.
    const bool quantified =
        !rest_.empty() && std::string_view("*+?{").find(rest_.front()) != std::string_view::npos;
    if (flags_.fold_case || quantified) return {};
    concat.children.push_back(LiteralNode(std::string(text)));
    return concat;
  }

  // After the backslash. Nothing: an assertion or a class that is not spelled out here.
  std::optional<char32_t> EscapedRune(bool* is_set,
                                      std::vector<std::pair<char32_t, char32_t>>* ranges) {
    const char32_t c = TakeRune();
    switch (c) {
      case 'a': return U'\a';
      case 'f': return U'\f';
      case 'n': return U'\n';
      case 'r': return U'\r';
      case 't': return U'\t';
      case 'v': return U'\v';
      case 'x': return HexRune();
      case 'd':
        *is_set = true;
        *ranges = {{'0', '9'}};
        return std::nullopt;
      case 'w':
        *is_set = true;
        *ranges = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
        return std::nullopt;
      case 's':
        *is_set = true;
        *ranges = {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}};
        return std::nullopt;
      case 'p':
      case 'P':
        if (Take('{')) {
          rest_.remove_prefix(std::min(rest_.find('}'), rest_.size() - 1) + 1);
        } else {
          TakeRune();
        }
        return std::nullopt;
      default: break;
    }
    if (c >= '0' && c <= '7') {
      char32_t rune = c - '0';
      for (int i = 1; i < 3 && !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '7';
           ++i) {
        rune = rune * 8 + static_cast<char32_t>(rest_.front() - '0');
        rest_.remove_prefix(1);
      }
      return rune;
    }
    const bool word = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '8' && c <= '9');
    if (word) return std::nullopt;
    return c;
  }

  std::optional<char32_t> HexRune() {
    const bool braces = Take('{');
    char32_t rune = 0;
    for (int digits = 0; !rest_.empty() && (braces || digits < 2); ++digits) {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '}') break;
      const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
      rune = rune * 16 + static_cast<char32_t>(digit);
    }
    return rune;
  }

  Node ClassNode(const std::vector<std::pair<char32_t, char32_t>>& ranges) const {
    if (flags_.fold_case) return {};
    std::vector<char32_t> runes;
    for (const auto& [low, high] : ranges) {
      if (high < low || high - low >= kRegexSetMax) return {};
      for (char32_t rune = low; rune <= high; ++rune) runes.push_back(rune);
      if (runes.size() > kRegexSetMax) return {};
    }
    if (runes.empty()) return {};
    Node alternate{Node::Kind::kAlternate, 0, {}, {}};
    for (const char32_t rune : runes) alternate.children.push_back(RuneLiteral(rune));
    return alternate;
  }

  Node Class() {
    rest_.remove_prefix(1);
    bool known = !Take('^');
    std::vector<std::pair<char32_t, char32_t>> ranges;
    for (bool first = true; !rest_.empty() && (first || !Peek(']')); first = false) {
      if (rest_.starts_with("[:")) {
        const size_t end = rest_.find(":]");
        if (end != std::string_view::npos) {
          rest_.remove_prefix(end + 2);
          known = false;
          continue;
        }
      }
      bool is_set = false;
      const std::optional<char32_t> low = ClassRune(&is_set, &ranges);
      if (!low) {
        known = known && is_set;
        continue;
      }
      char32_t high = *low;
      if (rest_.size() >= 2 && rest_[0] == '-' && rest_[1] != ']') {
        rest_.remove_prefix(1);
        bool unused = false;
        std::vector<std::pair<char32_t, char32_t>> none;
        const std::optional<char32_t> end = ClassRune(&unused, &none);
        if (!end) known = false;
        high = end.value_or(high);
      }
      ranges.emplace_back(*low, high);
    }
    Take(']');
    return known ? ClassNode(ranges) : Node{};
  }

  std::optional<char32_t> ClassRune(bool* is_set,
                                    std::vector<std::pair<char32_t, char32_t>>* ranges) {
    if (!Take('\\')) return TakeRune();
    std::vector<std::pair<char32_t, char32_t>> found;
    const std::optional<char32_t> rune = EscapedRune(is_set, &found);
    ranges->insert(ranges->end(), found.begin(), found.end());
    return rune;
  }

  std::string_view rest_;
  Flags flags_;
  bool any_ = false;  // The atom just read is a `.` that matches everything.
  bool abandoned_ = false;

 public:
  bool abandoned() const { return abandoned_; }
};

// ^ at the very start and $ at the very end say nothing in an anchored expression.
void StripAnchors(Node* node) {
  if (node->kind != Node::Kind::kConcat) return;
  std::vector<Node>& list = node->children;
  if (list.size() == 1 && list[0].kind == Node::Kind::kConcat) return StripAnchors(&list[0]);
  if (!list.empty() && list.front().kind == Node::Kind::kBegin) list.erase(list.begin());
  if (!list.empty() && list.back().kind == Node::Kind::kEnd) list.pop_back();
}

std::optional<std::vector<std::string>> ExpandValues(const Node& node) {
  std::vector<std::string> values;
  switch (node.kind) {
    case Node::Kind::kLiteral: return std::vector<std::string>{node.text};
    case Node::Kind::kAlternate:
      for (const Node& child : node.children) {
        std::optional<std::vector<std::string>> part = ExpandValues(child);
        if (!part || values.size() + part->size() > kRegexSetMax) return std::nullopt;
        std::move(part->begin(), part->end(), std::back_inserter(values));
      }
      return values;
    case Node::Kind::kConcat:
      values.emplace_back();
      for (const Node& child : node.children) {
        const std::optional<std::vector<std::string>> part = ExpandValues(child);
        if (!part || values.size() * part->size() > kRegexSetMax) return std::nullopt;
        std::vector<std::string> product;
        for (const std::string& head : values) {
          for (const std::string& tail : *part) product.push_back(head + tail);
        }
        values = std::move(product);
      }
      return values;
    default: return std::nullopt;
  }
}

void AppendPiece(const GlobPiece& piece, Glob* glob) {
  if (!piece.gap && piece.text.empty()) return;
  if (!glob->empty() && glob->back().gap == piece.gap) {
    glob->back().runes_min += piece.runes_min;
    glob->back().text += piece.text;
  } else {
    glob->push_back(piece);
  }
}

std::optional<std::vector<Glob>> ExpandGlobs(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kLiteral: {
      Glob glob;
      AppendPiece({false, 0, node.text}, &glob);
      return std::vector<Glob>{glob};
    }
    case Node::Kind::kGap: return std::vector<Glob>{{{true, node.runes_min, {}}}};
    case Node::Kind::kAlternate: {
      std::vector<Glob> globs;
      for (const Node& child : node.children) {
        std::optional<std::vector<Glob>> part = ExpandGlobs(child);
        if (!part || globs.size() + part->size() > kGlobsMax) return std::nullopt;
        std::move(part->begin(), part->end(), std::back_inserter(globs));
      }
      return globs;
    }
    case Node::Kind::kConcat: {
      std::vector<Glob> globs(1);
      for (const Node& child : node.children) {
        const std::optional<std::vector<Glob>> part = ExpandGlobs(child);
        if (!part || globs.size() * part->size() > kGlobsMax) return std::nullopt;
        std::vector<Glob> product;
        for (const Glob& head : globs) {
          for (const Glob& tail : *part) {
            product.push_back(head);
            for (const GlobPiece& piece : tail) AppendPiece(piece, &product.back());
          }
        }
        globs = std::move(product);
      }
      return globs;
    }
    default: return std::nullopt;
  }
}

// What every text of a node starts with (or ends with), and whether that is all of it.
struct Edge {
  std::string text;
  bool whole = false;
};

Edge CommonEdge(const Node& node, bool front) {
  switch (node.kind) {
    case Node::Kind::kLiteral: return {node.text, true};
    case Node::Kind::kAlternate: {
      Edge common = CommonEdge(node.children.front(), front);
      for (size_t i = 1; i < node.children.size(); ++i) {
        const std::string other = CommonEdge(node.children[i], front).text;
        std::string_view a = common.text;
        size_t same = 0;
        while (same < a.size() && same < other.size() &&
               (front ? a[same] == other[same]
                      : a[a.size() - 1 - same] == other[other.size() - 1 - same])) {
          ++same;
        }
        common.text = std::string(front ? a.substr(0, same) : a.substr(a.size() - same));
        common.whole = false;
      }
      return common;
    }
    case Node::Kind::kConcat: {
      Edge edge{{}, true};
      const size_t count = node.children.size();
      for (size_t i = 0; i < count && edge.whole; ++i) {
        Edge part = CommonEdge(node.children[front ? i : count - 1 - i], front);
        edge.text = front ? edge.text + part.text : part.text + edge.text;
        edge.whole = part.whole;
      }
      return edge;
    }
    default: return {};
  }
}

// The index behind `count` runes from `at`; npos when there are fewer.
size_t SkipRunes(std::string_view text, size_t at, uint32_t count) {
  for (; count > 0; --count) {
    if (at >= text.size()) return std::string_view::npos;
    ++at;
    while (at < text.size() && (static_cast<uint8_t>(text[at]) & 0xc0) == 0x80) ++at;
  }
  return at;
}

}  // namespace

bool GlobMatches(const Glob& glob, std::string_view value) {
  size_t at = 0;
  uint32_t runes_min = 0;
  bool gap = false;
  for (size_t i = 0; i < glob.size(); ++i) {
    const GlobPiece& piece = glob[i];
    if (piece.gap) {
      gap = true;
      runes_min = piece.runes_min;
      continue;
    }
    if (!gap) {
      if (!value.substr(at).starts_with(piece.text)) return false;
      at += piece.text.size();
      continue;
    }
    const size_t from = SkipRunes(value, at, runes_min);
    if (from == std::string_view::npos) return false;
    if (i + 1 == glob.size()) {
      return value.size() - from >= piece.text.size() && value.ends_with(piece.text);
    }
    // The earliest place leaves the most room for what follows, so it decides.
    const size_t found = value.find(piece.text, from);
    if (found == std::string_view::npos) return false;
    at = found + piece.text.size();
    gap = false;
  }
  if (!gap) return at == value.size();
  return SkipRunes(value, at, runes_min) != std::string_view::npos;
}

RegexShape AnalyzeRegex(std::string_view pattern) {
  ShapeParser parser(pattern);
  Node root = parser.Parse();
  RegexShape shape;
  if (parser.abandoned()) return shape;
  StripAnchors(&root);
  shape.prefix = CommonEdge(root, /*front=*/true).text;
  shape.suffix = CommonEdge(root, /*front=*/false).text;
  if (std::optional<std::vector<std::string>> values = ExpandValues(root)) {
    std::sort(values->begin(), values->end());
    values->erase(std::unique(values->begin(), values->end()), values->end());
    shape.values = std::move(values);
  } else if (std::optional<std::vector<Glob>> globs = ExpandGlobs(root)) {
    shape.globs = *std::move(globs);
  }
  return shape;
}

}  // namespace narthex
