#include "web/params.h"

#include <cmath>

#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::web {
namespace {

// What upstream prints for its two extreme times; both come back from its own UI.
constexpr std::string_view kMinTimeText = "-292273086-05-16T16:47:06Z";
constexpr std::string_view kMaxTimeText = "292277025-08-18T07:12:54.999999999Z";

constexpr double kMillisMax = 9.2e18;
// Seconds from here on do not fit into 64 bits.
constexpr double kSecondsMax = 9'223'372'036'854'775'808.0;

// strconv.ParseFloat: a number beyond what fits is no number, Inf is one.
std::optional<double> ParseGoFloat(std::string_view text) {
  const std::optional<double> value = ParseFloat(text);
  const bool digits = text.find_first_of("0123456789") != std::string_view::npos;
  if (value && std::isinf(*value) && digits) return std::nullopt;
  return value;
}

Status FillForm(const net::HttpRequest& request, net::FormValues* form) {
  Status status;
  const std::string_view type = request.headers.Get("Content-Type");
  const bool has_body =
      request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (has_body && type.starts_with("application/x-www-form-urlencoded")) {
    status = form->Parse(request.body);
  }
  if (Status query = form->Parse(request.query); status.ok()) status = std::move(query);
  return status;
}

}  // namespace

Result<net::FormValues> ParseForm(const net::HttpRequest& request) {
  net::FormValues form;
  if (const Status status = FillForm(request, &form); !status.ok()) {
    return status.WithPrefix("error parsing form values: ");
  }
  return form;
}

net::FormValues ReadForm(const net::HttpRequest& request) {
  net::FormValues form;
  static_cast<void>(FillForm(request, &form));
  return form;
}

net::FormValues ParseQuery(const net::HttpRequest& request) {
  net::FormValues values;
  // Malformed pairs are left out, as url.Query does.
  if (!values.Parse(request.query).ok()) return values;
  return values;
}

Result<int64_t> ParseTime(std::string_view text) {
  if (const std::optional<double> seconds = ParseGoFloat(text)) {
    // Where upstream's conversion to an integer has no answer, NaN included, it gives the earliest
    // time there is; clients that send Inf as an end see nothing.
    if (!(std::abs(*seconds) < kSecondsMax)) return kMinTimeMs;
    // The fraction is rounded to milliseconds, the whole part kept exact.
    double whole = 0;
    const double fraction = std::round(std::modf(*seconds, &whole) * 1000);
    const double milliseconds = whole * 1000 + fraction;
    // Beyond what 64 bits hold there is no data on either side.
    if (milliseconds >= kMillisMax) return kMaxTimeMs;
    if (milliseconds <= -kMillisMax) return kMinTimeMs;
    return static_cast<int64_t>(milliseconds);
  }
  if (text == kMinTimeText) return kMinTimeMs;
  if (text == kMaxTimeText) return kMaxTimeMs;
  if (const Result<int64_t> nanos = ParseRfc3339(text); nanos.ok()) {
    return static_cast<int64_t>(std::floor(static_cast<double>(*nanos / 1000) / 1000.0));
  }
  return MakeError(ErrorCode::kInvalidInput, "cannot parse {} to a valid timestamp", GoQuote(text));
}

Result<int64_t> ParseDurationParam(std::string_view text) {
  if (const std::optional<double> seconds = ParseGoFloat(text)) {
    const double nanos = *seconds * static_cast<double>(kNanosPerSecond);
    if (std::isnan(nanos) || nanos >= static_cast<double>(std::numeric_limits<int64_t>::max()) ||
        nanos < static_cast<double>(std::numeric_limits<int64_t>::min())) {
      return MakeError(ErrorCode::kInvalidInput,
                       "cannot parse {} to a valid duration. It overflows int64", GoQuote(text));
    }
    return static_cast<int64_t>(nanos);
  }
  if (const Result<int64_t> duration = ParseDuration(text); duration.ok()) return *duration;
  return MakeError(ErrorCode::kInvalidInput, "cannot parse {} to a valid duration", GoQuote(text));
}

Result<int64_t> ParseTimeParam(const net::FormValues& form, std::string_view name,
                               int64_t missing) {
  const std::string_view text = form.Get(name);
  if (text.empty()) return missing;
  Result<int64_t> time = ParseTime(text);
  if (time.ok()) return time;
  return InvalidParameter(
      name, time.status().WithPrefix(fmt::format("invalid time value for '{}': ", name)));
}

Status IntegerError(std::string_view function, std::string_view text) {
  const std::string_view digits =
      text.starts_with('+') || text.starts_with('-') ? text.substr(1) : text;
  const bool number =
      !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
  return MakeError(ErrorCode::kInvalidInput, "strconv.{}: parsing {}: {}", function, GoQuote(text),
                   number ? "value out of range" : "invalid syntax");
}

Result<size_t> ParseLimit(const net::FormValues& form) {
  const std::string_view text = form.Get("limit");
  if (text.empty()) return size_t{0};
  const std::optional<int64_t> limit = ParseInt(text);
  if (!limit) return InvalidParameter("limit", IntegerError("Atoi", text));
  if (*limit < 0) {
    return InvalidParameter("limit",
                            Status(ErrorCode::kInvalidInput, "limit must be non-negative"));
  }
  return static_cast<size_t>(*limit);
}

Status InvalidParameter(std::string_view name, const Status& cause) {
  return MakeError(ErrorCode::kInvalidInput, "invalid parameter {}: {}", GoQuote(name),
                   cause.message());
}

}  // namespace narthex::web
