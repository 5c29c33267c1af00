// Series descriptions: a metric and the sequence of its values.
#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "model/float_histogram_ops.h"
#include "promql/parser/parser_internal.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::promql {
namespace {

constexpr std::string_view kSeriesValues = "series values";

}  // namespace

Parser::Series Parser::ParseSeries() {
  Series series;
  bool parsed = ParseMetric(&series.labels);
  if (parsed) parsed = ParseSeriesValues(&series.values);
  Finish(parsed);
  return series;
}

bool Parser::ParseSeriesValues(std::vector<SequenceValue>* values) {
  // An error ends the values read so far; what follows behind the next space is read again.
  for (;;) {
    TokenKind kind = Peek();
    if (kind == TokenKind::kSpace || kind == TokenKind::kEof || kind == TokenKind::kEnd) break;
    if (Retry()) continue;
    if (aborted()) return false;
    Unexpected(kSeriesValues, "");
    break;
  }
  while (Peek() == TokenKind::kSpace) {
    Take();
    if (ParseSeriesItem(values)) continue;
    if (aborted()) return false;
    Unexpected(kSeriesValues, "");
    values->clear();
  }
  return true;
}

bool Parser::ParseSeriesItem(std::vector<SequenceValue>* values) {
  switch (Peek()) {
    case TokenKind::kBlank: {
      Take();
      uint64_t count = 1;
      if (Peek() == TokenKind::kTimes && !ParseRepetition(&count)) return false;
      if (FitsSequence(*values, count)) {
        values->insert(values->end(), count, SequenceValue{.omitted = true, .histogram = nullptr});
      }
      return true;
    }
    case TokenKind::kIdentifier:
    case TokenKind::kNumber:
    case TokenKind::kDuration:
    case TokenKind::kAdd:
    case TokenKind::kSub: return ParseFloatItem(values);
    case TokenKind::kOpenHistogram: return ParseHistogramItem(values);
    default: return true;  // More than one space, or the end.
  }
}

bool Parser::ParseFloatItem(std::vector<SequenceValue>* values) {
  double value = 0;
  if (Peek() == TokenKind::kIdentifier) {
    if (Take().text != "stale") Unexpected(kSeriesValues, "number or \"stale\"");
    value = StaleNan();
  } else if (!ParseSignedNumber(&value)) {
    return false;
  }
  double step = 0;
  bool stepped = false;
  if (const TokenKind kind = Peek(); kind == TokenKind::kAdd || kind == TokenKind::kSub) {
    if (!ParseSignedNumber(&step)) return false;
    stepped = true;
  }
  uint64_t count = 0;
  if (stepped || Peek() == TokenKind::kTimes) {
    if (!ParseRepetition(&count)) return false;
  }
  if (!FitsSequence(*values, count)) return true;
  for (uint64_t i = 0; i <= count; ++i) {
    values->push_back({.value = value, .histogram = nullptr});
    if (stepped) value += step;  // Adding 0 would turn -0 into 0.
  }
  return true;
}

// x and the count.
bool Parser::ParseRepetition(uint64_t* count) {
  return Expect(TokenKind::kTimes) && ParseUnsigned(count);
}

bool Parser::FitsSequence(const std::vector<SequenceValue>& values, uint64_t more) {
  if (more < kSequenceValuesMax && values.size() + more < kSequenceValuesMax) return true;
  AddError(last_.range(),
           fmt::format("series description of more than {} values", kSequenceValuesMax));
  return false;
}

bool Parser::ParseUnsigned(uint64_t* value) {
  Token token;
  if (!Expect(TokenKind::kNumber, &token)) return false;
  const std::optional<uint64_t> parsed = ParseUint(token.text);
  if (!parsed) {
    const bool digits = token.text.find_first_not_of("0123456789") == std::string_view::npos;
    AddError(token.range(),
             fmt::format("invalid repetition in series values: strconv.ParseUint: parsing {}: {}",
                         GoQuote(token.text), digits ? "value out of range" : "invalid syntax"));
  }
  *value = parsed.value_or(0);
  return true;
}

bool Parser::ParseInteger(int64_t* value) {
  const bool minus = Peek() == TokenKind::kSub;
  if (minus) Take();
  uint64_t magnitude = 0;
  if (!ParseUnsigned(&magnitude)) return false;
  *value = static_cast<int64_t>(minus ? 0 - magnitude : magnitude);
  return true;
}

// -------------------------------------------------------------------------------------------------
// Histograms
// -------------------------------------------------------------------------------------------------

bool Parser::ParseHistogramItem(std::vector<SequenceValue>* values) {
  auto first = std::make_shared<FloatHistogram>();
  bool hint_written = false;
  if (!ParseHistogram(first.get(), &hint_written)) return false;
  const TokenKind kind = Peek();
  FloatHistogram step;
  if (kind == TokenKind::kAdd || kind == TokenKind::kSub) {
    Take();
    while (Peek() != TokenKind::kOpenHistogram) {
      if (!Retry()) return false;
    }
    if (!ParseHistogram(&step, &hint_written)) return false;
  }
  uint64_t count = 0;
  const bool stepped = kind == TokenKind::kAdd || kind == TokenKind::kSub;
  if ((stepped || kind == TokenKind::kTimes) && !ParseRepetition(&count)) return false;
  if (!FitsSequence(*values, count)) return true;

  std::shared_ptr<const FloatHistogram> current = std::move(first);
  values->push_back({.histogram = current, .hint_written = hint_written});
  for (uint64_t i = 0; i < count; ++i) {
    if (stepped) {
      if (current->schema > step.schema) {
        AddError(last_.range(),
                 fmt::format("error combining histograms: cannot merge from schema {} to {}",
                             step.schema, current->schema));
        return true;
      }
      auto next = std::make_shared<FloatHistogram>(*current);
      const Result<HistogramMerge> merged =
          kind == TokenKind::kAdd ? AddHistogram(next.get(), step) : SubHistogram(next.get(), step);
      if (!merged.ok()) {
        AddError(last_.range(), merged.status().message());
        return true;
      }
      current = std::move(next);
    }
    values->push_back({.histogram = current, .hint_written = hint_written});
  }
  return true;
}

// What {{…}} may say; each key once.
struct Parser::HistogramKeys {
  std::optional<int64_t> schema;
  std::optional<double> sum;
  std::optional<double> count;
  std::optional<double> zero_bucket;
  std::optional<double> zero_bucket_width;
  std::optional<std::vector<double>> custom_values;
  std::optional<std::vector<double>> buckets;
  std::optional<int64_t> offset;
  std::optional<std::vector<double>> negative_buckets;
  std::optional<int64_t> negative_offset;
  std::optional<CounterResetHint> hint;
};

namespace {

std::vector<Span> SpansOf(const std::vector<double>& buckets, int64_t offset) {
  if (buckets.empty()) return {};
  return {{static_cast<int32_t>(offset), static_cast<uint32_t>(buckets.size())}};
}

}  // namespace

// {{ key:value key:value }} with single spaces; the lookahead is {{.
bool Parser::ParseHistogram(FloatHistogram* histogram, bool* hint_written) {
  Take();
  HistogramKeys keys;
  if (Peek() == TokenKind::kSpace) {
    Take();
    if (!Expect(TokenKind::kCloseHistogram)) return false;
  } else if (Peek() == TokenKind::kCloseHistogram) {
    Take();
  } else {
    if (!ParseHistogramKey(&keys)) return false;
    for (;;) {
      const TokenKind kind = Peek();
      if (kind == TokenKind::kCloseHistogram) {
        Take();
        break;
      }
      if (kind == TokenKind::kSpace) {
        Take();
        if (Peek() == TokenKind::kCloseHistogram) continue;
        // An error here is one of the list of keys, which goes on behind it.
        if (ParseHistogramKey(&keys)) continue;
      } else if (Retry()) {
        continue;
      }
      if (aborted()) return false;
      Unexpected("histogram description", "histogram description key, e.g. buckets:[5 10 7]");
    }
  }
  histogram->schema = static_cast<int32_t>(keys.schema.value_or(0));
  histogram->sum = keys.sum.value_or(0);
  histogram->count = keys.count.value_or(0);
  histogram->zero_count = keys.zero_bucket.value_or(0);
  histogram->zero_threshold = keys.zero_bucket_width.value_or(0);
  histogram->custom_values = std::move(keys.custom_values).value_or(std::vector<double>());
  histogram->counter_reset_hint = keys.hint.value_or(CounterResetHint::kUnknown);
  histogram->positive_buckets = std::move(keys.buckets).value_or(std::vector<double>());
  histogram->positive_spans = SpansOf(histogram->positive_buckets, keys.offset.value_or(0));
  histogram->negative_buckets = std::move(keys.negative_buckets).value_or(std::vector<double>());
  histogram->negative_spans =
      SpansOf(histogram->negative_buckets, keys.negative_offset.value_or(0));
  *hint_written = keys.hint.has_value();
  return true;
}

bool Parser::ParseHistogramKey(HistogramKeys* keys) {
  TokenKind kind = Peek();
  while (kind < TokenKind::kSumKey || kind > TokenKind::kCounterResetHintKey) {
    if (!Retry()) return false;
    kind = Peek();
  }
  const std::string name = ToLower(Take().text);
  if (!Expect(TokenKind::kColon)) return false;
  // Stores the value, unless the key had one.
  const auto store = [&](auto& slot, auto value) {
    if (slot.has_value()) {
      AddError({}, fmt::format("duplicate key \"{}\" in histogram", name));
    } else {
      slot = std::move(value);
    }
  };
  const auto store_integer = [&](std::optional<int64_t>& slot) {
    int64_t value = 0;
    if (!ParseInteger(&value)) return false;
    store(slot, value);
    return true;
  };
  const auto store_number = [&](std::optional<double>& slot) {
    double value = 0;
    if (!ParseSignedNumber(&value)) return false;
    store(slot, value);
    return true;
  };
  const auto store_buckets = [&](std::optional<std::vector<double>>& slot) {
    std::vector<double> value;
    if (!ParseBucketSet(&value)) return false;
    store(slot, std::move(value));
    return true;
  };
  switch (kind) {
    case TokenKind::kSchemaKey: return store_integer(keys->schema);
    case TokenKind::kOffsetKey: return store_integer(keys->offset);
    case TokenKind::kNegativeOffsetKey: return store_integer(keys->negative_offset);
    case TokenKind::kSumKey: return store_number(keys->sum);
    case TokenKind::kCountKey: return store_number(keys->count);
    case TokenKind::kZeroBucketKey: return store_number(keys->zero_bucket);
    case TokenKind::kZeroBucketWidthKey: {
      // The only number without a sign.
      while (Peek() != TokenKind::kNumber && Peek() != TokenKind::kDuration) {
        if (!Retry()) return false;
      }
      store(keys->zero_bucket_width, TakeNumber());
      return true;
    }
    case TokenKind::kCustomValuesKey: return store_buckets(keys->custom_values);
    case TokenKind::kBucketsKey: return store_buckets(keys->buckets);
    case TokenKind::kNegativeBucketsKey: return store_buckets(keys->negative_buckets);
    default: break;
  }
  for (;;) {
    switch (Peek()) {
      case TokenKind::kHintUnknown: store(keys->hint, CounterResetHint::kUnknown); break;
      case TokenKind::kHintReset: store(keys->hint, CounterResetHint::kReset); break;
      case TokenKind::kHintNotReset: store(keys->hint, CounterResetHint::kNotReset); break;
      case TokenKind::kHintGauge: store(keys->hint, CounterResetHint::kGauge); break;
      default:
        if (!Retry()) return false;
        continue;
    }
    Take();
    return true;
  }
}

// [1 2 3], a space before the bracket allowed.
bool Parser::ParseBucketSet(std::vector<double>* buckets) {
  if (!Expect(TokenKind::kLeftBracket)) return false;
  double value = 0;
  if (!ParseSignedNumber(&value)) return false;
  buckets->push_back(value);
  for (;;) {
    const TokenKind kind = Peek();
    if (kind == TokenKind::kRightBracket) {
      Take();
      return true;
    }
    if (kind == TokenKind::kSpace) {
      Take();
      if (Peek() == TokenKind::kRightBracket) continue;
      if (ParseSignedNumber(&value)) {
        buckets->push_back(value);
        continue;
      }
      if (aborted()) return false;
      // Misfits are skipped without a word of their own until the bracket closes.
    } else if (!Retry() && aborted()) {
      return false;
    }
  }
}

}  // namespace narthex::promql
