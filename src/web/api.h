// The HTTP API, version 1 (parity/api.md).
//
// Each endpoint is a function from a request to a body, run on a pool: the event loop only routes.
// Light endpoints (status, targets, rules) have a pool of their own, so that they answer while all
// query slots are taken.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "promql/engine/engine.h"
#include "storage/storage.h"
#include "tsdb/db/db.h"
#include "util/thread_pool.h"
#include "util/time.h"
#include "web/api_sources.h"
#include "web/notifications.h"
#include "web/response_writer.h"
#include "web/router.h"

namespace re2 {
class RE2;
}

namespace narthex::web {

struct ApiOptions {
  bool enable_admin = false;
  // Origins that may read answers, a regular expression anchored by us; default all.
  std::string cors_origin = ".*";
  // Instant-query stats per step need the feature promql-per-step-stats.
  bool per_step_stats = false;
  // The feature query-cost: requests may limit themselves.
  bool query_cost = false;
  bool agent = false;
  // The feature search-api, and the most results that one request may ask for; 0: any number.
  bool enable_search = false;
  int64_t search_limit_max = 10'000;
  std::string external_url = "http://localhost:9090/";
  std::vector<std::string> listen_addresses;
  promql::ParserOptions parser;
};

// What exists once the storage is open.
struct ApiStorage {
  storage::Queryable* queryable = nullptr;
  storage::ExemplarQueryable* exemplars = nullptr;
  tsdb::Db* db = nullptr;
  promql::Engine* engine = nullptr;
};

class Api {
 public:
  Api(ApiOptions options, ApiSources sources, Notifications& notifications, ThreadPool& light_pool,
      ThreadPool& query_pool, Clock& clock = Clock::System());
  ~Api();

  // Adds the routes below `prefix` ("" or "/prefix").
  void Register(const std::string& prefix, Router& router);

  // From now on everything answers; before, 503. The storage outlives the API or is taken back.
  void SetReady(ApiStorage storage);
  void SetStopping();
  const BuildInfo& build_info() const { return sources_.build_info; }
  bool ready() const { return ready_.load(std::memory_order_acquire); }
  bool stopping() const { return stopping_.load(std::memory_order_acquire); }
  // Answers 503 and gives true while the server is not ready, or is stopping.
  bool RefuseUnready(net::HttpExchange& exchange) const;
  const ApiStorage& storage() const { return storage_; }
  void SetReplayProgress(std::shared_ptr<tsdb::WalReplayProgress> progress) {
    replay_ = std::move(progress);
  }

  // One endpoint at work.
  struct Call {
    net::HttpExchange& exchange;
    const net::HttpRequest& request;
    const PathParameters& parameters;
    ResponseWriter& writer;
    // Goes out with the answer.
    std::vector<std::string> warnings;
    std::vector<std::string> infos;
    // Set by endpoints that have nothing to say: 204.
    bool no_content = false;
    std::string_view parameter(std::string_view name) const;
  };
  // Appends the JSON of `data` to the writer's buffer.
  using Endpoint = std::function<Status(Call&)>;

 private:
  enum class Load { kLight, kQuery };
  enum class Mode {
    kAlways,      // Before the storage is open, too; never compressed.
    kReady,       // Once ready.
    kServerOnly,  // Once ready, and not in agent mode.
  };
  void Add(const std::string& prefix, Router& router, std::vector<std::string> methods,
           const std::string& path, Load load, Endpoint endpoint, Mode mode);
  void Run(const std::shared_ptr<net::HttpExchange>& exchange, const PathParameters& parameters,
           const Endpoint& endpoint, Mode mode);
  void AddCors(const net::HttpRequest& request, net::Headers* headers) const;
  // The error envelope, for handlers outside Run; not compressed.
  void RespondError(const std::shared_ptr<net::HttpExchange>& exchange, const Status& status) const;

  // query_api.cc
  Status Query(Call& call);
  Status QueryRange(Call& call);
  Status QueryExplain(Call& call);
  Status QueryExemplars(Call& call);
  Status FormatQuery(Call& call);
  Status ParseQueryTree(Call& call);
  // series_api.cc
  Status LabelNames(Call& call);
  Status LabelValues(Call& call);
  Status SeriesList(Call& call);
  // targets_api.cc
  Status Targets(Call& call);
  Status TargetsMetadata(Call& call);
  Status MetricMetadata(Call& call);
  Status ScrapePools(Call& call);
  Status ScrapePoolConfig(Call& call);
  Status RelabelSteps(Call& call);
  Status Alertmanagers(Call& call);
  // rules_api.cc
  Status Alerts(Call& call);
  Status Rules(Call& call);
  // status_api.cc
  Status StatusConfig(Call& call);
  Status StatusFlags(Call& call);
  Status StatusBuildInfo(Call& call);
  Status StatusRuntimeInfo(Call& call);
  Status StatusTsdb(Call& call);
  Status StatusTsdbBlocks(Call& call);
  Status StatusWalReplay(Call& call);
  Status StatusSelfMetrics(Call& call);
  Status Features(Call& call);
  Status NotificationList(Call& call);
  void NotificationStream(const std::shared_ptr<net::HttpExchange>& exchange);
  // search_api.cc
  enum class SearchKind { kMetricNames, kLabelNames, kLabelValues };
  struct MetadataCache;
  void AddSearch(const std::string& prefix, Router& router);
  Status Search(net::HttpExchange& exchange, SearchKind kind);
  // openapi.cc
  void AddOpenApi(const std::string& prefix, Router& router);
  // admin_api.cc
  Status DeleteSeries(Call& call);
  Status CleanTombstones(Call& call);
  Status Snapshot(Call& call);

  std::string GlobalUrl(const std::string& scrape_url) const;
  Result<std::vector<std::vector<Matcher>>> MatchSets(const std::vector<std::string>& selectors,
                                                      bool require_non_empty) const;

  const ApiOptions options_;
  const ApiSources sources_;
  Notifications& notifications_;
  ThreadPool& light_pool_;
  ThreadPool& query_pool_;
  Clock& clock_;
  std::unique_ptr<re2::RE2> cors_origin_;
  std::shared_ptr<tsdb::WalReplayProgress> replay_;
  std::shared_ptr<MetadataCache> metadata_cache_;
  ApiStorage storage_;
  std::atomic<bool> ready_{false};
  std::atomic<bool> stopping_{false};
};

// The HTTP status that goes with an error.
int HttpStatusOf(ErrorCode code);
// {"version":…}, as /version and /api/v1/status/buildinfo show it.
std::string BuildInfoJson(const BuildInfo& info);

}  // namespace narthex::web
