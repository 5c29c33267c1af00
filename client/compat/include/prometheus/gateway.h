#pragma once

#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/labels.h"

namespace narthex::client {
struct PushOptions;
}

namespace prometheus {

// Pushes collectables to a Pushgateway. Results are HTTP statuses (200 when all went well), -1 when
// there was no answer.
class Gateway {
 public:
  Gateway(const std::string& host, const std::string& port, const std::string& jobname,
          const Labels& labels = {}, const std::string& username = {},
          const std::string& password = {});
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // `labels`: more of the grouping key, for this collectable.
  void RegisterCollectable(const std::weak_ptr<Collectable>& collectable,
                           const Labels* labels = nullptr);
  static Labels GetInstanceLabel(std::string hostname);

  int Push();
  std::future<int> AsyncPush();
  int PushAdd();
  std::future<int> AsyncPushAdd();
  int Delete();
  std::future<int> AsyncDelete();
  // The group of all labels, rather than of the job alone.
  int DeleteForInstance();
  std::future<int> AsyncDeleteForInstance();

 private:
  enum class Method { kPush, kAdd };
  int Send(Method method);
  int Delete(const Labels& labels) const;
  narthex::client::PushOptions Options(const Labels& grouping) const;

  const std::string url_;
  const std::string job_;
  const Labels labels_;
  const std::string username_;
  const std::string password_;
  std::mutex mutex_;
  std::vector<std::pair<std::weak_ptr<Collectable>, Labels>> collectables_;  // Guarded by mutex_.
};

}  // namespace prometheus
