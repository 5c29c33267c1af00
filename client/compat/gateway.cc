#include "prometheus/gateway.h"

#include <cstdlib>

#include "narthex/client/push.h"
#include "prometheus/detail/convert.h"

namespace prometheus {

namespace native = narthex::client;

namespace {

// Our errors name the status; callers of this interface expect the number.
int StatusOf(const native::Status& status) {
  if (status.ok()) return 200;
  constexpr std::string_view kBegin = "unexpected status code ";
  const std::string& message = status.message();
  if (message.compare(0, kBegin.size(), kBegin) != 0) return -1;
  return std::atoi(message.c_str() + kBegin.size());
}

}  // namespace

Gateway::Gateway(const std::string& host, const std::string& port, const std::string& jobname,
                 const Labels& labels, const std::string& username, const std::string& password)
    : url_(host + ":" + port),
      job_(jobname),
      labels_(labels),
      username_(username),
      password_(password) {}

void Gateway::RegisterCollectable(const std::weak_ptr<Collectable>& collectable,
                                  const Labels* labels) {
  const std::lock_guard lock(mutex_);
  collectables_.emplace_back(collectable, labels != nullptr ? *labels : Labels());
}

Labels Gateway::GetInstanceLabel(std::string hostname) {
  if (hostname.empty()) return {};
  return {{"instance", std::move(hostname)}};
}

native::PushOptions Gateway::Options(const Labels& grouping) const {
  native::PushOptions options;
  options.url = url_;
  options.job = job_;
  options.grouping = detail::ToNative(grouping);
  options.user = username_;
  options.password = password_;
  options.format = native::FormatType::kText;
  options.attempts = 1;  // Whoever uses this interface tries again himself.
  return options;
}

int Gateway::Send(Method method) {
  std::vector<std::pair<std::weak_ptr<Collectable>, Labels>> collectables;
  {
    const std::lock_guard lock(mutex_);
    collectables = collectables_;
  }
  for (const auto& [weak, labels] : collectables) {
    const std::shared_ptr<Collectable> collectable = weak.lock();
    if (collectable == nullptr) continue;
    Labels grouping = labels_;
    grouping.insert(labels.begin(), labels.end());
    const detail::CollectablePage page({collectable.get()});
    const native::Pusher pusher(Options(grouping));
    const int status = StatusOf(method == Method::kPush ? pusher.Push(page) : pusher.Add(page));
    if (status != 200) return status;
  }
  return 200;
}

int Gateway::Delete(const Labels& labels) const {
  const int status = StatusOf(native::Pusher(Options(labels)).Delete());
  return status == 200 ? 202 : status;  // The only success of a deletion.
}

int Gateway::Push() {
  return Send(Method::kPush);
}
int Gateway::PushAdd() {
  return Send(Method::kAdd);
}
int Gateway::Delete() {
  return Delete({});
}
int Gateway::DeleteForInstance() {
  return Delete(labels_);
}
std::future<int> Gateway::AsyncPush() {
  return std::async(std::launch::async, [this] { return Push(); });
}
std::future<int> Gateway::AsyncPushAdd() {
  return std::async(std::launch::async, [this] { return PushAdd(); });
}
std::future<int> Gateway::AsyncDelete() {
  return std::async(std::launch::async, [this] { return Delete(); });
}
std::future<int> Gateway::AsyncDeleteForInstance() {
  return std::async(std::launch::async, [this] { return DeleteForInstance(); });
}

}  // namespace prometheus
