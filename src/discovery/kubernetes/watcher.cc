#include "discovery/kubernetes/watcher.h"

#include <random>

#include "net/url.h"
#include "util/log.h"
#include "util/strings.h"

namespace narthex::kubernetes {

namespace {

constexpr int64_t kWaitMinNanos = 800 * kNanosPerMilli;
constexpr int64_t kWaitMaxNanos = 30 * kNanosPerSecond;
constexpr int kPageObjects = 500;
// Watches are asked to end after five to ten minutes, each at its own time.
constexpr int64_t kWatchSecondsMin = 300;
constexpr int64_t kWatchSecondsMax = 600;
// How much longer than that a silent connection is believed in.
constexpr int64_t kWatchGraceNanos = 30 * kNanosPerSecond;
constexpr int64_t kListTimeoutNanos = 120 * kNanosPerSecond;
// A watch that ends sooner, without any event, counts as a failure.
constexpr int64_t kShortWatchNanos = kNanosPerSecond;
constexpr int kGone = 410;

std::minstd_rand& Random() {
  thread_local std::minstd_rand random(std::random_device{}());
  return random;
}

// What a refusal says: the message of its Status object, or its HTTP status.
Status Refusal(const FetchResponse& answer) {
  const Result<json::value> body = ParseJson(answer.body);
  const std::string message = body.ok() ? Text(*body, "message") : "";
  const ErrorCode code =
      answer.status_code == kGone ? ErrorCode::kOutOfBounds : ErrorCode::kUnavailable;
  if (!message.empty()) return Status(code, message);
  return MakeError(code, "server returned HTTP status {}", answer.status);
}

}  // namespace

Watcher::Watcher(const ApiClient& api, WatchTarget target, ObjectStore& store,
                 std::function<void()> on_synced)
    : api_(api), target_(std::move(target)), store_(store), on_synced_(std::move(on_synced)) {}

void Watcher::Start() {
  running_ = Run();
  running_.Start({});
}

FetchRequest Watcher::Request(std::vector<std::pair<std::string, std::string>> query) const {
  if (!target_.field_selector.empty()) query.emplace_back("fieldSelector", target_.field_selector);
  if (!target_.label_selector.empty()) query.emplace_back("labelSelector", target_.label_selector);
  net::FormValues form;
  for (auto& [name, value] : query) form.Add(std::move(name), std::move(value));
  std::string url = target_.base_url + std::string(ResourceApi(store_.resource()));
  if (!target_.space.empty()) url += "/namespaces/" + net::PathEscape(target_.space);
  url += fmt::format("/{}?{}", ResourceName(store_.resource()), form.Encode());
  FetchRequest request = api_.Get(std::move(url));
  request.headers.emplace_back("Accept", "application/json");
  return request;
}

int64_t Watcher::NextWaitNanos() {
  wait_nanos_ = wait_nanos_ == 0 ? kWaitMinNanos : std::min(2 * wait_nanos_, kWaitMaxNanos);
  std::uniform_int_distribution<int64_t> more(0, wait_nanos_);
  return std::min(wait_nanos_ + more(Random()), kWaitMaxNanos);
}

void Watcher::CountAnswer(const FetchResponse& answer) {
  if (SdMetrics* metrics = api_.environment().metrics) {
    metrics->Add("prometheus_sd_kubernetes_http_request_total",
                 {{"status_code", std::to_string(answer.status_code)}});
  }
}

void Watcher::Fail(const Status& error, std::string_view verb) {
  if (SdMetrics* metrics = api_.environment().metrics) {
    metrics->Add("prometheus_sd_kubernetes_failures_total", {});
  }
  LOG_WARN("Failed to reach the Kubernetes API", {"verb", std::string(verb)},
           {"resource", std::string(ResourceName(store_.resource()))}, {"err", error.message()});
}

Async<Unit> Watcher::Run() {
  TaskLoop& loop = *api_.environment().loop;
  bool relist = true;
  while (true) {
    bool failed = false;
    if (relist) {
      const Status listed = co_await List();
      if (!listed.ok()) Fail(listed, "list");
      failed = !listed.ok();
      relist = failed;
    } else {
      const End end = co_await Watch();
      relist = end == End::kRelist;
      failed = end == End::kFailed;
    }
    if (failed) co_await SleepOn(loop, NextWaitNanos());
  }
}

Async<Status> Watcher::List() {
  store_.BeginReplace();
  std::string next;
  std::string version;
  do {
    std::vector<std::pair<std::string, std::string>> query = {
        {"limit", std::to_string(kPageObjects)}};
    if (!next.empty()) query.emplace_back("continue", next);
    FetchRequest request = Request(std::move(query));
    request.timeout_nanos = kListTimeoutNanos;
    const Result<FetchResponse> answer = co_await api_.Send(std::move(request));
    if (!answer.ok()) co_return answer.status();
    CountAnswer(*answer);
    if (answer->status_code != 200) co_return Refusal(*answer);
    Result<json::object> page = ParseJsonObject(answer->body);
    if (!page.ok()) co_return page.status();
    for (const json::value& object : Array(*page, "items")) store_.Put(object);
    const json::value& metadata = Member(*page, "metadata");
    version = Text(metadata, "resourceVersion");
    next = Text(metadata, "continue");
  } while (!next.empty());
  store_.EndReplace();
  version_ = std::move(version);
  wait_nanos_ = 0;
  if (!std::exchange(synced_, true)) on_synced_();
  co_return Status();
}

Async<Watcher::End> Watcher::Watch() {
  TaskLoop& loop = *api_.environment().loop;
  std::uniform_int_distribution<int64_t> seconds(kWatchSecondsMin, kWatchSecondsMax);
  const int64_t timeout = seconds(Random());
  FetchRequest request = Request({{"allowWatchBookmarks", "true"},
                                  {"resourceVersion", version_},
                                  {"timeoutSeconds", std::to_string(timeout)},
                                  {"watch", "true"}});
  request.timeout_nanos = timeout * kNanosPerSecond + kWatchGraceNanos;
  const int64_t started = loop.NowNanos();
  bool any = false;
  LineStream stream(loop, *api_.environment().http, std::move(request));
  while (true) {
    const std::optional<std::string> line = co_await stream.Next();
    if (!line) break;
    if (TrimSpace(*line).empty()) continue;
    any = true;
    wait_nanos_ = 0;
    const End end = Apply(*line);
    if (end != End::kResume) co_return end;
  }
  const Result<FetchResponse>& outcome = stream.outcome();
  if (outcome.ok()) {
    CountAnswer(*outcome);
    if (outcome->status_code / 100 == 2) {
      if (any || loop.NowNanos() - started >= kShortWatchNanos) co_return End::kResume;
      Fail(Status(ErrorCode::kUnavailable, "very short watch: no event before it ended"), "watch");
      co_return End::kFailed;
    }
    const Status refusal = Refusal(*outcome);
    if (refusal.code() == ErrorCode::kOutOfBounds) co_return End::kRelist;
    Fail(refusal, "watch");
    co_return End::kFailed;
  }
  // A watch that was silent for its whole time is an ordinary end.
  if (outcome.status().code() == ErrorCode::kTimeout) co_return End::kResume;
  Fail(outcome.status(), "watch");
  co_return End::kFailed;
}

Watcher::End Watcher::Apply(std::string_view line) {
  const Result<json::object> event = ParseJsonObject(line);
  if (!event.ok()) {
    Fail(event.status(), "watch");
    return End::kFailed;
  }
  const std::string type = Text(*event, "type");
  const json::value& object = Member(*event, "object");
  if (type == "ERROR") {
    if (Int(object, "code") == kGone) return End::kRelist;
    Fail(MakeError(ErrorCode::kUnavailable, "{}", Text(object, "message")), "watch");
    wait_nanos_ = std::max(wait_nanos_, kWaitMinNanos);
    return End::kFailed;
  }
  if (type == "ADDED" || type == "MODIFIED") {
    store_.Put(object);
  } else if (type == "DELETED") {
    store_.Remove(ObjectStore::KeyOf(object));
  }
  std::string version = Text(Member(object, "metadata"), "resourceVersion");
  if (!version.empty()) version_ = std::move(version);
  return End::kResume;
}

}  // namespace narthex::kubernetes
