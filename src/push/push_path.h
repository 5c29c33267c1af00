// Grouping labels from the path of a push: `/job/JOB{/NAME/VALUE}*`, with `@base64` behind names.
#pragma once

#include <string>
#include <string_view>

#include "narthex/client/labels.h"
#include "util/status.h"

namespace narthex::push {

inline constexpr std::string_view kBase64Suffix = "@base64";

struct PathOptions {
  bool job_base64 = false;
  // Takes any UTF-8 in names, and reads names in the `U__` escaping.
  bool utf8_names = false;
};

// `job` as in the path, `rest` = "/name/value/…" or empty, both percent-decoded. The labels come
// sorted. A name that occurs twice keeps its last value. Errors in upstream's words.
Result<client::Labels> ParsePushPath(std::string_view job, std::string_view rest,
                                     const PathOptions& options);

// URL-safe base64, padding ignored; errors as Go's `illegal base64 data at input byte N`.
Result<std::string> DecodeUrlBase64(std::string_view text);
// A name in the `U__` escaping as it was before; other names, and wrong escapes, stay.
std::string UnescapeValuesName(std::string_view name);

}  // namespace narthex::push
