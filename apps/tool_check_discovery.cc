// `check service-discovery`.
#include "apps/tool_check.h"

namespace narthex::apps {

int CheckServiceDiscovery(const std::string&, const std::string&, int64_t) {
  return ReportError(Status(ErrorCode::kUnsupported, "check service-discovery: not supported yet"));
}

}  // namespace narthex::apps
