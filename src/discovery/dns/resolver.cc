// One thread owns the c-ares channel. Requests reach it through a queue and an eventfd; it polls
// the channel's sockets together with that eventfd.
#include "discovery/dns/resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

#include "util/file.h"
#include "util/log.h"
#include "util/strings.h"

namespace narthex {

namespace {

using Done = std::function<void(Result<std::vector<DnsRecord>>)>;

constexpr const char* kResolvConf = "/etc/resolv.conf";
constexpr int kEdnsBytes = 4096;
constexpr size_t kHeaderBytes = 12;

uint16_t ReadUint16(const unsigned char* at) {
  return static_cast<uint16_t>(at[0] << 8 | at[1]);
}

// Walks over a DNS message; every step checks that it stays inside.
class MessageReader {
 public:
  explicit MessageReader(std::string_view message)
      : begin_(reinterpret_cast<const unsigned char*>(message.data())),
        size_(message.size()),
        at_(kHeaderBytes) {}

  uint16_t Count(size_t offset) const { return ReadUint16(begin_ + offset); }

  // A possibly compressed name at `offset`, with its final dot; *consumed is its size there.
  bool NameAt(size_t offset, std::string* name, size_t* consumed) const {
    if (offset >= size_) return false;
    char* expanded = nullptr;
    long encoded = 0;
    if (ares_expand_name(begin_ + offset, begin_, static_cast<int>(size_), &expanded, &encoded) !=
        ARES_SUCCESS) {
      return false;
    }
    *name = expanded;
    ares_free_string(expanded);
    if (!name->ends_with('.')) *name += '.';
    *consumed = static_cast<size_t>(encoded);
    return true;
  }

  bool SkipQuestion() {
    std::string name;
    size_t consumed = 0;
    if (!NameAt(at_, &name, &consumed)) return false;
    at_ += consumed + 4;
    return at_ <= size_;
  }

  // The next record of the answer. *known says whether it is one of ours.
  bool TakeRecord(DnsRecord* record, bool* known) {
    std::string owner;
    size_t consumed = 0;
    constexpr size_t kFixedBytes = 10;  // Type, class, lifetime, length.
    if (!NameAt(at_, &owner, &consumed)) return false;
    at_ += consumed;
    if (at_ + kFixedBytes > size_) return false;
    const uint16_t type = ReadUint16(begin_ + at_);
    const size_t length = ReadUint16(begin_ + at_ + 8);
    at_ += kFixedBytes;
    if (at_ + length > size_) return false;
    *known = ReadData(type, length, record);
    at_ += length;
    return true;
  }

 private:
  bool ReadData(uint16_t type, size_t length, DnsRecord* record) const {
    size_t consumed = 0;
    record->type = static_cast<DnsRecordType>(type);
    switch (record->type) {
      case DnsRecordType::kA:
      case DnsRecordType::kAaaa: {
        const bool v4 = record->type == DnsRecordType::kA;
        if (length != (v4 ? 4U : 16U)) return false;
        char text[INET6_ADDRSTRLEN];
        inet_ntop(v4 ? AF_INET : AF_INET6, begin_ + at_, text, sizeof(text));
        record->target = text;
        return true;
      }
      case DnsRecordType::kNs: return NameAt(at_, &record->target, &consumed);
      case DnsRecordType::kMx: return length > 2 && NameAt(at_ + 2, &record->target, &consumed);
      case DnsRecordType::kSrv:
        if (length <= 6) return false;
        record->port = ReadUint16(begin_ + at_ + 4);
        return NameAt(at_ + 6, &record->target, &consumed);
    }
    return false;
  }

  const unsigned char* begin_;
  const size_t size_;
  size_t at_;
};

Result<std::vector<DnsRecord>> ParseAnswer(std::string_view message) {
  const Status malformed(ErrorCode::kInvalidInput, "malformed DNS answer");
  if (message.size() < kHeaderBytes) return malformed;
  MessageReader reader(message);
  const int questions = reader.Count(4);
  const int answers = reader.Count(6);
  for (int i = 0; i < questions; ++i) {
    if (!reader.SkipQuestion()) return malformed;
  }
  std::vector<DnsRecord> records;
  for (int i = 0; i < answers; ++i) {
    DnsRecord record;
    bool known = false;
    if (!reader.TakeRecord(&record, &known)) return malformed;
    if (known) records.push_back(std::move(record));
  }
  return records;
}

class CaresResolver : public DnsResolver {
 public:
  explicit CaresResolver(DnsResolverOptions options) : options_(std::move(options)) {}

  ~CaresResolver() override {
    if (!thread_.joinable()) return;
    stopping_ = true;
    Wake();
    thread_.join();
    close(wake_);
  }

  Status Start() {
    wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_ < 0) return MakeError(ErrorCode::kIo, "eventfd: {}", ErrnoText(errno));
    NARTHEX_RETURN_IF_ERROR(OpenChannel());
    thread_ = std::thread([this] { Run(); });
    return {};
  }

  void Resolve(std::string name, DnsRecordType type, Done done) override {
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::make_unique<Search>(std::move(name), type, std::move(done)));
    }
    Wake();
  }

 private:
  // One name on its way through the search list.
  struct Search {
    Search(std::string wanted, DnsRecordType record_type, Done callback)
        : name(std::move(wanted)), type(record_type), done(std::move(callback)) {}
    const std::string name;
    const DnsRecordType type;
    const Done done;
    CaresResolver* resolver = nullptr;
    std::vector<std::string> candidates;
    size_t next = 0;
    bool all_answers_valid = true;
  };

  void Wake() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof(one));
  }

  Status OpenChannel() {
    ares_options ares{};
    ares.flags = ARES_FLAG_EDNS;
    ares.ednspsz = kEdnsBytes;
    ares.timeout = static_cast<int>(options_.timeout_millis);
    ares.tries = options_.tries;
    const int mask = ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES;
    int status = ares_init_options(&channel_, &ares, mask);
    if (status == ARES_SUCCESS && !options_.servers.empty()) {
      status = ares_set_servers_ports_csv(channel_, Join(options_.servers, ",").c_str());
    }
    if (status != ARES_SUCCESS) {
      return MakeError(ErrorCode::kIo, "could not set up DNS: {}", ares_strerror(status));
    }
    domains_ = options_.search_domains;
    ndots_ = 1;
    ares_options effective{};
    int set = 0;
    if (ares_save_options(channel_, &effective, &set) == ARES_SUCCESS) {
      ndots_ = effective.ndots;
      for (int i = 0; domains_.empty() && options_.servers.empty() && i < effective.ndomains; ++i) {
        domains_.emplace_back(effective.domains[i]);
      }
      ares_destroy_options(&effective);
    }
    resolv_conf_mtime_ = ResolvConfTime();
    return {};
  }

  static int64_t ResolvConfTime() {
    struct stat info{};
    if (::stat(kResolvConf, &info) != 0) return 0;
    return static_cast<int64_t>(info.st_mtim.tv_sec) * kNanos + info.st_mtim.tv_nsec;
  }

  // Takes up a changed resolv.conf while nothing is under way.
  void RefreshChannel() {
    if (active_ > 0 || !options_.servers.empty() || ResolvConfTime() == resolv_conf_mtime_) return;
    const ares_channel before = channel_;
    if (const Status status = OpenChannel(); !status.ok()) {
      LOG_ERROR("Cannot read DNS settings anew", {"err", status.message()});
      channel_ = before;
    } else {
      ares_destroy(before);
    }
  }

  // The full names to try, as resolv.conf(5) says.
  std::vector<std::string> Candidates(const std::string& name) const {
    if (name.ends_with('.')) return {name};
    const auto labels = std::count(name.begin(), name.end(), '.') + 1;
    const bool many_dots = labels > ndots_;
    std::vector<std::string> names;
    if (many_dots) names.push_back(name + ".");
    for (const std::string& domain : domains_) {
      names.push_back(domain.empty() || domain == "." ? name + "." : name + "." + domain + ".");
    }
    if (!many_dots) names.push_back(name + ".");
    return names;
  }

  void Ask(std::unique_ptr<Search> search) {
    const std::string& candidate = search->candidates[search->next++];
    Search* raw = search.release();  // Comes back in OnAnswer.
    ares_query(raw->resolver->channel_, candidate.c_str(), ns_c_in, static_cast<int>(raw->type),
               OnAnswer, raw);
  }

  static void OnAnswer(void* argument, int status, int, unsigned char* answer, int size) {
    std::unique_ptr<Search> search(static_cast<Search*>(argument));
    search->resolver->Handle(std::move(search), status,
                             {reinterpret_cast<const char*>(answer), static_cast<size_t>(size)});
  }

  void Handle(std::unique_ptr<Search> search, int status, std::string_view answer) {
    if (status == ARES_SUCCESS || status == ARES_ENODATA) {
      --active_;
      return search->done(status == ARES_SUCCESS ? ParseAnswer(answer)
                                                 : Result(std::vector<DnsRecord>()));
    }
    if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED) {
      --active_;
      return search->done(Status(ErrorCode::kCanceled, "the resolver is stopping"));
    }
    if (status != ARES_ENOTFOUND) {
      LOG_WARN("DNS resolution failed", {"name", search->candidates[search->next - 1]},
               {"err", ares_strerror(status)});
      search->all_answers_valid = false;
    }
    if (search->next < search->candidates.size()) return Ask(std::move(search));
    --active_;
    if (search->all_answers_valid) return search->done(std::vector<DnsRecord>());
    search->done(MakeError(
        ErrorCode::kUnavailable,
        "could not resolve {}: all servers responded with errors to at least one search domain",
        GoQuote(search->name)));
  }

  void TakeQueue() {
    std::vector<std::unique_ptr<Search>> taken;
    {
      const std::lock_guard lock(mutex_);
      taken.swap(queue_);
    }
    if (!taken.empty()) RefreshChannel();
    for (std::unique_ptr<Search>& search : taken) {
      search->resolver = this;
      search->candidates = Candidates(search->name);
      ++active_;
      Ask(std::move(search));
    }
  }

  void PollOnce() {
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    const int wanted = ares_getsock(channel_, sockets, ARES_GETSOCK_MAXNUM);
    std::vector<pollfd> polled{{wake_, POLLIN, 0}};
    for (int i = 0; i < ARES_GETSOCK_MAXNUM; ++i) {
      short events = 0;
      if (ARES_GETSOCK_READABLE(wanted, i)) events |= POLLIN;
      if (ARES_GETSOCK_WRITABLE(wanted, i)) events |= POLLOUT;
      if (events != 0) polled.push_back({sockets[i], events, 0});
    }
    timeval buffer{};
    const timeval* timeout = ares_timeout(channel_, nullptr, &buffer);
    const int64_t millis =
        timeout == nullptr ? -1 : timeout->tv_sec * 1000 + timeout->tv_usec / 1000 + 1;
    poll(polled.data(), polled.size(), static_cast<int>(millis));
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t drained = read(wake_, &count, sizeof(count));
    for (size_t i = 1; i < polled.size(); ++i) {
      const bool readable = (polled[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0;
      const bool writable = (polled[i].revents & POLLOUT) != 0;
      if (readable || writable) {
        ares_process_fd(channel_, readable ? polled[i].fd : ARES_SOCKET_BAD,
                        writable ? polled[i].fd : ARES_SOCKET_BAD);
      }
    }
    // Time-outs.
    ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  }

  void Run() {
    while (!stopping_) {
      TakeQueue();
      PollOnce();
    }
    ares_destroy(channel_);
    const std::lock_guard lock(mutex_);
    for (const std::unique_ptr<Search>& search : queue_) {
      search->done(Status(ErrorCode::kCanceled, "the resolver is stopping"));
    }
    queue_.clear();
  }

  static constexpr int64_t kNanos = 1'000'000'000;

  const DnsResolverOptions options_;
  int wake_ = -1;
  std::atomic<bool> stopping_ = false;  // Set once, by the destructor.
  std::mutex mutex_;
  std::vector<std::unique_ptr<Search>> queue_;  // Guarded by mutex_.
  // The rest belongs to the thread once it runs.
  ares_channel channel_ = nullptr;
  std::vector<std::string> domains_;
  int ndots_ = 1;
  int64_t resolv_conf_mtime_ = 0;
  size_t active_ = 0;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<DnsResolver>> MakeDnsResolver(const DnsResolverOptions& options) {
  static const int initialised = ares_library_init(ARES_LIB_INIT_ALL);
  if (initialised != ARES_SUCCESS) {
    return MakeError(ErrorCode::kIo, "could not set up DNS: {}", ares_strerror(initialised));
  }
  auto resolver = std::make_unique<CaresResolver>(options);
  NARTHEX_RETURN_IF_ERROR(resolver->Start());
  return std::unique_ptr<DnsResolver>(std::move(resolver));
}

}  // namespace narthex
