// Runs upstream's parser tables over every format, entry by entry up to and including the error.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "exposition/content_type.h"
#include "exposition/parser.h"
#include "model/float_histogram_ops.h"
#include "testing/conformance.h"
#include "util/hash.h"

namespace narthex::exposition {
namespace {

using boost::json::array;
using boost::json::object;
using boost::json::value;

// Entries are compared as JSON texts: one failure shows the whole difference.
value NumberText(double v) {
  return boost::json::string(FormatFloatG(v));
}

value BytesJson(std::string_view bytes) {
  return boost::json::string(bytes);
}

value LabelsJson(const Labels& labels) {
  array list;
  for (const LabelView& pair : labels) {
    list.push_back(array{BytesJson(pair.name), BytesJson(pair.value)});
  }
  return list;
}

template <typename Buckets>
array BucketsJson(const Buckets& buckets) {
  array list;
  for (const auto bucket : buckets) {
    if constexpr (std::is_same_v<decltype(bucket), const double>) {
      list.push_back(NumberText(bucket));
    } else {
      list.push_back(static_cast<int64_t>(bucket));
    }
  }
  return list;
}

template <typename H>
object HistogramJson(const H& h) {
  object out;
  const auto spans = [](const std::vector<Span>& list) {
    array result;
    for (const Span& span : list) result.push_back(array{span.offset, int64_t{span.length}});
    return result;
  };
  constexpr bool kFloat = std::is_same_v<H, FloatHistogram>;
  const char* hints[] = {"unknown", "reset", "not_reset", "gauge"};
  out["schema"] = h.schema;
  out["count"] = FormatFloatG(static_cast<double>(h.count));
  out["sum"] = FormatFloatG(h.sum);
  out["zero_count"] = FormatFloatG(static_cast<double>(h.zero_count));
  out["zero_threshold"] = FormatFloatG(h.zero_threshold);
  out["hint"] = hints[static_cast<int>(h.counter_reset_hint)];
  if (kFloat) out["float"] = true;
  const auto put = [&](const char* name, array list) {
    if (!list.empty()) out[name] = std::move(list);
  };
  put("positive_spans", spans(h.positive_spans));
  put("negative_spans", spans(h.negative_spans));
  put(kFloat ? "positive_counts" : "positive_deltas", BucketsJson(h.positive_buckets));
  put(kFloat ? "negative_counts" : "negative_deltas", BucketsJson(h.negative_buckets));
  put("custom_values", BucketsJson(h.custom_values));
  return out;
}

// The expected histogram in the same spelling of numbers.
object WantHistogram(const value& want) {
  object out;
  for (const auto& [key, item] : want.as_object()) {
    const bool number =
        key == "count" || key == "sum" || key == "zero_count" || key == "zero_threshold";
    const bool numbers =
        key == "custom_values" || key == "positive_counts" || key == "negative_counts";
    if (number) {
      out[key] = FormatFloatG(testing::AsDouble(item));
    } else if (numbers) {
      array list;
      for (const value& v : item.as_array()) list.push_back(NumberText(testing::AsDouble(v)));
      if (!list.empty()) out[key] = std::move(list);
    } else if (!(item.is_array() && item.as_array().empty())) {
      out[key] = item;
    }
  }
  return out;
}

// One set spells exemplars as objects, the other as `{labels} value @millis`.
value ExemplarJson(const Exemplar& exemplar, bool as_text) {
  if (as_text) {
    std::string text = exemplar.labels.ToString() + " " + FormatFloatG(exemplar.value);
    if (exemplar.has_timestamp) text += " @" + std::to_string(exemplar.timestamp_ms);
    return BytesJson(text);
  }
  object e;
  e["labels"] = LabelsJson(exemplar.labels);
  e["value"] = NumberText(exemplar.value);
  if (exemplar.has_timestamp) e["ts"] = exemplar.timestamp_ms;
  return e;
}

object Got(Parser& parser, Entry entry, bool exemplars_as_text = false) {
  object out;
  const auto metadata = [&](const char* kind, std::string_view text) {
    out["kind"] = kind;
    out["name"] = BytesJson(parser.family());
    if (!text.empty()) out["text"] = BytesJson(text);
  };
  switch (entry) {
    case Entry::kHelp: metadata("help", parser.text()); return out;
    case Entry::kUnit: metadata("unit", parser.text()); return out;
    case Entry::kType: metadata("type", MetricTypeName(parser.type())); return out;
    case Entry::kComment:
      out["kind"] = "comment";
      out["text"] = BytesJson(parser.text());
      return out;
    default: break;
  }
  out["kind"] = entry == Entry::kSeries ? "series" : "histogram";
  out["series"] = BytesJson(parser.series());
  out["labels"] = LabelsJson(parser.SeriesLabels());
  if (parser.timestamp_ms()) out["ts"] = *parser.timestamp_ms();
  if (entry == Entry::kSeries) {
    out["value"] = NumberText(parser.value());
  } else if (parser.histogram() != nullptr) {
    out["histogram"] = HistogramJson(*parser.histogram());
  } else {
    out["histogram"] = HistogramJson(*parser.float_histogram());
  }
  array exemplars;
  for (Exemplar exemplar; parser.NextExemplar(&exemplar); exemplar = {}) {
    exemplars.push_back(ExemplarJson(exemplar, exemplars_as_text));
  }
  if (!exemplars.empty()) out["exemplars"] = std::move(exemplars);
  if (const int64_t start = parser.StartTimestampMs(); start != 0) out["start_ts"] = start;
  return out;
}

// Labels without the empty ones, which do not exist here.
value WantLabels(const value& want) {
  array list;
  if (!want.is_array()) return list;
  for (const value& pair : want.as_array()) {
    const std::string text = testing::AsText(pair.as_array()[1]);
    if (!text.empty()) {
      list.push_back(array{BytesJson(testing::AsText(pair.as_array()[0])), BytesJson(text)});
    }
  }
  return list;
}

object Want(const value& want) {
  object out;
  for (const auto& [key, item] : want.as_object()) {
    if (key == "labels") {
      out[key] = WantLabels(item);
    } else if (key == "histogram") {
      out[key] = WantHistogram(item);
    } else if (key == "value") {
      out[key] = NumberText(testing::AsDouble(item));
    } else if (key == "exemplars") {
      array list;
      for (const value& exemplar : item.as_array()) {
        list.push_back(exemplar.is_object() ? value(Want(exemplar)) : exemplar);
      }
      out[key] = std::move(list);
    } else if (key == "series" || key == "name" || key == "text") {
      const std::string text = testing::AsText(item);
      if (!text.empty() || key != "text") out[key] = BytesJson(text);
    } else {
      out[key] = item;
    }
  }
  return out;
}

ParserOptions OptionsOf(const value& test) {
  ParserOptions options;
  options.skip_created_series = true;
  if (const value* list = testing::Find(test, "options"); list != nullptr && list->is_array()) {
    for (const value& item : list->as_array()) {
      const std::string name = testing::AsText(item);
      if (name == "type_and_unit_labels") options.type_and_unit_labels = true;
      if (name == "ignore_native") options.ignore_native_histograms = true;
      if (name == "convert_to_nhcb") options.convert_classic_to_custom = true;
      if (name == "keep_classic") options.keep_classic = true;
      if (name == "keep_created_series") options.skip_created_series = false;
    }
  }
  return options;
}

ContentType::Format FormatOf(const std::string& name) {
  if (name == "openmetrics") return ContentType::Format::kOpenMetrics;
  if (name == "openmetrics2") return ContentType::Format::kOpenMetrics2;
  if (name == "protobuf") return ContentType::Format::kProtobuf;
  return ContentType::Format::kText;
}

// Empty when all is as expected, otherwise what is not.
std::string Difference(const value& test, ContentType::Format format, std::string_view input,
                       const ParserOptions& options) {
  const auto parser = CreateParser(format, input, options);
  const value* entries = testing::Find(test, "entries");
  if (entries != nullptr && entries->is_array()) {
    size_t index = 0;
    for (const value& entry : entries->as_array()) {
      const std::string where = "entry " + std::to_string(index++) + ": ";
      const Entry got = parser->Next();
      if (got == Entry::kEnd) return where + "end";
      if (got == Entry::kError) return where + parser->status().message();
      const object want_json = Want(entry);
      const value* exemplars = testing::Find(entry, "exemplars");
      const object got_json =
          Got(*parser, got, exemplars != nullptr && exemplars->as_array()[0].is_string());
      if (got_json != want_json) {
        return where + "got " + boost::json::serialize(got_json) + "\nwant " +
               boost::json::serialize(want_json);
      }
    }
  }
  const std::string want_error = testing::TextOf(test, "error");
  const Entry last = parser->Next();
  if (last == Entry::kEnd) return want_error.empty() ? "" : "no error, want " + want_error;
  if (last != Entry::kError) {
    return "one entry too many: " + boost::json::serialize(Got(*parser, last));
  }
  if (parser->status().message() == want_error) return {};
  return "error " + parser->status().message() + "\nwant  " + want_error;
}

std::string InputOf(const value& test) {
  if (const value* bytes = testing::Find(test, "input_base64")) {
    return testing::DecodeBase64(testing::AsText(*bytes));
  }
  return testing::TextOf(test, "input");
}

void RunCases(std::string_view file) {
  const auto cases = testing::LoadCases(file);
  if (!cases) GTEST_SKIP() << testing::kNoConformanceData;
  std::map<std::string, std::pair<int, int>> passed_of;  // By format: passed, all.
  int shown = 0;
  for (const value& test : *cases) {
    const std::string format = testing::TextOf(test, "format");
    const std::string input = InputOf(test);
    const std::string difference = Difference(test, FormatOf(format), input, OptionsOf(test));
    auto& [passed, all] = passed_of[format];
    ++all;
    if (difference.empty()) {
      ++passed;
    } else if (++shown <= 10) {
      ADD_FAILURE() << format << " "
                    << (testing::Find(test, "options") ? boost::json::serialize(test.at("options"))
                                                       : std::string())
                    << "\n"
                    << input.substr(0, 600) << "\n"
                    << difference;
    }
  }
  for (const auto& [format, counts] : passed_of) {
    std::printf("%s %s: %d of %d\n", std::string(file).c_str(), format.c_str(), counts.first,
                counts.second);
    EXPECT_EQ(counts.first, counts.second) << format;
  }
}

TEST(Parser, TextCasesAreAsUpstreams) {
  RunCases("textparse/cases.jsonl");
}
TEST(Parser, FormatCasesAreAsUpstreams) {
  RunCases("textparse/formats.jsonl");
}

TEST(Parser, OpenMetricsSuiteIsJudgedAsByPrometheus) {
  const auto cases = testing::LoadCases("openmetrics/cases.jsonl");
  if (!cases) GTEST_SKIP() << testing::kNoConformanceData;
  for (const value& test : *cases) {
    EXPECT_EQ(
        Difference(test.at("prometheus"), ContentType::Format::kOpenMetrics, InputOf(test), {}), "")
        << testing::TextOf(test, "name");
  }
}

// A repeated scrape takes lines by their hash; that must give what reading them gives.
TEST(Parser, KnownSeriesGiveTheSameValues) {
  for (const char* file :
       {"textparse/files/alltypes.237mfs.prom.txt", "textparse/files/prometheus.om1.txt"}) {
    const auto text = testing::LoadText(file);
    if (!text) GTEST_SKIP() << testing::kNoConformanceData;
    const auto format = std::string_view(file).ends_with("om1.txt")
                            ? ContentType::Format::kOpenMetrics
                            : ContentType::Format::kText;
    const auto reader = CreateParser(format, *text, {});
    const auto taker = CreateParser(format, *text, {});
    size_t taken = 0;
    size_t series = 0;
    for (Entry entry = reader->Next(); entry != Entry::kEnd; entry = reader->Next()) {
      ASSERT_NE(entry, Entry::kError) << reader->status().message();
      if (entry != Entry::kSeries) {
        ASSERT_EQ(taker->Next(), entry);
        continue;
      }
      ++series;
      const uint64_t hash = FastHash64(reader->series());
      EXPECT_FALSE(taker->TakeKnownSeries(reader->series().size(), hash + 1));
      if (taker->TakeKnownSeries(reader->series().size(), hash)) {
        ++taken;
      } else {
        ASSERT_EQ(taker->Next(), Entry::kSeries);
      }
      EXPECT_TRUE(taker->value() == reader->value() ||
                  (std::isnan(taker->value()) && std::isnan(reader->value())));
      EXPECT_EQ(taker->timestamp_ms(), reader->timestamp_ms());
    }
    EXPECT_EQ(taken, series);
  }
}

TEST(Parser, KnownSeriesMustBeTheWholeSeries) {
  // The name alone is known, but now labels follow behind a blank.
  const std::string text = "foo {a=\"b\"} 1\nfoo 2\n";
  const auto parser = CreateParser(ContentType::Format::kText, text, {});
  EXPECT_FALSE(parser->TakeKnownSeries(3, FastHash64("foo")));
  ASSERT_EQ(parser->Next(), Entry::kSeries);
  EXPECT_EQ(parser->series(), "foo {a=\"b\"}");
  ASSERT_TRUE(parser->TakeKnownSeries(3, FastHash64("foo")));
  EXPECT_EQ(parser->value(), 2);
  EXPECT_EQ(parser->Next(), Entry::kEnd);
}

TEST(ContentType, AcceptsAndChoosesAsUpstream) {
  const auto cases = testing::LoadCases("scrape/cases.jsonl");
  if (!cases) GTEST_SKIP() << testing::kNoConformanceData;
  int count = 0;
  for (const value& test : *cases) {
    const std::string kind = testing::TextOf(test, "kind");
    SCOPED_TRACE(testing::TextOf(test, "title"));
    if (kind == "accept_header") {
      std::vector<std::string> protocols;
      for (const value& p : test.at("scrape_protocols").as_array()) {
        protocols.push_back(testing::AsText(p));
      }
      EXPECT_EQ(AcceptHeader(protocols, testing::TextOf(test, "escaping")),
                testing::TextOf(test, "accept"));
      ++count;
    } else if (kind == "content_type") {
      const std::string fallback(
          ProtocolMediaType(testing::TextOf(test, "fallback_scrape_protocol")));
      const Result<ContentType> choice =
          ChooseFormat(testing::TextOf(test, "content_type"),
                       {fallback, testing::BoolOf(test, "enable_openmetrics2")});
      const std::string want = testing::TextOf(test, "error_contains");
      EXPECT_EQ(choice.ok(), want.empty() || !fallback.empty());
      const Status& status = choice.ok() ? choice->warning : choice.status();
      EXPECT_NE(status.message().find(want), std::string::npos) << status.message();
      EXPECT_EQ(status.ok(), want.empty());
      ++count;
    }
  }
  EXPECT_GE(count, 25);
}

}  // namespace
}  // namespace narthex::exposition
