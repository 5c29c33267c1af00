// `query analyze`: how many buckets the histograms of a server fill.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "apps/tool.h"
#include "apps/tool_api_client.h"
#include "apps/tool_query.h"
#include "util/numbers.h"
#include "util/time.h"

namespace narthex::apps {
namespace {

constexpr std::string_view kHeader =
    R"(Bucket stats for each histogram series over time
------------------------------------------------
First the min, avg, and max number of populated buckets, followed by the total
number of buckets (only if different from the max number of populated buckets
which is typical for classic but not native histograms).

)";
constexpr std::string_view kFooter = R"(
Aggregated bucket stats
-----------------------
Each line shows min/avg/max over the series above.
)";

// Of one histogram, over the samples of the time frame.
struct BucketCounts {
  int64_t min = std::numeric_limits<int64_t>::max();
  int64_t max = 0;
  int64_t sum = 0;
  int64_t samples = 0;
  int64_t total = 0;  // Buckets that ever were there, populated or not.

  void Add(int64_t populated) {
    min = std::min(min, populated);
    max = std::max(max, populated);
    sum += populated;
    ++samples;
  }
  double average() const { return static_cast<double>(sum) / static_cast<double>(samples); }
  std::string ToString() const {
    std::string text = fmt::format("{}/{:.3f}/{}", min, average(), max);
    return max == total ? text : text + fmt::format("/{}", total);
  }
};

// Of one of those figures, over the histograms.
struct Spread {
  int64_t min = std::numeric_limits<int64_t>::max();
  int64_t max = 0;
  int64_t count = 0;
  double average = 0;

  void Add(int64_t value) {
    min = std::min(min, value);
    max = std::max(max, value);
    ++count;
    const auto n = static_cast<double>(count);
    average += static_cast<double>(value) / n - average / n;
  }
  std::string ToString() const { return fmt::format("{}/{:.3f}/{}", min, average, max); }
  bool operator==(const Spread&) const = default;
};

struct Summary {
  Spread min, average, max, total;

  void Add(const BucketCounts& counts) {
    min.Add(counts.min);
    average.Add(static_cast<int64_t>(counts.average()));
    max.Add(counts.max);
    total.Add(counts.total);
  }
  std::string ToString(std::string_view kind) const {
    if (min.count == 0) return {};
    std::string text = fmt::format(
        "\n{} histogram series ({} in total):\n- min populated: {}\n- avg populated: {}\n- max "
        "populated: {}",
        kind, min.count, min.ToString(), average.ToString(), max.ToString());
    if (max != total) text += "\n- total: " + total.ToString();
    return text + "\n";
  }
};

// Nothing of a series with less than two samples.
std::optional<BucketCounts> CountNative(const ApiSeries& series) {
  if (series.histograms.size() < 2) return std::nullopt;
  BucketCounts counts;
  std::set<std::tuple<int64_t, double, double>> seen;
  for (const auto& [time_ms, histogram] : series.histograms) {
    for (const ApiBucket& bucket : histogram.buckets) {
      seen.emplace(bucket.boundaries, bucket.lower, bucket.upper);
    }
    counts.Add(static_cast<int64_t>(histogram.buckets.size()));
  }
  counts.total = static_cast<int64_t>(seen.size());
  return counts;
}

double UpperBound(const ApiSeries& series) {
  return ParseFloat(series.labels.at("le")).value_or(0);
}

// `buckets` are the series of one classic histogram. A series that ends early counts as empty from
// then on, together with those above it.
Result<std::optional<BucketCounts>> CountClassic(std::vector<ApiSeries> buckets) {
  const size_t samples = buckets.front().values.size();
  if (samples < 2) return std::optional<BucketCounts>();
  std::stable_sort(buckets.begin(), buckets.end(),
                   [](const auto& a, const auto& b) { return UpperBound(a) < UpperBound(b); });
  BucketCounts counts;
  counts.total = static_cast<int64_t>(buckets.size());
  for (size_t i = 0; i < samples; ++i) {
    int64_t populated = 0;
    double below = 0;
    for (size_t b = 0; b < buckets.size() && i < buckets[b].values.size(); ++b) {
      const auto& [time_ms, value] = buckets[b].values[i];
      if (b > 0 && buckets[b - 1].values[i].first != time_ms) {
        return Status(ErrorCode::kInvalidInput, "matrix result is not time aligned");
      }
      if (std::abs(value - below) >= 1) ++populated;
      below = value;
    }
    counts.Add(populated);
  }
  return std::optional(counts);
}

Result<std::vector<ApiSeries>> Samples(ApiClient& client, const std::string& selector,
                                       int64_t end_ms) {
  NARTHEX_TRY(const ApiAnswer answer,
              client.Post("/api/v1/query", {{"query", selector}, {"time", FormatApiTime(end_ms)}}));
  std::string type;
  NARTHEX_TRY(std::optional<std::vector<ApiSeries>> matrix, ReadMatrix(answer.data, &type));
  if (!matrix) {
    return Status(ErrorCode::kInvalidInput, "query of buckets resulted in non-Matrix");
  }
  return *std::move(matrix);
}

}  // namespace

Status AnalyzeQueries(ApiClient& client, const AnalyzeQueryOptions& options) {
  if (options.type != "histogram") {
    return MakeError(ErrorCode::kInvalidInput, "analyze type is {}, must be 'histogram'",
                     options.type);
  }
  int64_t end_ms = Clock::System().NowMillis();
  if (!options.time.empty()) {
    const Result<int64_t> time = ParseToolTime(options.time);
    if (!time.ok()) {
      return time.status().WithPrefix("error parsing time '" + options.time + "': ");
    }
    end_ms = *time;
  }
  PrintOut(kHeader);
  Summary native, classic;
  for (const std::string& match : options.match) {
    NARTHEX_TRY(
        std::vector<ApiSeries> matrix,
        Samples(client, match + "[" + FormatGoDuration(options.duration_nanos) + "]", end_ms));
    std::map<std::string, std::vector<ApiSeries>> histograms;
    for (ApiSeries& series : matrix) {
      if (series.values.empty()) {
        const std::optional<BucketCounts> counts = CountNative(series);
        if (!counts) continue;
        PrintOut(
            fmt::format("- {} (native): {}\n", ApiMetricText(series.labels), counts->ToString()));
        native.Add(*counts);
        continue;
      }
      // What has floats is taken for a classic histogram if its name and labels allow it.
      std::map<std::string, std::string> labels = series.labels;
      if (labels.erase("le") == 0) continue;
      const std::string name = labels["__name__"];
      if (!name.ends_with("_bucket")) continue;
      labels.erase("__name__");
      histograms[name + ApiLabelsText(labels)].push_back(std::move(series));
    }
    for (auto& [name, buckets] : histograms) {
      NARTHEX_TRY(const std::optional<BucketCounts> counts, CountClassic(std::move(buckets)));
      if (!counts) continue;
      PrintOut(fmt::format("- {} (classic): {}\n", name, counts->ToString()));
      classic.Add(*counts);
    }
  }
  PrintOut(kFooter);
  PrintOut(native.ToString("Native"));
  PrintOut(classic.ToString("Classic"));
  return {};
}

}  // namespace narthex::apps
