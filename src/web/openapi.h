// The OpenAPI description of the HTTP API: one table of operations, printed as YAML.
//
// A test compares the table with the routes that the API registers, so that neither grows alone.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace narthex::web {

struct OpenApiParameter {
  std::string_view name;
  std::string_view type;  // A name of the table of types in openapi.cc: "time", "selectors", …
  bool required = false;
  std::string_view text;
};

struct OpenApiOperation {
  std::string_view methods;  // "GET", "GET POST", "POST PUT"
  std::string_view path;     // "/label/{name}/values"
  std::string_view id;
  std::string_view tag;
  std::string_view summary;
  std::vector<OpenApiParameter> parameters;
  std::string_view data;  // The schema of the answer's data; "" for an empty answer, 204.
};

std::span<const OpenApiOperation> OpenApiOperations();

// `version`: "3.1" or "3.2", which alone can describe event streams.
std::string OpenApiYaml(std::string_view version, std::string_view server_url,
                        std::string_view api_version);

}  // namespace narthex::web
