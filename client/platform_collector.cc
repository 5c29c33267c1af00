#include <gnu/libc-version.h>
#include <malloc.h>
#include <sys/utsname.h>

#include "narthex/client/custom.h"
#include "narthex/client/process_collector.h"

namespace narthex::client {
namespace {

std::string Compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "gcc " __VERSION__;
#else
  return "unknown";
#endif
}

LabelSet Facts() {
  utsname system{};
  uname(&system);
  std::string compiler = Compiler();
  while (!compiler.empty() && compiler.back() == ' ') compiler.pop_back();
  return LabelSet::WithText({{"arch", system.machine},
                             {"compiler", compiler},
                             {"kernel", std::string(system.sysname) + " " + system.release},
                             {"libc", std::string("glibc ") + gnu_get_libc_version()},
                             {"standard", std::to_string(__cplusplus)}});
}

}  // namespace

std::shared_ptr<Collector> MakePlatformCollector() {
  struct Row {
    const char* name;
    const char* help;
    size_t value;
  };
  const auto collect = [facts = Facts()](std::vector<MetricFamily>& out) {
    out.push_back(MakeFamily(MetricType::kInfo, "cpp_info",
                             "What this program's metrics library was built with and runs on."));
    out.back().metrics.push_back({facts, GaugeValue{1}, std::nullopt});
    const auto info = mallinfo2();
    // Another allocator stands in malloc's place: these numbers would say nothing.
    if (info.arena == 0 && info.hblkhd == 0) return;
    for (const Row& row : {
             Row{"cpp_malloc_used_bytes", "Bytes that malloc has handed out.",
                 info.uordblks + info.hblkhd},
             Row{"cpp_malloc_free_bytes", "Bytes that malloc keeps for later.", info.fordblks},
             Row{"cpp_malloc_arena_bytes", "Bytes that malloc has from the heap.", info.arena},
             Row{"cpp_malloc_mapped_bytes", "Bytes of large blocks that malloc has mapped.",
                 info.hblkhd},
         }) {
      out.push_back(MakeFamily(MetricType::kGauge, row.name, row.help));
      AddSample(out.back(), {}, static_cast<double>(row.value));
    }
  };
  return MakeCollector(collect);
}

}  // namespace narthex::client
