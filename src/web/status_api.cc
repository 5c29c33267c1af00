// Status pages, features and notifications (parity/api.md sections 7 and 8).
#include <fmt/format.h>
#include <re2/re2.h>

#include "model/go_regex.h"
#include "util/numbers.h"
#include "web/api.h"
#include "web/json_writer.h"
#include "web/params.h"

namespace narthex::web {

Status Api::StatusConfig(Call& call) {
  JsonWriter(&call.writer.buffer())
      .BeginObject()
      .Key("yaml")
      .String(sources_.config_yaml())
      .EndObject();
  return {};
}

Status Api::StatusFlags(Call& call) {
  JsonWriter json(&call.writer.buffer());
  json.BeginObject();
  for (const auto& [name, value] : sources_.flags) json.Key(name).String(value);
  json.EndObject();
  return {};
}

std::string BuildInfoJson(const BuildInfo& info) {
  std::string out;
  JsonWriter json(&out);
  json.BeginObject();
  json.Key("version").String(info.version);
  json.Key("revision").String(info.revision);
  json.Key("branch").String(info.branch);
  json.Key("buildUser").String(info.build_user);
  json.Key("buildDate").String(info.build_date);
  json.Key("goVersion").String(info.go_version);
  json.EndObject();
  return out;
}

Status Api::StatusBuildInfo(Call& call) {
  call.writer.buffer().append(BuildInfoJson(sources_.build_info));
  return {};
}

Status Api::StatusRuntimeInfo(Call& call) {
  const RuntimeInfo info = sources_.runtime_info();
  JsonWriter json(&call.writer.buffer());
  json.BeginObject();
  json.Key("startTime").String(FormatRfc3339Nano(info.start_time_nanos));
  json.Key("CWD").String(info.working_directory);
  json.Key("hostname").String(info.hostname);
  json.Key("serverTime").String(FormatRfc3339Nano(clock_.NowNanos()));
  json.Key("reloadConfigSuccess").Bool(info.reload_config_success);
  json.Key("lastConfigTime").String(FormatRfc3339Nano(info.last_config_nanos));
  json.Key("corruptionCount").Int(static_cast<int64_t>(info.corruption_count));
  // Threads are what goroutines are to upstream; the UI and its users read the number alike.
  json.Key("goroutineCount").Int(static_cast<int64_t>(info.thread_count));
  json.Key("GOMAXPROCS").Int(static_cast<int64_t>(info.processor_count));
  json.Key("GOMEMLIMIT").Int(std::numeric_limits<int64_t>::max());
  json.Key("GOGC").String(info.gogc < 0 ? "off" : std::to_string(info.gogc));
  json.Key("GODEBUG").String("");
  json.Key("storageRetention").String(info.storage_retention);
  json.EndObject();
  return {};
}

Status Api::StatusTsdb(Call& call) {
  constexpr int64_t kDefaultLimit = 10;
  constexpr int64_t kLimitMax = 10'000;
  const net::FormValues form = ParseQuery(call.request);
  int64_t limit = kDefaultLimit;
  if (const std::string_view text = form.Get("limit"); !text.empty()) {
    const std::optional<int64_t> parsed = ParseInt(text);
    if (!parsed || *parsed < 1) {
      return Status(ErrorCode::kInvalidInput, "limit must be a positive number");
    }
    if (*parsed > kLimitMax) {
      return MakeError(ErrorCode::kInvalidInput, "limit must not exceed {}", kLimitMax);
    }
    limit = *parsed;
  }
  const tsdb::HeadStatus head = storage_.db->ReadHeadStatus(static_cast<size_t>(limit));
  JsonWriter json(&call.writer.buffer());
  json.BeginObject().Key("headStats").BeginObject();
  json.Key("numSeries").Int(static_cast<int64_t>(head.series_count));
  json.Key("numLabelPairs").Int(static_cast<int64_t>(head.label_pair_count));
  json.Key("chunkCount").Int(static_cast<int64_t>(head.chunk_count));
  json.Key("minTime").Int(head.min_time_ms);
  json.Key("maxTime").Int(head.max_time_ms);
  json.EndObject();
  const auto table = [&](std::string_view key, const std::vector<tsdb::NamedCount>& rows) {
    json.Key(key).BeginArray();
    for (const tsdb::NamedCount& row : rows) {
      json.BeginObject().Key("name").String(row.name);
      json.Key("value").Int(static_cast<int64_t>(row.count)).EndObject();
    }
    json.EndArray();
  };
  table("seriesCountByMetricName", head.series_by_metric_name);
  table("labelValueCountByLabelName", head.values_by_label_name);
  table("memoryInBytesByLabelName", head.memory_by_label_name);
  table("seriesCountByLabelValuePair", head.series_by_label_pair);
  json.EndObject();
  return {};
}

Status Api::StatusTsdbBlocks(Call& call) {
  JsonWriter json(&call.writer.buffer());
  json.BeginObject().Key("blocks").BeginArray();
  for (const tsdb::BlockInfo& block : storage_.db->Blocks()) {
    // meta.json as it lies on disk, without its line breaks and tabs (which no string holds raw).
    std::string compact;
    bool after_key = false;
    for (const char c : block.meta_json) {
      if (c == '\n' || c == '\t') continue;
      if (c == ' ' && after_key) continue;
      after_key = c == ':';
      compact.push_back(c);
    }
    json.Raw(compact);
  }
  json.EndArray().EndObject();
  return {};
}

Status Api::StatusWalReplay(Call& call) {
  JsonWriter json(&call.writer.buffer());
  json.BeginObject();
  json.Key("min").Int(replay_ ? replay_->min.load() : 0);
  json.Key("max").Int(replay_ ? replay_->max.load() : 0);
  json.Key("current").Int(replay_ ? replay_->current.load() : 0);
  json.EndObject();
  return {};
}

Status Api::StatusSelfMetrics(Call& call) {
  constexpr int64_t kRegexBytesMax = 1 << 20;
  const net::FormValues form = ReadForm(call.request);
  std::unique_ptr<const re2::RE2> regex;
  if (const std::string_view pattern = form.Get("metric_name_pattern"); !pattern.empty()) {
    Result<std::unique_ptr<const re2::RE2>> compiled =
        CompileGoRegex(fmt::format("^(?:{})$", pattern), kRegexBytesMax);
    if (!compiled.ok()) return compiled.status().WithPrefix("invalid metric_name_pattern: ");
    regex = *std::move(compiled);
  }
  NARTHEX_TRY(const std::string json, sources_.self_metrics([&](std::string_view name) {
    return regex == nullptr ||
           re2::RE2::PartialMatch(re2::StringPiece(name.data(), name.size()), *regex);
  }));
  call.writer.buffer().append(json);
  return {};
}

Status Api::Features(Call& call) {
  JsonWriter json(&call.writer.buffer());
  json.BeginObject();
  for (const auto& [category, features] : sources_.features) {
    json.Key(category).BeginObject();
    for (const auto& [name, enabled] : features) json.Key(name).Bool(enabled);
    json.EndObject();
  }
  json.EndObject();
  return {};
}

Status Api::NotificationList(Call& call) {
  JsonWriter json(&call.writer.buffer());
  json.BeginArray();
  for (const Notification& notification : notifications_.Active()) {
    json.Raw(NotificationJson(notification));
  }
  json.EndArray();
  return {};
}

// Server-sent events until the client leaves. The listener never blocks: a client that does not
// read loses messages once the connection's buffer is full.
void Api::NotificationStream(const std::shared_ptr<net::HttpExchange>& exchange) {
  net::HttpResponse head;
  AddCors(exchange->request(), &head.headers);
  head.headers.Add("Content-Type", "text/event-stream");
  head.headers.Add("Cache-Control", "no-cache");
  head.headers.Add("Connection", "keep-alive");
  // Subscribing shows what is active already, which must come after the head; so the messages wait
  // in a list until the stream stands.
  struct Stream {
    std::mutex mutex;
    bool open = false;
    std::vector<std::string> early;
    std::unique_ptr<std::stop_callback<std::function<void()>>> on_close;
  };
  auto stream = std::make_shared<Stream>();
  const Notifications::SubscriberId id =
      notifications_.Subscribe([this, exchange, stream](const Notification& notification) {
        std::string text = "data: " + NotificationJson(notification) + "\n\n";
        const std::lock_guard lock(stream->mutex);
        if (!stream->open) {
          stream->early.push_back(std::move(text));
        } else {
          notifications_.CountUpdate(exchange->TryWrite(std::move(text)));
        }
      });
  if (id == 0) {
    net::HttpResponse full;
    full.status = 204;
    exchange->Respond(std::move(full));
    return;
  }
  exchange->StartStream(std::move(head));
  {
    const std::lock_guard lock(stream->mutex);
    stream->open = true;
    for (std::string& text : stream->early) {
      notifications_.CountUpdate(exchange->TryWrite(std::move(text)));
    }
  }
  stream->on_close = std::make_unique<std::stop_callback<std::function<void()>>>(
      exchange->stop_token(), [this, exchange, stream, id] {
        // Not from here: the callback itself is owned by what is freed.
        light_pool_.Submit([this, exchange, stream, id] {
          notifications_.Unsubscribe(id);
          stream->on_close.reset();
          exchange->Finish();
        });
      });
}

}  // namespace narthex::web
