#include "web/router.h"

#include <algorithm>
#include <atomic>

#include "net/url.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::web {
namespace {

// Passes everything on, and tells the observer when the answer is complete.
class ObservedExchange : public net::HttpExchange {
 public:
  ObservedExchange(std::shared_ptr<net::HttpExchange> inner, const std::string& pattern,
                   const Router::Observer& observer)
      : inner_(std::move(inner)),
        pattern_(pattern),
        observer_(observer),
        start_nanos_(MonotonicNanos()) {}

  const net::HttpRequest& request() const override { return inner_->request(); }
  std::stop_token stop_token() const override { return inner_->stop_token(); }
  void Respond(net::HttpResponse response) override {
    status_ = response.status;
    bytes_ = response.body.size();
    Observe();
    inner_->Respond(std::move(response));
  }
  void StartStream(net::HttpResponse response) override {
    status_ = response.status;
    bytes_ = response.body.size();
    inner_->StartStream(std::move(response));
  }
  Status Write(std::string part) override {
    bytes_ += part.size();
    return inner_->Write(std::move(part));
  }
  bool TryWrite(std::string part) override {
    bytes_ += part.size();
    return inner_->TryWrite(std::move(part));
  }
  void Finish() override {
    Observe();
    inner_->Finish();
  }

 private:
  void Observe() {
    const double seconds = static_cast<double>(MonotonicNanos() - start_nanos_) / 1e9;
    observer_(pattern_, status_, seconds, bytes_);
  }

  const std::shared_ptr<net::HttpExchange> inner_;
  const std::string& pattern_;        // Of the router's route.
  const Router::Observer& observer_;  // The router's.
  const int64_t start_nanos_;
  int status_ = 200;
  std::atomic<size_t> bytes_{0};
};

}  // namespace

void RespondPlain(net::HttpExchange& exchange, int status, std::string_view text) {
  net::HttpResponse response;
  response.status = status;
  response.headers.Add("Content-Type", "text/plain; charset=utf-8");
  if (status >= 400) response.headers.Add("X-Content-Type-Options", "nosniff");
  response.body = std::string(text);
  if (status >= 400) response.body.push_back('\n');
  exchange.Respond(std::move(response));
}

void RespondRedirect(net::HttpExchange& exchange, int status, std::string_view location) {
  net::HttpResponse response;
  response.status = status;
  response.headers.Add("Location", std::string(location));
  exchange.Respond(std::move(response));
}

void Router::Handle(std::vector<std::string> methods, std::string pattern, Handler handler) {
  Route route{std::move(methods), pattern, {}, std::move(handler)};
  for (const std::string_view part : Split(pattern, '/')) route.parts.emplace_back(part);
  routes_.push_back(std::move(route));
}

bool Router::Match(const Route& route, const std::vector<std::string_view>& parts,
                   PathParameters* parameters) {
  parameters->clear();
  for (size_t i = 0; i < route.parts.size(); ++i) {
    const std::string& want = route.parts[i];
    if (want.starts_with('*')) {
      std::string rest;
      for (size_t j = i; j < parts.size(); ++j) rest += "/" + std::string(parts[j]);
      Result<std::string> decoded = net::UrlDecode(rest, false);
      if (!decoded.ok()) return false;
      parameters->emplace_back(want.substr(1), *std::move(decoded));
      return true;
    }
    if (i >= parts.size()) return false;
    if (want.starts_with(':')) {
      if (parts[i].empty()) return false;
      Result<std::string> decoded = net::UrlDecode(parts[i], false);
      if (!decoded.ok()) return false;
      parameters->emplace_back(want.substr(1), *std::move(decoded));
    } else if (want != parts[i]) {
      return false;
    }
  }
  return parts.size() == route.parts.size();
}

const Router::Route* Router::Find(std::string_view path, std::string_view method,
                                  PathParameters* parameters,
                                  std::vector<std::string>* allowed) const {
  const std::vector<std::string_view> parts = Split(path, '/');
  for (const Route& route : routes_) {
    if (!Match(route, parts, parameters)) continue;
    if (std::find(route.methods.begin(), route.methods.end(), method) != route.methods.end()) {
      return &route;
    }
    // A pattern that takes whatever comes says nothing about whether the path exists.
    const bool catch_all = route.parts.back().starts_with('*');
    if (!catch_all) {
      allowed->insert(allowed->end(), route.methods.begin(), route.methods.end());
    }
  }
  return nullptr;
}

void Router::Serve(std::shared_ptr<net::HttpExchange> exchange) const {
  const net::HttpRequest& request = exchange->request();
  PathParameters parameters;
  std::vector<std::string> allowed;
  if (const Route* route = Find(request.path, request.method, &parameters, &allowed)) {
    if (observer_) {
      exchange = std::make_shared<ObservedExchange>(std::move(exchange), route->pattern, observer_);
    }
    route->handler(std::move(exchange), parameters);
    return;
  }
  if (allowed.empty() && request.path.size() > 1) {
    // The same path with or without its last slash, if that is a route.
    std::string other = request.path;
    if (other.ends_with('/')) {
      other.pop_back();
    } else {
      other.push_back('/');
    }
    std::vector<std::string> ignored;
    if (Find(other, request.method, &parameters, &ignored) != nullptr) {
      if (!request.query.empty()) other += "?" + request.query;
      RespondRedirect(*exchange, request.method == "GET" ? 301 : 308, other);
      return;
    }
  }
  if (!allowed.empty()) {
    std::sort(allowed.begin(), allowed.end());
    allowed.erase(std::unique(allowed.begin(), allowed.end()), allowed.end());
    net::HttpResponse response;
    response.status = 405;
    response.headers.Add("Allow", Join(allowed, ", "));
    response.headers.Add("Content-Type", "text/plain; charset=utf-8");
    response.headers.Add("X-Content-Type-Options", "nosniff");
    response.body = "Method Not Allowed\n";
    exchange->Respond(std::move(response));
    return;
  }
  if (not_found_) {
    not_found_(std::move(exchange), {});
    return;
  }
  RespondPlain(*exchange, 404, "404 page not found");
}

}  // namespace narthex::web
