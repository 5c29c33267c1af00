// Administration of the database (parity/api.md section 10).
#include <random>

#include "util/numbers.h"
#include "util/strings.h"
#include "web/api.h"
#include "web/json_writer.h"
#include "web/params.h"

namespace narthex::web {
namespace {

Status RequireAdmin(const ApiOptions& options) {
  if (options.enable_admin) return {};
  return Status(ErrorCode::kUnavailable, "admin APIs disabled");
}

// 20060102T150405Z-<16 hex digits>
std::string SnapshotName(int64_t now_nanos) {
  std::string name;
  for (const char c : FormatRfc3339Nano(now_nanos / kNanosPerSecond * kNanosPerSecond)) {
    if (c != '-' && c != ':') name.push_back(c);
  }
  std::random_device random;
  return fmt::format("{}-{:08x}{:08x}", name, random(), random());
}

}  // namespace

Status Api::DeleteSeries(Call& call) {
  NARTHEX_RETURN_IF_ERROR(RequireAdmin(options_));
  NARTHEX_TRY(const net::FormValues form, ParseForm(call.request));
  const std::vector<std::string> selectors = form.GetAll("match[]");
  if (selectors.empty()) {
    return Status(ErrorCode::kInvalidInput, "no match[] parameter provided");
  }
  NARTHEX_TRY(const int64_t start, ParseTimeParam(form, "start", kMinTimeMs));
  NARTHEX_TRY(const int64_t end, ParseTimeParam(form, "end", kMaxTimeMs));
  // One by one, as upstream: an error in a later selector leaves earlier deletions done.
  for (const std::string& selector : selectors) {
    auto sets = MatchSets({selector}, false);
    if (!sets.ok()) return InvalidParameter("match[]", sets.status());
    NARTHEX_RETURN_IF_ERROR(storage_.db->Delete({start, end}, sets->front()));
  }
  call.no_content = true;
  return {};
}

Status Api::CleanTombstones(Call& call) {
  NARTHEX_RETURN_IF_ERROR(RequireAdmin(options_));
  NARTHEX_RETURN_IF_ERROR(storage_.db->CleanTombstones());
  call.no_content = true;
  return {};
}

Status Api::Snapshot(Call& call) {
  NARTHEX_RETURN_IF_ERROR(RequireAdmin(options_));
  const net::FormValues form = ReadForm(call.request);
  bool skip_head = false;
  if (const std::string_view text = form.Get("skip_head"); !text.empty()) {
    const std::optional<bool> parsed = ParseBool(text);
    if (!parsed) {
      return InvalidParameter(
          "skip_head",
          MakeError(ErrorCode::kInvalidInput,
                    "unable to parse boolean: strconv.ParseBool: parsing {}: invalid syntax",
                    GoQuote(text)));
    }
    skip_head = *parsed;
  }
  const std::string name = SnapshotName(clock_.NowNanos());
  const std::string folder = JoinPath(JoinPath(storage_.db->path(), "snapshots"), name);
  if (Status status = storage_.db->Snapshot(folder, !skip_head); !status.ok()) {
    return Status(ErrorCode::kInternal, "create snapshot: " + status.message());
  }
  JsonWriter(&call.writer.buffer()).BeginObject().Key("name").String(name).EndObject();
  return {};
}

}  // namespace narthex::web
