// `promql explain` and `promql analyze`: the plan of a query, asked of a running server.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/tool.h"
#include "apps/tool_api_client.h"
#include "util/json_reader.h"
#include "util/numbers.h"
#include "util/time.h"

namespace narthex::apps {
namespace {

struct ExplainOptions {
  Url server;
  std::string expression;
  std::string format = "text";
  std::string time;
  std::string start;
  std::string end;
  std::string step;
  ApiClient::Values headers;
};

double Number(const json::value& object, std::string_view name) {
  const json::value& value = Member(object, name);
  return value.is_number() ? value.to_number<double>() : 0;
}

int64_t Count(const json::value& object, std::string_view name) {
  return static_cast<int64_t>(Number(object, name));
}

// "1.25ms": three digits are what a measurement is worth.
std::string Seconds(double seconds) {
  if (seconds >= 1) return fmt::format("{:.3g}s", seconds);
  if (seconds >= 1e-3) return fmt::format("{:.3g}ms", seconds * 1e3);
  return fmt::format("{:.3g}µs", seconds * 1e6);
}

std::string Bytes(double bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(kUnits); ++unit) bytes /= 1024;
  return fmt::format("{:.3g}{}", bytes, kUnits[unit]);
}

std::string Head(const json::value& node) {
  const std::string type = Text(node, "type");
  const std::string name = Text(node, "name");
  const bool leaf = type.ends_with("Selector") || type.ends_with("Literal");
  return leaf ? type + " " + Text(node, "expr") : name.empty() ? type : type + " " + name;
}

std::string Facts(const json::value& node) {
  std::string facts = fmt::format("steps={}", Count(Member(node, "steps"), "count"));
  if (Member(node, "once").is_bool()) facts += " once";
  const json::value& select = Member(node, "select");
  if (select.is_object()) {
    facts += fmt::format(" select={}..{}", FormatFloatF(Number(select, "start")),
                         FormatFloatF(Number(select, "end")));
  }
  const json::value& analysis = Member(node, "analysis");
  if (!analysis.is_object()) return facts;
  facts += fmt::format(" total={} self={}", Seconds(Number(analysis, "totalSeconds")),
                       Seconds(Number(analysis, "selfSeconds")));
  if (Count(analysis, "seriesSelected") > 0) {
    facts += fmt::format(" selected={}", Count(analysis, "seriesSelected"));
  }
  if (Count(analysis, "samplesRead") > 0) {
    facts += fmt::format(" read={}", Count(analysis, "samplesRead"));
  }
  facts += fmt::format(" series={} samples={} bytes={}", Count(analysis, "series"),
                       Count(analysis, "samples"), Bytes(Number(analysis, "bytes")));
  if (Count(analysis, "batches") > 0) {
    facts += fmt::format(" batches={} threads={} busy={}", Count(analysis, "batches"),
                         Count(analysis, "threads"), Seconds(Number(analysis, "threadSeconds")));
  }
  const json::value& plans = Member(analysis, "windowPlans");
  if (Count(plans, "made") > 0) {
    facts += fmt::format(" windows={} shared={}", Count(plans, "made"), Count(plans, "shared"));
  }
  if (Member(analysis, "streamed") == json::value(true)) facts += " streamed";
  if (Member(analysis, "reused") == json::value(true)) facts += " reused";
  return facts;
}

void PrintNode(const json::value& node, const std::string& first, const std::string& rest,
               std::string* out) {
  *out += fmt::format("{}{}  [{}]\n", first, Head(node), Facts(node));
  const json::array& list = Array(node, "children");
  for (size_t i = 0; i < list.size(); ++i) {
    const bool last = i + 1 == list.size();
    PrintNode(list[i], rest + (last ? "└─ " : "├─ "), rest + (last ? "   " : "│  "), out);
  }
}

std::string Tree(const json::value& data) {
  std::string out;
  PrintNode(Member(data, "plan"), "", "", &out);
  const json::value& analysis = Member(data, "analysis");
  if (!analysis.is_object()) return out;
  out += fmt::format(
      "\ntotal {}: queue {}, prepare {}, evaluate {}, sort {}\n"
      "{} series touched, {} samples read, {} samples and {} held at most\n",
      Seconds(Number(analysis, "totalSeconds")), Seconds(Number(analysis, "queueSeconds")),
      Seconds(Number(analysis, "prepareSeconds")), Seconds(Number(analysis, "evalSeconds")),
      Seconds(Number(analysis, "sortSeconds")), Count(analysis, "seriesTouched"),
      Count(analysis, "samplesRead"), Count(analysis, "peakSamples"),
      Bytes(Number(analysis, "peakBytes")));
  return out;
}

int Explain(const ExplainOptions& options, const ToolContext& context, bool analyze) {
  ApiClient::Values form = {{"query", options.expression}};
  if (analyze) form.emplace_back("analyze", "true");
  for (const auto& [name, value] :
       {std::pair("time", &options.time), std::pair("start", &options.start),
        std::pair("end", &options.end), std::pair("step", &options.step)}) {
    if (!value->empty()) form.emplace_back(name, *value);
  }
  ApiClient client(options.server, context.http, options.headers);
  const Result<ApiAnswer> answer = client.Post("/api/v1/query_explain", form);
  if (!answer.ok()) {
    PrintError("query error: " + answer.status().message() + "\n");
    return 1;
  }
  for (const std::string& warning : answer->warnings) PrintError(warning + "\n");
  for (const std::string& info : answer->infos) PrintError(info + "\n");
  if (options.format == "json") {
    PrintOut(answer->data + "\n");
    return 0;
  }
  boost::system::error_code error;
  // A tree as deep as queries may be.
  const json::value data = json::parse(answer->data, error, {}, {.max_depth = 10'000});
  if (error) {
    PrintError("query error: " + error.message() + "\n");
    return 1;
  }
  PrintOut(Tree(data));
  return 0;
}

}  // namespace

void AddExplainCommands(Command& promql, ToolContext& context) {
  const auto add = [&](const std::string& name, const std::string& help, bool analyze) {
    const auto options = std::make_shared<ExplainOptions>();
    Command& command = promql.AddCommand(name, help);
    ExplainOptions* target = options.get();
    command.AddArgument(
        {"server", "Server to query.", true, false, [target](std::string_view text) -> Status {
           Result<Url> url = Url::Parse(text);
           if (!url.ok()) return url.status().WithPrefix("invalid URL: ");
           target->server = *std::move(url);
           return {};
         }});
    command.TextArgument("expr", &options->expression, Presence::kRequired,
                         "PromQL query expression.");
    command.flags().Enum("format", &options->format, {"text", "json"}, "Output format.").Short('o');
    command.flags()
        .String("time", &options->time, "Time of an instant query (RFC3339 or Unix timestamp).")
        .Placeholder("TIME");
    command.flags()
        .String("start", &options->start, "Start of a range query (RFC3339 or Unix timestamp).")
        .Placeholder("START");
    command.flags()
        .String("end", &options->end, "End of a range query (RFC3339 or Unix timestamp).")
        .Placeholder("END");
    command.flags()
        .String("step", &options->step, "Step of a range query (duration or seconds).")
        .Placeholder("STEP");
    command.MapFlag("header", &options->headers, "HEADER ...", "Extra headers to send to server.");
    DeclareHttpConfigFlag(command, context);
    command.OnRun([options, &context, analyze] { return Explain(*options, context, analyze); });
  };
  add("explain", "Show how a server would evaluate a query: its plan as a tree.", false);
  add("analyze", "Run a query on a server and show what each operator of its plan did.", true);
}

}  // namespace narthex::apps
