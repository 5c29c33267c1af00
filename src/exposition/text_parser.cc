// The classic text format (0.0.4 and 1.0.0).
//
// Two readers over one body. The fast one takes lines as every client library writes them and gives
// up, without a trace, on anything else. Then the exact one takes the line: a lexer with upstream's
// states, whose quirks are visible in what it accepts and in error texts. Both must agree wherever
// the fast one does not give up; text_parser_test compares them on the conformance inputs.
#include <cstring>

#include "exposition/parser.h"
#include "exposition/scan.h"
#include "exposition/series_text.h"
#include "util/hash.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::exposition {
namespace {

bool IsBlank(char c) {
  return c == ' ' || c == '\t';
}

// Tokens depend on what came before, hence the states.
class TextLexer {
 public:
  explicit TextLexer(std::string_view body) : body_(body) {}

  std::string_view body() const { return body_; }
  size_t at() const { return at_; }
  size_t start() const { return start_; }
  std::string_view token_text() const { return body_.substr(start_, at_ - start_); }
  // Continues at the start of a line.
  void MoveTo(size_t position) {
    at_ = position;
    state_ = State::kInit;
  }
  bool between_lines() const { return state_ == State::kInit; }

  // The next token that is not whitespace.
  Token Next() {
    for (;;) {
      const Token token = Lex();
      if (token != Token::kWhitespace) return token;
    }
  }

 private:
  enum class State : uint8_t {
    kInit,
    kComment,
    kMetaName,
    kMetaText,
    kLabels,
    kLabelValue,
    kValue,
    kTimestamp,
  };

  char Advance() {
    ++at_;
    const bool skips_nul =
        state_ == State::kLabelValue || state_ == State::kMetaText || state_ == State::kComment;
    while (skips_nul && at_ < body_.size() && body_[at_] == '\0') ++at_;
    if (at_ >= body_.size()) {
      at_ = body_.size();
      return '\0';
    }
    return body_[at_];
  }

  Token Accept(Token token, State next) {
    state_ = next;
    return token;
  }
  Token AcceptOne(Token token, State next) {
    Advance();
    return Accept(token, next);
  }

  Token Whitespace() {
    while (IsBlank(Advance())) {
    }
    return Token::kWhitespace;
  }

  // The rest of a comment is never wrong.
  Token Reject() { return state_ == State::kComment ? Comment() : Token::kInvalid; }

  Token Comment() {
    for (char c = at_ < body_.size() ? body_[at_] : '\0';; c = Advance()) {
      if (c == '\0') return Token::kEof;
      if (c == '\n') return Accept(Token::kComment, State::kInit);
    }
  }

  // From the opening quote on. Line breaks are part of the text.
  Token Quoted(Token token, State next) {
    for (;;) {
      char c = Advance();
      if (c == '"') return AcceptOne(token, next);
      if (c == '\\') {
        c = Advance();
        if (c == '\n') return Reject();
      }
      if (c == '\0') return Reject();
    }
  }

  Token Keyword(std::string_view rest, Token token) {
    for (const char want : rest) {
      if (Advance() != want) return Reject();
    }
    if (!IsBlank(Advance())) return Reject();
    while (IsBlank(Advance())) {
    }
    return Accept(token, State::kMetaName);
  }

  Token Name(CharClass rest, Token token, State next) {
    while (IsA(Advance(), rest)) {
    }
    return Accept(token, next);
  }

  Token Lex() {
    if (at_ >= body_.size()) return Token::kEof;
    start_ = at_;
    const char c = body_[at_];
    switch (state_) {
      case State::kInit: return LexInit(c);
      case State::kComment: return LexComment(c);
      case State::kMetaName:
        if (c == '"') return Quoted(Token::kMetricName, State::kMetaText);
        if (IsA(c, kMetricStart)) return Name(kMetricChar, Token::kMetricName, State::kMetaText);
        return IsBlank(c) ? Whitespace() : Reject();
      case State::kMetaText: return LexMetaText(c);
      case State::kLabels:
        if (c == '"') return Quoted(Token::kQuoted, State::kLabels);
        if (c == ',') return AcceptOne(Token::kComma, State::kLabels);
        if (c == '=') {
          Advance();
          return Accept(Token::kEqual, State::kLabelValue);
        }
        if (c == '}') return AcceptOne(Token::kBraceClose, State::kValue);
        if (IsA(c, kLabelStart)) return Name(kLabelChar, Token::kLabelName, State::kLabels);
        return IsBlank(c) ? Whitespace() : Reject();
      case State::kLabelValue:
        if (c == '"') return Quoted(Token::kLabelValue, State::kLabels);
        return IsBlank(c) ? Whitespace() : Reject();
      case State::kValue: return LexValue(c);
      case State::kTimestamp:
        if (c == '\n') return AcceptOne(Token::kLinebreak, State::kInit);
        if (IsBlank(c)) return Whitespace();
        if (c < '0' || c > '9') return Reject();
        for (char d = Advance(); d >= '0' && d <= '9';) d = Advance();
        return Token::kTimestamp;
    }
    return Token::kInvalid;
  }

  Token LexInit(char c) {
    if (c == '#') {
      c = Advance();
      if (!IsBlank(c)) return Comment();
      while (IsBlank(c)) c = Advance();
      state_ = State::kComment;
      return LexComment(c);
    }
    if (IsA(c, kMetricStart)) return Name(kMetricChar, Token::kMetricName, State::kValue);
    if (c == '\n') return AcceptOne(Token::kLinebreak, State::kInit);
    if (IsBlank(c)) return Whitespace();
    if (c == '{') return AcceptOne(Token::kBraceOpen, State::kLabels);
    if (c == '\0') {
      Advance();
      return Token::kEof;
    }
    return Reject();
  }

  Token LexComment(char c) {
    if (c == 'H') return Keyword("ELP", Token::kHelp);
    if (c == 'T') return Keyword("YPE", Token::kType);
    return IsBlank(c) ? Whitespace() : Reject();
  }

  Token LexMetaText(char c) {
    const bool blank_first = IsBlank(c);
    while (IsBlank(c)) c = Advance();
    if (blank_first && (c == '\n' || c == '\0')) return Token::kWhitespace;
    while (c != '\n' && c != '\0') c = Advance();
    return Accept(Token::kText, State::kInit);
  }

  Token LexValue(char c) {
    if (IsBlank(c)) return Whitespace();
    if (c == '{') return AcceptOne(Token::kBraceOpen, State::kLabels);
    if (c == '\n' || c == '\0') return Reject();
    while (c != '{' && c != '\n' && c != '\0' && !IsBlank(c)) c = Advance();
    return Accept(Token::kValue, State::kTimestamp);
  }

  std::string_view body_;
  size_t at_ = 0;
  size_t start_ = 0;
  State state_ = State::kInit;
};

class TextParser final : public Parser {
 public:
  TextParser(std::string_view body, const ParserOptions& options)
      : options_(options), lexer_(EnsureNewline(body, &owned_)) {}

  Entry Next() override {
    const size_t at = lexer_.at();
    if (lexer_.between_lines() && at < lexer_.body().size()) {
      const char c = lexer_.body()[at];
      if (IsA(c, kMetricStart) && TakeSeries()) return Entry::kSeries;
      if (c == '#') {
        if (const Entry entry = TakeMetadata(); entry != Entry::kEnd) return entry;
      }
    }
    return NextExactly();
  }

  Labels SeriesLabels() override {
    return BuildSeriesLabels(lexer_.body(), parts_, type_,
                             {options_.type_and_unit_labels, type_, {}});
  }
  bool NextExemplar(Exemplar*) override { return false; }
  int64_t StartTimestampMs() override { return 0; }

  bool TakeKnownSeries(size_t length, uint64_t hash) override {
    const std::string_view body = lexer_.body();
    const size_t at = lexer_.at();
    // Strictly less: the line break is still to come. Metadata lines are no series.
    if (at + length >= body.size() || body[at] == '#' || !IsBlank(body[at + length])) return false;
    if (FastHash64(body.substr(at, length)) != hash) return false;
    return TakeValue(body.data() + at + length);
  }

 private:
  // The exact reader relies on a line break at the end.
  static std::string_view EnsureNewline(std::string_view body, std::string* owned) {
    if (!body.empty() && body.back() == '\n') return body;
    owned->assign(body).push_back('\n');
    return *owned;
  }

  // The rest of a series line, from the blank behind the series on; nothing changes on failure.
  bool TakeValue(const char* p) {
    const char* end = lexer_.body().data() + lexer_.body().size();
    while (p < end && IsBlank(*p)) ++p;
    double value = 0;
    const char* stop = ScanPlainNumber(p, end, &value);
    if (stop == nullptr || stop >= end || !(*stop == '\n' || IsBlank(*stop))) {
      stop = p;
      while (stop < end && !IsBlank(*stop) && *stop != '\n' && *stop != '{' && *stop != '\0') {
        ++stop;
      }
      if (stop == p || stop >= end || !(*stop == '\n' || IsBlank(*stop))) return false;
      const Result<double> parsed =
          ParseSampleValue(std::string_view(p, static_cast<size_t>(stop - p)));
      if (!parsed.ok()) return false;
      value = *parsed;
    }
    bool has_timestamp = false;
    int64_t timestamp_ms = 0;
    if (*stop != '\n') {
      while (stop < end && IsBlank(*stop)) ++stop;
      const char* digits = stop;
      while (stop < end && *stop >= '0' && *stop <= '9') ++stop;
      if (stop != digits) {
        const Result<int64_t> parsed =
            ParseIntegerTimestamp(std::string_view(digits, static_cast<size_t>(stop - digits)));
        if (!parsed.ok()) return false;
        has_timestamp = true;
        timestamp_ms = *parsed;
        while (stop < end && IsBlank(*stop)) ++stop;
      }
      if (stop >= end || *stop != '\n') return false;
    }
    value_ = value;
    has_timestamp_ = has_timestamp;
    timestamp_ms_ = timestamp_ms;
    lexer_.MoveTo(static_cast<size_t>(stop + 1 - lexer_.body().data()));
    return true;
  }

  bool TakeSeries() {
    const char* base = lexer_.body().data();
    const char* end = base + lexer_.body().size();
    const char* line = base + lexer_.at();
    const char* p = line;
    const auto offset = [base](const char* q) { return static_cast<size_t>(q - base); };
    while (p < end && IsA(*p, kMetricChar)) ++p;
    parts_.Clear();
    parts_.has_name = true;
    parts_.name = {offset(line), offset(p)};
    if (p < end && *p == '{') {
      ++p;
      for (;;) {
        while (p < end && IsBlank(*p)) ++p;
        if (p < end && *p == '}') break;
        const char* label = p;
        if (p >= end || !IsA(*p, kLabelStart)) return false;
        while (p < end && IsA(*p, kLabelChar)) ++p;
        const char* label_end = p;
        if (end - p < 2 || p[0] != '=' || p[1] != '"') return false;
        const char* value = p + 2;
        const char* quote = FindPlainQuote(value, end);
        if (quote == nullptr || !IsValidUtf8({value, static_cast<size_t>(quote - value)})) {
          return false;
        }
        parts_.labels.push_back({offset(label), offset(label_end)});
        parts_.labels.push_back({offset(value), offset(quote)});
        p = quote + 1;
        if (p < end && *p == ',') {
          ++p;
        } else if (p >= end || *p != '}') {
          return false;
        }
      }
      ++p;
    }
    if (p >= end || !IsBlank(*p)) return false;
    if (!TakeValue(p)) return false;
    series_ = std::string_view(line, static_cast<size_t>(p - line));
    return true;
  }

  // "# HELP name text" and "# TYPE name type" with single blanks; kEnd when the line is otherwise.
  Entry TakeMetadata() {
    const std::string_view rest = lexer_.body().substr(lexer_.at());
    const bool help = rest.starts_with("# HELP ");
    if (!help && !rest.starts_with("# TYPE ")) return Entry::kEnd;
    constexpr size_t kPrefix = 7;
    size_t p = kPrefix;
    if (p >= rest.size() || !IsA(rest[p], kMetricStart)) return Entry::kEnd;
    while (p < rest.size() && IsA(rest[p], kMetricChar)) ++p;
    const std::string_view name = rest.substr(kPrefix, p - kPrefix);
    // Two blanks belong to the text, so one is looked for and something after it.
    if (p + 1 >= rest.size() || rest[p] != ' ' || IsBlank(rest[p + 1]) || rest[p + 1] == '\n') {
      return Entry::kEnd;
    }
    const size_t line_end = rest.find('\n', p);
    const std::string_view text = rest.substr(p + 1, line_end - p - 1);
    if (help) {
      if (text.find('\0') != std::string_view::npos || !IsValidUtf8(text)) return Entry::kEnd;
      text_ = UnescapeHelp(text, &scratch_);
    } else if (!SetType(text)) {
      return Entry::kEnd;
    }
    family_ = name;
    lexer_.MoveTo(lexer_.at() + line_end + 1);
    return help ? Entry::kHelp : Entry::kType;
  }

  bool SetType(std::string_view name) {
    if (name == "untyped") {
      type_ = MetricType::kUnknown;
      return true;
    }
    bool known = false;
    const MetricType type = MetricTypeFromName(name, &known);
    const bool classic = type == MetricType::kCounter || type == MetricType::kGauge ||
                         type == MetricType::kHistogram || type == MetricType::kSummary;
    if (!known || !classic) return false;
    type_ = type;
    return true;
  }

  // -------------------------------------------------------------------------------------------
  // The exact reader
  // -------------------------------------------------------------------------------------------

  Status Unexpected(std::string_view expectation, Token got) const {
    const std::string_view body = lexer_.body();
    const size_t end = std::min(body.size(), lexer_.at() + 1);
    return MakeError(ErrorCode::kInvalidInput, "{}, got {} ({}) while parsing: {}", expectation,
                     GoQuote(body.substr(lexer_.start(), end - lexer_.start())),
                     GoQuote(TokenName(got)), GoQuote(body.substr(line_, end - line_)));
  }

  std::string LineSoFar() const {
    return GoQuote(lexer_.body().substr(line_, lexer_.at() - line_));
  }

  Entry NextExactly() {
    for (;;) {
      line_ = lexer_.at();
      parts_.Clear();
      const Token token = lexer_.Next();
      switch (token) {
        case Token::kEof: return Entry::kEnd;
        case Token::kLinebreak: continue;
        case Token::kHelp:
        case Token::kType: return Metadata(token);
        case Token::kComment:
          text_ = lexer_.token_text();
          if (const Token next = lexer_.Next(); next != Token::kLinebreak) {
            return Fail(Unexpected("linebreak expected after comment", next));
          }
          return Entry::kComment;
        case Token::kBraceOpen:
          if (Status status = LabelPairs(); !status.ok()) return Fail(std::move(status));
          series_ = lexer_.body().substr(line_, lexer_.at() - line_);
          return SeriesEnd(lexer_.Next());
        case Token::kMetricName: {
          // The name starts with the line: blanks before it are part of it.
          parts_.has_name = true;
          parts_.name = {line_, lexer_.at()};
          series_ = lexer_.body().substr(line_, lexer_.at() - line_);
          Token next = lexer_.Next();
          if (next == Token::kBraceOpen) {
            if (Status status = LabelPairs(); !status.ok()) return Fail(std::move(status));
            series_ = lexer_.body().substr(line_, lexer_.at() - line_);
            next = lexer_.Next();
          }
          return SeriesEnd(next);
        }
        default: return Fail(Unexpected("expected a valid start token", token));
      }
    }
  }

  Entry Metadata(Token kind) {
    if (const Token token = lexer_.Next(); token != Token::kMetricName) {
      return Fail(Unexpected("expected metric name after " + std::string(TokenName(kind)), token));
    }
    family_ = lexer_.token_text();
    if (family_.size() >= 2 && family_.front() == '"' && family_.back() == '"') {
      family_ = family_.substr(1, family_.size() - 2);
    }
    if (const Token token = lexer_.Next(); token != Token::kText) {
      return Fail(MakeError(ErrorCode::kInvalidInput, "expected text in {}, got {}",
                            TokenName(kind), TokenName(token)));
    }
    const std::string_view text =
        lexer_.token_text().empty() ? lexer_.token_text() : lexer_.token_text().substr(1);
    if (kind == Token::kType) {
      if (!SetType(text)) {
        return Fail(MakeError(ErrorCode::kInvalidInput, "invalid metric type {}", GoQuote(text)));
      }
    } else if (!IsValidUtf8(text)) {
      return Fail(MakeError(ErrorCode::kInvalidInput, "help text {} is not a valid utf8 string",
                            GoQuote(text)));
    }
    text_ = UnescapeHelp(text, &scratch_);
    if (const Token token = lexer_.Next(); token != Token::kLinebreak) {
      return Fail(Unexpected("linebreak expected after metadata", token));
    }
    return kind == Token::kHelp ? Entry::kHelp : Entry::kType;
  }

  Status LabelPairs() {
    Token token = lexer_.Next();
    for (;;) {
      Slice name{lexer_.start(), lexer_.at()};
      if (token == Token::kBraceClose) return {};
      if (token != Token::kLabelName && token != Token::kQuoted) {
        return Unexpected("expected label name", token);
      }
      const bool quoted = token == Token::kQuoted;
      if (quoted) name = {name.begin + 1, name.end - 1};
      token = lexer_.Next();
      // A quoted text on its own is the name of the metric.
      if (quoted && (token == Token::kComma || token == Token::kBraceClose)) {
        if (parts_.has_name) {
          return MakeError(ErrorCode::kInvalidInput, "metric name already set while parsing: {}",
                           LineSoFar());
        }
        parts_.has_name = true;
        parts_.name = name;
        if (token == Token::kBraceClose) return {};
        token = lexer_.Next();
        continue;
      }
      if (token != Token::kEqual) return Unexpected("expected equal", token);
      token = lexer_.Next();
      if (token != Token::kLabelValue) return Unexpected("expected label value", token);
      if (!IsValidUtf8(lexer_.token_text())) {
        return MakeError(ErrorCode::kInvalidInput, "invalid UTF-8 label value: {}",
                         GoQuote(lexer_.token_text()));
      }
      parts_.labels.push_back(name);
      parts_.labels.push_back({lexer_.start() + 1, lexer_.at() - 1});
      // Commas may be missing or trail.
      token = lexer_.Next();
      if (token == Token::kComma) token = lexer_.Next();
    }
  }

  Entry SeriesEnd(Token token) {
    if (!parts_.has_name) {
      return Fail(MakeError(ErrorCode::kInvalidInput, "metric name not set while parsing: {}",
                            LineSoFar()));
    }
    if (token != Token::kValue) return Fail(Unexpected("expected value after metric", token));
    const Result<double> value = ParseSampleValue(lexer_.token_text());
    if (!value.ok()) {
      return Fail(MakeError(ErrorCode::kInvalidInput, "{} while parsing: {}",
                            value.status().message(), LineSoFar()));
    }
    value_ = *value;
    has_timestamp_ = false;
    token = lexer_.Next();
    if (token == Token::kLinebreak) return Entry::kSeries;
    if (token != Token::kTimestamp) {
      return Fail(Unexpected("expected timestamp or new record", token));
    }
    const Result<int64_t> timestamp = ParseIntegerTimestamp(lexer_.token_text());
    if (!timestamp.ok()) {
      return Fail(MakeError(ErrorCode::kInvalidInput, "{} while parsing: {}",
                            timestamp.status().message(), LineSoFar()));
    }
    has_timestamp_ = true;
    timestamp_ms_ = *timestamp;
    if (token = lexer_.Next(); token != Token::kLinebreak) {
      return Fail(Unexpected("expected next entry after timestamp", token));
    }
    return Entry::kSeries;
  }

  ParserOptions options_;
  std::string owned_;
  TextLexer lexer_;
  size_t line_ = 0;
  SeriesParts parts_;
  std::string scratch_;
};

}  // namespace

std::unique_ptr<Parser> CreateTextParser(std::string_view body, const ParserOptions& options) {
  return std::make_unique<TextParser>(body, options);
}

}  // namespace narthex::exposition
