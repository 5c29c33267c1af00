// What lies between a handler and the session that sends its answer, over HTTP/1.1 and HTTP/2
// alike. For the .cc files of this folder.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>

#include "net/http_server.h"
#include "util/check.h"

namespace narthex::net {

inline constexpr std::string_view kPlainText = "text/plain; charset=utf-8";

inline HttpResponse PlainError(int status, std::string_view text) {
  HttpResponse response;
  response.status = status;
  response.headers.Add("Content-Type", std::string(kPlainText));
  response.headers.Add("X-Content-Type-Options", "nosniff");
  response.body = std::string(text) + "\n";
  return response;
}

// The answer to one request, handed from the handler's thread to the session on the loop.
//
// A stream's parts wait in `parts_`, at most `buffer_bytes_` of them; the session takes them all at
// once and frees the space when they are sent.
class Exchange : public HttpExchange {
 public:
  Exchange(HttpRequest request, size_t buffer_bytes, std::function<void()> wake_session)
      : request_(std::move(request)),
        buffer_bytes_(buffer_bytes),
        wake_session_(std::move(wake_session)) {}

  const HttpRequest& request() const override { return request_; }
  std::stop_token stop_token() const override { return stop_.get_token(); }

  void Respond(HttpResponse response) override {
    {
      const std::lock_guard lock(mutex_);
      NARTHEX_CHECK(!answered_);
      answered_ = true;
      finished_ = true;
      response_ = std::move(response);
    }
    wake_session_();
  }

  void StartStream(HttpResponse response) override {
    {
      const std::lock_guard lock(mutex_);
      NARTHEX_CHECK(!answered_);
      answered_ = true;
      streaming_ = true;
      response_ = std::move(response);
    }
    wake_session_();
  }

  Status Write(std::string part) override {
    {
      std::unique_lock lock(mutex_);
      space_.wait(lock, [this] { return closed_ || buffered_ < buffer_bytes_; });
      if (closed_) return Status(ErrorCode::kCanceled, "client closed the connection");
      buffered_ += part.size();
      parts_.push_back(std::move(part));
    }
    wake_session_();
    return {};
  }

  bool TryWrite(std::string part) override {
    {
      const std::lock_guard lock(mutex_);
      if (closed_ || buffered_ >= buffer_bytes_) return false;
      buffered_ += part.size();
      parts_.push_back(std::move(part));
    }
    wake_session_();
    return true;
  }

  void Finish() override {
    {
      const std::lock_guard lock(mutex_);
      finished_ = true;
    }
    wake_session_();
  }

  // --- For the session, on the loop. ---

  // What can be sent now.
  struct Step {
    bool answered = false;
    bool streaming = false;
    bool finished = false;
    std::deque<std::string> parts;
  };
  Step Take() {
    const std::lock_guard lock(mutex_);
    return {answered_, streaming_, finished_, std::exchange(parts_, {})};
  }
  HttpResponse TakeResponse() {
    const std::lock_guard lock(mutex_);
    return std::move(response_);
  }
  void Sent(size_t bytes) {
    {
      const std::lock_guard lock(mutex_);
      buffered_ -= std::min(bytes, buffered_);
    }
    space_.notify_all();
  }
  void Close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    space_.notify_all();
    stop_.request_stop();
  }
  // The handler dropped its last reference without an answer.
  void Abandon() {
    bool broken = false;
    {
      const std::lock_guard lock(mutex_);
      if (answered_ && finished_) return;
      // A stream without an end breaks the connection, so that nobody takes the part for the whole.
      broken = answered_;
      if (!answered_) {
        response_ = PlainError(500, "internal error: request was not answered");
        answered_ = true;
        finished_ = true;
      }
    }
    if (broken) Close();
    wake_session_();
  }

 private:
  const HttpRequest request_;
  const size_t buffer_bytes_;
  const std::function<void()> wake_session_;
  std::stop_source stop_;

  std::mutex mutex_;
  std::condition_variable space_;
  HttpResponse response_;
  std::deque<std::string> parts_;
  size_t buffered_ = 0;
  bool answered_ = false;
  bool streaming_ = false;
  bool finished_ = false;
  bool closed_ = false;
};

// "Mon, 02 Jan 2006 15:04:05 GMT", of now.
inline std::string DateField() {
  char date[40];
  const std::time_t now = std::time(nullptr);
  std::tm utc;
  gmtime_r(&now, &utc);
  return {date, std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

}  // namespace narthex::net
