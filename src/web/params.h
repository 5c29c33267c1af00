// Reading of request parameters in the forms and with the error texts of upstream's API
// (parity/api.md sections 1 and 2).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "net/http_server.h"
#include "net/url.h"
#include "util/status.h"

namespace narthex::web {

// The widest range that the API knows: what a missing start or end means.
inline constexpr int64_t kMinTimeMs = std::numeric_limits<int64_t>::min() / 1'000'000 * 1'000;
inline constexpr int64_t kMaxTimeMs = std::numeric_limits<int64_t>::max() / 1'000'000 * 1'000;

// The values of a request: for a POST or PUT the form body first, then the URL's query. Malformed
// pairs are left out, as Go's FormValue does.
net::FormValues ReadForm(const net::HttpRequest& request);
// The same for endpoints that tell of malformed pairs. Error: `error parsing form values: …`.
Result<net::FormValues> ParseForm(const net::HttpRequest& request);
// The URL's query alone, which some endpoints read even for a POST.
net::FormValues ParseQuery(const net::HttpRequest& request);

// Unix seconds with a fraction, or RFC 3339; gives milliseconds.
// Error: `cannot parse "x" to a valid timestamp`.
Result<int64_t> ParseTime(std::string_view text);
// Seconds with a fraction, or a Prometheus duration; gives nanoseconds.
// Errors: `cannot parse "x" to a valid duration`, `… It overflows int64`.
Result<int64_t> ParseDurationParam(std::string_view text);
// `missing` when the parameter is absent or empty. Error:
// `invalid parameter "start": invalid time value for 'start': cannot parse …`.
Result<int64_t> ParseTimeParam(const net::FormValues& form, std::string_view name, int64_t missing);
// 0: no limit. Errors: `limit must be non-negative`, Go's Atoi text; both with the prefix
// `invalid parameter "limit": `.
Result<size_t> ParseLimit(const net::FormValues& form);
// The error text of strconv.Atoi and its like: `strconv.Atoi: parsing "x": invalid syntax`.
Status IntegerError(std::string_view function, std::string_view text);

// `invalid parameter "NAME": <cause>` with the code kInvalidInput.
Status InvalidParameter(std::string_view name, const Status& cause);

}  // namespace narthex::web
