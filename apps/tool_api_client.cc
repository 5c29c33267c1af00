#include "apps/tool_api_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "net/url.h"
#include "util/json_reader.h"
#include "util/numbers.h"
#include "util/strings.h"

namespace narthex::apps {
namespace {

constexpr int64_t kTimeoutNanos = 120'000'000'000;

Status ApiError(std::string_view type, std::string_view message) {
  return MakeError(ErrorCode::kExecution, "{}: {}", type, message);
}

// What a status alone says.
Status StatusError(int status, std::string_view body) {
  const std::string_view detail = TrimSpace(body);
  std::string message = status / 100 == 4 ? fmt::format("client_error: client error: {}", status)
                        : status / 100 == 5
                            ? fmt::format("server_error: server error: {}", status)
                            : fmt::format("bad_response: bad response code {}", status);
  if (!body.empty()) message += fmt::format(" (detail: {})", detail);
  return Status(ErrorCode::kUnavailable, std::move(message));
}

Status BadData(std::string_view what) {
  return ApiError("bad_response", what);
}

// --- What queries give, as texts -------------------------------------------------------------

using LabelMap = std::map<std::string, std::string>;

LabelMap ReadLabels(const json::value& object) {
  LabelMap labels;
  if (!object.is_object()) return labels;
  for (const auto& member : object.as_object()) {
    labels.emplace(std::string(member.key().data(), member.key().size()), AsText(member.value()));
  }
  return labels;
}

// The order of client_golang's matrices: fewer labels first.
bool ComesBefore(const LabelMap& a, const LabelMap& b) {
  if (a.size() != b.size()) return a.size() < b.size();
  for (auto i = a.begin(), j = b.begin(); i != a.end(); ++i, ++j) {
    // Of the two names the smaller is missing on the other side, which comes first then.
    if (i->first != j->first) return i->first > j->first;
    if (i->second != j->second) return i->second < j->second;
  }
  return false;
}

std::string LabelsJson(const LabelMap& labels) {
  std::string out = "{";
  for (const auto& [name, value] : labels) {
    if (out.size() > 1) out += ',';
    AppendJsonString(name, JsonEscape::kGo, &out);
    out += ':';
    AppendJsonString(value, JsonEscape::kGo, &out);
  }
  return out + "}";
}

Result<int64_t> ReadTime(const json::value& value) {
  if (!value.is_number()) return BadData("timestamp is not a number");
  return std::llround(value.to_number<double>() * 1000);
}

// Numbers travel as texts; they are read and printed anew, as upstream does.
Result<double> ReadNumber(const json::value& value) {
  const std::optional<double> number = ParseFloat(AsText(value));
  if (!number) return BadData("sample value must be a quoted string");
  return *number;
}

Result<ApiHistogram> ReadHistogram(const json::value& value) {
  ApiHistogram histogram;
  NARTHEX_TRY(histogram.count, ReadNumber(Member(value, "count")));
  NARTHEX_TRY(histogram.sum, ReadNumber(Member(value, "sum")));
  const json::value& buckets = Member(value, "buckets");
  if (!buckets.is_array()) return histogram;
  for (const json::value& element : buckets.as_array()) {
    if (!element.is_array() || element.as_array().size() != 4) {
      return BadData("wrong number of fields");
    }
    const json::array& fields = element.as_array();
    ApiBucket bucket;
    if (fields[0].is_number()) bucket.boundaries = fields[0].to_number<int64_t>();
    NARTHEX_TRY(bucket.lower, ReadNumber(fields[1]));
    NARTHEX_TRY(bucket.upper, ReadNumber(fields[2]));
    NARTHEX_TRY(bucket.count, ReadNumber(fields[3]));
    histogram.buckets.push_back(bucket);
  }
  return histogram;
}

std::string PrintHistogram(const ApiHistogram& histogram) {
  std::string out =
      fmt::format("Count: {}, Sum: {}, Buckets: [", FormatFloatFPrecision(histogram.count, 6),
                  FormatFloatFPrecision(histogram.sum, 6));
  bool first = true;
  for (const ApiBucket& bucket : histogram.buckets) {
    if (!first) out += ' ';
    first = false;
    out += bucket.boundaries == 1 || bucket.boundaries == 3 ? '[' : '(';
    out += FormatFloatG(bucket.lower) + "," + FormatFloatG(bucket.upper);
    out += bucket.boundaries == 0 || bucket.boundaries == 3 ? ']' : ')';
    out += ":" + FormatFloatF(bucket.count);
  }
  return out + "]";
}

std::string HistogramJson(const ApiHistogram& histogram) {
  std::string out = fmt::format(R"({{"count":"{}","sum":"{}","buckets":)",
                                FormatFloatF(histogram.count), FormatFloatF(histogram.sum));
  if (histogram.buckets.empty()) return out + "null}";
  char separator = '[';
  for (const ApiBucket& bucket : histogram.buckets) {
    out += fmt::format(R"({}[{},"{}","{}","{}"])", separator, bucket.boundaries,
                       FormatFloatF(bucket.lower), FormatFloatF(bucket.upper),
                       FormatFloatF(bucket.count));
    separator = ',';
  }
  return out + "]}";
}

enum class Form { kText, kJson };

// One [time, value] pair of floats, or of histograms.
Result<std::string> PrintPair(const json::value& pair, bool is_histogram, Form form) {
  if (!pair.is_array() || pair.as_array().size() != 2) return BadData("wrong number of fields");
  NARTHEX_TRY(const int64_t time_ms, ReadTime(pair.as_array()[0]));
  const json::value& value = pair.as_array()[1];
  const std::string time = FormatApiTime(time_ms);
  if (is_histogram) {
    NARTHEX_TRY(const ApiHistogram histogram, ReadHistogram(value));
    return form == Form::kText ? PrintHistogram(histogram) + " @[" + time + "]"
                               : "[" + time + "," + HistogramJson(histogram) + "]";
  }
  NARTHEX_TRY(const double number, ReadNumber(value));
  return form == Form::kText ? FormatFloatF(number) + " @[" + time + "]"
                             : "[" + time + ",\"" + FormatFloatF(number) + "\"]";
}

Result<std::string> PrintVector(const json::array& samples, Form form) {
  std::string out;
  for (const json::value& sample : samples) {
    const bool is_histogram = Member(sample, "histogram").is_array();
    NARTHEX_TRY(
        const std::string pair,
        PrintPair(Member(sample, is_histogram ? "histogram" : "value"), is_histogram, form));
    const LabelMap labels = ReadLabels(Member(sample, "metric"));
    if (form == Form::kText) {
      if (!out.empty()) out += '\n';
      out += ApiMetricText(labels) + " => " + pair;
    } else {
      out += fmt::format(R"({}{{"metric":{},"{}":{}}})", out.empty() ? "[" : ",",
                         LabelsJson(labels), is_histogram ? "histogram" : "value", pair);
    }
  }
  if (form == Form::kText) return out;
  return out.empty() ? "[]" : out + "]";
}

Result<std::string> PrintMatrix(const json::array& streams, Form form) {
  std::vector<std::pair<LabelMap, const json::value*>> sorted;
  for (const json::value& stream : streams) {
    sorted.emplace_back(ReadLabels(Member(stream, "metric")), &stream);
  }
  // Texts come sorted by labels, JSON as the server sent it.
  if (form == Form::kText) {
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto& a, const auto& b) { return ComesBefore(a.first, b.first); });
  }
  std::string out;
  for (const auto& [labels, stream] : sorted) {
    std::string parts[2];
    for (const bool is_histogram : {false, true}) {
      const json::value& pairs = Member(*stream, is_histogram ? "histograms" : "values");
      if (!pairs.is_array()) continue;
      for (const json::value& pair : pairs.as_array()) {
        NARTHEX_TRY(const std::string printed, PrintPair(pair, is_histogram, form));
        std::string& part = parts[is_histogram ? 1 : 0];
        if (!part.empty()) part += form == Form::kText ? '\n' : ',';
        part += printed;
      }
    }
    if (form == Form::kText) {
      if (!out.empty()) out += '\n';
      out += ApiMetricText(labels) + " =>\n" + parts[0];
      if (!parts[0].empty() && !parts[1].empty()) out += '\n';
      out += parts[1];
      continue;
    }
    out += (out.empty() ? "[{\"metric\":" : ",{\"metric\":") + LabelsJson(labels);
    if (!parts[0].empty() || parts[1].empty()) out += ",\"values\":[" + parts[0] + "]";
    if (!parts[1].empty()) out += ",\"histograms\":[" + parts[1] + "]";
    out += '}';
  }
  if (form == Form::kText) return out;
  return out.empty() ? "[]" : out + "]";
}

Result<std::string> PrintResult(const std::string& data, Form form) {
  boost::system::error_code error;
  const json::value parsed = json::parse(data, error);
  if (error) return BadData(error.message());
  const std::string_view type = AsText(Member(parsed, "resultType"));
  const json::value& result = Member(parsed, "result");
  if (!result.is_array()) return BadData("unexpected value type " + GoQuote(type));
  const json::array& array = result.as_array();
  if (type == "vector") return PrintVector(array, form);
  if (type == "matrix") return PrintMatrix(array, form);
  if (type != "scalar" && type != "string") {
    return BadData("unexpected value type " + GoQuote(type));
  }
  if (array.size() != 2) return BadData("wrong number of fields");
  NARTHEX_TRY(const int64_t time_ms, ReadTime(array[0]));
  std::string value(AsText(array[1]));
  if (type == "scalar") {
    NARTHEX_TRY(const double number, ReadNumber(array[1]));
    value = FormatFloatF(number);
    if (form == Form::kText) {
      return fmt::format("scalar: {} @[{}]", value, FormatApiTime(time_ms));
    }
  }
  if (form == Form::kText) return value;
  std::string out = "[" + FormatApiTime(time_ms) + ",";
  AppendJsonString(value, JsonEscape::kGo, &out);
  return out + "]";
}

Result<std::vector<LabelMap>> ReadSeries(const std::string& data) {
  boost::system::error_code error;
  const json::value parsed = json::parse(data, error);
  if (error) return BadData(error.message());
  std::vector<LabelMap> series;
  if (parsed.is_array()) {
    for (const json::value& element : parsed.as_array()) series.push_back(ReadLabels(element));
  }
  return series;
}

Result<std::vector<std::string>> ReadValues(const std::string& data) {
  boost::system::error_code error;
  const json::value parsed = json::parse(data, error);
  if (error) return BadData(error.message());
  return Texts(AsArray(parsed));
}

}  // namespace

std::string ApiLabelsText(const std::map<std::string, std::string>& labels) {
  std::string out = "{";
  for (const auto& [name, value] : labels) {
    if (out.size() > 1) out += ", ";
    out += name + "=" + GoQuote(value);
  }
  return out + "}";
}

std::string ApiMetricText(std::map<std::string, std::string> labels) {
  std::string metric;
  if (const auto name = labels.find("__name__"); name != labels.end()) {
    metric = name->second;
    labels.erase(name);
    if (labels.empty()) return metric;
  }
  return metric + ApiLabelsText(labels);
}

Result<std::optional<std::vector<ApiSeries>>> ReadMatrix(const std::string& data,
                                                         std::string* type) {
  boost::system::error_code error;
  const json::value parsed = json::parse(data, error);
  if (error) return BadData(error.message());
  *type = AsText(Member(parsed, "resultType"));
  const json::value& result = Member(parsed, "result");
  if (*type != "matrix" || !result.is_array()) return std::optional<std::vector<ApiSeries>>();
  std::vector<ApiSeries> matrix;
  for (const json::value& stream : result.as_array()) {
    ApiSeries& series = matrix.emplace_back();
    series.labels = ReadLabels(Member(stream, "metric"));
    const auto for_each = [&](const char* member, auto take) -> Status {
      for (const json::value& pair : AsArray(Member(stream, member))) {
        if (!pair.is_array() || pair.as_array().size() != 2) {
          return BadData("wrong number of fields");
        }
        NARTHEX_TRY(const int64_t time_ms, ReadTime(pair.as_array()[0]));
        NARTHEX_RETURN_IF_ERROR(take(time_ms, pair.as_array()[1]));
      }
      return {};
    };
    NARTHEX_RETURN_IF_ERROR(
        for_each("values", [&](int64_t time_ms, const json::value& value) -> Status {
          NARTHEX_TRY(const double number, ReadNumber(value));
          series.values.emplace_back(time_ms, number);
          return {};
        }));
    NARTHEX_RETURN_IF_ERROR(
        for_each("histograms", [&](int64_t time_ms, const json::value& value) -> Status {
          NARTHEX_TRY(ApiHistogram histogram, ReadHistogram(value));
          series.histograms.emplace_back(time_ms, std::move(histogram));
          return {};
        }));
  }
  return std::optional(std::move(matrix));
}

ApiClient::ApiClient(Url server, std::shared_ptr<const net::HttpClientOptions> options,
                     Values headers)
    : options_(std::move(options)), headers_(std::move(headers)) {
  if (server.scheme.empty()) server.scheme = "http";
  while (server.path.ends_with('/')) server.path.pop_back();
  base_ = server.ToString();
}

Result<ApiAnswer> ApiClient::Do(net::HttpClientRequest request, int* status) {
  request.headers.insert(request.headers.end(), headers_.begin(), headers_.end());
  request.timeout_nanos = kTimeoutNanos;
  request.options = options_;
  const net::HttpClientResponse response = client_.FetchSync(std::move(request));
  *status = response.status;
  if (!response.error.ok()) return response.error;
  const bool good = response.status / 100 == 2;
  // The codes with which the API reports its own errors.
  if (!good && response.status != 422 && response.status != 400) {
    return StatusError(response.status, response.body);
  }
  boost::system::error_code error;
  const json::value parsed = json::parse(response.body, error);
  if (error) {
    return good ? BadData(error.message()) : StatusError(response.status, response.body);
  }
  const std::string_view outcome = AsText(Member(parsed, "status"));
  if (good ? outcome == "error" : outcome != "success") {
    const std::string_view type = AsText(Member(parsed, "errorType"));
    std::string message(AsText(Member(parsed, "error")));
    if (message.empty() && !good) message = fmt::format("client error: {}", response.status);
    return ApiError(type.empty() && !good ? "client_error" : type, message);
  }
  if (!good) return BadData("inconsistent body for response code");
  ApiAnswer answer;
  answer.data = json::serialize(Member(parsed, "data"));
  answer.warnings = Texts(Array(parsed, "warnings"));
  answer.infos = Texts(Array(parsed, "infos"));
  return answer;
}

Result<ApiAnswer> ApiClient::Post(const std::string& endpoint, const Values& form) {
  net::FormValues values;
  for (const auto& [name, value] : form) values.Add(name, value);
  net::HttpClientRequest request;
  request.method = "POST";
  request.url = base_ + endpoint;
  request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
  request.body = values.Encode();
  int status = 0;
  Result<ApiAnswer> answer = Do(std::move(request), &status);
  if (status == 403 || status == 405 || status == 501) return Get(endpoint, form);
  return answer;
}

Result<ApiAnswer> ApiClient::Get(const std::string& endpoint, const Values& parameters) {
  net::FormValues values;
  for (const auto& [name, value] : parameters) values.Add(name, value);
  net::HttpClientRequest request;
  request.url = base_ + endpoint;
  if (!parameters.empty()) request.url += "?" + values.Encode();
  int status = 0;
  return Do(std::move(request), &status);
}

std::string FormatApiTime(int64_t ms) {
  return FormatFloatF(static_cast<double>(ms) / 1000);
}

Result<std::string> QueryResultText(const std::string& data) {
  return PrintResult(data, Form::kText);
}

Result<std::string> QueryResultJson(const std::string& data) {
  return PrintResult(data, Form::kJson);
}

Result<std::string> SeriesText(const std::string& data) {
  NARTHEX_TRY(const std::vector<LabelMap> series, ReadSeries(data));
  std::string out;
  for (const LabelMap& labels : series) out += ApiLabelsText(labels) + "\n";
  return out;
}

Result<std::string> SeriesJson(const std::string& data) {
  NARTHEX_TRY(const std::vector<LabelMap> series, ReadSeries(data));
  std::string out;
  for (const LabelMap& labels : series) out += (out.empty() ? "[" : ",") + LabelsJson(labels);
  return (out.empty() ? "[" : out) + "]\n";
}

Result<std::string> LabelValuesText(const std::string& data) {
  NARTHEX_TRY(const std::vector<std::string> values, ReadValues(data));
  std::string out;
  for (const std::string& value : values) out += value + "\n";
  return out;
}

Result<std::string> LabelValuesJson(const std::string& data) {
  NARTHEX_TRY(const std::vector<std::string> values, ReadValues(data));
  std::string out = "[";
  for (const std::string& value : values) {
    if (out.size() > 1) out += ',';
    AppendJsonString(value, JsonEscape::kGo, &out);
  }
  return out + "]\n";
}

}  // namespace narthex::apps
