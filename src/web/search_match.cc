#include "web/search_match.h"

#include <algorithm>

#include "util/strings.h"

namespace narthex::web {
namespace {

// Keeps fuzzy matches below exact ones when scores are rounded.
constexpr double kInexactScale = 0.999;
constexpr double kTrailingWeight = 0.5;
constexpr size_t kPrefixBonusRunes = 4;
constexpr double kPrefixBonus = 0.1;
constexpr double kPositionWeight = 0.9;

std::u32string ToRunes(std::string_view text) {
  std::u32string runes;
  while (!text.empty()) {
    size_t size = 0;
    runes.push_back(DecodeRune(text, &size));
    text.remove_prefix(std::max<size_t>(size, 1));
  }
  return runes;
}

// Takes the first occurrences from `start` on; below zero when the text ends too early.
template <typename Char>
std::optional<double> ScoreSubsequenceFrom(std::basic_string_view<Char> query,
                                           std::basic_string_view<Char> text, size_t start) {
  const double per_rune = 1.0 / static_cast<double>(text.size());
  double score = 0;
  size_t taken = 0;
  size_t end_of_last = 0;
  for (size_t at = start; taken < query.size();) {
    at = text.find(query[taken], at);
    if (at == text.npos) return std::nullopt;
    const size_t begin = at;
    while (taken < query.size() && at < text.size() && text[at] == query[taken]) {
      ++at;
      ++taken;
    }
    const auto run = static_cast<double>(at - begin);
    score += run * run - static_cast<double>(begin - end_of_last) * per_rune;
    end_of_last = at;
  }
  return score - kTrailingWeight * static_cast<double>(text.size() - end_of_last) * per_rune;
}

template <typename Char>
double ScoreSubsequence(std::basic_string_view<Char> query, std::basic_string_view<Char> text) {
  if (query.size() > text.size()) return 0;
  double best = -1;
  for (size_t start = 0; start + query.size() <= text.size(); ++start) {
    start = text.find(query[0], start);
    if (start == text.npos || start + query.size() > text.size()) break;
    const std::optional<double> score = ScoreSubsequenceFrom(query, text, start);
    if (!score) break;  // A later start has even less text to go through.
    best = std::max(best, *score);
  }
  if (best < 0) return 0;
  return best / static_cast<double>(query.size() * query.size()) * kInexactScale;
}

template <typename Char>
double ScoreJaroWinkler(std::basic_string_view<Char> a, std::basic_string_view<Char> b) {
  if (a.size() > b.size()) std::swap(a, b);
  const size_t reach = b.size() / 2 > 0 ? b.size() / 2 - 1 : 0;
  // Runes of `a` that have a partner in `b` nearby, and those partners, both in order.
  std::basic_string<Char> paired_a;
  std::vector<char> used(b.size(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    const size_t end = std::min(i + reach + 1, b.size());
    for (size_t j = i > reach ? i - reach : 0; j < end; ++j) {
      if (used[j] || a[i] != b[j]) continue;
      used[j] = 1;
      paired_a.push_back(a[i]);
      break;
    }
  }
  if (paired_a.empty()) return 0;
  double out_of_place = 0;
  size_t k = 0;
  for (size_t j = 0; j < b.size(); ++j) {
    if (used[j] && b[j] != paired_a[k++]) ++out_of_place;
  }
  const auto pairs = static_cast<double>(paired_a.size());
  const double jaro =
      (pairs * (1.0 / static_cast<double>(a.size())) +
       pairs * (1.0 / static_cast<double>(b.size())) + (pairs - out_of_place * 0.5) / pairs) /
      3.0;
  size_t prefix = 0;
  while (prefix < std::min(kPrefixBonusRunes, a.size()) && a[prefix] == b[prefix]) ++prefix;
  return jaro + static_cast<double>(prefix) * kPrefixBonus * (1.0 - jaro);
}

}  // namespace

double SubsequenceScore(std::string_view query, std::string_view text) {
  if (query.empty() || query == text) return 1;
  if (text.empty()) return 0;
  if (IsAscii(query) && IsAscii(text)) return ScoreSubsequence(query, text);
  return ScoreSubsequence<char32_t>(ToRunes(query), ToRunes(text));
}

double JaroWinklerScore(std::string_view query, std::string_view text) {
  if (query == text) return 1;
  if (query.empty() || text.empty()) return 0;
  if (IsAscii(query) && IsAscii(text)) return ScoreJaroWinkler(query, text);
  return ScoreJaroWinkler<char32_t>(ToRunes(query), ToRunes(text));
}

std::optional<double> SubstringScore(std::string_view query, std::string_view text) {
  const size_t at = text.find(query);
  if (at == text.npos) return std::nullopt;
  if (at == 0) return 1;
  const auto position = static_cast<double>(CountRunes(text.substr(0, at)));
  const auto last = static_cast<double>(CountRunes(text)) - static_cast<double>(CountRunes(query));
  return 1 - kPositionWeight * position / last;
}

SearchFilter::SearchFilter(SearchTerms terms) : terms_(std::move(terms)) {
  std::erase_if(terms_.terms, [](const std::string& term) { return term.empty(); });
  if (!terms_.case_sensitive) {
    for (std::string& term : terms_.terms) term = ToLower(term);
  }
  threshold_ = terms_.threshold_percent / 100.0;
}

std::optional<double> SearchFilter::ScoreTerm(std::string_view term, std::string_view text) const {
  if (terms_.algorithm == FuzzyAlgorithm::kSubsequence) {
    if (text.starts_with(term)) return 1;
    const double score = SubsequenceScore(term, text);
    return score > 0 && score >= threshold_ ? std::optional(score) : std::nullopt;
  }
  if (const std::optional<double> score = SubstringScore(term, text)) return score;
  if (terms_.threshold_percent == 0) return std::nullopt;
  const double score = JaroWinklerScore(term, text);
  return score >= threshold_ ? std::optional(score) : std::nullopt;
}

std::optional<double> SearchFilter::Score(std::string_view text) const {
  if (accepts_all()) return 1;
  std::string folded;
  if (!terms_.case_sensitive) {
    folded = ToLower(text);
    text = folded;
  }
  std::optional<double> best;
  for (const std::string& term : terms_.terms) {
    const std::optional<double> score = ScoreTerm(term, text);
    if (score && (!best || *score > *best)) best = score;
    if (best && *best >= 1) break;
  }
  return best;
}

}  // namespace narthex::web
