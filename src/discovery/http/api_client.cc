#include "discovery/http/api_client.h"

#include "util/strings.h"

namespace narthex {

// ---- FetchAwaiter -------------------------------------------------------------------------------

// Outlives the awaiter in an answer that is under way. Touched on the loop only.
struct FetchAwaiter::Shared {
  std::coroutine_handle<> waiting;
  std::optional<Result<FetchResponse>> answer;
};

FetchAwaiter::FetchAwaiter(TaskLoop& loop, HttpFetcher& http, FetchRequest request)
    : loop_(loop), http_(http), request_(std::move(request)), shared_(std::make_shared<Shared>()) {}

FetchAwaiter::~FetchAwaiter() {
  if (!shared_->waiting) return;
  shared_->waiting = nullptr;
  http_.Cancel(id_);
}

void FetchAwaiter::await_suspend(std::coroutine_handle<> handle) {
  shared_->waiting = handle;
  id_ = http_.Fetch(std::move(request_),
                    [shared = shared_, loop = &loop_](Result<FetchResponse> answer) {
                      // A task must be copyable, which an answer is not cheaply.
                      auto carried = std::make_shared<Result<FetchResponse>>(std::move(answer));
                      loop->Post([shared, carried] {
                        if (!shared->waiting) return;
                        shared->answer.emplace(std::move(*carried));
                        std::exchange(shared->waiting, nullptr).resume();
                      });
                    });
}

Result<FetchResponse> FetchAwaiter::await_resume() {
  return *std::move(shared_->answer);
}

// ---- LineStream ---------------------------------------------------------------------------------

struct LineStream::Shared {
  std::mutex mutex;
  std::string incoming;  // Arrived, not yet seen by the loop.
  bool wake_posted = false;
  size_t held = 0;              // Bytes that the loop has taken but not handed out.
  LineStream* owner = nullptr;  // On the loop only; null once the stream is gone.
};

LineStream::LineStream(TaskLoop& loop, HttpFetcher& http, FetchRequest request)
    : http_(http), shared_(std::make_shared<Shared>()) {
  shared_->owner = this;
  request.on_data = [shared = shared_, loop = &loop](std::string_view part) {
    bool post = false;
    {
      const std::lock_guard lock(shared->mutex);
      if (shared->incoming.size() + shared->held + part.size() > kBufferBytesMax) return false;
      shared->incoming.append(part);
      post = !std::exchange(shared->wake_posted, true);
    }
    if (post) {
      loop->Post([shared] {
        if (shared->owner != nullptr) shared->owner->Wake();
      });
    }
    return true;
  };
  id_ = http_.Fetch(std::move(request),
                    [shared = shared_, loop = &loop](Result<FetchResponse> answer) {
                      auto carried = std::make_shared<Result<FetchResponse>>(std::move(answer));
                      loop->Post([shared, carried] {
                        if (shared->owner == nullptr) return;
                        shared->owner->outcome_.emplace(std::move(*carried));
                        shared->owner->Wake();
                      });
                    });
}

LineStream::~LineStream() {
  shared_->owner = nullptr;
  if (!outcome_) http_.Cancel(id_);
}

void LineStream::Wake() {
  if (waiting_ && HasLine()) std::exchange(waiting_, nullptr).resume();
}

// Also true at the end.
bool LineStream::HasLine() {
  {
    const std::lock_guard lock(shared_->mutex);
    text_.append(shared_->incoming);
    shared_->incoming.clear();
    shared_->wake_posted = false;
    shared_->held = text_.size() - taken_;
  }
  const size_t end = text_.find('\n', scanned_);
  scanned_ = end == std::string::npos ? text_.size() : end;
  return end != std::string::npos || outcome_.has_value();
}

std::optional<std::string> LineStream::TakeLine() {
  if (scanned_ >= text_.size()) {
    if (taken_ == text_.size() || !outcome_->ok()) return std::nullopt;
    // The last line may lack its end.
    std::string rest = text_.substr(taken_);
    taken_ = text_.size();
    return rest;
  }
  std::string line = text_.substr(taken_, scanned_ - taken_);
  taken_ = scanned_ = scanned_ + 1;
  // Shifting the rest for each line would be quadratic.
  if (taken_ > text_.size() / 2) {
    text_.erase(0, taken_);
    taken_ = scanned_ = 0;
  }
  return line;
}

// ---- ApiClient ----------------------------------------------------------------------------------

HttpClientConfig ClientWithTls(const TlsConfig& tls) {
  HttpClientConfig client;
  client.tls_config = tls;
  return client;
}

ApiClient::ApiClient(DiscoveryEnvironment& environment, const HttpClientConfig& config,
                     int64_t timeout_nanos)
    : environment_(environment),
      config_(std::make_shared<const HttpClientConfig>(config)),
      timeout_nanos_(timeout_nanos) {}

FetchRequest ApiClient::Make(std::string method, std::string url, std::string body,
                             std::string_view content_type) const {
  FetchRequest request;
  request.method = std::move(method);
  request.url = std::move(url);
  request.headers = {{"User-Agent", environment_.user_agent}};
  if (!content_type.empty()) request.headers.emplace_back("Content-Type", content_type);
  request.body = std::move(body);
  request.timeout_nanos = timeout_nanos_;
  request.body_bytes_max = kApiBodyBytesMax;
  request.client = config_;
  return request;
}

Async<Result<std::string>> ApiClient::SendForBody(FetchRequest request) const {
  NARTHEX_CO_TRY(FetchResponse answer, co_await Send(std::move(request)));
  if (answer.status_code != 200) {
    co_return MakeError(ErrorCode::kUnavailable, "server returned HTTP status {}", answer.status);
  }
  co_return std::move(answer.body);
}

Async<Result<std::string>> ApiClient::GetBody(std::string url) const {
  return SendForBody(Get(std::move(url)));
}

Result<std::string> ApiClient::ReadTokenFile(const std::string& path) const {
  const Result<std::string> text = environment_.files->ReadAll(path);
  if (!text.ok()) {
    return text.status().WithPrefix(fmt::format("unable to read auth token file {}: ", path));
  }
  return std::string(TrimSpace(*text));
}

void ApiDiscoverer::Refresh(Done done) {
  running_ = FetchGroups();
  running_.Start(std::move(done));
}

}  // namespace narthex
