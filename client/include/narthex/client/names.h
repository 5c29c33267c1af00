// Names of metrics and labels: which are valid, and how those that are not legacy names are escaped
// for peers that do not take UTF-8.
//
//   legacy metric name   [a-zA-Z_:][a-zA-Z0-9_:]*
//   legacy label name    [a-zA-Z_][a-zA-Z0-9_]*
//   UTF-8 name           any non-empty valid UTF-8
//
// Threads: all functions are pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace narthex::client {

enum class NameValidation : unsigned char { kUtf8, kLegacy };

bool IsValidLegacyMetricName(std::string_view name) noexcept;
bool IsValidLegacyLabelName(std::string_view name) noexcept;
bool IsValidUtf8(std::string_view text) noexcept;
bool IsValidMetricName(std::string_view name, NameValidation validation) noexcept;
bool IsValidLabelName(std::string_view name, NameValidation validation) noexcept;

// The `escaping` parameter of content types.
enum class EscapingScheme : unsigned char {
  kAllowUtf8,    // allow-utf-8: names go out as they are, quoted where need be
  kUnderscores,  // underscores: a.b -> a_b
  kDots,         // dots: a.b_c -> a_dot_b__c
  kValues,       // values: a.b_c -> U__a_2e_b__c
};

std::string_view EscapingSchemeName(EscapingScheme scheme) noexcept;
std::optional<EscapingScheme> ParseEscapingScheme(std::string_view name) noexcept;

// Invalid UTF-8 counts as the replacement character, one for each byte.
std::string EscapeName(std::string_view name, EscapingScheme scheme);

// `namespace_subsystem_name`, leaving out empty parts; empty when `name` is.
std::string BuildName(std::string_view name_space, std::string_view subsystem,
                      std::string_view name);

}  // namespace narthex::client
