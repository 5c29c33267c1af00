// One thread owns all sockets and never waits for anything but poll(); workers answer requests.
//
//   socket thread   accept, read heads, write answers, deadlines
//        | Task (connection id, request)          ^ Answer (connection id, bytes)
//        v                                        |
//   workers         authenticate, call the handler, compress
//
// A connection is reading, then working (its task is with the workers), then writing, then reading
// again. A worker's answer finds its connection by id; when that is gone, or was told 503
// meanwhile, the answer is dropped.
#include "narthex/client/exposer.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <thread>

#include "http_text.h"
#include "socket.h"

namespace narthex::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

enum class Stage : unsigned char { kReading, kWorking, kWriting };

struct Connection {
  Fd fd;
  std::unique_ptr<Channel> channel;
  uint64_t id = 0;  // Changes with each request.
  Stage stage = Stage::kReading;
  bool wants_write = false;  // What the channel waits for.
  bool keep_alive = false;
  bool idle = true;  // No byte of the next request is here,
  SteadyTime idle_since = steady_clock::now();
  SteadyTime deadline;
  std::string in;
  std::string out;
  size_t sent = 0;
};

struct Task {
  uint64_t id = 0;
  HttpRequest request;
  bool keep_alive = false;
};

struct Answer {
  uint64_t id = 0;
  std::string bytes;
};

std::string Render(const HttpResponse& response, bool head_only, bool keep_alive) {
  std::string out = "HTTP/1.1 " + std::to_string(response.status) + " ";
  out += ReasonOf(response.status);
  out += "\r\n";
  for (const LabelPair& header : response.headers) {
    out += header.name + ": " + header.value + "\r\n";
  }
  out += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  if (!keep_alive) out += "Connection: close\r\n";
  out += "\r\n";
  if (!head_only) out += response.body;
  return out;
}

HttpResponse Plain(int status, std::string text) {
  return {status, {{"Content-Type", "text/plain; charset=utf-8"}}, std::move(text)};
}

}  // namespace

struct Exposer::Impl {
  Impl(Listener listener, const Gatherable& source, ExposerOptions exposer_options)
      : options(std::move(exposer_options)),
        listener_fd(std::move(listener.fd)),
        port(listener.port),
        metrics(source, options.handler) {}

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    Wake();
    work_ready.notify_all();
    for (std::thread& thread : threads) thread.join();
  }

  Status Start();
  void Wake() const {
    const char byte = 0;
    // A full pipe has woken the thread already.
    static_cast<void>(!write(wake_write.get(), &byte, 1));
  }

  // The workers.
  void Work();
  HttpResponse AnswerTo(const HttpRequest& request);
  std::optional<HttpResponse> Refusal(const HttpRequest& request) const;

  // The socket thread.
  void Serve();
  bool Stopping();
  void AcceptAll();
  bool Full() const;
  bool CanMakeRoom() const;
  void MakeRoom();
  void TakeAnswers();
  // False: the connection is to be closed.
  bool Continue(Connection& connection);
  bool Read(Connection& connection);
  bool TakeRequest(Connection& connection);
  bool Write(Connection& connection);
  bool Expire(Connection& connection);
  void Respond(Connection& connection, std::string bytes);
  void RespondAndClose(Connection& connection, const HttpResponse& response);
  int PollTimeout() const;

  const ExposerOptions options;
  const Fd listener_fd;
  const uint16_t port;
  MetricsHandler metrics;
  Fd wake_read;
  Fd wake_write;
  std::vector<std::thread> threads;

  std::list<Connection> connections;  // Of the socket thread.
  uint64_t next_id = 1;               // Likewise.

  std::mutex mutex;  // Guards what follows.
  std::condition_variable work_ready;
  std::deque<Task> tasks;  // At most one a connection.
  std::vector<Answer> answers;
  bool stopping = false;
};

Status Exposer::Impl::Start() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return LastError("pipe");
  wake_read = Fd(ends[0]);
  wake_write = Fd(ends[1]);
  // Signals are the program's, not ours: the threads inherit a mask that blocks all.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  threads.emplace_back([this] { Serve(); });
  for (int i = 0; i < std::max(1, options.threads); ++i) threads.emplace_back([this] { Work(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return {};
}

void Exposer::Impl::Work() {
  for (;;) {
    Task task;
    {
      std::unique_lock lock(mutex);
      work_ready.wait(lock, [this] { return stopping || !tasks.empty(); });
      if (stopping) return;
      task = std::move(tasks.front());
      tasks.pop_front();
    }
    std::string bytes =
        Render(AnswerTo(task.request), task.request.method == "HEAD", task.keep_alive);
    {
      const std::lock_guard lock(mutex);
      answers.push_back({task.id, std::move(bytes)});
    }
    Wake();
  }
}

std::optional<HttpResponse> Exposer::Impl::Refusal(const HttpRequest& request) const {
  if (!options.authenticate) return std::nullopt;
  std::string_view given = request.Header("Authorization");
  constexpr std::string_view kBasic = "Basic ";
  if (given.size() > kBasic.size() && EqualsIgnoringCase(given.substr(0, kBasic.size()), kBasic)) {
    const std::optional<std::string> pair = DecodeBase64(given.substr(kBasic.size()));
    const size_t colon = pair ? pair->find(':') : std::string::npos;
    if (colon != std::string::npos) {
      const std::string_view text = *pair;
      if (options.authenticate(text.substr(0, colon), text.substr(colon + 1))) return std::nullopt;
    }
  }
  HttpResponse response = Plain(401, "Unauthorized\n");
  response.headers.push_back({"WWW-Authenticate", "Basic"});
  return response;
}

HttpResponse Exposer::Impl::AnswerTo(const HttpRequest& request) {
  try {
    if (std::optional<HttpResponse> refusal = Refusal(request)) return *std::move(refusal);
    if (request.path == options.path) return metrics.Handle(request);
    const auto found = options.handlers.find(request.path);
    const HttpHandler& handler = found != options.handlers.end() ? found->second : options.fallback;
    if (!handler) return Plain(404, "404 page not found\n");
    return handler(request);
  } catch (const std::exception& error) {
    return Plain(500, std::string(error.what()) + "\n");
  } catch (...) {
    return Plain(500, "unknown exception\n");
  }
}

bool Exposer::Impl::Stopping() {
  const std::lock_guard lock(mutex);
  return stopping;
}

int Exposer::Impl::PollTimeout() const {
  SteadyTime first = steady_clock::now() + std::chrono::minutes(1);
  for (const Connection& connection : connections) first = std::min(first, connection.deadline);
  const auto left = std::chrono::ceil<milliseconds>(first - steady_clock::now());
  return static_cast<int>(std::max<milliseconds::rep>(left.count(), 0));
}

void Exposer::Impl::Serve() {
  std::vector<pollfd> wanted;
  std::vector<std::list<Connection>::iterator> order;
  while (!Stopping()) {
    wanted.assign({{wake_read.get(), POLLIN, 0}, {listener_fd.get(), POLLIN, 0}});
    order.clear();
    for (auto it = connections.begin(); it != connections.end(); ++it) {
      if (it->stage == Stage::kWorking) continue;
      order.push_back(it);
      wanted.push_back({it->fd.get(), static_cast<short>(it->wants_write ? POLLOUT : POLLIN), 0});
    }
    // Full, and nobody idle: whoever comes waits in the queue of the system.
    if (Full() && !CanMakeRoom()) wanted[1].events = 0;
    poll(wanted.data(), wanted.size(), PollTimeout());

    for (size_t i = 0; i < order.size(); ++i) {
      if (wanted[i + 2].revents != 0 && !Continue(*order[i])) connections.erase(order[i]);
    }
    TakeAnswers();
    const SteadyTime now = steady_clock::now();
    for (auto it = connections.begin(); it != connections.end();) {
      const auto next = std::next(it);
      if (it->deadline <= now && !Expire(*it)) connections.erase(it);
      it = next;
    }
    if ((wanted[1].revents & POLLIN) != 0) AcceptAll();
  }
}

bool Exposer::Impl::Full() const {
  return connections.size() >= static_cast<size_t>(std::max(1, options.connections_max));
}

bool Exposer::Impl::CanMakeRoom() const {
  return std::any_of(connections.begin(), connections.end(),
                     [](const Connection& c) { return c.idle; });
}

// Ends what has been idle for longest.
void Exposer::Impl::MakeRoom() {
  auto victim = connections.end();
  for (auto it = connections.begin(); it != connections.end(); ++it) {
    if (it->idle && (victim == connections.end() || it->idle_since < victim->idle_since)) {
      victim = it;
    }
  }
  if (victim != connections.end()) connections.erase(victim);
}

void Exposer::Impl::AcceptAll() {
  while (!Full() || CanMakeRoom()) {
    Fd fd(accept4(listener_fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd.get() < 0) {
      // Out of descriptors: rather than spin, let a connection go or a moment pass.
      if (errno == EMFILE || errno == ENFILE) std::this_thread::sleep_for(milliseconds(10));
      return;
    }
    if (Full()) MakeRoom();
    const int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Connection connection;
    if (options.channels != nullptr) {
      Result<std::unique_ptr<Channel>> channel = options.channels->Make(fd.get(), "");
      if (!channel.ok()) continue;
      connection.channel = *std::move(channel);
    } else {
      connection.channel = MakePlainChannel(fd.get());
    }
    connection.fd = std::move(fd);
    connection.id = next_id++;
    connection.deadline = steady_clock::now() + options.read_timeout;
    connections.push_back(std::move(connection));
  }
}

void Exposer::Impl::TakeAnswers() {
  char drained[64];
  while (read(wake_read.get(), drained, sizeof drained) > 0) {
  }
  std::vector<Answer> ready;
  {
    const std::lock_guard lock(mutex);
    ready.swap(answers);
  }
  for (Answer& answer : ready) {
    const auto it =
        std::find_if(connections.begin(), connections.end(),
                     [&](const Connection& connection) { return connection.id == answer.id; });
    if (it == connections.end() || it->stage != Stage::kWorking) continue;
    Respond(*it, std::move(answer.bytes));
    if (!Continue(*it)) connections.erase(it);
  }
}

bool Exposer::Impl::Continue(Connection& connection) {
  // Several requests may have come at once, and answering one may leave the next ready.
  while (connection.stage != Stage::kWorking) {
    const Stage before = connection.stage;
    if (before == Stage::kWriting ? !Write(connection) : !Read(connection)) return false;
    if (connection.stage == before) return true;
  }
  return true;
}

bool Exposer::Impl::Read(Connection& connection) {
  char buffer[4096];
  for (;;) {
    if (TakeRequest(connection)) return true;
    const Channel::Outcome outcome = connection.channel->Read(buffer, sizeof buffer);
    switch (outcome.state) {
      case Channel::State::kOk:
        if (connection.idle) {
          connection.idle = false;
          connection.deadline = steady_clock::now() + options.read_timeout;
        }
        connection.in.append(buffer, outcome.bytes);
        break;
      case Channel::State::kWantRead:
      case Channel::State::kWantWrite:
        connection.wants_write = outcome.state == Channel::State::kWantWrite;
        return true;
      case Channel::State::kClosed:
      case Channel::State::kFailed: return false;
    }
  }
}

// True when the connection has left the reading stage.
bool Exposer::Impl::TakeRequest(Connection& connection) {
  const size_t end = connection.in.find("\r\n\r\n");
  if (end == std::string::npos || end > options.header_bytes_max) {
    if (connection.in.size() <= options.header_bytes_max) return false;
    RespondAndClose(connection, Plain(431, "Request Header Fields Too Large\n"));
    return true;
  }
  std::optional<RequestHead> head =
      ParseRequestHead(std::string_view(connection.in).substr(0, end));
  connection.in.erase(0, end + 4);
  if (!head) {
    RespondAndClose(connection, Plain(400, "Bad Request\n"));
    return true;
  }
  if (head->has_body) {
    RespondAndClose(connection, Plain(413, "a request for metrics has no body\n"));
    return true;
  }
  connection.stage = Stage::kWorking;
  connection.keep_alive = head->keep_alive;
  connection.id = next_id++;
  connection.deadline = SteadyTime::max();
  if (options.handler_timeout.count() > 0) {
    connection.deadline = steady_clock::now() + options.handler_timeout;
  }
  const std::string patience(head->request.Header("X-Prometheus-Scrape-Timeout-Seconds"));
  const double seconds = std::atof(patience.c_str());
  if (seconds > 0 && seconds < 3600) {
    connection.deadline = std::min(
        connection.deadline,
        steady_clock::now() + milliseconds(static_cast<milliseconds::rep>(seconds * 1000)));
  }
  {
    const std::lock_guard lock(mutex);
    tasks.push_back({connection.id, std::move(head->request), head->keep_alive});
  }
  work_ready.notify_one();
  return true;
}

void Exposer::Impl::Respond(Connection& connection, std::string bytes) {
  connection.stage = Stage::kWriting;
  connection.out = std::move(bytes);
  connection.sent = 0;
  connection.wants_write = true;
  connection.deadline = steady_clock::now() + options.write_timeout;
}

void Exposer::Impl::RespondAndClose(Connection& connection, const HttpResponse& response) {
  connection.keep_alive = false;
  connection.idle = false;
  Respond(connection, Render(response, false, false));
}

bool Exposer::Impl::Write(Connection& connection) {
  while (connection.sent < connection.out.size()) {
    const Channel::Outcome outcome = connection.channel->Write(
        connection.out.data() + connection.sent, connection.out.size() - connection.sent);
    connection.sent += outcome.bytes;
    switch (outcome.state) {
      case Channel::State::kOk: break;
      case Channel::State::kWantRead:
      case Channel::State::kWantWrite:
        connection.wants_write = outcome.state == Channel::State::kWantWrite;
        return true;
      case Channel::State::kClosed:
      case Channel::State::kFailed: return false;
    }
  }
  connection.out = {};  // A page may be large; the next one may be an hour away.
  if (!connection.keep_alive) {
    connection.channel->Finish();
    shutdown(connection.fd.get(), SHUT_WR);
    // What was not read would turn the goodbye into a reset that takes the answer away with it.
    char unread[4096];
    while (recv(connection.fd.get(), unread, sizeof unread, 0) > 0) {
    }
    return false;
  }
  connection.stage = Stage::kReading;
  connection.wants_write = false;
  connection.idle = connection.in.empty();
  connection.idle_since = steady_clock::now();
  connection.deadline =
      steady_clock::now() + (connection.idle ? options.idle_timeout : options.read_timeout);
  return true;
}

// Its deadline has passed: false to close it.
bool Exposer::Impl::Expire(Connection& connection) {
  switch (connection.stage) {
    case Stage::kWorking: {
      const std::string limit = options.handler_timeout.count() > 0
                                    ? std::to_string(options.handler_timeout.count()) + "ms"
                                    : "the scraper's own limit";
      RespondAndClose(connection, Plain(503, "Exceeded configured timeout of " + limit + ".\n"));
      return Continue(connection);
    }
    case Stage::kReading:
      if (connection.idle || connection.in.empty()) return false;
      RespondAndClose(connection, Plain(408, "Request Timeout\n"));
      return Continue(connection);
    case Stage::kWriting: return false;
  }
  return false;
}

Exposer::Exposer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Exposer::~Exposer() = default;

uint16_t Exposer::port() const noexcept {
  return impl_->port;
}

Result<std::unique_ptr<Exposer>> Exposer::Start(const std::string& address,
                                                const Gatherable& source, ExposerOptions options) {
  Result<std::pair<std::string, std::string>> where = SplitAddress(address);
  if (!where.ok()) return where.status();
  Result<Listener> listener = Listen(where->first, where->second);
  if (!listener.ok()) return listener.status();
  auto impl = std::make_unique<Impl>(*std::move(listener), source, std::move(options));
  if (Status status = impl->Start(); !status.ok()) return status;
  return std::unique_ptr<Exposer>(new Exposer(std::move(impl)));
}

}  // namespace narthex::client
