#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "gotmpl/format.h"
#include "gotmpl/prom_functions.h"
#include "gotmpl/template.h"
#include "gotmpl/text_tools.h"
#include "gotmpl/time_value.h"
#include "testing/conformance.h"

namespace narthex::gotmpl {
namespace {

using ::testing::HasSubstr;

// -------------------------------------------------------------------------------------------------
// Conformance
// -------------------------------------------------------------------------------------------------

// Integers in the sets may be larger than a double can say; text keeps them.
Value NumberOf(const boost::json::value& json, std::string_view type) {
  if (type == "float64") return Value::Float(testing::AsDouble(json));
  const bool is_unsigned = type.starts_with("uint");
  if (is_unsigned) {
    const uint64_t v = json.is_uint64() ? json.as_uint64() : json.to_number<uint64_t>();
    return Value::Uint(v, type == "uint64" ? types::Uint64() : types::Uint());
  }
  const Type* const int_type = type == "int64" ? types::Int64() : types::Int();
  return Value::Int(json.to_number<int64_t>(), int_type);
}

std::vector<QuerySample> SamplesOf(const boost::json::value& json);

Value InputOf(const boost::json::value* json) {
  if (json == nullptr || json->is_null()) return {};
  if (json->is_string()) return Value::String(testing::AsText(*json));
  const std::string type = testing::TextOf(*json, "_type");
  if (type == "*template.sample") {
    const boost::json::value& shown = json->at("Value");
    FloatHistogram histogram;
    histogram.count = testing::DoubleOf(shown, "Count");
    histogram.sum = testing::DoubleOf(shown, "Sum");
    return MakeSample({{}, 0, std::make_shared<const FloatHistogram>(histogram)});
  }
  const boost::json::value& value = json->at("_value");
  if (!type.starts_with("[]")) return NumberOf(value, type);
  List list;
  const std::string element = type.substr(2);
  for (const boost::json::value& item : value.as_array()) {
    list.push_back(element == "string" ? Value::String(testing::AsText(item))
                                       : NumberOf(item, element));
  }
  return Value::MakeList(std::move(list), types::AnyList());
}

// {a="b", c="d"} as the sets write labels.
Labels LabelsOf(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> pairs;
  text = text.substr(1, text.size() - 2);
  while (!text.empty()) {
    const size_t equals = text.find("=\"");
    const size_t end = text.find('"', equals + 2);
    pairs.emplace_back(text.substr(0, equals), text.substr(equals + 2, end - equals - 2));
    text.remove_prefix(std::min(text.find_first_not_of(", ", end + 1), text.size()));
  }
  return Labels::FromPairs(pairs);
}

std::vector<QuerySample> SamplesOf(const boost::json::value& json) {
  std::vector<QuerySample> samples;
  for (const boost::json::value& item : json.as_array()) {
    QuerySample sample{LabelsOf(testing::TextOf(item, "labels")), testing::DoubleOf(item, "value"),
                       nullptr};
    if (const boost::json::value* h = testing::Find(item, "histogram")) {
      FloatHistogram histogram;
      histogram.count = testing::DoubleOf(*h, "count");
      histogram.sum = testing::DoubleOf(*h, "sum");
      sample.histogram = std::make_shared<const FloatHistogram>(histogram);
    }
    samples.push_back(std::move(sample));
  }
  return samples;
}

TEST(TemplateConformance, Expansion) {
  const auto cases = testing::LoadCases("templates/expansion.jsonl");
  if (!cases) GTEST_SKIP() << testing::kNoConformanceData;
  for (const boost::json::value& c : *cases) {
    const std::string text = testing::TextOf(c, "template");
    SCOPED_TRACE(text);
    ExpanderOptions options{.time_ms = 1353755652000,
                            .external_url = "http://testhost:9090/path/prefix",
                            .external_path = "/path/prefix"};
    // Without options the expander has Prometheus' own, missingkey=zero.
    for (const boost::json::value& option : c.at("options").as_array()) {
      if (option == "missingkey=error") options.missing_key = MissingKey::kError;
      if (option == "missingkey=zero") options.missing_key = MissingKey::kZero;
    }
    const std::vector<QuerySample> samples = SamplesOf(c.at("query_result"));
    options.query = [&](std::string_view, int64_t) { return Result(samples); };
    const Expander expander("test", text, InputOf(testing::Find(c, "input")), options);
    const bool html = testing::BoolOf(c, "html");
    const Result<std::string> got = html ? expander.ExpandHtml() : expander.Expand();
    if (const boost::json::value* error = testing::Find(c, "error")) {
      EXPECT_EQ(got.status().message(), testing::AsText(*error));
    } else {
      ASSERT_TRUE(got.ok()) << got.status().message();
      EXPECT_EQ(*got, testing::TextOf(c, "output"));
    }
  }
}

TEST(TemplateConformance, Humanize) {
  const auto cases = testing::LoadCases("templates/humanize.jsonl");
  if (!cases) GTEST_SKIP() << testing::kNoConformanceData;
  for (const boost::json::value& c : *cases) {
    SCOPED_TRACE(testing::TextOf(c, "title"));
    const std::string text = "{{ " + testing::TextOf(c, "function") + " . }}";
    const Result<std::string> got =
        Expander("t", text, InputOf(testing::Find(c, "input")), {}).Expand();
    ASSERT_TRUE(got.ok()) << got.status().message();
    EXPECT_EQ(*got, testing::TextOf(c, "output"));
  }
}

// -------------------------------------------------------------------------------------------------
// Facts of our own, each checked against Go
// -------------------------------------------------------------------------------------------------

Value TestData() {
  Map inner;
  inner["q"] = Value::Int(7);
  Map m;
  m["a"] = Value::Int(1);
  m["k"] = Value::String("v");
  m["z"] = Value::MakeMap(std::move(inner));
  Map data;
  data["s"] = Value::String("str");
  data["i"] = Value::Int(5);
  data["f"] = Value::Float(1.5);
  data["b"] = Value::Bool(true);
  data["n"] = Value::Nil();
  data["e"] = Value::String("");
  data["ls"] = Value::MakeList({Value::String("x"), Value::String("y"), Value::String("z")},
                               types::StringList());
  data["l"] = Value::MakeList({Value::Int(1), Value::String("a"), Value::Nil()});
  data["m"] = Value::MakeMap(std::move(m));
  data["ms"] = Value::StringMap({{"job", "node"}});
  data["d"] = MakeDuration(90'000'000'000);
  data["t"] = MakeTime(1'709'211'845'678'900'000);
  data["u"] = Value::Uint(7, types::Uint64());
  data["h"] = Value::String("<a href='x'>&\"+");
  return Value::MakeMap(std::move(data));
}

Result<std::string> Expanded(std::string_view text, MissingKey missing_key = MissingKey::kInvalid,
                             bool html = false) {
  Template page("t", PromFunctions({}), {.missing_key = missing_key, .html = html});
  NARTHEX_RETURN_IF_ERROR(page.Parse(text));
  return page.Execute(TestData());
}

struct Case {
  std::string_view text;
  std::string_view want;
};

TEST(Template, Executes) {
  for (const Case& c : {
           Case{"{{ .missing }}|{{ .ms.missing }}|{{ .missing.x }}|{{ .m.z.q }}|{{ .n }}",
                "<no value>|<no value>|<no value>|7|<no value>"},
           Case{"{{ $x := .i }}{{ $x }}{{ if .b }}{{ $x = 7 }}{{ end }}{{ $x }}", "57"},
           Case{"{{ if .e }}a{{ else if .i }}b{{ else }}c{{ end }}", "b"},
           Case{"{{ with .n }}a{{ else with .e }}b{{ else }}c{{ end }}", "c"},
           Case{"{{ range $i, $e := .l }}{{ $i }}={{ $e }};{{ end }}", "0=1;1=a;2=<no value>;"},
           Case{"{{ range $k, $v := .m }}{{ $k }}:{{ $v }} {{ end }}", "a:1 k:v z:map[q:7] "},
           Case{"{{ range 3 }}{{ . }}{{ else }}x{{ end }}{{ range .e }}{{ end }}", ""},
           Case{"{{ range .ls }}{{ if eq . \"z\" }}{{ break }}{{ end }}{{ if eq . \"x\" }}"
                "{{ continue }}{{ end }}{{ . }}{{ end }}",
                "y"},
           Case{"{{ define \"t2\" }}[{{ . }}]{{ end }}{{ template \"t2\" .i }}{{ template \"t2\" }}"
                "{{ block \"b\" .s }}<{{ . }}>{{ end }}",
                "[5][<no value>]<str>"},
           Case{"{{ eq .i 4 5 }} {{ ne 1 2 }} {{ lt .u 8 }} {{ ge 2 3 }} {{ eq .n nil }}",
                "true true true false true"},
           Case{"{{ and 1 0 }} {{ or 0 \"x\" (index .ls 9) }} {{ not .b }}", "0 x false"},
           Case{"{{ len .ls }} {{ index .m \"z\" \"q\" }} {{ slice .s 1 2 }} {{ slice .ls 1 }}",
                "3 7 t [y z]"},
           Case{"{{ print 1 2 \"a\" \"b\" 3 nil true }}", "1 2ab3 <nil> true"},
           Case{"{{ printf \"%d|%5.2f|%-5s|%05d|%q|%T|%v\" .i .f \"ab\" 42 \"x\" .m .l }}",
                "5| 1.50|ab   |00042|\"x\"|map[string]interface {}|[1 a <nil>]"},
           Case{"{{ printf \"%d %s %!\" \"x\" 1 }}", "%!d(string=x) %!s(int=1) %!!(MISSING)"},
           Case{"{{ .d }} {{ .d.Seconds }} {{ .t.Month }} {{ .t.Format \"Jan _2 06 03:04PM .000\" "
                "}}",
                "1m30s 90 February Feb 29 24 01:04PM .678"},
           // What random templates found to differ from Go.
           Case{"{{ printf \"%+#q %#q\" \"a.b\" \"a\\n\" }}", "`a.b` \"a\\n\""},
           Case{"{{ printf \"%.5X|%.x|%x|%b\" 1435065584.128 0.00001234 0.0 1.5 }}",
                "0X1.56257P+30|0x1p-16|0x0p+00|6755399441055744p-52"},
           Case{"{{ printf \"%#.7g|%#g|%- # g|%#v|%#s\" 1.5 0.0 0.0 1.0 1e2 }}",
                "1.500000|0.00000| 0.00000|1|%!s(float64=100.000)"},
           Case{"{{ printf \"%s|%q|%#-4w|%w\" 1+2i 2i 11.0 .ms }}",
                "%!s(complex128=(1+2i))|%!q(complex128=(0+2i))|%!w(float64=11  )|"
                "%!w(map[string]string=map[job:node])"},
           Case{"{{ printf \"%#8O\" 1 }}", "    0o01"},
           Case{"{{ printf \"%.2T|%.5U|%.6d\" true 42 42 }}", "bo|U+0002A|000042"},
           Case{"{{ printf \"%d\" .d }} {{ printf \"%t\" .t.Month }}",
                "90000000000 %!t(time.Month=2)"},
           Case{"{{ printf \"%.500f\" 0.5 | len }} {{ printf \"%.900g\" 5e-324 | len }}",
                "502 757"},
           Case{"{{ (.t.Truncate 3600000000000).Minute }} {{ (.t.Round 3600000000000).Hour }}",
                "0 13"},
           Case{"{{ humanize \"1_000\" }} {{ humanize \"0x_1p4\" }}", "1k 16"},
           Case{"a {{- /* c */ -}} b{{ \"x\" -}}  c", "abxc"},
           Case{"{{ 0x1F }} {{ 1e3 }} {{ 017 }} {{ 1_000 }} {{ 'x' }} {{ 1+2i }}",
                "31 1000 15 1000 120 (1+2i)"},
       }) {
    const Result<std::string> got = Expanded(c.text);
    if (c.want.empty()) {
      EXPECT_EQ(got.status().message(),
                "template: t:1:49: executing \"t\" at <.e>: range can't iterate over ")
          << c.text;
    } else {
      ASSERT_TRUE(got.ok()) << c.text << ": " << got.status().message();
      EXPECT_EQ(*got, c.want) << c.text;
    }
  }
}

TEST(Template, ErrorsAreGos) {
  for (const Case& c : {
           Case{"{{", "template: t:1: unclosed action"},
           Case{"{{ if .b }}", "template: t:1: unexpected EOF"},
           Case{"{{ foo }}", "template: t:1: function \"foo\" not defined"},
           Case{"a\n{{ .s | 1 }}", "template: t:2: non executable command in pipeline stage 2"},
           Case{"{{ $x }}", "template: t:1: undefined variable \"$x\""},
           Case{"{{ else }}", "template: t:1: unexpected {{else}}"},
           Case{"{{ break }}", "template: t:1: {{break}} outside {{range}}"},
           Case{"{{ define \"a\" }}x{{ end }}{{ define \"a\" }}y{{ end }}",
                "template: t:1: template: multiple definition of template \"a\""},
           Case{"x\n {{ .s.x }}",
                "template: t:2:6: executing \"t\" at <.s.x>: can't evaluate field x in type "
                "interface {}"},
           Case{"{{ index .ls 3 }}",
                "template: t:1:3: executing \"t\" at <index .ls 3>: error calling index: reflect: "
                "slice index out of range"},
           Case{"{{ eq 1 \"a\" }}",
                "template: t:1:3: executing \"t\" at <eq 1 \"a\">: error calling eq: incompatible "
                "types for comparison: int and string"},
           Case{"{{ humanize \"1__0\" }}",
                "template: t:1:3: executing \"t\" at <humanize \"1__0\">: error calling humanize: "
                "strconv.ParseFloat: parsing \"1__0\": invalid syntax"},
           Case{
               "{{ eq .ms .ms }}",
               "template: t:1:3: executing \"t\" at <eq .ms .ms>: error calling eq: non-comparable "
               "type map[job:node]: map[string]string"},
           Case{"{{ title 5 }}",
                "template: t:1:9: executing \"t\" at <5>: expected string; found 5"},
           Case{"{{ title .i }}",
                "template: t:1:9: executing \"t\" at <.i>: wrong type for value; expected string; "
                "got int"},
           Case{"{{ len 1 2 }}",
                "template: t:1:3: executing \"t\" at <len>: wrong number of args for len: want 1 "
                "got 2"},
           Case{"{{ template \"nope\" }}",
                "template: t:1:12: executing \"t\" at <{{template \"nope\"}}>: template \"nope\" "
                "not defined"},
           Case{"{{ reReplaceAll \"(\" \"x\" \"y\" }}",
                "template: t:1:3: executing \"t\" at <reReplaceAll \"(\" \"x\" \"y\">: error "
                "calling reReplaceAll: regexp: Compile(`(`): error parsing regexp: missing closing "
                "): `(`"},
       }) {
    const Result<std::string> got = Expanded(c.text);
    EXPECT_EQ(got.status().message(), c.want) << c.text;
  }
  EXPECT_EQ(Expanded("{{ .x }}", MissingKey::kError).status().message(),
            "template: t:1:3: executing \"t\" at <.x>: map has no entry for key \"x\"");
}

TEST(Template, EscapesByContext) {
  for (const Case& c : {
           Case{"<p>{{ .h }}</p><!-- {{ .s }} -->{{ .missing }}",
                "<p>&lt;a href=&#39;x&#39;&gt;&amp;&#34;&#43;</p>"},
           Case{"<a href=\"/q?a={{ .h }}\" class={{ .s }} title='{{ .h }}'>",
                "<a href=\"/q?a=%3ca%20href%3d%27x%27%3e%26%22%2b\" class=str "
                "title='&lt;a href=&#39;x&#39;&gt;&amp;&#34;&#43;'>"},
           Case{"<a href=\"{{ \"javascript:x\" }}\">", "<a href=\"#ZgotmplZ\">"},
           Case{"<script>f({{ .i }}, {{ .ls }}, \"{{ .h }}\")</script>",
                "<script>f( 5 , [\"x\",\"y\",\"z\"], \"\\u003ca "
                "href=\\u0027x\\u0027\\u003e\\u0026\\u0022\\u002b\")</script>"},
           Case{"{{ safeHtml \"<b>\" }}{{ .h | html }} < 5",
                "<b>&lt;a href=&#39;x&#39;&gt;&amp;&#34;+ &lt; 5"},
       }) {
    const Result<std::string> got = Expanded(c.text, MissingKey::kZero, /*html=*/true);
    ASSERT_TRUE(got.ok()) << got.status().message();
    EXPECT_EQ(*got, c.want);
  }
  EXPECT_THAT(Expanded("<a {{ .s", MissingKey::kZero, true).status().message(),
              HasSubstr("unclosed"));
  EXPECT_THAT(Expanded("<script>", MissingKey::kZero, true).status().message(),
              HasSubstr("html/template:t: ends in a non-text context: {stateJS "));
}

TEST(Template, IsBounded) {
  const auto run = [](std::string_view text, const ExecutionLimits& limits) {
    Template page("t", {}, {.limits = limits});
    const Status parsed = page.Parse(text);
    return parsed.ok() ? page.Execute(Value()).status().message() : parsed.message();
  };
  EXPECT_THAT(run("{{ range 1000000 }}{{ range 1000000 }}{{ end }}{{ end }}", {.steps_max = 5000}),
              HasSubstr("execution takes more than 5000 steps"));
  EXPECT_THAT(run("{{ range 100000000 }}x{{ end }}", {.output_bytes_max = 1000}),
              HasSubstr("output is larger than 1000 bytes"));
  EXPECT_THAT(run("{{ range 100000000 }}{{ end }}", {.time_ns_max = 0}),
              HasSubstr("execution takes longer than 0s"));
  EXPECT_THAT(run("{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}", {}),
              HasSubstr("exceeded maximum template depth (1000)"));
  std::stop_source source;
  source.request_stop();
  EXPECT_THAT(run("{{ range 100000000 }}{{ end }}", {.stop = source.get_token()}),
              HasSubstr("execution was cancelled"));
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "{{if 1}}";
  EXPECT_THAT(run(deep, {}), HasSubstr("max nesting depth exceeded"));
  EXPECT_THAT(run("{{ " + std::string(100'000, '(') + " }}", {}),
              HasSubstr("max expression depth exceeded"));
  // Pages that call themselves through a function have no more stack than others.
  EXPECT_THAT(
      Expander("t", "{{ define \"a\" }}{{ tmpl \"a\" . }}{{ end }}{{ tmpl \"a\" . }}", Value(), {})
          .ExpandHtml()
          .status()
          .message(),
      HasSubstr("exceeded maximum template depth"));
}

TEST(Template, AlertDataAndLaterDefinitions) {
  const Value data = AlertData({{"job", "node"}}, {}, "http://x", 0.25);
  const auto expand = [&](std::string_view text) {
    return Expander("__alert_A", std::string(kAlertDefinitions) + std::string(text), data, {})
        .Expand();
  };
  EXPECT_EQ(*expand("{{ $labels.job }} {{ $labels.none }}{{ $value | humanizePercentage }}"),
            "node 25%");
  EXPECT_EQ(expand("{{ .Foo }}").status().message(),
            "error executing template __alert_A: template: __alert_A:1:115: executing "
            "\"__alert_A\" at <.Foo>: can't evaluate field Foo in type struct { Labels "
            "map[string]string; ExternalLabels map[string]string; ExternalURL string; Value "
            "interface {} }");
  Template page("p", {}, {});
  ASSERT_TRUE(page.Parse("{{ template \"x\" }}{{ define \"x\" }}1{{ end }}").ok());
  ASSERT_TRUE(page.ParseAs("f", "{{ define \"x\" }}2{{ end }}").ok());
  EXPECT_EQ(*page.Execute(Value()), "2");
}

TEST(TextTools, FollowGo) {
  for (const Case& c : {Case{"aa-bb", "Aa-Bb"}, Case{"foo.bar:baz_x", "Foo.bar:baz_x"},
                        Case{"don't 1st a1b", "Don't 1St A1b"}, Case{"éa ñb", "Éa Ñb"},
                        Case{"a..b 3a", "A..B 3A"}}) {
    EXPECT_EQ(GoTitle(c.text), c.want);
  }
  EXPECT_EQ(*GoReplaceAll("a*", "baac", "<$0>"), "<>b<aa>c<>");
  EXPECT_EQ(*GoReplaceAll("(?P<x>b)(c)", "abcd", "$x-$2-${x}y-$1x-$$-$"), "ab-c-by--$-$d");
  for (const std::string_view good :
       {"1.2.3.4", "::", "::1%eth0", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::"}) {
    EXPECT_TRUE(IsIpAddress(good)) << good;
  }
  for (const std::string_view bad : {"01.2.3.4", "1.2.3", "fe80::1%", "1::2::3",
                                     "12345::", "1:2:3:4:5:6:7:8:9", "g::", "1.2.3.4%a", ""}) {
    EXPECT_FALSE(IsIpAddress(bad)) << bad;
  }
}

}  // namespace
}  // namespace narthex::gotmpl
