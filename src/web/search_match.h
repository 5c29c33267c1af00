// How well a name fits what somebody has typed so far: the scores of the search API
// (parity/api.md section 9). A score lies in 0..1; 1 is a prefix or the whole name.
//
// Cost: linear in the name for substrings, at most quadratic for the fuzzy ways; texts that are
// not ASCII are compared by runes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace narthex::web {

enum class FuzzyAlgorithm { kSubsequence, kJaroWinkler };

// 0: the runes of `query` do not appear in `text` in this order. Runs of neighbours count with
// their square; what is left out before, between and (half) after them counts against.
double SubsequenceScore(std::string_view query, std::string_view text);
// Jaro's similarity with Winkler's bonus for up to four equal first runes.
double JaroWinklerScore(std::string_view query, std::string_view text);
// Nothing: `query` is not part of `text`. The nearer to the start, the better; at least 0.1.
std::optional<double> SubstringScore(std::string_view query, std::string_view text);

struct SearchTerms {
  std::vector<std::string> terms;  // One of them must fit; empty ones are ignored.
  FuzzyAlgorithm algorithm = FuzzyAlgorithm::kSubsequence;
  int threshold_percent = 0;
  bool case_sensitive = true;
};

class SearchFilter {
 public:
  explicit SearchFilter(SearchTerms terms);
  // Without terms everything fits with the score 1.
  bool accepts_all() const { return terms_.terms.empty(); }
  // The best score of a term that fits; nothing when none does.
  std::optional<double> Score(std::string_view text) const;

 private:
  std::optional<double> ScoreTerm(std::string_view term, std::string_view text) const;

  SearchTerms terms_;
  double threshold_ = 0;
};

}  // namespace narthex::web
