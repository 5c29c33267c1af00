// Reads the conformance sets (one JSON object a line) for the tests of chunks and WAL records.
// Included by tests only.
#pragma once

#include <gtest/gtest.h>
#include <simdjson.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/histogram.h"
#include "util/numbers.h"

namespace narthex::tsdb {

// Where a conformance file should be; empty when the set is not on this machine.
inline std::string ConformancePath(const std::string& name) {
  const char* folder = std::getenv("NARTHEX_CONFORMANCE_DIR");
  const std::string path =
      (folder != nullptr ? std::string(folder)
                         : std::string(NARTHEX_SOURCE_DIR) + "/../shared/conformance") +
      "/" + name;
  return std::ifstream(path).good() ? path : std::string();
}

// Calls `body` with each line's object and number; gives the number of lines.
inline int ForEachCase(const std::string& path,
                       const std::function<void(simdjson::dom::element, int)>& body) {
  std::ifstream file(path);
  std::string line;
  simdjson::dom::parser parser;
  int number = 0;
  while (std::getline(file, line)) body(parser.parse(line).value(), ++number);
  return number;
}

inline std::string DecodeBase64(std::string_view text) {
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) break;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<char>(bits >> count));
    }
  }
  return bytes;
}

inline std::string DecodeHex(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

inline std::string EncodeHex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return text;
}

// Numbers stand as strings in Go's 'g' form, "NaN", "+Inf", "stale"; or as JSON numbers.
inline double JsonDouble(simdjson::dom::element element) {
  std::string_view text;
  if (element.get(text) != simdjson::SUCCESS) return element.get_double().value();
  if (text == "stale") return StaleNan();
  if (text == "NaN") return NormalNan();
  return ParseFloat(text).value();
}

inline std::vector<Span> JsonSpans(simdjson::dom::element object, const char* key) {
  std::vector<Span> spans;
  simdjson::dom::array list;
  if (object[key].get(list) != simdjson::SUCCESS) return spans;
  for (simdjson::dom::element pair : list) {
    spans.push_back({static_cast<int32_t>(pair.at(0).get_int64().value()),
                     static_cast<uint32_t>(pair.at(1).get_uint64().value())});
  }
  return spans;
}

inline std::vector<int64_t> JsonIntegers(simdjson::dom::element object, const char* key) {
  std::vector<int64_t> numbers;
  simdjson::dom::array list;
  if (object[key].get(list) != simdjson::SUCCESS) return numbers;
  for (simdjson::dom::element number : list) numbers.push_back(number.get_int64().value());
  return numbers;
}

inline std::vector<double> JsonDoubles(simdjson::dom::element object, const char* key) {
  std::vector<double> numbers;
  simdjson::dom::array list;
  if (object[key].get(list) != simdjson::SUCCESS) return numbers;
  for (simdjson::dom::element number : list) numbers.push_back(JsonDouble(number));
  return numbers;
}

inline CounterResetHint JsonHint(std::string_view text) {
  if (text == "gauge") return CounterResetHint::kGauge;
  if (text == "counter_reset") return CounterResetHint::kReset;
  if (text == "not_counter_reset") return CounterResetHint::kNotReset;
  return CounterResetHint::kUnknown;
}

template <typename H>
void JsonHistogramShell(simdjson::dom::element object, H* h) {
  h->counter_reset_hint = JsonHint(object["hint"].get_string().value());
  h->schema = static_cast<int32_t>(object["schema"].get_int64().value());
  h->sum = JsonDouble(object["sum"].value());
  h->zero_threshold = JsonDouble(object["zero_threshold"].value());
  h->positive_spans = JsonSpans(object, "positive_spans");
  h->negative_spans = JsonSpans(object, "negative_spans");
  h->custom_values = JsonDoubles(object, "custom_values");
}

inline void JsonHistogram(simdjson::dom::element object, Histogram* h) {
  *h = Histogram{};
  JsonHistogramShell(object, h);
  h->count = object["count"].get_uint64().value();
  h->zero_count = object["zero_count"].get_uint64().value();
  h->positive_buckets = JsonIntegers(object, "positive_deltas");
  h->negative_buckets = JsonIntegers(object, "negative_deltas");
}

inline void JsonHistogram(simdjson::dom::element object, FloatHistogram* h) {
  *h = FloatHistogram{};
  JsonHistogramShell(object, h);
  h->count = JsonDouble(object["count"].value());
  h->zero_count = JsonDouble(object["zero_count"].value());
  h->positive_buckets = JsonDoubles(object, "positive_counts");
  h->negative_buckets = JsonDoubles(object, "negative_counts");
}

// Equality of every field, floats by their bits.
template <typename H>
std::string DescribeHistogram(const H& h) {
  std::string text = fmt::format("hint={} schema={} zt={:x} zc={} count={} sum={:x}",
                                 static_cast<int>(h.counter_reset_hint), h.schema,
                                 std::bit_cast<uint64_t>(h.zero_threshold), h.zero_count, h.count,
                                 std::bit_cast<uint64_t>(h.sum));
  for (const Span& span : h.positive_spans)
    text += fmt::format(" +{}:{}", span.offset, span.length);
  for (const auto bucket : h.positive_buckets) text += fmt::format(" {}", bucket);
  for (const Span& span : h.negative_spans)
    text += fmt::format(" -{}:{}", span.offset, span.length);
  for (const auto bucket : h.negative_buckets) text += fmt::format(" {}", bucket);
  for (const double bound : h.custom_values) text += fmt::format(" <{}", bound);
  return text;
}

}  // namespace narthex::tsdb
