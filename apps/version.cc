#include <fmt/format.h>

#include "apps/command.h"

#ifndef NARTHEX_VERSION
#define NARTHEX_VERSION "0.0.0"
#endif
#ifndef NARTHEX_REVISION
#define NARTHEX_REVISION "unknown"
#endif

namespace narthex::apps {

std::string_view Version() {
  return NARTHEX_VERSION;
}
std::string_view Revision() {
  return NARTHEX_REVISION;
}
// The day of the compiler's run would make builds differ; the revision names the source better.
std::string_view BuildDate() {
  return "";
}

std::string CompilerText() {
#if defined(__clang__)
  return fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  return fmt::format("gcc {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

std::string VersionText(std::string_view program) {
  return fmt::format(
      "{}, version {} (branch: main, revision: {})\n"
      "  compiler:         {}\n"
      "  platform:         linux/amd64\n"
      "  follows:          Prometheus {}\n",
      program, Version(), Revision(), CompilerText(), kReferenceVersion);
}

}  // namespace narthex::apps
