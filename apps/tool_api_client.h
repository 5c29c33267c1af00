// Asks a server's HTTP API, and prints its answers as client_golang's models print themselves.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
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

// A range of one series, as numbers.
struct ApiBucket {
  int64_t boundaries = 0;
  double lower = 0, upper = 0, count = 0;
  auto operator<=>(const ApiBucket&) const = default;
};
struct ApiHistogram {
  double count = 0, sum = 0;
  std::vector<ApiBucket> buckets;
};
struct ApiSeries {
  std::map<std::string, std::string> labels;
  std::vector<std::pair<int64_t, double>> values;  // Milliseconds first, as is the next one.
  std::vector<std::pair<int64_t, ApiHistogram>> histograms;
};
// The series of a matrix in the server's order; nothing when `data` is of another type, whose name
// `type` tells.
Result<std::optional<std::vector<ApiSeries>>> ReadMatrix(const std::string& data,
                                                         std::string* type);
// up{job="x"}; names are never quoted.
std::string ApiMetricText(std::map<std::string, std::string> labels);
// {__name__="up", job="x"}
std::string ApiLabelsText(const std::map<std::string, std::string>& labels);

// The `data` of a query as `promtool query` prints it. kInvalidInput when it is no such data.
Result<std::string> QueryResultText(const std::string& data);
Result<std::string> QueryResultJson(const std::string& data);
// Of the series and label values endpoints.
Result<std::string> SeriesText(const std::string& data);
Result<std::string> SeriesJson(const std::string& data);
Result<std::string> LabelValuesText(const std::string& data);
Result<std::string> LabelValuesJson(const std::string& data);

}  // namespace narthex::apps
