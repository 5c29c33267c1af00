#include "narthex/client/push.h"

#include <algorithm>
#include <random>
#include <thread>

#include "http_client.h"
#include "http_text.h"
#include "narthex/client/names.h"
#include "periodic.h"

namespace narthex::client {
namespace {

using std::chrono::milliseconds;

Status Check(const PushOptions& options) {
  if (options.job.empty()) return {StatusCode::kInvalid, "job name is empty"};
  for (const LabelPair& label : options.grouping) {
    if (!IsValidLabelName(label.name, NameValidation::kUtf8)) {
      return {StatusCode::kInvalid, "grouping label has invalid name: " + label.name};
    }
  }
  for (const LabelPair& header : options.headers) {
    if ((header.name + header.value).find_first_of("\r\n") != std::string::npos) {
      return {StatusCode::kInvalid, "header " + header.name + " has a line end"};
    }
  }
  Result<Url> url = ParseUrl(options.url);
  return url.ok() ? Status() : url.status();
}

void AppendComponent(const std::string& name, const std::string& value, std::string& path) {
  (path += '/') += QueryEscape(name);
  if (value.empty()) {
    path += "@base64/=";  // A path may not have two slashes in a row.
  } else if (value.find('/') != std::string::npos) {
    (path += "@base64/") += EncodeBase64(value, Base64::kUrlWithoutPadding);
  } else {
    (path += '/') += QueryEscape(value);
  }
}

// The gateway adds the group's labels itself.
Status CheckGrouping(const MetricFamily& family, const Labels& grouping) {
  for (const Metric& metric : family.metrics) {
    for (const LabelPair& label : metric.labels) {
      const bool of_group =
          std::any_of(grouping.begin(), grouping.end(),
                      [&](const LabelPair& other) { return other.name == label.name; });
      if (label.name != "job" && !of_group) continue;
      std::string message = "pushed metric " + family.name + " (";
      WriteProtobufCompactMetric(metric, message);
      message += label.name == "job" ? ") already contains a job label"
                                     : ") already contains grouping label " + label.name;
      return {StatusCode::kInvalid, std::move(message)};
    }
  }
  return {};
}

// The wait before attempt `attempt` (from 1): half of it fixed, half random, so that many jobs that
// start together do not come back together.
milliseconds Backoff(const PushOptions& options, int attempt) {
  milliseconds full = options.backoff;
  for (int i = 1; i < attempt && full < options.backoff_max; ++i) full *= 2;
  full = std::min(full, options.backoff_max);
  if (full.count() <= 1) return full;
  static thread_local std::minstd_rand random(std::random_device{}());
  return full / 2 + milliseconds(random() % static_cast<unsigned long>(full.count() / 2 + 1));
}

}  // namespace

Pusher::Pusher(PushOptions options) : options_(std::move(options)) {
  if (options_.url.find("://") == std::string::npos) options_.url.insert(0, "http://");
  if (options_.url.back() == '/') options_.url.pop_back();
  error_ = Check(options_);
}

std::string Pusher::Url() const {
  std::string url = options_.url + "/metrics";
  AppendComponent("job", options_.job, url);
  for (const LabelPair& label : options_.grouping) AppendComponent(label.name, label.value, url);
  return url;
}

Status Pusher::Push(const Gatherable& source) const {
  return Send("PUT", &source);
}

Status Pusher::Add(const Gatherable& source) const {
  return Send("POST", &source);
}

Status Pusher::Delete() const {
  return Send("DELETE", nullptr);
}

Status Pusher::Send(const std::string& method, const Gatherable* source) const {
  if (!error_.ok()) return error_;
  ClientRequest request;
  request.method = method;
  Result<client::Url> url = ParseUrl(Url());
  if (!url.ok()) return url.status();
  request.url = *std::move(url);
  request.headers = options_.headers;
  request.timeout = options_.timeout;
  request.channels = options_.channels.get();
  if (!options_.user.empty()) {
    request.headers.push_back(
        {"Authorization",
         "Basic " + EncodeBase64(options_.user + ":" + options_.password, Base64::kStandard)});
  }
  if (source != nullptr) {
    const GatherResult gathered = source->Gather();
    if (!gathered.errors.empty()) return {StatusCode::kInconsistent, gathered.errors.front()};
    const Format format{options_.format, options_.escaping};
    request.headers.push_back({"Content-Type", format.ContentType()});
    for (const MetricFamily& family : gathered.families) {
      if (Status status = CheckGrouping(family, options_.grouping); !status.ok()) return status;
      if (Status status = Encode(family, format, request.body); !status.ok()) {
        return {StatusCode::kInvalid,
                "failed to encode metric family " + family.name + ", error is " + status.message()};
      }
    }
    Finish(format, request.body);
  }
  for (int attempt = 1;; ++attempt) {
    Status status;
    bool again = true;
    Result<ClientResponse> response = SendHttp(request);
    if (!response.ok()) {
      status = response.status();
      again = status.code() == StatusCode::kIo;
    } else if (response->status == 202 || (response->status == 200 && source != nullptr)) {
      return {};
    } else {
      status = {StatusCode::kIo,
                "unexpected status code " + std::to_string(response->status) +
                    (source != nullptr ? " while pushing to " : " while deleting ") + Url() + ": " +
                    response->body};
      again = response->status == 429 || response->status >= 500;
    }
    if (!again || attempt >= options_.attempts) return status;
    std::this_thread::sleep_for(Backoff(options_, attempt));
  }
}

struct PeriodicPusher::Impl {
  Impl(Pusher to, const Gatherable& source, milliseconds interval,
       std::function<void(const Status& error)> on_error)
      : pusher(std::move(to)), periodic(interval, [this, &source, report = std::move(on_error)] {
          const Status status = pusher.Push(source);
          if (!status.ok() && report) report(status);
        }) {}

  const Pusher pusher;
  Periodic periodic;
};

PeriodicPusher::PeriodicPusher(Pusher pusher, const Gatherable& source, milliseconds interval,
                               std::function<void(const Status& error)> on_error)
    : impl_(std::make_unique<Impl>(std::move(pusher), source, interval, std::move(on_error))) {}

PeriodicPusher::~PeriodicPusher() = default;

}  // namespace narthex::client
