#include "web/notifications.h"

#include <algorithm>

#include "web/json_writer.h"

namespace narthex::web {

void Notifications::Add(std::string_view text) {
  const std::lock_guard lock(mutex_);
  const auto same = [&](const Notification& n) { return n.text == text; };
  if (std::any_of(active_.begin(), active_.end(), same)) return;
  active_.push_back({std::string(text), clock_.NowNanos(), true});
  Publish(active_.back());
}

void Notifications::Remove(std::string_view text) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(active_.begin(), active_.end(),
                                  [&](const Notification& n) { return n.text == text; });
  if (found == active_.end()) return;
  Notification ended = *found;
  ended.active = false;
  active_.erase(found);
  Publish(ended);
}

std::vector<Notification> Notifications::Active() const {
  const std::lock_guard lock(mutex_);
  return active_;
}

Notifications::SubscriberId Notifications::Subscribe(
    std::function<void(const Notification&)> listener) {
  const std::lock_guard lock(mutex_);
  if (subscribers_.size() >= subscribers_max_) {
    ++refused_;
    return 0;
  }
  for (const Notification& notification : active_) listener(notification);
  subscribers_.emplace(++last_id_, std::move(listener));
  return last_id_;
}

void Notifications::Unsubscribe(SubscriberId id) {
  const std::lock_guard lock(mutex_);
  subscribers_.erase(id);
}

uint64_t Notifications::refused_subscribers() const {
  const std::lock_guard lock(mutex_);
  return refused_;
}

size_t Notifications::subscriber_count() const {
  const std::lock_guard lock(mutex_);
  return subscribers_.size();
}

void Notifications::Publish(const Notification& notification) {
  for (const auto& [id, listener] : subscribers_) listener(notification);
}

std::string NotificationJson(const Notification& notification) {
  std::string out;
  JsonWriter(&out)
      .BeginObject()
      .Key("text")
      .String(notification.text)
      .Key("date")
      .String(FormatRfc3339Nano(notification.date_nanos))
      .Key("active")
      .Bool(notification.active)
      .EndObject();
  return out;
}

}  // namespace narthex::web
