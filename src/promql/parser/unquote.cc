// Values of string literals.
#include "promql/parser/parser_internal.h"
#include "util/strings.h"

namespace narthex::promql {
namespace {

uint32_t HexValue(char c) {
  if (c >= '0' && c <= '9') return static_cast<uint32_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<uint32_t>(c - 'a') + 10;
  return static_cast<uint32_t>(c - 'A') + 10;
}

// Takes the escape that `text` begins with, after its backslash. The lexer has checked it.
void TakeEscape(std::string_view* text, std::string* out) {
  const char kind = text->front();
  text->remove_prefix(1);
  const auto take = [&](size_t digits, uint32_t base) {
    uint32_t value = 0;
    for (const char c : text->substr(0, digits)) value = value * base + HexValue(c);
    text->remove_prefix(std::min(digits, text->size()));
    return value;
  };
  switch (kind) {
    case 'a': out->push_back('\a'); return;
    case 'b': out->push_back('\b'); return;
    case 'f': out->push_back('\f'); return;
    case 'n': out->push_back('\n'); return;
    case 'r': out->push_back('\r'); return;
    case 't': out->push_back('\t'); return;
    case 'v': out->push_back('\v'); return;
    // These two give a byte, which need not be valid UTF-8.
    case 'x': out->push_back(static_cast<char>(take(2, 16))); return;
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7': {
      const uint32_t first = HexValue(kind) * 64;
      out->push_back(static_cast<char>(first + take(2, 8)));
      return;
    }
    case 'u': AppendRune(take(4, 16), out); return;
    case 'U': AppendRune(take(8, 16), out); return;
    default: out->push_back(kind); return;  // A quote or a backslash.
  }
}

}  // namespace

std::string Parser::Unquote(std::string_view text) {
  const bool raw = text.front() == '`';
  text = text.substr(1, text.size() - 2);
  if (raw) return std::string(text);
  std::string out;
  while (!text.empty()) {
    const size_t plain = std::min(text.find('\\'), text.size());
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.size() < 2) break;
    text.remove_prefix(1);
    TakeEscape(&text, &out);
  }
  return out;
}

}  // namespace narthex::promql
