#include "promql/parser/token.h"

#include <fmt/format.h>

#include <utility>

#include "util/strings.h"

namespace narthex::promql {
namespace {

using enum TokenKind;
using Word = std::pair<std::string_view, TokenKind>;

constexpr Word kKeywords[] = {
    {"and", kAnd},
    {"or", kOr},
    {"unless", kUnless},
    {"atan2", kAtan2},
    {"sum", kSum},
    {"avg", kAvg},
    {"count", kCount},
    {"min", kMin},
    {"max", kMax},
    {"group", kGroup},
    {"stddev", kStddev},
    {"stdvar", kStdvar},
    {"topk", kTopk},
    {"bottomk", kBottomk},
    {"count_values", kCountValues},
    {"quantile", kQuantile},
    {"limitk", kLimitk},
    {"limit_ratio", kLimitRatio},
    {"offset", kOffset},
    {"smoothed", kSmoothed},
    {"anchored", kAnchored},
    {"by", kBy},
    {"without", kWithout},
    {"on", kOn},
    {"ignoring", kIgnoring},
    {"group_left", kGroupLeft},
    {"group_right", kGroupRight},
    {"fill", kFill},
    {"fill_left", kFillLeft},
    {"fill_right", kFillRight},
    {"bool", kBool},
    {"start", kStart},
    {"end", kEndWord},
    {"step", kStep},
    {"range", kRange},
    {"max_of", kMaxOf},
    {"min_of", kMinOf},
    {"inf", kNumber},
    {"nan", kNumber},
};

constexpr Word kHistogramKeys[] = {
    {"sum", kSumKey},
    {"count", kCountKey},
    {"schema", kSchemaKey},
    {"offset", kOffsetKey},
    {"n_offset", kNegativeOffsetKey},
    {"buckets", kBucketsKey},
    {"n_buckets", kNegativeBucketsKey},
    {"z_bucket", kZeroBucketKey},
    {"z_bucket_w", kZeroBucketWidthKey},
    {"custom_values", kCustomValuesKey},
    {"counter_reset_hint", kCounterResetHintKey},
};

constexpr Word kResetHints[] = {
    {"unknown", kHintUnknown},
    {"reset", kHintReset},
    {"not_reset", kHintNotReset},
    {"gauge", kHintGauge},
};

constexpr size_t kWordBytesMax = 20;

template <size_t kSize>
TokenKind Find(const Word (&words)[kSize], std::string_view word) {
  if (word.empty() || word.size() > kWordBytesMax) return kEnd;
  for (const auto& [name, kind] : words) {
    if (name.size() != word.size()) continue;
    size_t i = 0;
    while (i < name.size()) {
      const char c = word[i];
      if (name[i] != (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c)) break;
      ++i;
    }
    if (i == name.size()) return kind;
  }
  return kEnd;
}

// The numbers under which upstream's messages show tokens that have no name of their own.
int UnnamedTokenNumber(TokenKind kind) {
  constexpr int kFirstHistogramKey = 57370;
  constexpr int kFirstResetHint = 57445;
  if (kind >= kSumKey && kind <= kCounterResetHintKey) {
    return kFirstHistogramKey + static_cast<int>(kind) - static_cast<int>(kSumKey);
  }
  if (kind >= kHintUnknown && kind <= kHintGauge) {
    return kFirstResetHint + static_cast<int>(kind) - static_cast<int>(kHintUnknown);
  }
  return 0;
}

// The text in quotes, cut after ten characters.
std::string QuoteShort(std::string_view text) {
  constexpr size_t kShownMax = 10;
  if (text.size() <= kShownMax) return GoQuote(text);
  size_t bytes = 0;
  for (size_t i = 0; i < kShownMax && bytes < text.size(); ++i) {
    size_t size = 0;
    DecodeRune(text.substr(bytes), &size);
    bytes += size;
  }
  return GoQuote(text.substr(0, bytes)) + "...";
}

}  // namespace

TokenKind FindKeyword(std::string_view word) {
  return Find(kKeywords, word);
}
TokenKind FindHistogramKey(std::string_view word) {
  return Find(kHistogramKeys, word);
}
TokenKind FindResetHint(std::string_view word) {
  return Find(kResetHints, word);
}

bool CanNameMetric(TokenKind kind) {
  switch (kind) {
    case kIdentifier:
    case kMetricIdentifier:
    case kAnd:
    case kOr:
    case kUnless:
    case kBy:
    case kFill:
    case kFillLeft:
    case kFillRight:
    case kOffset:
    case kSmoothed:
    case kAnchored:
    case kWithout:
    case kStart:
    case kEndWord:
    case kStep:
    case kRange:
    case kMaxOf:
    case kMinOf: return true;
    default: return IsAggregator(kind);
  }
}

bool CanNameGroupingLabel(TokenKind kind) {
  switch (kind) {
    case kWithout: return false;
    case kBool:
    case kOn:
    case kIgnoring:
    case kGroupLeft:
    case kGroupRight:
    case kAtan2: return true;
    default: return CanNameMetric(kind);
  }
}

bool StartsExpression(TokenKind kind) {
  switch (kind) {
    case kNumber:
    case kDuration:
    case kString:
    case kLeftParen:
    case kLeftBrace:
    case kAdd:
    case kSub: return true;
    default: return CanNameMetric(kind);
  }
}

std::string Describe(const Token& token) {
  switch (token.kind) {
    case kEnd:
    case kEof: return "end of input";
    case kError: return "error";
    case kComment: return "comment " + QuoteShort(token.text);
    case kIdentifier: return "identifier " + GoQuote(token.text);
    case kMetricIdentifier: return "metric identifier " + GoQuote(token.text);
    case kNumber: return "number " + QuoteShort(token.text);
    case kDuration: return "duration " + QuoteShort(token.text);
    case kString: return "string " + QuoteShort(token.text);
    default: break;
  }
  if (IsKeyword(token.kind)) return fmt::format("<{}>", token.text);
  if (IsOperator(token.kind)) return fmt::format("<op:{}>", token.text);
  if (IsAggregator(token.kind)) return fmt::format("<aggr:{}>", token.text);
  if (const int number = UnnamedTokenNumber(token.kind); number != 0) {
    return fmt::format("\"<Item {}>\" {}", number, QuoteShort(token.text));
  }
  return QuoteShort(token.text);
}

}  // namespace narthex::promql
