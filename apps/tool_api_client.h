// Asks a server's HTTP API, and prints its answers as client_golang's models print themselves.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/url.h"
#include "net/http_client.h"
#include "util/status.h"

namespace narthex::apps {

struct ApiAnswer {
  std::string data;  // JSON of the member `data`.
  std::vector<std::string> warnings;
  std::vector<std::string> infos;
};

class ApiClient {
 public:
  using Values = std::vector<std::pair<std::string, std::string>>;

  // `server` without a scheme is http.
  ApiClient(Url server, std::shared_ptr<const net::HttpClientOptions> options, Values headers);

  // POST with a form; again as GET where the server does not take that. Errors read
  // `bad_data: …`, with ` (detail: …)` where the server said more than the type.
  Result<ApiAnswer> Post(const std::string& endpoint, const Values& form);
  Result<ApiAnswer> Get(const std::string& endpoint, const Values& parameters);

 private:
  Result<ApiAnswer> Do(net::HttpClientRequest request, int* status);

  std::string base_;
  std::shared_ptr<const net::HttpClientOptions> options_;
  Values headers_;
  net::HttpClient client_;
};

// Seconds with as many decimals as needed.
std::string FormatApiTime(int64_t ms);

// The `data` of a query as `promtool query` prints it. kInvalidInput when it is no such data.
Result<std::string> QueryResultText(const std::string& data);
Result<std::string> QueryResultJson(const std::string& data);
// Of the series and label values endpoints.
Result<std::string> SeriesText(const std::string& data);
Result<std::string> SeriesJson(const std::string& data);
Result<std::string> LabelValuesText(const std::string& data);
Result<std::string> LabelValuesJson(const std::string& data);

}  // namespace narthex::apps
