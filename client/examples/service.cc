// A service that is measured all over: labels, histograms, states, callbacks, exemplars, collectors
// of others; shown over HTTP, or HTTPS when given a certificate.
//
//   service ADDRESS [CERTIFICATE KEY]      prints the port it listens on, ends with its input
#include <narthex/client.h>
#include <narthex/client/exposer.h>
#include <narthex/client/tls.h>

#include <cstdio>
#include <deque>
#include <iostream>
#include <string>

namespace client = narthex::client;

namespace {

// Labels whose values are all known: a look-up is an index into a table.
struct Method {
  static constexpr std::string_view kName = "method";
  enum Value { kGet, kPost };
  static constexpr std::string_view kValues[] = {"GET", "POST"};
};
struct Outcome {
  static constexpr std::string_view kName = "outcome";
  enum Value { kOk, kFailed };
  static constexpr std::string_view kValues[] = {"ok", "failed"};
};

class Service {
 public:
  explicit Service(client::Registry& registry)
      : requests_(registry, {"service_requests_total", "Requests by method and outcome."}),
        // Classic buckets for everybody, native ones for servers that ask for them.
        latency_(registry,
                 {"service_request_duration_seconds", "Time to answer a request.", "seconds"},
                 client::HistogramOptions{}
                     .WithBuckets({0.001, 0.01, 0.1, 1})
                     .WithNative(1.1, 160, std::chrono::hours(1))),
        sizes_(registry, {"service_request_size_bytes", "Size of requests.", "bytes"},
               client::SummaryOptions{{{0.5, 0.05}, {0.99, 0.001}}}),
        in_flight_(registry, {"service_requests_in_flight", "Requests that run now."}),
        phase_(registry, {"service_phase", "What the service is doing."},
               {{"starting", "serving", "stopping"}}),
        queue_length_(registry, {"service_queue_length", "Jobs that wait."},
                      [this] { return static_cast<double>(queue_.size()); }) {
    phase_.Set("serving").ok();
  }

  void Handle(int i) {
    const auto running = in_flight_.Track();
    const double seconds = 0.0005 * (1 << i % 10);
    requests_(i % 4 == 0 ? Method::kPost : Method::kGet,
              i % 10 == 9 ? Outcome::kFailed : Outcome::kOk)
        .Inc();
    // An example of its bucket: the trace that this request belongs to.
    latency_.ObserveWithExemplar(seconds, {{"trace_id", "trace-" + std::to_string(i)}}).ok();
    sizes_.Observe(100 * i);
  }

 private:
  client::TypedFamily<client::Counter, Method, Outcome> requests_;
  client::Histogram latency_;
  client::Summary sizes_;
  client::Gauge in_flight_;
  client::StateSet phase_;
  std::deque<int> queue_{1, 2, 3};
  // Last, so that it goes first: it reads the queue.
  client::GaugeFunc queue_length_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 4) {
    std::fprintf(stderr, "usage: service ADDRESS [CERTIFICATE KEY]\n");
    return 2;
  }
  client::Registry registry;
  Service service(registry);
  for (int i = 0; i < 100; ++i) service.Handle(i);

  // What every process can say of itself; and numbers that others count.
  client::BuildInfo(registry, "service", {{"version", "1.2.3"}, {"revision", "abc"}});
  for (const auto& collector :
       {client::MakeProcessCollector(), client::MakePlatformCollector(),
        client::MakeCollector([](std::vector<client::MetricFamily>& out) {
          out.push_back(client::MakeFamily(client::MetricType::kGauge, "service_disk_free_bytes",
                                           "Free bytes of each disk.", "bytes"));
          client::AddSample(out.back(), {{"disk", "a"}}, 1e9);
          client::AddSample(out.back(), {{"disk", "b"}}, 2e9);
        })}) {
    if (const client::Status status = registry.Register(collector); !status.ok()) {
      std::fprintf(stderr, "%s\n", status.message().c_str());
      return 1;
    }
  }

  client::ExposerOptions options;
  options.handler.self_metrics = &registry;
  options.handlers["/-/healthy"] = [](const client::HttpRequest&) {
    return client::HttpResponse{200, {{"Content-Type", "text/plain"}}, "Healthy.\n"};
  };
  if (argc == 4) {
    auto tls = client::MakeTlsServer({argv[2], argv[3], ""});
    if (!tls.ok()) {
      std::fprintf(stderr, "%s\n", tls.status().message().c_str());
      return 1;
    }
    options.channels = *tls;
  }
  const auto exposer = client::Exposer::Start(argv[1], registry, options);
  if (!exposer.ok()) {
    std::fprintf(stderr, "%s\n", exposer.status().message().c_str());
    return 1;
  }
  std::printf("%d\n", (*exposer)->port());
  std::fflush(stdout);
  std::string line;
  while (std::getline(std::cin, line)) {
  }
}
