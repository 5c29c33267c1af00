// Pushing to a Pushgateway: for jobs that end before anybody could scrape them.
//
//   PushOptions options;
//   options.url = "http://pushgateway:9091";
//   options.job = "nightly_backup";
//   options.grouping = {{"instance", "db1"}};
//   if (Status status = Pusher(options).Push(registry); !status.ok()) Log(status.message());
//
// Blocks until the answer or the deadline. Transport errors, 429 and 5xx are tried again, which is
// safe because a push sets values and adds nothing. Error texts are those of client_golang.
// Threads: all.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "narthex/client/channel.h"
#include "narthex/client/exposition.h"
#include "narthex/client/registry.h"

namespace narthex::client {

struct PushOptions {
  std::string url = {};  // `http://` may be left out; https:// needs `channels`.
  std::string job = {};
  Labels grouping = {};  // Values may be empty or hold slashes.

  std::string user = {};  // Basic authentication when not empty.
  std::string password = {};
  Labels headers = {};
  FormatType format = FormatType::kProtobufDelimited;
  EscapingScheme escaping = EscapingScheme::kUnderscores;
  // Makes connections secure: see tls.h.
  std::shared_ptr<ChannelFactory> channels = {};

  std::chrono::milliseconds timeout{10'000};  // For each attempt.
  int attempts = 3;
  // Before the second attempt; twice as long before each further one, up to backoff_max; half of it
  // is random.
  std::chrono::milliseconds backoff{200};
  std::chrono::milliseconds backoff_max{5'000};
};

class Pusher {
 public:
  explicit Pusher(PushOptions options);

  // PUT: takes the place of all metrics of the group.
  Status Push(const Gatherable& source) const;
  // POST: takes the place of the metrics with these names only.
  Status Add(const Gatherable& source) const;
  // DELETE: the group goes.
  Status Delete() const;
  // <url>/metrics/job/<job>/<name>/<value>…, with base64 where a value needs it.
  std::string Url() const;

 private:
  Status Send(const std::string& method, const Gatherable* source) const;

  PushOptions options_;
  Status error_;  // What is wrong with the options.
};

// Pushes again and again until it is destroyed, and once more then.
class PeriodicPusher {
 public:
  // `source` outlives the object. `on_error` is called by the pushing thread.
  PeriodicPusher(Pusher pusher, const Gatherable& source, std::chrono::milliseconds interval,
                 std::function<void(const Status& error)> on_error = {});
  ~PeriodicPusher();
  PeriodicPusher(const PeriodicPusher&) = delete;
  PeriodicPusher& operator=(const PeriodicPusher&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace narthex::client
