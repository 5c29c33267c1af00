#include "model/matcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/labels.h"
#include "model/regex_shape.h"
#include "testing/conformance.h"

namespace narthex {
namespace {

using ::testing::ElementsAreArray;

TEST(LabelRegex, MatchesWhatUpstreamMatches) {
  const auto cases = testing::LoadCases("tsdb/regex.jsonl");
  const auto values_text = testing::LoadText("tsdb/regex-values.json");
  if (!cases || !values_text) GTEST_SKIP() << testing::kNoConformanceData;
  const boost::json::value values = boost::json::parse(*values_text);
  for (const boost::json::value& test : *cases) {
    const std::string pattern = testing::TextOf(test, "pattern");
    SCOPED_TRACE(pattern);
    const Result<LabelRegex> regex = LabelRegex::Compile(pattern);
    if (const auto* error = testing::Find(test, "error"); error != nullptr) {
      EXPECT_EQ(regex.status().message(), testing::AsText(*error));
      continue;
    }
    ASSERT_TRUE(regex.ok()) << regex.status().message();

    std::vector<int64_t> want;
    if (const auto& list = test.at("matching_values"); list.is_array()) {
      for (const auto& index : list.as_array()) want.push_back(index.to_number<int64_t>());
    }
    std::vector<int64_t> got;
    for (size_t i = 0; i < values.as_array().size(); ++i) {
      if (regex->Matches(testing::AsText(values.as_array()[i]))) {
        got.push_back(static_cast<int64_t>(i));
      }
    }
    EXPECT_EQ(got, want);
    // What the shape says must agree with what matches, and with upstream's sets.
    for (const int64_t index : want) {
      const std::string value = testing::AsText(values.as_array()[static_cast<size_t>(index)]);
      EXPECT_TRUE(value.starts_with(regex->literal_prefix())) << value;
    }
    if (const auto& set = test.at("set_matches"); set.is_array()) {
      std::vector<std::string> want_set;
      for (const auto& text : set.as_array()) want_set.push_back(testing::AsText(text));
      EXPECT_EQ(regex->literal_values(), want_set);
    }
  }
}

TEST(LabelRegex, ReportsErrorsInGosWords) {
  struct Case {
    std::string_view pattern;
    std::string_view want;
  };
  for (const Case& c : {
           Case{"(", "missing closing ): `(`"},
           Case{"a(b", "missing closing ): `a(b`"},
           Case{"a)", "unexpected ): `a)`"},
           Case{"*", "missing argument to repetition operator: `*`"},
           Case{"a**", "invalid nested repetition operator: `**`"},
           Case{"a{1001}", "invalid repeat count: `{1001}`"},
           Case{"[a", "missing closing ]: `[a`"},
           Case{"[b-a]", "invalid character class range: `b-a`"},
           Case{"\\y", "invalid escape sequence: `\\y`"},
           Case{"\\", "trailing backslash at end of expression: ``"},
           Case{"(?z)", "invalid or unsupported Perl syntax: `(?z`"},
           Case{"(?=a)", "invalid or unsupported Perl syntax: `(?=`"},
           Case{"(?i", "invalid or unsupported Perl syntax: `(?i`"},
           Case{"(?P<a", "invalid named capture: `(?P<a`"},
           Case{"(?<a", "invalid named capture: `(?<a`"},
           Case{"\\C", "invalid escape sequence: `\\C`"},
           Case{"(?i)(\\s", "missing closing ): `(?i)(\\s`"},
           Case{"x\xff", "invalid UTF-8: `x\xff`"},
       }) {
    SCOPED_TRACE(c.pattern);
    EXPECT_EQ(LabelRegex::Compile(c.pattern).status().message(),
              "error parsing regexp: " + std::string(c.want));
  }
}

TEST(LabelRegex, AcceptsGosNamedGroups) {
  const Result<LabelRegex> regex = LabelRegex::Compile("[(?<]*(?<x>a|b)c");
  ASSERT_TRUE(regex.ok()) << regex.status().message();
  EXPECT_TRUE(regex->Matches("(?<ac"));
  EXPECT_FALSE(regex->Matches("(?Pac"));
}

// The shape's verdicts are compared with RE2's by giving RE2 an expression that the analysis takes
// for opaque: a class around one character of the same expression.
TEST(RegexShape, AgreesWithTheEngine) {
  for (const std::string_view pattern :
       {"a.*b.+c", "(a|b).*", ".*(x|y).+", "a?", "(|a)b", "a.b|c.*", "\\Qa.b\\E.*", "[a-c]{2}x.*",
        "^a.*$", "(^a)b", "a\\.b.*", "\\d.*", "a{2}", "x{,3}", "(?s:.+)é", "..*", ".+.+"}) {
    const Result<LabelRegex> fast = LabelRegex::Compile(pattern);
    const Result<LabelRegex> slow =
        LabelRegex::Compile("(?:" + std::string(pattern) + ")(?:\\b|\\B){0,1}");
    ASSERT_TRUE(fast.ok() && slow.ok()) << pattern;
    for (const std::string_view value :
         {"",     "a", "b",  "ab",    "abc", "a-b-c", "axbyc", "a.b", "a.b\n",
          "\n",   "é", "éé", "aé",    "x",   "xx",    "y-",    "-y-", "aax",
          "abx!", "1", "12", "x{,3}", "b",   "aa",    "acb",   "cc"}) {
      EXPECT_EQ(fast->Matches(value), slow->Matches(value)) << pattern << " on " << value;
    }
  }
}

TEST(RegexShape, FindsPrefixesAndSets) {
  struct Case {
    std::string_view pattern;
    std::string_view prefix;
    std::vector<std::string> values;
  };
  for (const Case& c : {
           Case{"prod-(eu|us)-.*", "prod-", {}},
           Case{"foobar|foobaz", "fooba", {"foobar", "foobaz"}},
           Case{"abc.*x", "abc", {}},
           Case{"ab*c", "a", {}},
           Case{"(?i)abc", "", {}},
           Case{"", "", {""}},
           Case{"a||b", "", {"", "a", "b"}},
           Case{"a[0-2]", "a", {"a0", "a1", "a2"}},
       }) {
    SCOPED_TRACE(c.pattern);
    const Result<LabelRegex> regex = LabelRegex::Compile(c.pattern);
    ASSERT_TRUE(regex.ok());
    EXPECT_EQ(regex->literal_prefix(), c.prefix);
    EXPECT_THAT(regex->literal_values(), ElementsAreArray(c.values));
  }
}

TEST(Matcher, ComparesAndPrints) {
  struct Case {
    MatchType type;
    std::string_view name;
    std::string_view value;
    std::string_view text;
    std::string_view probe;
    bool matches;
    bool matches_empty;
  };
  for (const Case& c : {
           Case{MatchType::kEqual, "job", "a", "job=\"a\"", "a", true, false},
           Case{MatchType::kNotEqual, "job", "a", "job!=\"a\"", "a", false, true},
           Case{MatchType::kRegexp, "job", "a.*", "job=~\"a.*\"", "ab", true, false},
           Case{MatchType::kNotRegexp, "a.b", "x\"|", "\"a.b\"!~\"x\\\"|\"", "y", true, false},
       }) {
    const Result<Matcher> matcher = Matcher::Create(c.type, c.name, c.value);
    ASSERT_TRUE(matcher.ok());
    EXPECT_EQ(matcher->ToString(), c.text);
    EXPECT_EQ(matcher->Matches(c.probe), c.matches) << c.text;
    EXPECT_EQ(matcher->matches_empty(), c.matches_empty) << c.text;
  }
  EXPECT_FALSE(Matcher::Create(MatchType::kRegexp, "a", "(").ok());
}

TEST(Labels, HashAndPrintAsUpstream) {
  const auto cases = testing::LoadCases("tsdb/labels.jsonl");
  if (!cases) GTEST_SKIP() << testing::kNoConformanceData;
  for (const boost::json::value& test : *cases) {
    std::vector<std::pair<std::string, std::string>> pairs;
    if (const auto* list = testing::Find(test, "labels"); list->is_array()) {
      for (const auto& pair : list->as_array()) {
        pairs.emplace_back(testing::AsText(pair.as_array()[0]),
                           testing::AsText(pair.as_array()[1]));
      }
    }
    const Labels labels = Labels::FromPairs(pairs);
    // A label without a value is the same as no label, so such a set cannot be built here.
    if (labels.size() != pairs.size()) continue;
    EXPECT_EQ(labels.ToString(), testing::TextOf(test, "string"));
    EXPECT_EQ(std::to_string(labels.StableHash()), testing::TextOf(test, "stable_hash"));
    EXPECT_EQ(std::to_string(labels.Hash()), testing::TextOf(test, "hash"));
  }
}

}  // namespace
}  // namespace narthex
