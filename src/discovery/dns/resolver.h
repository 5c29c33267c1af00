// DNS look-ups for discovery: whole record sets of one name and type, asynchronously.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "util/status.h"

namespace narthex {

enum class DnsRecordType : uint16_t { kA = 1, kNs = 2, kMx = 15, kAaaa = 28, kSrv = 33 };

struct DnsRecord {
  DnsRecordType type = DnsRecordType::kA;
  std::string target;  // Address in text, or the name it points at with its final dot.
  uint16_t port = 0;   // SRV.
};

class DnsResolver {
 public:
  virtual ~DnsResolver() = default;
  // Calls `done` once, from any thread. A name that does not exist is an empty list, every other
  // failure an error. Records of other types in the answer (CNAMEs on the way) are left out.
  virtual void Resolve(std::string name, DnsRecordType type,
                       std::function<void(Result<std::vector<DnsRecord>>)> done) = 0;
};

struct DnsResolverOptions {
  // "127.0.0.1:5353"; empty: what /etc/resolv.conf says.
  std::vector<std::string> servers;
  // Names without a dot at their end are tried with these; empty: what /etc/resolv.conf says.
  std::vector<std::string> search_domains;
  int64_t timeout_millis = 5000;
  int tries = 2;
};

// Over c-ares on a thread of its own: EDNS0, UDP, then TCP for what was cut. The destructor answers
// what is under way with kCanceled.
Result<std::unique_ptr<DnsResolver>> MakeDnsResolver(const DnsResolverOptions& options);

}  // namespace narthex
