#include "exposition/openmetrics2_lexer.h"

#include <algorithm>
#include <array>

#include "exposition/scan.h"

namespace narthex::exposition {
namespace {

struct Field {
  std::string_view text;
  Token token;
};
constexpr std::array<Field, 13> kFields = {{
    {"count:", Token::kFieldCount},
    {"gcount:", Token::kFieldGaugeCount},
    {"sum:", Token::kFieldSum},
    {"gsum:", Token::kFieldGaugeSum},
    {"schema:", Token::kFieldSchema},
    {"zero_threshold:", Token::kFieldZeroThreshold},
    {"zero_count:", Token::kFieldZeroCount},
    {"negative_spans:", Token::kFieldNegativeSpans},
    {"negative_buckets:", Token::kFieldNegativeBuckets},
    {"positive_spans:", Token::kFieldPositiveSpans},
    {"positive_buckets:", Token::kFieldPositiveBuckets},
    {"bucket:", Token::kFieldBucket},
    {"quantile:", Token::kFieldQuantile},
}};

bool EndsWord(char c) {
  return c == ' ' || c == '\n' || c == '\0';
}
bool EndsList(char c) {
  return c == ']' || c == ' ' || c == '\n' || c == '\r' || c == '\0';
}

}  // namespace

char OpenMetrics2Lexer::Advance() {
  ++at_;
  const bool skips_nul = state_ == State::kLabelValue || state_ == State::kExemplarValue ||
                         state_ == State::kMetaText || state_ == State::kComment;
  while (skips_nul && at_ < body_.size() && body_[at_] == '\0') ++at_;
  if (at_ >= body_.size()) {
    at_ = body_.size();
    return '\0';
  }
  return body_[at_];
}

void OpenMetrics2Lexer::PassName(CharClass rest) {
  do {
    ++at_;
  } while (at_ < body_.size() && IsA(body_[at_], rest));
}

Token OpenMetrics2Lexer::Accept(Token token, State next) {
  state_ = next;
  return token;
}

Token OpenMetrics2Lexer::AcceptOne(Token token, State next) {
  Advance();
  return Accept(token, next);
}

Token OpenMetrics2Lexer::Keyword(std::string_view rest, Token token) {
  for (const char want : rest) {
    if (Advance() != want) return Token::kInvalid;
  }
  return AcceptOne(token, State::kMetaName);
}

Token OpenMetrics2Lexer::Quoted(bool newlines, Token token, State next) {
  for (;;) {
    // Most texts are plain; the loop below is for the character after that.
    size_t plain = at_ + 1;
    while (plain < body_.size() && body_[plain] != '"' && body_[plain] != '\\' &&
           body_[plain] != '\n' && body_[plain] != '\0') {
      ++plain;
    }
    at_ = plain - 1;
    char c = Advance();
    if (c == '"') return AcceptOne(token, next);
    if (c == '\n' && !newlines) return Token::kInvalid;
    if (c == '\\') {
      c = Advance();
      if (c == '\n') return Token::kInvalid;
    }
    if (c == '\0') return Token::kInvalid;
  }
}

Token OpenMetrics2Lexer::Labels(char c, bool newlines, State here, State after_equal,
                                State after_brace) {
  if (c == '"') return Quoted(newlines, Token::kQuoted, here);
  if (c == ',') return AcceptOne(Token::kComma, here);
  if (c == '=') return AcceptOne(Token::kEqual, after_equal);
  if (c == '}') return AcceptOne(Token::kBraceClose, after_brace);
  if (!IsA(c, kLabelStart)) return Token::kInvalid;
  PassName(kLabelChar);
  return Accept(Token::kLabelName, here);
}

Token OpenMetrics2Lexer::LexComment(char c) {
  switch (c) {
    case 'H': return Keyword("ELP ", Token::kHelp);
    case 'T': return Keyword("YPE ", Token::kType);
    case 'U': return Keyword("NIT ", Token::kUnit);
    case 'E':
      if (Advance() != 'O' || Advance() != 'F') return Token::kInvalid;
      if (Advance() == '\n') Advance();
      return Accept(Token::kEofWord, State::kInit);
    default: return Token::kInvalid;
  }
}

Token OpenMetrics2Lexer::LexInit(char c) {
  if (c == '#') {
    if (Advance() != ' ') return Token::kInvalid;
    const char next = Advance();
    state_ = State::kComment;
    return LexComment(next);
  }
  if (c == '{') return AcceptOne(Token::kBraceOpen, State::kLabels);
  if (!IsA(c, kMetricStart)) return Token::kInvalid;
  PassName(kMetricChar);
  return Accept(Token::kMetricName, State::kValue);
}

Token OpenMetrics2Lexer::LexMetaText(char c) {
  if (c != ' ') return Token::kInvalid;
  // NUL bytes belong to the text.
  at_ = std::min(body_.find('\n', at_ + 1), body_.size());
  return at_ < body_.size() ? AcceptOne(Token::kText, State::kInit) : Token::kInvalid;
}

Token OpenMetrics2Lexer::LexValue(char c) {
  if (c == '{') return AcceptOne(Token::kBraceOpen, State::kLabels);
  if (c != ' ') return Token::kInvalid;
  c = Advance();
  if (c == '{') return AcceptOne(Token::kCompositeOpen, State::kComposite);
  if (EndsWord(c)) return Token::kInvalid;
  while (!EndsWord(Advance())) {
  }
  return Accept(Token::kValue, State::kTimestamp);
}

// Fields are told apart character by character: an error lies where none goes on.
Token OpenMetrics2Lexer::LexComposite(char c) {
  if (c == ',') return AcceptOne(Token::kComma, State::kComposite);
  if (c == '}') return AcceptOne(Token::kCompositeClose, State::kTimestamp);
  for (;;) {
    const std::string_view so_far = token_text();
    bool goes_on = false;
    for (const Field& field : kFields) {
      if (field.text == so_far) return Accept(field.token, State::kCompositeValue);
      goes_on = goes_on || (field.text.size() > so_far.size() && field.text.starts_with(so_far) &&
                            field.text[so_far.size()] == c);
    }
    if (!goes_on) return Token::kInvalid;
    c = Advance();
  }
}

Token OpenMetrics2Lexer::LexCompositeValue(char c) {
  if (c == '[') {
    do {
      c = Advance();
    } while (!EndsList(c));
    return c == ']' ? AcceptOne(Token::kValue, State::kComposite) : Token::kInvalid;
  }
  const auto ends = [](char d) { return EndsList(d) || d == ',' || d == '}' || d == '['; };
  if (ends(c)) return Token::kInvalid;
  while (!ends(Advance())) {
  }
  return Accept(Token::kValue, State::kComposite);
}

Token OpenMetrics2Lexer::Word(char c, Token token, State next) {
  if (c != ' ' || EndsWord(Advance())) return Token::kInvalid;
  while (!EndsWord(Advance())) {
  }
  return Accept(token, next);
}

Token OpenMetrics2Lexer::LexAfterValue(char c, bool starts) {
  if (c == '\n') return AcceptOne(Token::kLinebreak, State::kInit);
  if (c != ' ') return Token::kInvalid;
  c = Advance();
  if (EndsWord(c)) return Token::kInvalid;
  if (c == '#') {
    c = Advance();
    if (c == ' ') {
      return Advance() == '{' ? AcceptOne(Token::kComment, State::kExemplar) : Token::kInvalid;
    }
    if (EndsWord(c)) return Token::kTimestamp;
  }
  while (!EndsWord(Advance())) {
  }
  constexpr std::string_view kStart = " st@";
  const bool start =
      starts && token_text().starts_with(kStart) && token_text().size() > kStart.size();
  return start ? Token::kStartTimestamp : Token::kTimestamp;
}

Token OpenMetrics2Lexer::Next() {
  if (at_ >= body_.size()) return Token::kEof;
  start_ = at_;
  const char c = body_[at_];
  switch (state_) {
    case State::kInit: return LexInit(c);
    case State::kComment: return LexComment(c);
    case State::kMetaName:
      if (c == '"') return Quoted(/*newlines=*/true, Token::kMetricName, State::kMetaText);
      if (!IsA(c, kMetricStart)) return Token::kInvalid;
      PassName(kMetricChar);
      return Accept(Token::kMetricName, State::kMetaText);
    case State::kMetaText: return LexMetaText(c);
    case State::kLabels:
      return Labels(c, /*newlines=*/true, State::kLabels, State::kLabelValue, State::kValue);
    case State::kLabelValue:
      if (c != '"') return Token::kInvalid;
      return Quoted(/*newlines=*/false, Token::kLabelValue, State::kLabels);
    case State::kValue: return LexValue(c);
    case State::kTimestamp: return LexAfterValue(c, /*starts=*/true);
    case State::kExemplar:
      return Labels(c, /*newlines=*/false, State::kExemplar, State::kExemplarValue,
                    State::kExemplarValue);
    case State::kExemplarValue:
      if (c == '"') return Quoted(/*newlines=*/false, Token::kLabelValue, State::kExemplar);
      return Word(c, Token::kValue, State::kExemplarTimestamp);
    case State::kExemplarTimestamp: return LexAfterValue(c, /*starts=*/false);
    case State::kComposite: return LexComposite(c);
    case State::kCompositeValue: return LexCompositeValue(c);
  }
  return Token::kInvalid;
}

}  // namespace narthex::exposition
