#include <gtest/gtest.h>
#include <sys/socket.h>

#include "test_peer.h"

namespace narthex::client {
namespace {

SteadyTime TenSeconds() {
  return std::chrono::steady_clock::now() + std::chrono::seconds(10);
}

}  // namespace

RawClient::RawClient(uint16_t port, ChannelFactory* channels) {
  Result<Fd> fd = Connect("127.0.0.1", std::to_string(port), TenSeconds());
  if (!fd.ok()) {
    ADD_FAILURE() << fd.status().message();
    std::abort();
  }
  fd_ = *std::move(fd);
  channel_ =
      channels != nullptr ? *channels->Make(fd_.get(), "localhost") : MakePlainChannel(fd_.get());
}

void RawClient::Send(const std::string& bytes) {
  const Status status = WriteAll(*channel_, fd_.get(), bytes, TenSeconds());
  EXPECT_TRUE(status.ok()) << status.message();
}

bool RawClient::ReadMore() {
  char buffer[16 * 1024];
  for (;;) {
    const Channel::Outcome outcome = channel_->Read(buffer, sizeof buffer);
    switch (outcome.state) {
      case Channel::State::kOk: buffered_.append(buffer, outcome.bytes); return true;
      case Channel::State::kClosed:
      case Channel::State::kFailed: return false;
      default:
        if (!WaitFor(fd_.get(), outcome.state == Channel::State::kWantWrite, TenSeconds())) {
          ADD_FAILURE() << "no answer";
          return false;
        }
    }
  }
}

std::string RawClient::ReadAnswer(bool has_body) {
  for (;;) {
    const size_t end = buffered_.find("\r\n\r\n");
    if (end != std::string::npos) {
      const size_t length = buffered_.find("Content-Length: ");
      const size_t body = has_body && length < end ? std::stoul(buffered_.substr(length + 16)) : 0;
      if (buffered_.size() >= end + 4 + body) {
        std::string answer = buffered_.substr(0, end + 4 + body);
        buffered_.erase(0, end + 4 + body);
        return answer;
      }
    }
    if (!ReadMore()) return std::exchange(buffered_, {});
  }
}

std::string RawClient::ReadAll() {
  while (ReadMore()) {
  }
  return std::exchange(buffered_, {});
}

ScriptedServer::ScriptedServer(std::vector<std::string> answers) : answers_(std::move(answers)) {
  Result<Listener> listener = Listen("127.0.0.1", "0");
  if (!listener.ok()) {
    ADD_FAILURE() << listener.status().message();
    std::abort();
  }
  listener_ = std::move(listener->fd);
  port_ = listener->port;
  thread_ = std::thread([this] { Run(); });
}

ScriptedServer::~ScriptedServer() {
  if (thread_.joinable()) thread_.join();
}

std::vector<std::string> ScriptedServer::Requests() {
  if (thread_.joinable()) thread_.join();
  return requests_;
}

void ScriptedServer::Run() {
  for (const std::string& answer : answers_) {
    if (!WaitFor(listener_.get(), false, TenSeconds())) {
      ADD_FAILURE() << "nobody came";
      return;
    }
    const Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::string request;
    char buffer[4096];
    for (;;) {
      const size_t end = request.find("\r\n\r\n");
      if (end != std::string::npos) {
        const size_t length = request.find("Content-Length: ");
        const size_t body = length < end ? std::stoul(request.substr(length + 16)) : 0;
        if (request.size() >= end + 4 + body) break;
      }
      const ssize_t got = recv(fd.get(), buffer, sizeof buffer, 0);
      if (got <= 0) break;
      request.append(buffer, static_cast<size_t>(got));
    }
    requests_.push_back(std::move(request));
    send(fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
  }
}

}  // namespace narthex::client
