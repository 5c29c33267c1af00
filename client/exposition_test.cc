// The conformance set of the exposition formats, and what it does not cover.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <set>

#include "narthex/client.h"

namespace narthex::client {
namespace {

namespace json = boost::json;

constexpr double kInf = std::numeric_limits<double>::infinity();

std::optional<std::vector<json::value>> LoadCases() {
  const char* folder = std::getenv("NARTHEX_CONFORMANCE_DIR");
  const std::string base = folder != nullptr
                               ? std::string(folder)
                               : std::string(NARTHEX_SOURCE_DIR) + "/../shared/conformance";
  std::ifstream file(base + "/exposition/cases.jsonl");
  if (!file) return std::nullopt;
  std::vector<json::value> cases;
  for (std::string line; std::getline(file, line);) cases.push_back(json::parse(line));
  return cases;
}

// NOLINTBEGIN(bugprone-macro-parentheses): the argument is a name that is declared.
#define LOAD_CASES(cases)                                                      \
  const auto loaded_cases = LoadCases();                                       \
  if (!loaded_cases) {                                                         \
    GTEST_SKIP() << "conformance data not found; set NARTHEX_CONFORMANCE_DIR"; \
  }                                                                            \
  const std::vector<json::value>& cases = *loaded_cases
// NOLINTEND(bugprone-macro-parentheses)

const json::value* Member(const json::value& v, std::string_view key) {
  const json::value* member = v.as_object().if_contains(json::string_view(key.data(), key.size()));
  return member != nullptr && !member->is_null() ? member : nullptr;
}

std::string Text(const json::value& v, std::string_view key) {
  const json::value* member = Member(v, key);
  return member == nullptr ? ""
                           : std::string(member->as_string().c_str(), member->as_string().size());
}

bool Flag(const json::value& v, std::string_view key) {
  const json::value* member = Member(v, key);
  return member != nullptr && member->as_bool();
}

double Number(const json::value& v, std::string_view key) {
  const json::value* member = Member(v, key);
  if (member == nullptr) return 0;
  if (!member->is_string()) return member->to_number<double>();
  const std::string text = Text(v, key);
  return text == "NaN" ? std::nan("") : text == "+Inf" ? kInf : -kInf;
}

uint64_t Count(const json::value& v, std::string_view key) {
  return static_cast<uint64_t>(Number(v, key));
}

const json::array& Array(const json::value& v, std::string_view key) {
  static const json::array empty;
  const json::value* member = Member(v, key);
  return member == nullptr ? empty : member->as_array();
}

// 1970-01-01T03:25:45.6Z
Timestamp ParseTime(const std::string& text) {
  std::tm tm{};
  const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &tm);
  Timestamp t{timegm(&tm), 0};
  if (rest != nullptr && *rest == '.') {
    t.nanos = static_cast<int32_t>(std::llround(std::strtod(rest, nullptr) * 1e9));
  }
  return t;
}

std::optional<Timestamp> Created(const json::value& v) {
  if (Member(v, "CreatedTimestamp") == nullptr) return std::nullopt;
  return ParseTime(Text(v, "CreatedTimestamp"));
}

// The recording lost what messages hold that Go forbids to copy: null labels, null metrics.
// `lossy` is set when the case cannot be said in full.
ExemplarPtr ReadExemplar(const json::value& v, bool& lossy) {
  const json::value* e = Member(v, "Exemplar");
  if (e == nullptr) return nullptr;
  Exemplar out;
  Labels labels;
  for (const json::value& label : Array(*e, "Label")) {
    if (label.is_null() || label.as_object().empty()) {
      lossy = true;
      continue;
    }
    labels.push_back({Text(label, "Name"), Text(label, "Value")});
  }
  out.labels = labels;
  out.value = Number(*e, "Value");
  if (Member(*e, "Timestamp") != nullptr) out.timestamp = ParseTime(Text(*e, "Timestamp"));
  return std::make_shared<const Exemplar>(out);
}

Metric ReadMetric(const json::value& m, bool& lossy) {
  Metric metric;
  Labels labels;
  for (const json::value& label : Array(m, "Label")) {
    if (label.is_null()) {
      lossy = true;
      continue;
    }
    labels.push_back({Text(label, "Name"), Text(label, "Value")});
  }
  metric.labels = labels;
  if (Member(m, "TimestampMs"))
    metric.timestamp_ms = static_cast<int64_t>(Number(m, "TimestampMs"));
  if (const json::value* v = Member(m, "Counter")) {
    metric.value = CounterValue{Number(*v, "Value"), ReadExemplar(*v, lossy), Created(*v)};
  } else if (const json::value* g = Member(m, "Gauge")) {
    metric.value = GaugeValue{Number(*g, "Value")};
  } else if (const json::value* u = Member(m, "Untyped")) {
    metric.value = UntypedValue{Number(*u, "Value")};
  } else if (const json::value* s = Member(m, "Summary")) {
    SummaryValue value{Count(*s, "SampleCount"), Number(*s, "SampleSum"), {}, Created(*s)};
    for (const json::value& q : Array(*s, "Quantile")) {
      value.quantiles.push_back({Number(q, "Quantile"), Number(q, "Value")});
    }
    metric.value = std::make_shared<const SummaryValue>(value);
  } else if (const json::value* h = Member(m, "Histogram")) {
    HistogramValue value;
    value.sample_count = Count(*h, "SampleCount");
    value.sample_count_float = Number(*h, "SampleCountFloat");
    value.sample_sum = Number(*h, "SampleSum");
    value.created = Created(*h);
    for (const json::value& b : Array(*h, "Bucket")) {
      value.buckets.push_back({Number(b, "UpperBound"), Count(b, "CumulativeCount"),
                               Number(b, "CumulativeCountFloat"), ReadExemplar(b, lossy)});
    }
    metric.value = std::make_shared<const HistogramValue>(value);
  }
  return metric;
}

MetricFamily ReadFamily(const json::value& f, bool& lossy) {
  static const std::map<std::string, MetricType> types = {
      {"", MetricType::kCounter},
      {"COUNTER", MetricType::kCounter},
      {"GAUGE", MetricType::kGauge},
      {"SUMMARY", MetricType::kSummary},
      {"UNTYPED", MetricType::kUntyped},
      {"HISTOGRAM", MetricType::kHistogram},
      {"GAUGE_HISTOGRAM", MetricType::kGaugeHistogram}};
  MetricFamily family;
  family.name = Text(f, "Name");
  if (Member(f, "Help")) family.help = Text(f, "Help");
  if (Member(f, "Unit")) family.unit = Text(f, "Unit");
  const auto type = types.find(Text(f, "Type"));
  family.type =
      type != types.end() ? type->second : static_cast<MetricType>(std::stoi(Text(f, "Type")));
  for (const json::value& m : Array(f, "Metric")) {
    if (m.is_null()) {
      lossy = true;
      continue;
    }
    family.metrics.push_back(ReadMetric(m, lossy));
  }
  return family;
}

Status WriteAs(const std::string& format, const MetricFamily& family, const EncodeOptions& options,
               std::string& out) {
  if (format == "text") return WriteText(family, out);
  if (format == "openmetrics2") return WriteOpenMetrics2(family, out);
  return WriteOpenMetrics(family, out, options);
}

// Drops ` # {…} …` at the ends of lines.
std::string WithoutExemplars(std::string text) {
  for (size_t at = 0; (at = text.find(" # {", at)) != std::string::npos;) {
    text.erase(at, text.find('\n', at) - at);
  }
  return text;
}

TEST(Conformance, Write) {
  LOAD_CASES(cases);
  int passed = 0;
  int without_exemplars = 0;
  for (const json::value& c : cases) {
    if (Text(c, "kind") != "write") continue;
    SCOPED_TRACE(json::serialize(c));
    bool lossy = false;
    const MetricFamily family = ReadFamily(*Member(c, "family"), lossy);
    std::string want = Text(c, "text");
    EncodeOptions options;
    options.created_lines = want.find("_created") != std::string::npos;
    std::string got;
    const Status status = WriteAs(Text(c, "format"), family, options, got);
    ASSERT_TRUE(status.ok()) << status.message();
    if (lossy) {
      // The recording has no exemplar labels: all but the exemplars is compared.
      want = WithoutExemplars(want);
      got = WithoutExemplars(got);
      ++without_exemplars;
    }
    EXPECT_EQ(got, want);
    ++passed;
  }
  EXPECT_GE(passed, 30);
  RecordProperty("passed", passed);
  RecordProperty("compared_without_exemplars", without_exemplars);
}

TEST(Conformance, WriteErrors) {
  LOAD_CASES(cases);
  int passed = 0;
  for (const json::value& c : cases) {
    if (Text(c, "kind") != "write_error") continue;
    SCOPED_TRACE(json::serialize(c));
    bool lossy = false;
    const MetricFamily family = ReadFamily(*Member(c, "family"), lossy);
    if (lossy) continue;  // Null metrics and labels, and time stamps that JSON cannot say.
    std::string out;
    const Status status = WriteAs(Text(c, "format"), family, {}, out);
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.message().find(Text(c, "error")), std::string::npos) << status.message();
    ++passed;
  }
  EXPECT_GE(passed, 15);
  RecordProperty("passed", passed);
}

FormatType TypeOf(const std::string& content_type) {
  for (int i = 0; i <= static_cast<int>(FormatType::kProtobufCompact); ++i) {
    const Format format{static_cast<FormatType>(i), EscapingScheme::kValues};
    if (format.ContentType().rfind(content_type + ";", 0) == 0) return format.type;
  }
  ADD_FAILURE() << content_type;
  return FormatType::kText;
}

TEST(Conformance, Negotiate) {
  LOAD_CASES(cases);
  int passed = 0;
  for (const json::value& c : cases) {
    SCOPED_TRACE(json::serialize(c));
    if (Text(c, "kind") == "negotiate") {
      const std::string want = Text(c, "format");
      // Upstream's tests set the process-wide default, once to underscores and once to values.
      const bool values =
          Flag(c, "openmetrics") || want.find("escaping=values") != std::string::npos;
      const Format got = Negotiate(Text(c, "accept"),
                                   Flag(c, "openmetrics") ? OpenMetricsFormats() : DefaultFormats(),
                                   values ? EscapingScheme::kValues : EscapingScheme::kUnderscores);
      EXPECT_EQ(got.ContentType(), want);
      ++passed;
    } else if (Text(c, "kind") == "negotiate_among") {
      std::vector<FormatType> offered;
      for (const json::value& f : Array(c, "acceptedFormats")) {
        offered.push_back(TypeOf(std::string(f.as_string().c_str())));
      }
      const Format got = Negotiate(Text(c, "acceptHeaderValue"), offered, EscapingScheme::kValues);
      EXPECT_EQ(got.ContentType(), Text(c, "expectedFmt"));
      ++passed;
    }
  }
  EXPECT_GE(passed, 25);
  RecordProperty("passed", passed);
}

// Base64 where the text is not UTF-8.
std::string TextOrBytes(const json::value& v, std::string_view key) {
  const json::value* member = Member(v, key);
  if (member == nullptr || member->is_string()) return Text(v, key);
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : Text(*member, "base64")) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) continue;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count);
  }
  return out;
}

std::string Print(const std::vector<MetricFamily>& families) {
  std::string out;
  for (const MetricFamily& family : families) WriteProtobufCompact(family, out);
  return out;
}

TEST(Conformance, ReadFamilies) {
  LOAD_CASES(cases);
  int passed = 0;
  for (const json::value& c : cases) {
    if (Text(c, "kind") != "read_families") continue;
    SCOPED_TRACE(json::serialize(c));
    bool lossy = false;
    std::vector<MetricFamily> want;
    for (const json::value& family : Array(c, "families")) {
      want.push_back(ReadFamily(family, lossy));
    }
    ASSERT_FALSE(lossy);
    std::sort(want.begin(), want.end(),
              [](const MetricFamily& a, const MetricFamily& b) { return a.name < b.name; });
    const auto got = ReadText(Text(c, "text"));
    ASSERT_TRUE(got.ok()) << got.status().message();
    EXPECT_EQ(Print(*got), Print(want));
    ++passed;
  }
  EXPECT_GE(passed, 10);
  RecordProperty("passed", passed);
}

TEST(Conformance, ReadFamiliesErrors) {
  LOAD_CASES(cases);
  int passed = 0;
  for (const json::value& c : cases) {
    if (Text(c, "kind") != "read_families_error") continue;
    SCOPED_TRACE(json::serialize(c));
    const std::string text = TextOrBytes(c, "text");
    const std::pair<NameValidation, std::string> runs[] = {
        {NameValidation::kUtf8, Text(c, "error_utf8")},
        {NameValidation::kLegacy, Text(c, "error_legacy")}};
    for (const auto& [validation, want] : runs) {
      // The set names an error under the validation that the case is about; recorded are
      // beginnings.
      if (want.empty()) continue;
      const auto got = ReadText(text, validation);
      ASSERT_FALSE(got.ok());
      EXPECT_EQ(got.status().message().substr(0, want.size()), want);
      ++passed;
    }
    if (Text(c, "error_utf8").empty()) EXPECT_TRUE(ReadText(text).ok());
  }
  EXPECT_GE(passed, 30);
  RecordProperty("passed", passed);
}

TEST(ReadText, TakesBackWhatWasWritten) {
  Registry registry;
  const Histogram histogram(registry, {"h_seconds", "H\\h\nh."},
                            HistogramOptions{}.WithBuckets({1, 2}));
  histogram.Observe(1.5);
  const Summary summary(registry, {"s_seconds", "S."},
                        {{{0.5, 0.05}}, std::chrono::hours(1), 5, {}});
  summary.Observe(2);
  const Family<Gauge> gauge(registry, {"my.gauge", "G."}, {"l.n"});
  gauge.WithLabels({"a\"b\\c\nd"}).Set(std::nan(""));
  const std::string page = Scrape(registry, "text/plain;escaping=allow-utf-8").body;
  const auto families = ReadText(page);
  ASSERT_TRUE(families.ok()) << families.status().message();
  std::string again;
  for (const MetricFamily& family : *families) ASSERT_TRUE(WriteText(family, again).ok());
  EXPECT_EQ(again, page);
}

TEST(ReadText, SurvivesGarbage) {
  const std::string page =
      "# HELP a b\n# TYPE a histogram\na_bucket{le=\"1\",x=\"y\"} 1\na_sum 2 3\n{\"q\",l=\"v\"} "
      "1\n";
  for (size_t cut = 0; cut <= page.size(); ++cut) {
    (void)ReadText(page.substr(0, cut)).ok();
    for (const char c : {'\0', '{', '}', '"', '\\', '\n', '#', ' ', '=', ',', '\xff'}) {
      std::string mutated = page;
      mutated.insert(cut, 1, c);
      (void)ReadText(mutated).ok();
      if (cut < page.size()) mutated.erase(cut + 1, 1);
      (void)ReadText(mutated).ok();
    }
  }
}

TEST(Negotiate, DefaultsAndScrapers) {
  struct Case {
    const char* accept;
    const char* want;
  };
  const std::string proto =
      "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
      "encoding=delimited; escaping=allow-utf-8";
  for (const Case& c : {
           Case{"", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"},
           Case{"*/*", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"},
           Case{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"},
           Case{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
                "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"},
           Case{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
                "encoding=delimited;escaping=allow-utf-8;q=0.6,text/plain;q=0.5",
                proto.c_str()},
           Case{"text/plain;q=banana,application/openmetrics-text;q=0.1",
                "application/openmetrics-text; version=0.0.1; charset=utf-8; "
                "escaping=underscores"},
       }) {
    EXPECT_EQ(Negotiate(c.accept, OpenMetricsFormats()).ContentType(), c.want) << c.accept;
  }
}

TEST(AppendFloat, LooksLikeGo) {
  struct Case {
    double v;
    const char* plain;
    const char* open_metrics;
  };
  for (const Case& c : {
           Case{0, "0", "0.0"},
           Case{-0.0, "0", "0.0"},
           Case{1, "1", "1.0"},
           Case{-1, "-1", "-1.0"},
           Case{0.1, "0.1", "0.1"},
           Case{1e6, "1e+06", "1e+06"},
           Case{999999, "999999", "999999.0"},
           Case{1234567, "1.234567e+06", "1.234567e+06"},
           Case{0.0001, "0.0001", "0.0001"},
           Case{0.00001, "1e-05", "1e-05"},
           Case{0.00012345, "0.00012345", "0.00012345"},
           Case{123456.789, "123456.789", "123456.789"},
           Case{100000, "100000", "100000.0"},
           Case{1.8446744073709552e+19, "1.8446744073709552e+19", "1.8446744073709552e+19"},
           Case{3.14e+42, "3.14e+42", "3.14e+42"},
           Case{-1.23e-45, "-1.23e-45", "-1.23e-45"},
           Case{kInf, "+Inf", "+Inf"},
           Case{-kInf, "-Inf", "-Inf"},
           Case{NAN, "NaN", "NaN"},
           Case{2.5, "2.5", "2.5"},
           Case{1e100, "1e+100", "1e+100"},
       }) {
    std::string plain, open_metrics;
    AppendFloat(c.v, plain);
    AppendOpenMetricsFloat(c.v, open_metrics);
    EXPECT_EQ(plain, c.plain);
    EXPECT_EQ(open_metrics, c.open_metrics);
  }
}

TEST(EscapeName, Schemes) {
  struct Case {
    const char* name;
    const char* underscores;
    const char* dots;
    const char* values;
  };
  for (const Case& c : {
           Case{"", "", "", ""},
           Case{"no:escaping_required", "no:escaping_required", "no:escaping__required",
                "no:escaping_required"},
           Case{"mysystem.prod.west.cpu.load", "mysystem_prod_west_cpu_load",
                "mysystem_dot_prod_dot_west_dot_cpu_dot_load",
                "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load"},
           Case{"http.status:sum", "http_status:sum", "http_dot_status:sum",
                "U__http_2e_status:sum"},
           Case{"label with 😱", "label_with__", "label__with____", "U__label_20_with_20__1f631_"},
           Case{"0abc", "_abc", "__abc", "U___30_abc"},
       }) {
    EXPECT_EQ(EscapeName(c.name, EscapingScheme::kUnderscores), c.underscores);
    EXPECT_EQ(EscapeName(c.name, EscapingScheme::kDots), c.dots);
    EXPECT_EQ(EscapeName(c.name, EscapingScheme::kValues), c.values);
    EXPECT_EQ(EscapeName(c.name, EscapingScheme::kAllowUtf8), c.name);
  }
}

std::string Hex(const std::string& bytes) {
  std::string out;
  for (const char c : bytes) {
    char buffer[3];
    std::snprintf(buffer, sizeof buffer, "%02x", static_cast<unsigned char>(c));
    out += buffer;
  }
  return out;
}

TEST(Protobuf, BytesAndText) {
  NativeBuckets native;
  native.schema = -1;
  native.zero_threshold = 0.5;
  native.zero_count = 3;
  native.negative_spans = {{-2, 1}};
  native.negative_deltas = {-1};
  HistogramValue histogram;
  histogram.sample_count = 300;
  histogram.sample_sum = 1;
  histogram.native = native;
  MetricFamily family{"h", "H", MetricType::kHistogram, "s", {}};
  family.metrics.push_back({{{"a", "b"}}, std::make_shared<const HistogramValue>(histogram), 7});
  std::string bytes;
  WriteProtobufDelimited(family, bytes);
  EXPECT_EQ(Hex(bytes),
            "3a"      // Length of the message.
            "0a0168"  // name "h"
            "120148"  // help "H"
            "1804"    // type HISTOGRAM
            "222d"    // metric, 45 bytes
            "0a06"
            "0a0161"
            "120162"              // label a, b
            "3a21"                // histogram, 33 bytes
            "08ac02"              // sample_count 300
            "11000000000000f03f"  // sample_sum 1
            "2801"                // schema -1
            "31000000000000e03f"  // zero_threshold 0.5
            "3803"                // zero_count 3
            "4a04"
            "0803"
            "1001"      // negative_span offset -2, length 1
            "5001"      // negative_delta -1
            "3007"      // timestamp_ms 7
            "2a0173");  // unit "s"
  std::string compact;
  WriteProtobufCompact(family, compact);
  EXPECT_EQ(compact,
            "name:\"h\" help:\"H\" type:HISTOGRAM metric:{label:{name:\"a\" value:\"b\"} "
            "histogram:{sample_count:300 sample_sum:1 schema:-1 zero_threshold:0.5 zero_count:3 "
            "negative_span:{offset:-2 length:1} negative_delta:-1} timestamp_ms:7} unit:\"s\"\n");
  std::string lines;
  WriteProtobufText({"g", {}, MetricType::kGauge, {}, {{{}, GaugeValue{kInf}, {}}}}, lines);
  EXPECT_EQ(lines, "name: \"g\"\ntype: GAUGE\nmetric: {\n  gauge: {\n    value: inf\n  }\n}\n\n");
}

TEST(OpenMetrics, ExemplarsInfoAndEscaping) {
  Registry registry;
  const Counter counter(registry, {"foos_total", "Foos."});
  ASSERT_TRUE(counter.IncWithExemplar(2, {{"trace_id", "x\"y"}}).ok());
  const ScrapeResponse om = Scrape(registry, "application/openmetrics-text;version=1.0.0");
  EXPECT_EQ(om.content_type,
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores");
  EXPECT_EQ(om.body.find("# HELP foos Foos.\n# TYPE foos counter\nfoos_total 2.0 # "
                         "{trace_id=\"x\\\"y\"} 2.0 1"),
            0u)
      << om.body;
  EXPECT_EQ(om.body.substr(om.body.size() - 6), "# EOF\n");

  MetricFamily info{"build_info", "B.", MetricType::kInfo, {}, {}};
  info.metrics.push_back({{{"version", "1"}}, GaugeValue{1}, {}});
  std::string text, open_metrics;
  ASSERT_TRUE(WriteText(info, text).ok());
  ASSERT_TRUE(WriteOpenMetrics(info, open_metrics).ok());
  EXPECT_EQ(text, "# HELP build_info B.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n");
  EXPECT_EQ(open_metrics, "# HELP build B.\n# TYPE build info\nbuild_info{version=\"1\"} 1.0\n");

  Registry utf8;
  const Gauge gauge(utf8, {"my.metric", "Dots.", {}, {{"l.n", "v"}}});
  EXPECT_EQ(Scrape(utf8, "").body,
            "# HELP my_metric Dots.\n# TYPE my_metric gauge\nmy_metric{l_n=\"v\"} 0\n");
  EXPECT_EQ(Scrape(utf8, "text/plain;escaping=allow-utf-8").body,
            "# HELP \"my.metric\" Dots.\n# TYPE \"my.metric\" gauge\n"
            "{\"my.metric\",\"l.n\"=\"v\"} 0\n");
}

}  // namespace
}  // namespace narthex::client
