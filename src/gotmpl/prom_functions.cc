#include "gotmpl/prom_functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "gotmpl/builtins.h"
#include "gotmpl/text_tools.h"
#include "gotmpl/time_value.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::gotmpl {
namespace {

struct HistogramValue : Struct {
  std::shared_ptr<const FloatHistogram> histogram;
};

const Type* HistogramType() {
  static const Type* const kType = [] {
    Type* const type =
        new Type{.name = "histogram.FloatHistogram", .kind = Kind::kStruct, .methods = {}};
    type->to_string = [](const Value& v) {
      return v.struct_as<HistogramValue>().histogram->ToString();
    };
    type->methods["String"] = {{}, false, [type](const Value& self, const Arguments&) {
                                 return Result<Value>(Value::String(type->to_string(self)));
                               }};
    return type;
  }();
  return kType;
}

const Type* HistogramPointer() {
  static const Type* const kType = new Type{.name = "*histogram.FloatHistogram",
                                            .kind = Kind::kStruct,
                                            .pointee = HistogramType(),
                                            .methods = {}};
  return kType;
}

const Type* SampleType() {
  static const Type* const kType =
      new Type{.name = "template.sample", .kind = Kind::kStruct, .methods = {}};
  return kType;
}

const Type* SamplePointer() {
  static const Type* const kType = new Type{
      .name = "*template.sample", .kind = Kind::kStruct, .pointee = SampleType(), .methods = {}};
  return kType;
}

const Type* QueryResultType() {
  static const Type* const kSamples = new Type{
      .name = "[]*template.sample", .kind = Kind::kList, .element = SamplePointer(), .methods = {}};
  static const Type* const kType = new Type{.name = "template.queryResult",
                                            .kind = Kind::kList,
                                            .element = SamplePointer(),
                                            .underlying = kSamples,
                                            .methods = {}};
  return kType;
}

const Value& Field(const Value& sample, size_t index) {
  return sample.struct_as().fields[index].second;
}
constexpr size_t kLabelsField = 0;
constexpr size_t kValueField = 1;

std::string LabelOf(const Value& sample, std::string_view name) {
  const Map& labels = Field(sample, kLabelsField).map();
  const auto found = labels.find(name);
  return found == labels.end() ? std::string() : found->second.string_value();
}

Status Fail(std::string message) {
  return Status(ErrorCode::kExecution, std::move(message));
}
// Go's words for a function that follows a nil pointer.
Status NilSample() {
  return Fail("runtime error: invalid memory address or nil pointer dereference");
}

// -------------------------------------------------------------------------------------------------
// Numbers
// -------------------------------------------------------------------------------------------------

// Go's strconv.ParseFloat, which takes underscores between digits and behind the prefix of a base.
std::optional<double> ParseGoFloat(std::string_view text, bool* out_of_range) {
  if (text.find('_') == std::string_view::npos) return ParseFloat(text, out_of_range);
  std::string_view rest = text;
  if (rest.starts_with('+') || rest.starts_with('-')) rest.remove_prefix(1);
  const bool hex = rest.starts_with("0x") || rest.starts_with("0X");
  bool behind_digit = hex;
  bool behind_underscore = false;
  if (hex) rest.remove_prefix(2);
  for (const char c : rest) {
    const bool digit =
        (c >= '0' && c <= '9') || (hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')));
    if (c == '_' ? !behind_digit : behind_underscore && !digit) return std::nullopt;
    behind_underscore = c == '_';
    behind_digit = digit;
  }
  if (behind_underscore) return std::nullopt;
  std::string plain(text);
  std::erase(plain, '_');
  return ParseFloat(plain, out_of_range);
}

Result<double> ToFloat(const Value& boxed) {
  const Value value = boxed.Unboxed();
  if (value.type() == types::Float()) return value.float_value();
  if (value.type() == types::String()) {
    bool out_of_range = false;
    const std::optional<double> parsed = ParseGoFloat(value.string_value(), &out_of_range);
    if (parsed && !out_of_range) return *parsed;
    return Fail(fmt::format("strconv.ParseFloat: parsing {}: {}", GoQuote(value.string_value()),
                            parsed ? "value out of range" : "invalid syntax"));
  }
  if (value.type() == types::Int() || value.type() == types::Int64()) {
    return static_cast<double>(value.int_value());
  }
  if (value.type() == types::Uint() || value.type() == types::Uint64()) {
    return static_cast<double>(value.uint_value());
  }
  if (value.type() == types::Duration()) {
    const int64_t nanos = value.int_value();
    return static_cast<double>(nanos / kNanosPerSecond) +
           static_cast<double>(nanos % kNanosPerSecond) / 1e9;
  }
  return Fail(fmt::format("can't convert {} to float", value.valid() ? value.TypeName() : "<nil>"));
}

std::string FourDigits(double v) {
  return FormatFloatGPrecision(v, 4);
}

// Divides by `base` until the number is small enough, and names the power.
template <size_t kCount>
std::string WithLargePrefix(double v, double base, const std::string_view (&prefixes)[kCount]) {
  std::string_view prefix;
  for (const std::string_view next : prefixes) {
    if (std::fabs(v) < base) break;
    prefix = next;
    v /= base;
  }
  return FourDigits(v) + std::string(prefix);
}

std::string WithSmallPrefix(double v) {
  std::string_view prefix;
  for (const std::string_view next : {"m", "u", "n", "p", "f", "a", "z", "y"}) {
    if (std::fabs(v) >= 1) break;
    prefix = next;
    v *= 1000;
  }
  return FourDigits(v) + std::string(prefix);
}

std::string Humanize(double v) {
  constexpr std::string_view kPrefixes[] = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
  if (v == 0 || !std::isfinite(v)) return FourDigits(v);
  return std::fabs(v) >= 1 ? WithLargePrefix(v, 1000, kPrefixes) : WithSmallPrefix(v);
}

std::string Humanize1024(double v) {
  constexpr std::string_view kPrefixes[] = {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"};
  if (std::fabs(v) <= 1 || !std::isfinite(v)) return FourDigits(v);
  return WithLargePrefix(v, 1024, kPrefixes);
}

// What does not fit becomes the smallest integer, as the machine converts it.
int64_t ToInt64(double v) {
  if (!(v >= -0x1p63 && v < 0x1p63)) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(v);
}

std::string HumanizeDuration(double v) {
  if (!std::isfinite(v)) return FourDigits(v);
  if (v == 0) return FourDigits(v) + "s";
  if (std::fabs(v) < 1) return WithSmallPrefix(v) + "s";
  const std::string_view sign = v < 0 ? "-" : "";
  v = std::fabs(v);
  const int64_t total = ToInt64(v);
  const int64_t seconds = total % 60;
  const int64_t minutes = total / 60 % 60;
  const int64_t hours = total / 3600 % 24;
  const int64_t days = total / 86'400;
  if (days != 0) return fmt::format("{}{}d {}h {}m {}s", sign, days, hours, minutes, seconds);
  if (hours != 0) return fmt::format("{}{}h {}m {}s", sign, hours, minutes, seconds);
  if (minutes != 0) return fmt::format("{}{}m {}s", sign, minutes, seconds);
  return fmt::format("{}{}s", sign, FourDigits(v));
}

constexpr std::string_view kNotFinite = "value is NaN or Inf";

// Seconds to a moment, cut to milliseconds.
Result<Value> ToTime(double v) {
  if (!std::isfinite(v)) return Fail(std::string(kNotFinite));
  const double nanos = v * 1e9;
  if (nanos > 0x1p63 || nanos < -0x1p63) {
    return Fail(
        fmt::format("{} cannot be represented as a nanoseconds timestamp since it overflows int64",
                    FormatFloatG(v)));
  }
  const int64_t millis = ToInt64(nanos) / kNanosPerMilli;
  return MakeTime(millis * kNanosPerMilli, types::TimePointer());
}

Result<std::string> HumanizeTimestamp(double v) {
  if (!std::isfinite(v)) return FourDigits(v);
  NARTHEX_TRY(const Value time, ToTime(v));
  return TimeToString(time.struct_as<TimeValue>());
}

// -------------------------------------------------------------------------------------------------
// The table
// -------------------------------------------------------------------------------------------------

class TableBuilder {
 public:
  void Add(std::string name, std::vector<const Type*> parameters,
           std::function<Result<Value>(const Arguments&)> call, bool variadic = false) {
    auto function = std::make_shared<Function>();
    function->name = name;
    function->parameters = std::move(parameters);
    function->variadic = variadic;
    function->call = std::move(call);
    map.emplace(std::move(name), std::move(function));
  }
  // A function from text to text.
  void AddText(std::string name, std::string (*convert)(std::string_view)) {
    Add(std::move(name), {types::String()}, [convert](const Arguments& a) -> Result<Value> {
      return Value::String(convert(a[0].string_value()));
    });
  }
  // A function from a number, in whatever guise, to text.
  template <typename Convert>
  void AddNumber(std::string name, Convert convert) {
    Add(std::move(name), {types::Any()}, [convert](const Arguments& a) -> Result<Value> {
      NARTHEX_TRY(const double v, ToFloat(a[0]));
      Result<std::string> text = convert(v);
      if (!text.ok()) return text.status();
      return Value::String(*std::move(text));
    });
  }

  FunctionMap map;
};

void AddQueries(const ExpanderOptions& options, TableBuilder* table) {
  table->Add(
      "query", {types::String()},
      [query = options.query, time_ms = options.time_ms](const Arguments& a) -> Result<Value> {
        if (query == nullptr) return Fail("queries are not available here");
        NARTHEX_TRY(const auto samples, query(a[0].string_value(), time_ms));
        std::vector<Value> values;
        for (const QuerySample& sample : samples) values.push_back(MakeSample(sample));
        return MakeQueryResult(std::move(values));
      });
  table->Add("first", {QueryResultType()}, [](const Arguments& a) -> Result<Value> {
    if (a[0].list().empty()) return Fail("first() called on vector with no elements");
    return a[0].list().front();
  });
  table->Add("label", {types::String(), SamplePointer()}, [](const Arguments& a) -> Result<Value> {
    if (a[1].kind() != Kind::kStruct) return NilSample();
    return Value::String(LabelOf(a[1], a[0].string_value()));
  });
  table->Add("value", {SamplePointer()}, [](const Arguments& a) -> Result<Value> {
    if (a[0].kind() != Kind::kStruct) return NilSample();
    return Field(a[0], kValueField);
  });
  table->Add("strvalue", {SamplePointer()}, [](const Arguments& a) -> Result<Value> {
    if (a[0].kind() != Kind::kStruct) return NilSample();
    return Value::String(LabelOf(a[0], "__value__"));
  });
  table->Add("sortByLabel", {types::String(), QueryResultType()},
             [](const Arguments& a) -> Result<Value> {
               List sorted = a[1].list();
               const std::string& label = a[0].string_value();
               std::stable_sort(sorted.begin(), sorted.end(), [&](const Value& x, const Value& y) {
                 return LabelOf(x, label) < LabelOf(y, label);
               });
               return Value::MakeList(std::move(sorted), QueryResultType());
             });
}

std::string StripPort(std::string_view address) {
  const std::optional<HostPort> parts = SplitHostPort(address);
  return parts ? parts->host : std::string(address);
}

std::string StripDomain(std::string_view address) {
  const std::optional<HostPort> parts = SplitHostPort(address);
  const std::string host = parts ? parts->host : std::string(address);
  if (IsIpAddress(host)) return std::string(address);
  const std::string first = host.substr(0, host.find('.'));
  return parts && !parts->port.empty() ? JoinHostPort(first, parts->port) : first;
}

std::string GraphLink(std::string_view expr) {
  return "/graph?g0.expr=" + QueryEscape(expr) + "&g0.tab=0";
}
std::string TableLink(std::string_view expr) {
  return "/graph?g0.expr=" + QueryEscape(expr) + "&g0.tab=1";
}

void AddTexts(const ExpanderOptions& options, TableBuilder* table) {
  table->Add(
      "args", {types::Any()},
      [](const Arguments& a) -> Result<Value> {
        Map map;
        for (size_t i = 0; i < a.size(); ++i) map.emplace(fmt::format("arg{}", i), a[i].Unboxed());
        return Value::MakeMap(std::move(map));
      },
      /*variadic=*/true);
  table->Add("reReplaceAll", {types::String(), types::String(), types::String()},
             [](const Arguments& a) -> Result<Value> {
               NARTHEX_TRY(std::string text, GoReplaceAll(a[0].string_value(), a[2].string_value(),
                                                          a[1].string_value()));
               return Value::String(std::move(text));
             });
  table->Add("match", {types::String(), types::String()}, [](const Arguments& a) -> Result<Value> {
    NARTHEX_TRY(const bool match, GoMatchString(a[0].string_value(), a[1].string_value()));
    return Value::Bool(match);
  });
  table->Add("safeHtml", {types::String()}, [](const Arguments& a) -> Result<Value> {
    return Value::String(a[0].string_value(), types::Html());
  });
  table->AddText("title", GoTitle);
  table->AddText("toUpper", GoToUpper);
  table->AddText("toLower", GoToLower);
  table->AddText("graphLink", GraphLink);
  table->AddText("tableLink", TableLink);
  table->AddText("stripPort", StripPort);
  table->AddText("stripDomain", StripDomain);
  table->AddText("urlQueryEscape", QueryEscape);
  table->Add("pathPrefix", {}, [path = options.external_path](const Arguments&) -> Result<Value> {
    return Value::String(path);
  });
  table->Add("externalURL", {}, [url = options.external_url](const Arguments&) -> Result<Value> {
    return Value::String(url);
  });
}

void AddNumbers(const ExpanderOptions& options, TableBuilder* table) {
  table->AddNumber("humanize", [](double v) { return Result<std::string>(Humanize(v)); });
  table->AddNumber("humanize1024", [](double v) { return Result<std::string>(Humanize1024(v)); });
  table->AddNumber("humanizeDuration",
                   [](double v) { return Result<std::string>(HumanizeDuration(v)); });
  table->AddNumber("humanizePercentage",
                   [](double v) { return Result<std::string>(FourDigits(v * 100) + "%"); });
  table->AddNumber("humanizeTimestamp", HumanizeTimestamp);
  table->Add("toTime", {types::Any()}, [](const Arguments& a) -> Result<Value> {
    NARTHEX_TRY(const double v, ToFloat(a[0]));
    return ToTime(v);
  });
  table->Add("toDuration", {types::Any()}, [](const Arguments& a) -> Result<Value> {
    NARTHEX_TRY(const double v, ToFloat(a[0]));
    return MakeDuration(ToInt64(v * 1e9), types::DurationPointer());
  });
  table->Add("now", {}, [time_ms = options.time_ms](const Arguments&) -> Result<Value> {
    return Value::Float(static_cast<double>(time_ms) / 1000.0);
  });
  table->Add("parseDuration", {types::String()}, [](const Arguments& a) -> Result<Value> {
    std::string_view text = a[0].string_value();
    const bool negative = text.starts_with('-');
    if (negative) text.remove_prefix(1);
    NARTHEX_TRY(const int64_t nanos, ParseDuration(text));
    return Value::Float(static_cast<double>(negative ? -nanos : nanos) / 1e9);
  });
}

}  // namespace

FunctionMap PromFunctions(const ExpanderOptions& options) {
  TableBuilder table;
  AddQueries(options, &table);
  AddTexts(options, &table);
  AddNumbers(options, &table);
  return std::move(table.map);
}

Value MakeSampleValue(double value, std::shared_ptr<const FloatHistogram> histogram) {
  if (histogram == nullptr) return Value::Float(value);
  auto holder = std::make_shared<HistogramValue>();
  holder->fields = {
      {"CounterResetHint", Value::Uint(static_cast<uint64_t>(histogram->counter_reset_hint))},
      {"Schema", Value::Int(histogram->schema)},
      {"ZeroThreshold", Value::Float(histogram->zero_threshold)},
      {"ZeroCount", Value::Float(histogram->zero_count)},
      {"Count", Value::Float(histogram->count)},
      {"Sum", Value::Float(histogram->sum)},
  };
  holder->histogram = std::move(histogram);
  return Value::MakeStruct(std::move(holder), HistogramPointer());
}

Value MakeSample(const QuerySample& sample) {
  Map labels;
  for (const LabelView& label : sample.labels) {
    labels.emplace(std::string(label.name), Value::String(std::string(label.value)));
  }
  auto fields = std::make_shared<Struct>();
  fields->fields = {
      {"Labels", Value::MakeMap(std::move(labels), types::StringMap())},
      {"Value", MakeSampleValue(sample.value, sample.histogram).Boxed()},
  };
  return Value::MakeStruct(std::move(fields), SamplePointer());
}

Value MakeQueryResult(std::vector<Value> samples) {
  return Value::MakeList(std::move(samples), QueryResultType());
}

Value AlertData(const std::map<std::string, std::string>& labels,
                const std::map<std::string, std::string>& external_labels,
                std::string_view external_url, double value,
                std::shared_ptr<const FloatHistogram> histogram) {
  static const Type* const kType =
      new Type{.name =
                   "struct { Labels map[string]string; ExternalLabels map[string]string; "
                   "ExternalURL string; Value interface {} }",
               .kind = Kind::kStruct,
               .methods = {}};
  auto data = std::make_shared<Struct>();
  data->fields = {
      {"Labels", Value::StringMap(labels)},
      {"ExternalLabels", Value::StringMap(external_labels)},
      {"ExternalURL", Value::String(std::string(external_url))},
      {"Value", MakeSampleValue(value, std::move(histogram)).Boxed()},
  };
  return Value::MakeStruct(std::move(data), kType);
}

// -------------------------------------------------------------------------------------------------
// Expander
// -------------------------------------------------------------------------------------------------

Expander::Expander(std::string name, std::string text, Value data, ExpanderOptions options)
    : name_(std::move(name)),
      text_(std::move(text)),
      data_(std::move(data)),
      options_(std::move(options)),
      functions_(PromFunctions(options_)) {}

void Expander::AddFunction(std::shared_ptr<const Function> function) {
  std::string name = function->name;
  functions_.insert_or_assign(std::move(name), std::move(function));
}

Result<std::string> Expander::Expand() const {
  Template page(name_, functions_,
                {.missing_key = options_.missing_key, .limits = options_.limits});
  if (const Status parsed = page.Parse(text_); !parsed.ok()) {
    return parsed.WithPrefix("error parsing template " + name_ + ": ");
  }
  Result<std::string> text = page.Execute(data_);
  if (!text.ok()) return text.status().WithPrefix("error executing template " + name_ + ": ");
  return text;
}

Result<std::string> Expander::ExpandHtml(
    const std::vector<std::pair<std::string, std::string>>& files) const {
  Template page(name_, functions_,
                {.missing_key = options_.missing_key, .html = true, .limits = options_.limits});
  auto tmpl = std::make_shared<Function>();
  tmpl->name = "tmpl";
  tmpl->parameters = {types::String(), types::Any()};
  tmpl->call = [&page](const Arguments& a) -> Result<Value> {
    NARTHEX_TRY(std::string text, page.ExecuteTemplate(a[0].string_value(), a[1].Unboxed()));
    return Value::String(std::move(text), types::Html());
  };
  page.AddFunction(std::move(tmpl));
  if (const Status parsed = page.Parse(text_); !parsed.ok()) {
    return parsed.WithPrefix("error parsing template " + name_ + ": ");
  }
  for (const auto& [file, text] : files) {
    if (const Status parsed = page.ParseAs(file, text); !parsed.ok()) {
      return parsed.WithPrefix("error parsing template files for " + name_ + ": ");
    }
  }
  Result<std::string> text = page.Execute(data_);
  if (!text.ok()) return text.status().WithPrefix("error executing template " + name_ + ": ");
  return text;
}

Status Expander::ParseTest() const {
  Template page(name_, functions_, {.missing_key = MissingKey::kZero});
  return page.Parse(text_);
}

}  // namespace narthex::gotmpl
