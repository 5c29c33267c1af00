// Selectors, label sets and the label lists of by, without, on, ignoring and group_*.
#include <fmt/format.h>

#include <memory>
#include <utility>

#include "promql/parser/parser_internal.h"
#include "util/strings.h"

namespace narthex::promql {
namespace {

constexpr std::string_view kMatching = "label matching";
constexpr std::string_view kGrouping = "grouping opts";
constexpr std::string_view kLabelSet = "label set";

MatchType MatchTypeOf(TokenKind kind) {
  switch (kind) {
    case TokenKind::kNotEqual: return MatchType::kNotEqual;
    case TokenKind::kEqualRegex: return MatchType::kRegexp;
    case TokenKind::kNotEqualRegex: return MatchType::kNotRegexp;
    default: return MatchType::kEqual;
  }
}

}  // namespace

// The name has been taken, or there is none and the lookahead is the brace.
std::unique_ptr<VectorSelector> Parser::ParseSelector(std::optional<Token> name) {
  auto selector = std::make_unique<VectorSelector>();
  selector->unquoted_utf8_names = options_.unquoted_utf8_names;
  if (name) selector->position = name->range();
  if (Peek() == TokenKind::kLeftBrace) {
    PositionRange braces;
    if (!ParseMatchers(&selector->matchers, &braces)) return nullptr;
    selector->position = {name ? name->pos : braces.start, braces.end};
  }
  if (name) {
    selector->name = std::string(name->text);
    selector->matchers.push_back(Matcher::Equal(kMetricNameLabel, name->text));
  }
  return selector;
}

// A matcher that is wrong has been reported and is left out.
bool Parser::ParseMatchers(std::vector<Matcher>* matchers, PositionRange* braces) {
  braces->start = Take().pos;
  bool want_matcher = true;
  for (;;) {
    const TokenKind kind = Peek();
    if (kind == TokenKind::kRightBrace) {
      braces->end = Take().range().end;
      return true;
    }
    if (want_matcher) {
      if (kind == TokenKind::kIdentifier || kind == TokenKind::kString) {
        if (!ParseMatcher(matchers)) return false;
        want_matcher = false;
      } else if (!Retry()) {
        if (aborted()) return false;
        Unexpected(kMatching, "identifier or \"}\"");
        want_matcher = false;
      }
    } else if (kind == TokenKind::kComma) {
      Take();
      want_matcher = true;
    } else if (!Retry()) {
      if (aborted()) return false;
      Unexpected(kMatching, "\",\" or \"}\"");
    }
  }
}

bool Parser::ParseMatcher(std::vector<Matcher>* matchers) {
  const Token label = Take();
  if (label.kind == TokenKind::kString) {
    const std::string name = Unquote(label.text);
    if (!IsMatchOperator(Peek())) {
      matchers->push_back(Matcher::Equal(kMetricNameLabel, name));
      return true;
    }
    return ParseMatcherRest(label, name, matchers);
  }
  while (!IsMatchOperator(Peek())) {
    if (Retry()) continue;
    if (aborted()) return false;
    Unexpected(kMatching, "label matching operator");
    return true;
  }
  return ParseMatcherRest(label, label.text, matchers);
}

bool Parser::ParseMatcherRest(const Token& label, std::string_view name,
                              std::vector<Matcher>* matchers) {
  const Token op = Take();
  while (Peek() != TokenKind::kString) {
    if (Retry()) continue;
    if (aborted()) return false;
    Unexpected(kMatching, "string");
    return true;
  }
  const Token value = Take();
  Result<Matcher> matcher = Matcher::Create(MatchTypeOf(op.kind), name, Unquote(value.text));
  if (matcher.ok()) {
    matchers->push_back(*std::move(matcher));
  } else {
    AddError({label.pos, value.range().end}, matcher.status().message());
  }
  return true;
}

// -------------------------------------------------------------------------------------------------
// Groupings
// -------------------------------------------------------------------------------------------------

// False only when the parse is over; everything else is reported and skipped here.
bool Parser::ParseGroupingLabels(std::vector<std::string>* labels) {
  while (Peek() != TokenKind::kLeftParen) {
    if (Retry()) continue;
    if (aborted()) return false;
    Unexpected(kGrouping, "\"(\"");
    return true;
  }
  Take();
  bool want_label = true;
  for (;;) {
    const TokenKind kind = Peek();
    if (kind == TokenKind::kRightParen) {
      Take();
      return true;
    }
    if (want_label) {
      if (CanNameGroupingLabel(kind) || kind == TokenKind::kString) {
        ParseGroupingLabel(labels);
        want_label = false;
      } else if (!Retry()) {
        if (aborted()) return false;
        Unexpected(kGrouping, "label");
        labels->emplace_back();
        want_label = false;
      }
    } else if (kind == TokenKind::kComma) {
      Take();
      want_label = true;
    } else if (!Retry()) {
      if (aborted()) return false;
      Unexpected(kGrouping, "\",\" or \")\"");
    }
  }
}

void Parser::ParseGroupingLabel(std::vector<std::string>* labels) {
  const Token token = Take();
  const bool quoted = token.kind == TokenKind::kString;
  std::string name = quoted ? Unquote(token.text) : std::string(token.text);
  // Metric names with colons pass for labels, except where names may be other than ASCII.
  const bool colon = !quoted && options_.unquoted_utf8_names && name.find(':') != std::string::npos;
  if (name.empty() || !IsValidUtf8(name) || colon) {
    AddError(token.range(), "invalid label name for grouping: " + GoQuote(name));
  }
  labels->push_back(std::move(name));
}

// -------------------------------------------------------------------------------------------------
// Metrics: labels that are equal to something
// -------------------------------------------------------------------------------------------------

bool Parser::ParseMetric(LabelList* labels) {
  std::optional<std::string> name;
  if (CanNameMetric(Peek())) name = std::string(Take().text);
  if (Peek() == TokenKind::kLeftBrace && !ParseLabelSet(labels)) return false;
  // The name in front of the braces wins over one between them.
  if (name) labels->emplace_back(std::string(kMetricNameLabel), *std::move(name));
  return true;
}

bool Parser::ParseLabelSet(LabelList* labels) {
  Take();
  bool want_label = true;
  for (;;) {
    const TokenKind kind = Peek();
    if (kind == TokenKind::kRightBrace) {
      Take();
      return true;
    }
    if (want_label) {
      if (kind == TokenKind::kIdentifier || kind == TokenKind::kString) {
        if (!ParseLabelPair(labels)) return false;
        want_label = false;
      } else if (!Retry()) {
        if (aborted()) return false;
        Unexpected(kLabelSet, "identifier or \"}\"");
        want_label = false;
      }
    } else if (kind == TokenKind::kComma) {
      Take();
      want_label = true;
    } else if (!Retry()) {
      if (aborted()) return false;
      Unexpected(kLabelSet, "\",\" or \"}\"");
    }
  }
}

bool Parser::ParseLabelPair(LabelList* labels) {
  const Token label = Take();
  const bool quoted = label.kind == TokenKind::kString;
  std::string name = quoted ? Unquote(label.text) : std::string(label.text);
  while (Peek() != TokenKind::kEqual) {
    if (quoted) {  // A lone string is the metric's name.
      labels->emplace_back(std::string(kMetricNameLabel), std::move(name));
      return true;
    }
    if (Retry()) continue;
    if (aborted()) return false;
    Unexpected(kLabelSet, "\"=\"");
    return true;
  }
  Take();
  while (Peek() != TokenKind::kString) {
    if (Retry()) continue;
    if (aborted()) return false;
    Unexpected(kLabelSet, "string");
    return true;
  }
  labels->emplace_back(std::move(name), Unquote(Take().text));
  return true;
}

}  // namespace narthex::promql
