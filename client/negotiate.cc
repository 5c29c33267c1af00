// Choosing the format from an Accept header, with the rules and the quirks of expfmt and the parser
// it uses (goautoneg).
#include <algorithm>
#include <cstdlib>

#include "narthex/client/exposition.h"

namespace narthex::client {
namespace {

// What a format looks like in an Accept clause. charset is not compared.
struct FormatEntry {
  FormatType type;
  std::string_view content_type;
  std::string_view main_type;
  std::string_view sub_type;
  std::string_view version;   // Empty: none.
  std::string_view encoding;  // Protobuf only.
};

constexpr std::string_view kProto = "io.prometheus.client.MetricFamily";
constexpr FormatEntry kFormats[] = {
    {FormatType::kText, "text/plain; version=0.0.4; charset=utf-8", "text", "plain", "0.0.4", ""},
    {FormatType::kOpenMetrics001, "application/openmetrics-text; version=0.0.1; charset=utf-8",
     "application", "openmetrics-text", "0.0.1", ""},
    {FormatType::kOpenMetrics100, "application/openmetrics-text; version=1.0.0; charset=utf-8",
     "application", "openmetrics-text", "1.0.0", ""},
    {FormatType::kOpenMetrics200, "application/openmetrics-text; version=2.0.0; charset=utf-8",
     "application", "openmetrics-text", "2.0.0", ""},
    {FormatType::kProtobufDelimited,
     "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
     "application", "vnd.google.protobuf", "", "delimited"},
    {FormatType::kProtobufText,
     "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=text",
     "application", "vnd.google.protobuf", "", "text"},
    {FormatType::kProtobufCompact,
     "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
     "encoding=compact-text",
     "application", "vnd.google.protobuf", "", "compact-text"},
};

const FormatEntry& EntryOf(FormatType type) {
  return kFormats[static_cast<size_t>(type)];
}

struct Clause {
  std::string_view main_type;
  std::string_view sub_type;
  double quality = 1;
  std::string_view version, encoding, proto, escaping;
};

std::string_view TrimSpaces(std::string_view s) {
  while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
  while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
  return s;
}

// Cuts what comes before the separator off `rest`.
std::string_view Take(std::string_view& rest, char separator) {
  const size_t at = rest.find(separator);
  const std::string_view item = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return item;
}

bool ParseClause(std::string_view text, Clause& clause) {
  std::string_view params = TrimSpaces(text);
  std::string_view types = Take(params, ';');
  clause.main_type = TrimSpaces(Take(types, '/'));
  if (types.empty()) {
    if (clause.main_type != "*") return false;
    clause.sub_type = "*";
  } else {
    clause.sub_type = TrimSpaces(Take(types, '/'));
    if (!types.empty()) return false;
  }
  while (!params.empty()) {
    std::string_view value = Take(params, ';');
    const std::string_view key = TrimSpaces(Take(value, '='));
    if (value.empty() || value.find('=') != std::string_view::npos) continue;
    const std::string_view trimmed = TrimSpaces(value);
    if (key == "q") {
      // An unreadable quality is 0.
      const std::string number(value);
      char* end = nullptr;
      clause.quality = std::strtod(number.c_str(), &end);
      if (end != number.c_str() + number.size()) clause.quality = 0;
    } else if (key == "version") {
      clause.version = trimmed;
    } else if (key == "encoding") {
      clause.encoding = trimmed;
    } else if (key == "proto") {
      clause.proto = trimmed;
    } else if (key == "escaping") {
      clause.escaping = trimmed;
    }
  }
  return true;
}

bool Before(const Clause& a, const Clause& b) {
  if (a.quality != b.quality) return a.quality > b.quality;
  const int wild_a = (a.main_type == "*" ? 2 : 0) + (a.sub_type == "*" ? 1 : 0);
  const int wild_b = (b.main_type == "*" ? 2 : 0) + (b.sub_type == "*" ? 1 : 0);
  return wild_a < wild_b;
}

bool Matches(const Clause& clause, const FormatEntry& format) {
  // Whoever takes anything gets what is offered first.
  if (clause.main_type == "*" && clause.sub_type == "*" && clause.version.empty()) return true;
  if (clause.main_type != "*" && clause.main_type != format.main_type) return false;
  if (clause.sub_type != "*" && clause.sub_type != format.sub_type) return false;
  if (!format.encoding.empty()) {
    return clause.encoding == format.encoding && clause.proto == kProto;
  }
  std::string_view version = clause.version;
  if (version.empty() && clause.main_type == "application" &&
      clause.sub_type == "openmetrics-text") {
    version = "0.0.1";
  }
  if (version.empty() && clause.main_type == "text" && clause.sub_type == "plain") {
    version = "0.0.4";
  }
  return version == format.version;
}

}  // namespace

std::string Format::ContentType() const {
  std::string text(EntryOf(type).content_type);
  text += "; escaping=";
  text += EscapingSchemeName(escaping);
  return text;
}

const std::vector<FormatType>& DefaultFormats() {
  static const std::vector<FormatType> formats = {FormatType::kText, FormatType::kProtobufDelimited,
                                                  FormatType::kProtobufText,
                                                  FormatType::kProtobufCompact};
  return formats;
}

const std::vector<FormatType>& OpenMetricsFormats() {
  static const std::vector<FormatType> formats = {
      FormatType::kText,           FormatType::kProtobufDelimited,
      FormatType::kProtobufText,   FormatType::kProtobufCompact,
      FormatType::kOpenMetrics100, FormatType::kOpenMetrics001};
  return formats;
}

Format Negotiate(std::string_view accept, const std::vector<FormatType>& offered,
                 EscapingScheme default_escaping) {
  std::vector<Clause> clauses;
  while (!accept.empty()) {
    Clause clause;
    if (ParseClause(Take(accept, ','), clause)) clauses.push_back(clause);
  }
  std::stable_sort(clauses.begin(), clauses.end(), Before);
  Format format{FormatType::kText, default_escaping};
  for (const Clause& clause : clauses) {
    if (const auto scheme = ParseEscapingScheme(clause.escaping)) format.escaping = *scheme;
    for (const FormatType type : offered) {
      if (!Matches(clause, EntryOf(type))) continue;
      format.type = type;
      return format;
    }
  }
  const bool has_text =
      std::find(offered.begin(), offered.end(), FormatType::kText) != offered.end();
  if (!has_text && !offered.empty()) format.type = offered.front();
  return format;
}

}  // namespace narthex::client
