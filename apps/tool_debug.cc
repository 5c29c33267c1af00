// `debug`: what a server tells about itself, collected in debug.tar.gz.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/tool.h"
#include "util/compress.h"
#include "util/file.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::apps {
namespace {

constexpr std::string_view kArchive = "debug.tar.gz";
constexpr size_t kProfileBytesMax = size_t{1} << 30;
constexpr size_t kTarBlock = 512;

struct Endpoint {
  std::string_view path;
  std::string_view file;
  bool profile = false;  // Comes compressed and is stored plain.
};
constexpr Endpoint kProfiles[] = {
    {"/debug/pprof/profile?seconds=30", "cpu.pb", true},
    {"/debug/pprof/block", "block.pb", true},
    {"/debug/pprof/goroutine", "goroutine.pb", true},
    {"/debug/pprof/heap", "heap.pb", true},
    {"/debug/pprof/mutex", "mutex.pb", true},
    {"/debug/pprof/threadcreate", "threadcreate.pb", true},
    {"/debug/pprof/trace?seconds=30", "trace.pb", false},
};
constexpr Endpoint kMetrics[] = {{"/metrics", "metrics.txt", false}};

// One file of a tar archive in the ustar format: a header block, then the bytes in whole blocks.
void AppendTarFile(std::string_view name, std::string_view contents, std::string* out) {
  std::string header(kTarBlock, '\0');
  const auto put = [&header](size_t offset, std::string_view text) {
    header.replace(offset, text.size(), text);
  };
  put(0, name);
  put(100, "0000666");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", contents.size()));
  put(136, fmt::format("{:011o}", 0));  // Modification time.
  put(148, "        ");                 // The checksum counts as spaces.
  put(156, "0");
  put(257, std::string_view("ustar\0"
                            "00",
                            8));
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum));
  header[154] = '\0';
  *out += header;
  *out += contents;
  out->append((kTarBlock - contents.size() % kTarBlock) % kTarBlock, '\0');
}

Status Collect(const std::string& server, const std::vector<Endpoint>& endpoints) {
  net::HttpClient client;
  std::string archive;
  for (const Endpoint& endpoint : endpoints) {
    net::HttpClientRequest request;
    request.url = server + std::string(endpoint.path);
    request.timeout_nanos = 120 * kNanosPerSecond;
    PrintOut("collecting: " + request.url + "\n");
    net::HttpClientResponse response = client.FetchSync(std::move(request));
    if (!response.error.ok()) {
      return response.error.WithPrefix("error executing HTTP request: ");
    }
    if (endpoint.profile) {
      Result<std::string> plain = GzipDecompress(response.body, kProfileBytesMax);
      if (!plain.ok()) {
        return plain.status().WithPrefix("error post-processing HTTP response body: ");
      }
      response.body = *std::move(plain);
    }
    AppendTarFile(endpoint.file, response.body, &archive);
  }
  archive.append(2 * kTarBlock, '\0');
  const std::string path(kArchive);
  NARTHEX_RETURN_IF_ERROR(FileSystem::Posix()
                              .WriteAtomically(path, GzipCompress(archive))
                              .WithPrefix("error creating archive " + GoQuote(path) + ": "));
  PrintOut("Compiling debug information complete, all files written in " + GoQuote(path) + ".\n");
  return {};
}

void AddDebugCommand(Command& debug, std::string name, std::string help, std::string argument_help,
                     std::vector<Endpoint> endpoints) {
  Command& command = debug.AddCommand(std::move(name), std::move(help));
  const auto server = std::make_shared<std::string>();
  command.TextArgument("server", server.get(), Presence::kRequired, std::move(argument_help));
  command.OnRun([server, endpoints = std::move(endpoints)] {
    return ReportError(Collect(*server, endpoints).WithPrefix("error completing debug command: "));
  });
}

}  // namespace

void AddDebugCommands(Command& root, ToolContext&) {
  Command& debug = root.AddCommand("debug", "Fetch debug information.");
  const std::vector<Endpoint> profiles(std::begin(kProfiles), std::end(kProfiles));
  const std::vector<Endpoint> metrics(std::begin(kMetrics), std::end(kMetrics));
  std::vector<Endpoint> all = profiles;
  all.insert(all.end(), metrics.begin(), metrics.end());
  AddDebugCommand(debug, "pprof", "Fetch profiling debug information.",
                  "Prometheus server to get pprof files from.", profiles);
  AddDebugCommand(debug, "metrics", "Fetch metrics debug information.",
                  "Prometheus server to get metrics from.", metrics);
  AddDebugCommand(debug, "all", "Fetch all debug information.",
                  "Prometheus server to get all debug information from.", std::move(all));
}

}  // namespace narthex::apps
