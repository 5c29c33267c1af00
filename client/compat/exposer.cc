#include "prometheus/exposer.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <stdexcept>

#include "../http/http_text.h"
#include "narthex/client/exposer.h"
#include "prometheus/counter.h"
#include "prometheus/detail/convert.h"
#include "prometheus/registry.h"
#include "prometheus/summary.h"

namespace prometheus {

namespace native = narthex::client;

// One thread for sockets and the workers are of narthex::client; which collectables a path shows,
// and who may see it, is looked up for each request.
struct Exposer::Impl {
  struct Endpoint {
    std::vector<std::weak_ptr<Collectable>> collectables;
    std::function<bool(const std::string&, const std::string&)> authenticate;
    std::string realm;
  };

  Impl(const std::vector<std::string>& addresses, size_t threads) {
    native::ExposerOptions options;
    options.path = {};  // All paths are ours.
    options.threads = static_cast<int>(std::clamp<size_t>(threads, 1, 64));
    options.fallback = [this](const native::HttpRequest& request) { return Answer(request); };
    for (const std::string& address : addresses) {
      auto exposer = native::Exposer::Start(address, nothing, options);
      if (!exposer.ok()) throw std::runtime_error(exposer.status().message());
      exposers.push_back(*std::move(exposer));
    }
  }

  native::HttpResponse Answer(const native::HttpRequest& request) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::shared_ptr<Collectable>> held;
    Endpoint endpoint;
    {
      const std::lock_guard lock(mutex);
      const auto it = endpoints.find(request.path);
      if (it == endpoints.end()) return {404, {}, "Not Found\n"};
      endpoint = it->second;
    }
    if (endpoint.authenticate && !MayPass(endpoint, request)) {
      return {401, {{"WWW-Authenticate", "Basic realm=\"" + endpoint.realm + "\""}}, {}};
    }
    std::vector<const Collectable*> sources;
    for (const auto& weak : endpoint.collectables) {
      if (auto collectable = weak.lock()) {
        sources.push_back(collectable.get());
        held.push_back(std::move(collectable));
      }
    }
    sources.push_back(&own);
    const detail::CollectablePage page(sources);
    native::HandlerOptions options;
    options.on_error = native::HandlerOptions::OnError::kContinue;
    native::HttpResponse response = native::MetricsHandler(page, options).Handle(request);
    const std::chrono::duration<double, std::micro> taken =
        std::chrono::steady_clock::now() - start;
    latencies.Observe(taken.count());
    bytes.Increment(static_cast<double>(response.body.size()));
    scrapes.Increment();
    return response;
  }

  static bool MayPass(const Endpoint& endpoint, const native::HttpRequest& request) {
    const std::string_view given = request.Header("Authorization");
    if (given.size() < 6 || !native::EqualsIgnoringCase(given.substr(0, 6), "Basic ")) return false;
    const auto pair = native::DecodeBase64(given.substr(6));
    const size_t colon = pair ? pair->find(':') : std::string::npos;
    if (colon == std::string::npos) return false;
    return endpoint.authenticate(pair->substr(0, colon), pair->substr(colon + 1));
  }

  native::Registry nothing;
  // Under the names of prometheus-cpp.
  Registry own;
  Counter& bytes = BuildCounter()
                       .Name("exposer_transferred_bytes_total")
                       .Help("Transferred bytes to metrics services")
                       .Register(own)
                       .Add({});
  Counter& scrapes = BuildCounter()
                         .Name("exposer_scrapes_total")
                         .Help("Number of times metrics were scraped")
                         .Register(own)
                         .Add({});
  Summary& latencies = BuildSummary()
                           .Name("exposer_request_latencies")
                           .Help("Latencies of serving scrape requests, in microseconds")
                           .Register(own)
                           .Add({}, Summary::Quantiles{{0.5, 0.05}, {0.9, 0.01}, {0.99, 0.001}});
  std::mutex mutex;
  std::map<std::string, Endpoint> endpoints;  // Guarded by mutex.
  // Last: their threads use everything above.
  std::vector<std::unique_ptr<native::Exposer>> exposers;
};

namespace {

std::vector<std::string> SplitAddresses(const std::string& text) {
  std::vector<std::string> addresses;
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    std::string address = text.substr(at, comma - at);
    if (address.find(':') == std::string::npos) address.insert(0, ":");  // A port alone.
    addresses.push_back(std::move(address));
    at = comma + 1;
  }
  return addresses;
}

void RefuseCallbacks(const CivetCallbacks* callbacks) {
  if (callbacks != nullptr) throw std::runtime_error("civetweb callbacks are not supported");
}

// `listening_ports`, value, `num_threads`, value.
std::string OptionOf(const std::vector<std::string>& options, const std::string& name,
                     const std::string& otherwise) {
  std::string value = otherwise;
  for (size_t i = 0; i < options.size(); i += 2) {
    if (options[i] != "listening_ports" && options[i] != "num_threads") {
      throw std::runtime_error("civetweb option " + options[i] + " is not supported");
    }
    if (i + 1 == options.size()) throw std::runtime_error(options[i] + " lacks a value");
    if (options[i] == name) value = options[i + 1];
  }
  return value;
}

bool Same(const std::weak_ptr<Collectable>& a, const std::weak_ptr<Collectable>& b) {
  return !a.owner_before(b) && !b.owner_before(a);
}

}  // namespace

Exposer::Exposer(const std::string& bind_address, std::size_t num_threads,
                 const CivetCallbacks* callbacks)
    : impl_((RefuseCallbacks(callbacks),
             std::make_unique<Impl>(SplitAddresses(bind_address), num_threads))) {}

Exposer::Exposer(std::vector<std::string> options, const CivetCallbacks* callbacks)
    : Exposer(OptionOf(options, "listening_ports", "8080"),
              std::stoul(OptionOf(options, "num_threads", "2")), callbacks) {}

Exposer::~Exposer() = default;

void Exposer::RegisterCollectable(const std::weak_ptr<Collectable>& collectable,
                                  const std::string& uri) {
  const std::lock_guard lock(impl_->mutex);
  auto& collectables = impl_->endpoints[uri].collectables;
  collectables.erase(std::remove_if(collectables.begin(), collectables.end(),
                                    [](const auto& weak) { return weak.expired(); }),
                     collectables.end());
  collectables.push_back(collectable);
}

void Exposer::RegisterAuth(std::function<bool(const std::string&, const std::string&)> authenticate,
                           const std::string& realm, const std::string& uri) {
  const std::lock_guard lock(impl_->mutex);
  impl_->endpoints[uri].authenticate = std::move(authenticate);
  impl_->endpoints[uri].realm = realm;
}

void Exposer::RemoveCollectable(const std::weak_ptr<Collectable>& collectable,
                                const std::string& uri) {
  const std::lock_guard lock(impl_->mutex);
  auto& collectables = impl_->endpoints[uri].collectables;
  collectables.erase(
      std::remove_if(collectables.begin(), collectables.end(),
                     [&collectable](const auto& weak) { return Same(weak, collectable); }),
      collectables.end());
}

std::vector<int> Exposer::GetListeningPorts() const {
  std::vector<int> ports;
  for (const auto& exposer : impl_->exposers) ports.push_back(exposer->port());
  return ports;
}

}  // namespace prometheus
