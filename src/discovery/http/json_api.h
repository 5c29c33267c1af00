// Calls of APIs that answer in JSON. For .cc files only: it shows Boost.JSON.
#pragma once

#include "discovery/http/api_client.h"
#include "util/json_reader.h"

namespace narthex {

// Sends the request and reads the body of a 2xx answer. Other answers are errors
// `GET https://host/path: 404 Not Found: <the start of what it says>`.
Async<Result<json::value>> FetchJson(const ApiClient& api, FetchRequest request);

// "Authorization: Bearer <token>" and the like, for requests that are made by hand.
inline FetchRequest WithHeader(FetchRequest request, std::string name, std::string value) {
  request.headers.emplace_back(std::move(name), std::move(value));
  return request;
}

}  // namespace narthex
