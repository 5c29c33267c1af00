// OpenMetrics text 1.0 (and 0.0.1).
//
// As in text_parser.cc there is a fast reader for lines as libraries write them, and an exact one
// with upstream's lexer states. `_created` lines carry the start timestamp of the series of the
// same name and labels; they may come after those, so StartTimestampMs() looks ahead in the family.
#include <cmath>

#include "exposition/parser.h"
#include "exposition/scan.h"
#include "exposition/series_text.h"
#include "util/hash.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::exposition {
namespace {

constexpr std::string_view kCreatedSuffix = "_created";

class OpenMetricsLexer {
 public:
  explicit OpenMetricsLexer(std::string_view body) : body_(body) {}

  std::string_view body() const { return body_; }
  size_t at() const { return at_; }
  size_t start() const { return start_; }
  std::string_view token_text() const { return body_.substr(start_, at_ - start_); }
  void MoveTo(size_t position) {
    at_ = position;
    state_ = State::kInit;
  }
  bool between_lines() const { return state_ == State::kInit; }

  Token Next() {
    if (at_ >= body_.size()) return Token::kEof;
    start_ = at_;
    const char c = body_[at_];
    switch (state_) {
      case State::kInit:
        if (c == '#') {
          if (Advance() != ' ') return Token::kInvalid;
          // Still in this state, so that a NUL behind the blank is not skipped.
          const char next = Advance();
          state_ = State::kComment;
          return LexComment(next);
        }
        if (IsA(c, kMetricStart)) return Name(kMetricChar, Token::kMetricName, State::kValue);
        if (c == '{') return AcceptOne(Token::kBraceOpen, State::kLabels);
        return Token::kInvalid;
      case State::kComment: return LexComment(c);
      case State::kMetaName:
        if (c == '"') return Quoted(/*newlines=*/true, Token::kMetricName, State::kMetaText);
        if (IsA(c, kMetricStart)) return Name(kMetricChar, Token::kMetricName, State::kMetaText);
        return Token::kInvalid;
      case State::kMetaText: return LexMetaText(c);
      case State::kLabels:
        return LexLabels(c, /*newlines=*/true, State::kLabels, State::kLabelValue, State::kValue);
      case State::kLabelValue:
        if (c == '"') return Quoted(/*newlines=*/false, Token::kLabelValue, State::kLabels);
        return Token::kInvalid;
      case State::kValue:
        if (c == '{') return AcceptOne(Token::kBraceOpen, State::kLabels);
        return Word(c, Token::kValue, State::kTimestamp);
      case State::kTimestamp: return LexTimestamp(c);
      case State::kExemplar:
        return LexLabels(c, /*newlines=*/false, State::kExemplar, State::kExemplarValue,
                         State::kExemplarValue);
      case State::kExemplarValue:
        if (c == '"') return Quoted(/*newlines=*/false, Token::kLabelValue, State::kExemplar);
        return Word(c, Token::kValue, State::kExemplarTimestamp);
      case State::kExemplarTimestamp:
        if (c == '\n') return AcceptOne(Token::kLinebreak, State::kInit);
        return Word(c, Token::kTimestamp, State::kExemplarTimestamp);
    }
    return Token::kInvalid;
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
    kExemplar,
    kExemplarValue,
    kExemplarTimestamp,
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

  Token Name(CharClass rest, Token token, State next) {
    while (IsA(Advance(), rest)) {
    }
    return Accept(token, next);
  }

  Token Keyword(std::string_view rest, Token token) {
    for (const char want : rest) {
      if (Advance() != want) return Token::kInvalid;
    }
    return AcceptOne(token, State::kMetaName);
  }

  Token LexComment(char c) {
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

  Token LexMetaText(char c) {
    if (c != ' ') return Token::kInvalid;
    do {
      c = Advance();
    } while (c != '\n' && c != '\0');
    return c == '\n' ? AcceptOne(Token::kText, State::kInit) : Token::kInvalid;
  }

  Token Quoted(bool newlines, Token token, State next) {
    for (;;) {
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

  Token LexLabels(char c, bool newlines, State here, State after_equal, State after_brace) {
    if (c == '"') return Quoted(newlines, Token::kQuoted, here);
    if (c == ',') return AcceptOne(Token::kComma, here);
    if (c == '=') return AcceptOne(Token::kEqual, after_equal);
    if (c == '}') return AcceptOne(Token::kBraceClose, after_brace);
    if (IsA(c, kLabelStart)) return Name(kLabelChar, Token::kLabelName, here);
    return Token::kInvalid;
  }

  static bool EndsWord(char c) { return c == ' ' || c == '\n' || c == '\0'; }

  // A blank and at least one character.
  Token Word(char c, Token token, State next) {
    if (c != ' ' || EndsWord(Advance())) return Token::kInvalid;
    while (!EndsWord(Advance())) {
    }
    return Accept(token, next);
  }

  Token LexTimestamp(char c) {
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
    return Token::kTimestamp;
  }

  std::string_view body_;
  size_t at_ = 0;
  size_t start_ = 0;
  State state_ = State::kInit;
};

Status NoEofError() {
  return MakeError(ErrorCode::kInvalidInput, "data does not end with # EOF");
}

class OpenMetricsParser final : public Parser {
 public:
  OpenMetricsParser(std::string_view body, const ParserOptions& options)
      : options_(options), skip_created_(options.skip_created_series), lexer_(body) {}

  Entry Next() override {
    for (;;) {
      exemplar_labels_.clear();
      has_exemplar_ = false;
      has_exemplar_timestamp_ = false;
      const Entry entry = TakeSeries() ? Entry::kSeries : NextExactly();
      if (entry == Entry::kSeries && skip_created_ && IsCreatedSeries()) continue;
      return entry;
    }
  }

  Labels SeriesLabels() override {
    return BuildSeriesLabels(lexer_.body(), parts_, type_,
                             {options_.type_and_unit_labels, type_, unit_});
  }

  bool NextExemplar(Exemplar* exemplar) override {
    if (!has_exemplar_) return false;
    has_exemplar_ = false;
    exemplar->labels = BuildExemplarLabels(lexer_.body(), exemplar_labels_);
    exemplar->value = exemplar_value_;
    exemplar->has_timestamp = has_exemplar_timestamp_;
    exemplar->timestamp_ms = has_exemplar_timestamp_ ? exemplar_timestamp_ms_ : 0;
    return true;
  }

  int64_t StartTimestampMs() override;

  bool TakeKnownSeries(size_t length, uint64_t hash) override {
    const std::string_view body = lexer_.body();
    const size_t at = lexer_.at();
    if (!lexer_.between_lines() || at + length >= body.size() || body[at] == '#' ||
        body[at + length] != ' ') {
      return false;
    }
    if (FastHash64(body.substr(at, length)) != hash) return false;
    if (!TakeValue(body.data() + at + length)) return false;
    has_exemplar_ = false;
    return true;
  }

 private:
  // A blank, a value, perhaps a blank and a timestamp, a line break. Nothing changes on failure.
  bool TakeValue(const char* p) {
    const char* end = lexer_.body().data() + lexer_.body().size();
    double value = 0;
    if (!TakeNumber(&p, end, &value)) return false;
    bool has_timestamp = false;
    int64_t timestamp_ms = 0;
    if (p < end && *p == ' ' && end - p > 1 && p[1] != '#') {
      double seconds = 0;
      if (!TakeNumber(&p, end, &seconds) || !std::isfinite(seconds)) return false;
      has_timestamp = true;
      timestamp_ms = SecondsToMillis(seconds);
    }
    if (p >= end || *p != '\n') return false;
    value_ = value;
    has_timestamp_ = has_timestamp;
    timestamp_ms_ = timestamp_ms;
    lexer_.MoveTo(static_cast<size_t>(p + 1 - lexer_.body().data()));
    return true;
  }

  static bool TakeNumber(const char** p, const char* end, double* value) {
    const char* start = *p + 1;
    if (*p >= end || **p != ' ') return false;
    const char* stop = ScanPlainNumber(start, end, value);
    if (stop == nullptr || stop >= end || (*stop != ' ' && *stop != '\n')) {
      stop = start;
      while (stop < end && *stop != ' ' && *stop != '\n' && *stop != '\0') ++stop;
      if (stop == start || stop >= end || *stop == '\0') return false;
      const Result<double> parsed =
          ParseSampleValue(std::string_view(start, static_cast<size_t>(stop - start)));
      if (!parsed.ok()) return false;
      *value = *parsed;
    }
    *p = stop;
    return true;
  }

  bool TakeSeries() {
    const std::string_view body = lexer_.body();
    if (!lexer_.between_lines() || lexer_.at() >= body.size() ||
        !IsA(body[lexer_.at()], kMetricStart)) {
      return false;
    }
    const char* base = body.data();
    const char* end = base + body.size();
    const char* line = base + lexer_.at();
    const char* p = line;
    const auto offset = [base](const char* q) { return static_cast<size_t>(q - base); };
    while (p < end && IsA(*p, kMetricChar)) ++p;
    parts_.Clear();
    parts_.has_name = true;
    parts_.name = {offset(line), offset(p)};
    if (p < end && *p == '{') {
      ++p;
      while (p < end && *p != '}') {
        const char* label = p;
        if (!IsA(*p, kLabelStart)) return false;
        while (p < end && IsA(*p, kLabelChar)) ++p;
        const char* label_end = p;
        if (end - p < 2 || p[0] != '=' || p[1] != '"') return false;
        const char* value = p + 2;
        const char* quote = FindPlainQuote(value, end);
        if (quote == nullptr) return false;
        const std::string_view text(value, static_cast<size_t>(quote - value));
        if (text.find('\n') != std::string_view::npos || !IsValidUtf8(text)) return false;
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
    if (p >= end || !TakeValue(p)) return false;
    line_ = offset(line);
    series_ = std::string_view(line, static_cast<size_t>(p - line));
    return true;
  }

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
    line_ = lexer_.at();
    parts_.Clear();
    const Token token = lexer_.Next();
    switch (token) {
      case Token::kEofWord:
        if (lexer_.Next() != Token::kEof) {
          return Fail(MakeError(ErrorCode::kInvalidInput, "unexpected data after # EOF"));
        }
        return Entry::kEnd;
      case Token::kEof: return Fail(NoEofError());
      case Token::kHelp:
      case Token::kType:
      case Token::kUnit: return Metadata(token);
      case Token::kBraceOpen: return SeriesLine(Token::kBraceOpen);
      case Token::kMetricName:
        parts_.has_name = true;
        parts_.name = {line_, lexer_.at()};
        series_ = lexer_.body().substr(line_, lexer_.at() - line_);
        return SeriesLine(lexer_.Next());
      default: return Fail(Unexpected("expected a valid start token", token));
    }
  }

  // From the token behind the name on.
  Entry SeriesLine(Token token) {
    if (token == Token::kBraceOpen) {
      if (Status status = LabelPairs(&parts_.labels, /*exemplar=*/false); !status.ok()) {
        return Fail(std::move(status));
      }
      series_ = lexer_.body().substr(line_, lexer_.at() - line_);
      token = lexer_.Next();
    }
    if (Status status = SeriesEnd(token); !status.ok()) return Fail(std::move(status));
    return Entry::kSeries;
  }

  Entry Metadata(Token kind) {
    if (const Token token = lexer_.Next(); token != Token::kMetricName) {
      return Fail(Unexpected("expected metric name after " + std::string(TokenName(kind)), token));
    }
    family_ = lexer_.token_text();
    if (family_.size() >= 2 && family_.front() == '"' && family_.back() == '"') {
      family_ = family_.substr(1, family_.size() - 2);
    }
    family_size_ = family_.size();
    if (lexer_.Next() != Token::kText) {
      return Fail(MakeError(ErrorCode::kInvalidInput, "expected text in {}", TokenName(kind)));
    }
    // Without the blank in front and the line break behind.
    const std::string_view token_text = lexer_.token_text();
    const std::string_view text = token_text.substr(1, token_text.size() - 2);
    switch (kind) {
      case Token::kType: {
        bool known = false;
        const MetricType type = MetricTypeFromName(text, &known);
        if (!known) {
          return Fail(MakeError(ErrorCode::kInvalidInput, "invalid metric type {}", GoQuote(text)));
        }
        type_ = type;
        return Entry::kType;
      }
      case Token::kHelp:
        if (!IsValidUtf8(text)) {
          return Fail(MakeError(ErrorCode::kInvalidInput, "help text {} is not a valid utf8 string",
                                GoQuote(text)));
        }
        text_ = Unescape(text, &scratch_);
        return Entry::kHelp;
      default:
        unit_ = text;
        text_ = unit_;
        if (!unit_.empty() && !(family_.size() > unit_.size() && family_.ends_with(unit_) &&
                                family_[family_.size() - unit_.size() - 1] == '_')) {
          return Fail(MakeError(ErrorCode::kInvalidInput, "unit {} not a suffix of metric {}",
                                GoQuote(unit_), GoQuote(family_)));
        }
        return Entry::kUnit;
    }
  }

  Status LabelPairs(std::vector<Slice>* labels, bool exemplar) {
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
      if (quoted && (token == Token::kComma || token == Token::kBraceClose)) {
        if (exemplar) return Unexpected("expected label name", token);
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
      labels->push_back(name);
      labels->push_back({lexer_.start() + 1, lexer_.at() - 1});
      token = lexer_.Next();
      if (token == Token::kComma) {
        token = lexer_.Next();
      } else if (token != Token::kBraceClose) {
        return Unexpected("expected comma or brace close", token);
      }
    }
  }

  Result<double> FloatValue(Token token, std::string_view after) {
    if (token != Token::kValue) {
      return Unexpected("expected value after " + std::string(after), token);
    }
    Result<double> value = ParseSampleValue(lexer_.token_text().substr(1));
    if (value.ok()) return value;
    return MakeError(ErrorCode::kInvalidInput, "{} while parsing: {}", value.status().message(),
                     LineSoFar());
  }

  // The text of a timestamp token in milliseconds; `what` names it in errors.
  Result<int64_t> Timestamp(std::string_view what) {
    const Result<double> seconds = ParseSampleValue(lexer_.token_text().substr(1));
    if (!seconds.ok()) {
      return MakeError(ErrorCode::kInvalidInput, "{} while parsing: {}", seconds.status().message(),
                       LineSoFar());
    }
    if (!std::isfinite(*seconds)) {
      return MakeError(ErrorCode::kInvalidInput, "invalid {} {}", what,
                       FormatFloatFPrecision(*seconds, 6));
    }
    return SecondsToMillis(*seconds);
  }

  Status SeriesEnd(Token token) {
    if (!parts_.has_name) {
      return MakeError(ErrorCode::kInvalidInput, "metric name not set while parsing: {}",
                       LineSoFar());
    }
    NARTHEX_TRY(value_, FloatValue(token, "metric"));
    has_timestamp_ = false;
    token = lexer_.Next();
    switch (token) {
      case Token::kEof: return NoEofError();
      case Token::kComment: return ExemplarPart();
      case Token::kTimestamp: {
        has_timestamp_ = true;
        NARTHEX_TRY(timestamp_ms_, Timestamp("timestamp"));
        token = lexer_.Next();
        if (token == Token::kComment) return ExemplarPart();
        if (token == Token::kLinebreak) return {};
        return Unexpected("expected next entry after timestamp", token);
      }
      // Upstream goes on after anything else, and stumbles over it as the start of a line.
      default: return {};
    }
  }

  Status ExemplarPart() {
    exemplar_labels_.clear();
    NARTHEX_RETURN_IF_ERROR(LabelPairs(&exemplar_labels_, /*exemplar=*/true));
    NARTHEX_TRY(exemplar_value_, FloatValue(lexer_.Next(), "exemplar labels"));
    has_exemplar_ = true;
    const Token token = lexer_.Next();
    switch (token) {
      case Token::kEof: return NoEofError();
      case Token::kLinebreak: return {};
      case Token::kTimestamp: {
        NARTHEX_TRY(exemplar_timestamp_ms_, Timestamp("exemplar timestamp"));
        has_exemplar_timestamp_ = true;
        if (const Token next = lexer_.Next(); next != Token::kLinebreak) {
          return Unexpected("expected next entry after exemplar timestamp", next);
        }
        return {};
      }
      default: return Unexpected("expected timestamp or comment", token);
    }
  }

  // ---------------------------------------------------------------------------------------------
  // Start timestamps
  // ---------------------------------------------------------------------------------------------

  static bool HasStartTimestamps(MetricType type) {
    return type == MetricType::kCounter || type == MetricType::kSummary ||
           type == MetricType::kHistogram;
  }

  std::string_view NameText() const {
    return lexer_.body().substr(parts_.name.begin, parts_.name.end - parts_.name.begin);
  }

  bool IsCreatedSeries() const {
    return HasStartTimestamps(type_) && NameText().ends_with(kCreatedSuffix);
  }

  // Identifies a metric: its labels but for the bound, and the family's name.
  uint64_t MetricHash(std::string_view name) {
    hash_input_.clear();
    const std::string_view body = lexer_.body();
    for (size_t i = 0; i + 1 < parts_.labels.size(); i += 2) {
      const Slice& label = parts_.labels[i];
      const Slice& value = parts_.labels[i + 1];
      const std::string_view text = body.substr(label.begin, label.end - label.begin);
      if (type_ == MetricType::kSummary && text == kQuantileLabel) continue;
      if (type_ == MetricType::kHistogram && text == kBucketLabel) continue;
      hash_input_.append(text).append(body.substr(value.begin, value.end - value.begin));
    }
    hash_input_.append(name);
    return FastHash64(hash_input_);
  }

  ParserOptions options_;
  bool skip_created_;
  OpenMetricsLexer lexer_;
  size_t line_ = 0;
  SeriesParts parts_;
  std::string unit_;
  size_t family_size_ = 0;
  std::string scratch_;

  bool has_exemplar_ = false;
  std::vector<Slice> exemplar_labels_;
  double exemplar_value_ = 0;
  bool has_exemplar_timestamp_ = false;
  int64_t exemplar_timestamp_ms_ = 0;

  std::string hash_input_;
  // The metric whose start is known already; none when start_ms_ is 0.
  uint64_t start_hash_ = 0;
  int64_t start_ms_ = 0;
  // Up to here no `_created` line follows.
  size_t no_created_before_ = 0;
};

int64_t OpenMetricsParser::StartTimestampMs() {
  if (!HasStartTimestamps(type_)) {
    start_ms_ = 0;
    return 0;
  }
  // The name of the family as this series spells it.
  const size_t quote = series_.starts_with("{\"") ? 2 : 0;
  const size_t name_end = std::min(line_ + family_size_ + quote, lexer_.body().size());
  const std::string_view name = lexer_.body().substr(
      parts_.name.begin, name_end > parts_.name.begin ? name_end - parts_.name.begin : 0);
  const uint64_t hash = MetricHash(name);
  if (start_ms_ > 0 && start_hash_ == hash) return start_ms_;
  // Once asked for, start timestamps are no series of their own any more.
  skip_created_ = true;
  start_ms_ = 0;
  if (lexer_.at() < no_created_before_) return 0;

  OpenMetricsParser ahead(lexer_.body(), ParserOptions{});
  ahead.lexer_ = lexer_;
  ahead.type_ = type_;
  for (;;) {
    const size_t at = ahead.lexer_.at();
    if (ahead.Next() != Entry::kSeries) {
      // The family ended, or is broken, without one: nobody before this place need look again.
      no_created_before_ = at;
      return 0;
    }
    const std::string_view ahead_name = ahead.NameText();
    if (!ahead_name.ends_with(kCreatedSuffix)) continue;
    if (ahead.MetricHash(ahead_name.substr(0, ahead_name.size() - kCreatedSuffix.size())) != hash) {
      return 0;
    }
    start_hash_ = hash;
    start_ms_ = SecondsToMillis(ahead.value_);
    return start_ms_;
  }
}

}  // namespace

std::unique_ptr<Parser> CreateOpenMetricsParser(std::string_view body,
                                                const ParserOptions& options) {
  return std::make_unique<OpenMetricsParser>(body, options);
}

}  // namespace narthex::exposition
