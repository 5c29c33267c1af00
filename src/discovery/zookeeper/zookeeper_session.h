// One connection to a ZooKeeper ensemble, in its wire protocol (version 3.4 and later): length-
// prefixed records in big-endian order. What reading a tree with watches needs, no more.
//
// For one thread, which blocks here; Interrupt() comes from any other and ends every call, this and
// later ones, with kCanceled.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "util/status.h"

namespace narthex {

class ZookeeperSession {
 public:
  // A change under a watch, which is used up by it.
  struct Event {
    enum class Kind { kCreated = 1, kDeleted = 2, kDataChanged = 3, kChildrenChanged = 4 };
    Kind kind = Kind::kDataChanged;
    std::string path;
  };

  // `timeout_nanos`: how long the servers keep a session that they hear nothing of, and bound of
  // every wait for an answer.
  explicit ZookeeperSession(int64_t timeout_nanos);
  ~ZookeeperSession();
  ZookeeperSession(const ZookeeperSession&) = delete;
  ZookeeperSession& operator=(const ZookeeperSession&) = delete;

  // Starts a session with one server, "host:port"; the port is 2181 when there is none. Ends an
  // earlier one, with its watches.
  Status Connect(const std::string& server);
  void Close();

  // Both leave a watch. Nothing when there is no such node.
  Result<std::optional<std::string>> GetData(const std::string& path);
  Result<std::optional<std::vector<std::string>>> GetChildren(const std::string& path);
  // Waits for the next change; keeps the session alive meanwhile. An error when the connection is
  // lost. Nothing after `wait_nanos`.
  Result<std::optional<Event>> WaitForEvent(int64_t wait_nanos);

  void Interrupt();
  // Sleeps; false when it was interrupted.
  bool Sleep(int64_t nanos);

 private:
  Status Open(const std::string& host, const std::string& port);
  Status Send(std::string_view record);
  Result<std::string> ReceiveRecord(int64_t deadline_nanos);
  Status WaitFor(short what, int64_t deadline_nanos);
  // Sends a request and gives the body of its answer; nothing for "no node".
  Result<std::optional<std::string>> Call(int32_t type, const std::string& path);
  // Takes what is no answer to a request: events and answers to pings.
  Status TakeUnasked(std::string_view record, bool* taken);

  const int64_t timeout_nanos_;
  int64_t session_timeout_nanos_;  // As the server granted it.
  const int interrupt_;            // An eventfd.
  int socket_ = -1;
  int32_t next_xid_ = 1;
  int64_t heard_nanos_ = 0;
  int64_t pinged_nanos_ = 0;
  std::deque<Event> events_;
};

}  // namespace narthex
