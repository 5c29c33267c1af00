// The C interface: the server, the push client and Graphite.
#include <chrono>
#include <memory>

#include "convert.h"
#include "narthex/client/exposer.h"
#include "narthex/client/graphite.h"
#include "narthex/client/push.h"
#include "narthex/client/tls.h"

using namespace narthex::client;     // NOLINT: the functions below have C's names.
using namespace narthex::client::c;  // NOLINT

struct narthex_exposer {
  std::unique_ptr<Exposer> exposer;
};

namespace {

std::chrono::milliseconds ToMillis(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

Result<PushOptions> ToPushOptions(const narthex_push_options* options) {
  if (options == nullptr) return Status(StatusCode::kInvalid, "a push needs options");
  const narthex_push_options o = Sized(options);
  PushOptions out;
  out.url = Text(o.url);
  out.job = Text(o.job);
  out.grouping = ToLabels(o.grouping, o.grouping_count);
  out.user = Text(o.user);
  out.password = Text(o.password);
  if (o.timeout_seconds > 0) out.timeout = ToMillis(o.timeout_seconds);
  if (o.attempts > 0) out.attempts = o.attempts;
  if (out.url.rfind("https://", 0) == 0) {
    auto channels = MakeTlsClient({Text(o.ca_file), Text(o.certificate_file), Text(o.key_file)});
    if (!channels.ok()) return channels.status();
    out.channels = *std::move(channels);
  }
  return out;
}

template <typename F>
narthex_code WithPusher(const narthex_push_options* options, F&& send) {
  return Guard([&] {
    Result<PushOptions> converted = ToPushOptions(options);
    if (!converted.ok()) return Fail(converted.status());
    const Status status = send(Pusher(*std::move(converted)));
    return status.ok() ? NARTHEX_OK : Fail(status);
  });
}

}  // namespace

narthex_code narthex_exposer_start(const char* address, const narthex_registry* registry,
                                   const narthex_exposer_options* options, narthex_exposer** out) {
  if (address == nullptr || registry == nullptr) {
    return Fail(NARTHEX_INVALID, "an address and a registry are needed");
  }
  return Guard([&] {
    const narthex_exposer_options o = Sized(options);
    ExposerOptions converted;
    if (o.path != nullptr) converted.path = o.path;
    if (o.threads > 0) converted.threads = o.threads;
    if (o.connections_max > 0) converted.connections_max = o.connections_max;
    converted.handler.created_lines = (o.flags & NARTHEX_CREATED_LINES) != 0;
    if (o.authenticate != nullptr) {
      converted.authenticate = [o](std::string_view user, std::string_view password) {
        return o.authenticate(o.authenticate_context, std::string(user).c_str(),
                              std::string(password).c_str()) != 0;
      };
    }
    if (o.certificate_file != nullptr || o.key_file != nullptr) {
      auto channels =
          MakeTlsServer({Text(o.certificate_file), Text(o.key_file), Text(o.client_ca_file)});
      if (!channels.ok()) return Fail(channels.status());
      converted.channels = *std::move(channels);
    } else if (o.client_ca_file != nullptr) {
      return Fail(NARTHEX_INVALID, "client certificates need a certificate of the server");
    }
    auto exposer = Exposer::Start(address, *Unwrap(registry), std::move(converted));
    if (!exposer.ok()) return Fail(exposer.status());
    *out = new narthex_exposer{*std::move(exposer)};
    return NARTHEX_OK;
  });
}

uint16_t narthex_exposer_port(const narthex_exposer* exposer) {
  return exposer->exposer->port();
}
void narthex_exposer_free(narthex_exposer* exposer) {
  delete exposer;
}

narthex_code narthex_push(const narthex_registry* registry, const narthex_push_options* options) {
  if (registry == nullptr) return Fail(NARTHEX_INVALID, "a registry is needed");
  return WithPusher(options, [&](const Pusher& p) { return p.Push(*Unwrap(registry)); });
}

narthex_code narthex_push_add(const narthex_registry* registry,
                              const narthex_push_options* options) {
  if (registry == nullptr) return Fail(NARTHEX_INVALID, "a registry is needed");
  return WithPusher(options, [&](const Pusher& p) { return p.Add(*Unwrap(registry)); });
}

narthex_code narthex_push_delete(const narthex_push_options* options) {
  return WithPusher(options, [](const Pusher& p) { return p.Delete(); });
}

narthex_code narthex_graphite_send(const narthex_registry* registry, const char* address,
                                   const char* prefix, int tags, double timeout_seconds) {
  if (registry == nullptr || address == nullptr) {
    return Fail(NARTHEX_INVALID, "a registry and an address are needed");
  }
  return Guard([&] {
    GraphiteOptions options;
    options.address = address;
    options.prefix = Text(prefix);
    options.tags = tags != 0;
    if (timeout_seconds > 0) options.timeout = ToMillis(timeout_seconds);
    const Status status = SendToGraphite(*Unwrap(registry), options);
    return status.ok() ? NARTHEX_OK : Fail(status);
  });
}
