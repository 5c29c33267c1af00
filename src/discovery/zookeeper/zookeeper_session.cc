#include "discovery/zookeeper/zookeeper_session.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "util/bytes.h"
#include "util/file.h"
#include "util/time.h"

namespace narthex {

namespace {

// Kinds of requests.
constexpr int32_t kGetData = 4;
constexpr int32_t kPing = 11;
constexpr int32_t kGetChildren2 = 12;
constexpr int32_t kCloseSession = -11;
// Numbers that stand where an answer names its request.
constexpr int32_t kEventXid = -1;
constexpr int32_t kPingXid = -2;

constexpr int32_t kErrorNoNode = -101;
constexpr size_t kReplyHeaderBytes = 16;
// ZooKeeper itself refuses nodes and packets above 1 MiB, unless told otherwise.
constexpr uint32_t kRecordBytesMax = 16 << 20;

void PutText(std::string_view text, ByteWriter* out) {
  out->PutBigEndian32(static_cast<uint32_t>(text.size()));
  out->PutBytes(text);
}

// Negative lengths stand for nothing at all.
Result<std::string_view> TakeText(std::string_view* in) {
  if (in->size() < 4) return Status(ErrorCode::kInvalidInput, "zk: short record");
  const auto length = static_cast<int32_t>(LoadBigEndian32(in->data()));
  in->remove_prefix(4);
  if (length < 0) return std::string_view();
  if (static_cast<size_t>(length) > in->size()) {
    return Status(ErrorCode::kInvalidInput, "zk: short record");
  }
  const std::string_view text = in->substr(0, static_cast<size_t>(length));
  in->remove_prefix(static_cast<size_t>(length));
  return text;
}

Status Canceled() {
  return Status(ErrorCode::kCanceled, "context canceled");
}
Status ClosedByServer() {
  return Status(ErrorCode::kIo, "zk: connection closed");
}

}  // namespace

ZookeeperSession::ZookeeperSession(int64_t timeout_nanos)
    : timeout_nanos_(timeout_nanos),
      session_timeout_nanos_(timeout_nanos),
      interrupt_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

ZookeeperSession::~ZookeeperSession() {
  Close();
  if (interrupt_ >= 0) close(interrupt_);
}

void ZookeeperSession::Interrupt() {
  const uint64_t one = 1;
  // Never read, so it stays readable: the counter cannot overflow with one interrupt.
  [[maybe_unused]] const ssize_t written = write(interrupt_, &one, sizeof one);
}

bool ZookeeperSession::Sleep(int64_t nanos) {
  pollfd wait = {interrupt_, POLLIN, 0};
  const auto millis = static_cast<int>(std::min<int64_t>(nanos / kNanosPerMilli, 1 << 30));
  return poll(&wait, 1, millis) <= 0;
}

void ZookeeperSession::Close() {
  if (socket_ < 0) return;
  std::string record;
  ByteWriter out(&record);
  out.PutBigEndian32(static_cast<uint32_t>(next_xid_++));
  out.PutBigEndian32(static_cast<uint32_t>(kCloseSession));
  static_cast<void>(Send(record));  // The server would find out by itself.
  close(socket_);
  socket_ = -1;
  events_.clear();
}

Status ZookeeperSession::WaitFor(short what, int64_t deadline_nanos) {
  for (;;) {
    const int64_t left = deadline_nanos - MonotonicNanos();
    if (left <= 0) return Status(ErrorCode::kTimeout, "zk: timeout");
    pollfd waits[2] = {{socket_, what, 0}, {interrupt_, POLLIN, 0}};
    const auto millis = static_cast<int>(std::min<int64_t>(left / kNanosPerMilli + 1, 1 << 30));
    const int ready = poll(waits, 2, millis);
    if (ready < 0 && errno != EINTR) return Status(ErrorCode::kIo, ErrnoText(errno));
    if (ready > 0 && waits[1].revents != 0) return Canceled();
    if (ready > 0 && waits[0].revents != 0) return {};
  }
}

Status ZookeeperSession::Open(const std::string& host, const std::string& port) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return MakeError(ErrorCode::kIo, "lookup {}: {}", host, gai_strerror(error));
  }
  Status status(ErrorCode::kIo, "no addresses");
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    socket_ = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0) {
      status = Status(ErrorCode::kIo, ErrnoText(errno));
      continue;
    }
    status = Status();
    if (connect(socket_, address->ai_addr, address->ai_addrlen) != 0) {
      int error = errno;
      if (error == EINPROGRESS) {
        status = WaitFor(POLLOUT, MonotonicNanos() + timeout_nanos_);
        socklen_t size = sizeof error;
        getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
      }
      if (status.ok() && error != 0) status = Status(ErrorCode::kIo, ErrnoText(error));
    }
    if (status.ok() || status.code() == ErrorCode::kCanceled) break;
    close(socket_);
    socket_ = -1;
  }
  freeaddrinfo(found);
  if (status.ok()) {
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return status.ok() ? status : status.WithPrefix("connect: ");
}

Status ZookeeperSession::Connect(const std::string& server) {
  Close();
  const size_t colon = server.rfind(':');
  const bool has_port = colon != std::string::npos && server.find(']', colon) == std::string::npos;
  std::string host = has_port ? server.substr(0, colon) : server;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  Status status = Open(host, has_port ? server.substr(colon + 1) : "2181");
  if (status.ok()) {
    std::string record;
    ByteWriter out(&record);
    out.PutBigEndian32(0);  // The version of the protocol.
    out.PutBigEndian64(0);  // No change has been seen.
    out.PutBigEndian32(static_cast<uint32_t>(timeout_nanos_ / kNanosPerMilli));
    out.PutBigEndian64(0);                 // A new session, with its
    PutText(std::string(16, '\0'), &out);  // password.
    status = Send(record);
  }
  if (status.ok()) {
    const Result<std::string> answer = ReceiveRecord(MonotonicNanos() + timeout_nanos_);
    status = answer.status();
    if (status.ok() && answer->size() < 16) status = ClosedByServer();
    if (status.ok()) {
      const auto millis = static_cast<int32_t>(LoadBigEndian32(answer->data() + 4));
      if (millis <= 0)
        status = Status(ErrorCode::kIo, "zk: session has been expired by the server");
      session_timeout_nanos_ = millis * kNanosPerMilli;
    }
  }
  if (!status.ok()) {
    if (socket_ >= 0) close(socket_);
    socket_ = -1;
    return status.WithPrefix(server + ": ");
  }
  heard_nanos_ = pinged_nanos_ = MonotonicNanos();
  return {};
}

Status ZookeeperSession::Send(std::string_view record) {
  std::string framed;
  ByteWriter out(&framed);
  PutText(record, &out);
  const int64_t deadline = MonotonicNanos() + timeout_nanos_;
  for (size_t sent = 0; sent < framed.size();) {
    const ssize_t count = ::send(socket_, framed.data() + sent, framed.size() - sent, MSG_NOSIGNAL);
    if (count >= 0) {
      sent += static_cast<size_t>(count);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      NARTHEX_RETURN_IF_ERROR(WaitFor(POLLOUT, deadline));
    } else if (errno != EINTR) {
      return Status(ErrorCode::kIo, ErrnoText(errno));
    }
  }
  return {};
}

Result<std::string> ZookeeperSession::ReceiveRecord(int64_t deadline_nanos) {
  const auto read_exactly = [&](char* to, size_t size) -> Status {
    while (size > 0) {
      const ssize_t count = recv(socket_, to, size, 0);
      if (count == 0) return ClosedByServer();
      if (count > 0) {
        to += count;
        size -= static_cast<size_t>(count);
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        NARTHEX_RETURN_IF_ERROR(WaitFor(POLLIN, deadline_nanos));
      } else if (errno != EINTR) {
        return Status(ErrorCode::kIo, ErrnoText(errno));
      }
    }
    return {};
  };
  char length[4];
  NARTHEX_RETURN_IF_ERROR(read_exactly(length, sizeof length));
  const uint32_t size = LoadBigEndian32(length);
  if (size > kRecordBytesMax) {
    return MakeError(ErrorCode::kLimitExceeded, "zk: a record of {} bytes", size);
  }
  std::string record(size, '\0');
  NARTHEX_RETURN_IF_ERROR(read_exactly(record.data(), size));
  heard_nanos_ = MonotonicNanos();
  return record;
}

Status ZookeeperSession::TakeUnasked(std::string_view record, bool* taken) {
  *taken = false;
  if (record.size() < kReplyHeaderBytes) {
    return Status(ErrorCode::kInvalidInput, "zk: short record");
  }
  const auto xid = static_cast<int32_t>(LoadBigEndian32(record.data()));
  *taken = xid == kEventXid || xid == kPingXid;
  if (xid != kEventXid) return {};
  record.remove_prefix(kReplyHeaderBytes);
  if (record.size() < 8) return Status(ErrorCode::kInvalidInput, "zk: short record");
  const auto kind = static_cast<int32_t>(LoadBigEndian32(record.data()));
  record.remove_prefix(8);  // The kind and the state of the session.
  NARTHEX_TRY(const std::string_view path, TakeText(&record));
  if (kind >= 1 && kind <= 4) {
    events_.push_back({static_cast<Event::Kind>(kind), std::string(path)});
  }
  return {};
}

Result<std::optional<std::string>> ZookeeperSession::Call(int32_t type, const std::string& path) {
  if (socket_ < 0) return ClosedByServer();
  const int32_t xid = next_xid_++;
  std::string record;
  ByteWriter out(&record);
  out.PutBigEndian32(static_cast<uint32_t>(xid));
  out.PutBigEndian32(static_cast<uint32_t>(type));
  PutText(path, &out);
  out.PutByte(1);  // With a watch.
  NARTHEX_RETURN_IF_ERROR(Send(record));
  const int64_t deadline = MonotonicNanos() + timeout_nanos_;
  for (;;) {
    NARTHEX_TRY(std::string answer, ReceiveRecord(deadline));
    bool taken = false;
    NARTHEX_RETURN_IF_ERROR(TakeUnasked(answer, &taken));
    if (taken) continue;
    if (static_cast<int32_t>(LoadBigEndian32(answer.data())) != xid) {
      return Status(ErrorCode::kInvalidInput, "zk: an answer to no request");
    }
    const auto error = static_cast<int32_t>(LoadBigEndian32(answer.data() + 12));
    if (error == kErrorNoNode) return std::optional<std::string>();
    if (error != 0) return MakeError(ErrorCode::kIo, "zk: error {} for {}", error, path);
    return std::optional<std::string>(answer.substr(kReplyHeaderBytes));
  }
}

Result<std::optional<std::string>> ZookeeperSession::GetData(const std::string& path) {
  NARTHEX_TRY(const std::optional<std::string> answer, Call(kGetData, path));
  if (!answer) return std::optional<std::string>();
  std::string_view rest = *answer;
  NARTHEX_TRY(const std::string_view data, TakeText(&rest));
  return std::optional<std::string>(data);
}

Result<std::optional<std::vector<std::string>>> ZookeeperSession::GetChildren(
    const std::string& path) {
  NARTHEX_TRY(const std::optional<std::string> answer, Call(kGetChildren2, path));
  if (!answer) return std::optional<std::vector<std::string>>();
  std::string_view rest = *answer;
  if (rest.size() < 4) return Status(ErrorCode::kInvalidInput, "zk: short record");
  const auto count = static_cast<int32_t>(LoadBigEndian32(rest.data()));
  rest.remove_prefix(4);
  std::vector<std::string> names;
  for (int32_t i = 0; i < count; ++i) {
    NARTHEX_TRY(const std::string_view name, TakeText(&rest));
    names.emplace_back(name);
  }
  return std::optional<std::vector<std::string>>(std::move(names));
}

Result<std::optional<ZookeeperSession::Event>> ZookeeperSession::WaitForEvent(int64_t wait_nanos) {
  const int64_t end = MonotonicNanos() + wait_nanos;
  while (events_.empty()) {
    if (socket_ < 0) return ClosedByServer();
    const int64_t now = MonotonicNanos();
    if (now >= end) return std::optional<Event>();
    if (now - heard_nanos_ > session_timeout_nanos_ * 2 / 3) {
      return Status(ErrorCode::kTimeout, "zk: the server is silent");
    }
    if (now - pinged_nanos_ >= session_timeout_nanos_ / 3) {
      std::string ping;
      ByteWriter out(&ping);
      out.PutBigEndian32(static_cast<uint32_t>(kPingXid));
      out.PutBigEndian32(static_cast<uint32_t>(kPing));
      NARTHEX_RETURN_IF_ERROR(Send(ping));
      pinged_nanos_ = now;
    }
    const int64_t look = std::min({end, pinged_nanos_ + session_timeout_nanos_ / 3,
                                   heard_nanos_ + session_timeout_nanos_ * 2 / 3 + 1});
    const Status ready = WaitFor(POLLIN, std::max(look, now + kNanosPerMilli));
    if (!ready.ok() && ready.code() == ErrorCode::kTimeout) continue;
    NARTHEX_RETURN_IF_ERROR(ready);
    NARTHEX_TRY(const std::string record, ReceiveRecord(now + timeout_nanos_));
    bool taken = false;
    NARTHEX_RETURN_IF_ERROR(TakeUnasked(record, &taken));
  }
  Event event = std::move(events_.front());
  events_.pop_front();
  return std::optional<Event>(std::move(event));
}

}  // namespace narthex
