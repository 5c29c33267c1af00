#include "model/relabel.h"

#include <gtest/gtest.h>

#include "util/md5.h"

namespace narthex {
namespace {

RelabelRegex Regex(std::string_view text) {
  Result<RelabelRegex> regex = RelabelRegex::Compile(text);
  EXPECT_TRUE(regex.ok()) << text;
  return regex.ok() ? *regex : RelabelRegex();
}

// "(dropped)" or the labels that result.
std::string Outcome(const Labels& input, std::vector<RelabelConfig> rules,
                    NameValidation scheme = NameValidation::kUtf8) {
  for (RelabelConfig& rule : rules) {
    const Status status = rule.Validate(scheme);
    if (!status.ok()) return "invalid: " + status.message();
  }
  bool dropped = false;
  const Labels output = Relabel(input, rules, &dropped);
  return dropped ? "(dropped)" : output.ToString();
}

RelabelConfig Rule(RelabelAction action, std::vector<std::string> sources,
                   std::string target = {}) {
  RelabelConfig rule;
  rule.action = action;
  rule.source_labels = std::move(sources);
  rule.target_label = std::move(target);
  return rule;
}

RelabelConfig Replace(std::vector<std::string> sources, std::string_view regex, std::string target,
                      std::string replacement) {
  RelabelConfig rule = Rule(RelabelAction::kReplace, std::move(sources), std::move(target));
  rule.regex = Regex(regex);
  rule.replacement = std::move(replacement);
  return rule;
}

TEST(RelabelRegex, ExpandsTemplatesAsGoDoes) {
  struct Case {
    std::string_view regex, value, replacement, want;
  };
  for (const Case& c : {
           Case{"(a)(b)?", "a", "[$1|$2|$0|$3]", "[a||a|]"},
           Case{"(.)(.)", "xy", "${2}${1}z", "yxz"},
           Case{"(.)", "x", "$1a", ""},  // The name "1a", which no group has.
           Case{"(.)", "x", "${1}a", "xa"},
           Case{"(.)", "x", "$$1", "$1"},
           Case{"(.)", "x", "a$", "a$"},
           Case{"(.)", "x", "$-${", "$-${"},
           Case{"(.)", "x", "${1", "${1"},
           Case{"(.)", "x", "$01", ""},  // A leading zero makes it a name.
           Case{"(?P<n>.)", "x", "$n.", "x."},
           Case{"(?<n>.)", "x", "${n}m", "xm"},
           Case{"(?P<n>q)|(?P<n2>x)", "x", "<$n$n2>", "<x>"},
           Case{"(.*)", "whole", "$1-$0", "whole-whole"},
           Case{".*", "whole", "$1-$0", "-whole"},
           Case{"(.+)", "w", "$1", "w"},
           Case{"(a|b)", "b", "$1", "b"},
           Case{"ab.*", "abc", "$0!", "abc!"},
           Case{"(.*)", "two\nlines", "$1", "two\nlines"},
       }) {
    std::string out;
    EXPECT_TRUE(Regex(c.regex).ExpandMatch(c.value, c.replacement, &out)) << c.regex;
    EXPECT_EQ(out, c.want) << c.regex << " " << c.replacement;
  }
}

TEST(RelabelRegex, IsAnchoredAndReportsMistakesInGoWords) {
  EXPECT_FALSE(Regex("a").Matches("ab"));
  EXPECT_FALSE(Regex("a|b").Matches("ba"));
  EXPECT_TRUE(Regex("").Matches(""));
  EXPECT_FALSE(Regex("").Matches("x"));
  EXPECT_FALSE(Regex(".+").Matches(""));
  EXPECT_TRUE(Regex("[(?<]x").Matches("<x"));
  struct Case {
    std::string_view regex, want;
  };
  for (const Case& c :
       {Case{"(", "missing closing ): `^(?s:()$`"}, Case{"[a", "missing closing ]: `[a)$`"},
        Case{"*", "missing argument to repetition operator: `*`"},
        Case{"a**", "invalid nested repetition operator: `**`"},
        Case{"\\C", "invalid escape sequence: `\\C`"},
        Case{"(?=x)", "invalid or unsupported Perl syntax: `(?=`"}}) {
    const auto regex = RelabelRegex::Compile(c.regex);
    ASSERT_FALSE(regex.ok()) << c.regex;
    EXPECT_EQ(regex.status().message(), "error parsing regexp: " + std::string(c.want));
  }
}

TEST(Relabel, Actions) {
  const Labels input{{"a", "foo"}, {"b", "bar"}, {"c", "foo;bar"}, {"__meta_x", "Ünï"}};
  RelabelConfig keep = Rule(RelabelAction::kKeep, {"a"});
  keep.regex = Regex("fo+");
  RelabelConfig drop = Rule(RelabelAction::kDrop, {"a", "b"});
  drop.regex = Regex("foo;bar");
  RelabelConfig modulus = Rule(RelabelAction::kHashMod, {"c"}, "hash");
  modulus.modulus = 1000;
  RelabelConfig map = Rule(RelabelAction::kLabelMap, {});
  map.regex = Regex("__meta_(.+)");
  RelabelConfig drop_names = Rule(RelabelAction::kLabelDrop, {});
  drop_names.regex = Regex("__.*|c");
  RelabelConfig keep_names = Rule(RelabelAction::kLabelKeep, {});
  keep_names.regex = Regex("a|b");
  RelabelConfig unset;  // The default expression, an empty source, a fixed replacement.
  unset.source_labels = {"none"};
  unset.target_label = "new";
  unset.replacement = "fixed";
  RelabelConfig clear = unset;
  clear.target_label = "a";
  clear.replacement = "";
  struct Case {
    std::string_view name;
    RelabelConfig rule;
    std::string_view want;
  };
  constexpr std::string_view kRest = R"({__meta_x="Ünï", a="foo", b="bar", c="foo;bar")";
  const std::string same = std::string(kRest) + "}";
  const std::string hashed = std::string(kRest) + R"(, hash="750"})";
  const std::string lower = R"({__meta_x="Ünï", a="foo", b="bar", c="foo;bar", low="ünï"})";
  const std::string upper = R"({__meta_x="Ünï", a="foo", b="bar", c="foo;bar", up="ÜNÏ"})";
  const std::string mapped = R"({__meta_x="Ünï", a="foo", b="bar", c="foo;bar", x="Ünï"})";
  const std::string set = std::string(kRest) + R"(, new="fixed"})";
  for (const Case& c : {
           Case{"keep", keep, same},
           Case{"drop", drop, "(dropped)"},
           Case{"keepequal", Rule(RelabelAction::kKeepEqual, {"a", "b"}, "c"), same},
           Case{"dropequal", Rule(RelabelAction::kDropEqual, {"a", "b"}, "c"), "(dropped)"},
           Case{"keepequal of others", Rule(RelabelAction::kKeepEqual, {"a"}, "b"), "(dropped)"},
           Case{"hashmod", modulus, hashed},
           Case{"lowercase", Rule(RelabelAction::kLowercase, {"__meta_x"}, "low"), lower},
           Case{"uppercase", Rule(RelabelAction::kUppercase, {"__meta_x"}, "up"), upper},
           Case{"labelmap", map, mapped},
           Case{"labeldrop", drop_names, R"({a="foo", b="bar"})"},
           Case{"labelkeep", keep_names, R"({a="foo", b="bar"})"},
           Case{"replace of nothing", unset, set},
           Case{"replace that clears", clear, R"({__meta_x="Ünï", b="bar", c="foo;bar"})"},
           Case{"no match", Replace({"a"}, "x(.*)", "a", "$1"), same},
           Case{"into a computed name", Replace({"a"}, "f(.*)", "${1}_$1", "y"),
                R"({__meta_x="Ünï", a="foo", b="bar", c="foo;bar", oo_oo="y"})"},
           Case{"into no name", Replace({"none"}, "(.*)", "$1", "y"), same},
           Case{"empty result", Replace({"a"}, "foo()", "b", "$1"),
                R"({__meta_x="Ünï", a="foo", c="foo;bar"})"},
       }) {
    EXPECT_EQ(Outcome(input, {c.rule}), c.want) << c.name;
  }
}

TEST(Relabel, RulesSeeWhatEarlierOnesDid) {
  RelabelConfig drop = Rule(RelabelAction::kDrop, {"d"});
  drop.regex = Regex("foo-x");
  EXPECT_EQ(Outcome({{"a", "foo"}}, {Replace({"a"}, "(.*)", "d", "${1}-x"), drop}), "(dropped)");
  EXPECT_EQ(Outcome({{"a", "foo"}},
                    {Replace({"a"}, "(.*)", "b.é", "$1"), Replace({"b.é"}, "(.*)", "c", "$1$1")}),
            R"({a="foo", "b.é"="foo", c="foofoo"})");
}

TEST(RelabelConfig, LegacyNamesAreStricter) {
  const auto verdict = [](const RelabelConfig& rule, NameValidation scheme) {
    RelabelConfig copy = rule;
    return copy.Validate(scheme).message();
  };
  const RelabelConfig dotted = Replace({"a"}, "(.*)", "a.b", "$1");
  EXPECT_EQ(verdict(dotted, NameValidation::kUtf8), "");
  EXPECT_EQ(verdict(dotted, NameValidation::kLegacy),
            "\"a.b\" is invalid 'target_label' for replace action");
  for (const std::string_view target : {"${1}", "a_${b}_c", "$1x", "_$a"}) {
    EXPECT_EQ(verdict(Replace({"a"}, "(.*)", std::string(target), "x"), NameValidation::kLegacy),
              "");
  }
  for (const std::string_view target : {"${1", "1$a", "a-$1", "$"}) {
    EXPECT_NE(verdict(Replace({"a"}, "(.*)", std::string(target), "x"), NameValidation::kLegacy),
              "");
  }
}

TEST(Md5, MatchesTheStandard) {
  EXPECT_EQ(Md5Hex(""), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(Md5Hex("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
  // Lengths around the padding's edge.
  EXPECT_EQ(Md5Hex(std::string(55, 'a')), "ef1772b6dff9a122358552954ad0df65");
  EXPECT_EQ(Md5Hex(std::string(56, 'a')), "3b0c8ac703f828b04c6c197006d17218");
  EXPECT_EQ(Md5Hex(std::string(64, 'a')), "014842d480b571495a4a0363793f7367");
}

}  // namespace
}  // namespace narthex
