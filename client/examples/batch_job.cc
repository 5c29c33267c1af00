// A job that ends before anybody could scrape it: it hands its metrics to a Pushgateway.
//
//   batch_job URL [push|add|delete]
#include <narthex/client.h>
#include <narthex/client/push.h>

#include <cstdio>
#include <string>

namespace client = narthex::client;

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: batch_job URL [push|add|delete]\n");
    return 2;
  }
  const std::string what = argc > 2 ? argv[2] : "push";
  client::Registry registry;
  const client::Gauge duration(registry,
                               {"job_duration_seconds", "How long the job took.", "seconds"});
  const client::Counter records(registry, {"job_records_total", "Records that were worked on."});
  const client::Gauge success(registry,
                              {"job_last_success_timestamp_seconds", "When it last ended well."});
  {
    const client::Timer timer(client::GaugeTimer{duration});
    records.Inc(1234);
  }
  success.SetToCurrentTime();

  client::PushOptions options;
  options.url = argv[1];
  options.job = "example/batch";
  options.grouping = {{"instance", "db1"}, {"shard", ""}};
  const client::Pusher pusher(options);
  const client::Status status = what == "delete" ? pusher.Delete()
                                : what == "add"  ? pusher.Add(registry)
                                                 : pusher.Push(registry);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str());
  return status.ok() ? 0 : 1;
}
