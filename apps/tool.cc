#include "apps/tool.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "apps/http_adapters.h"
#include "config/http_client_config.h"
#include "util/file.h"
#include "util/log.h"
#include "util/numbers.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::apps {
namespace {

constexpr char kHttpConfigHelp[] =
    "HTTP client configuration file, see details at "
    "https://prometheus.io/docs/prometheus/latest/configuration/promtool";

void ApplyFeatures(ToolContext& context) {
  for (const std::string& list : context.feature_lists) {
    for (const std::string_view feature : Split(list, ',')) {
      if (feature == "promql-unquoted-utf8-names") {
        context.parser.unquoted_utf8_names = true;
      } else if (feature == "promql-experimental-functions") {
        context.parser.experimental_functions = true;
      } else if (feature == "promql-binop-fill-modifiers") {
        context.parser.binop_fill_modifiers = true;
      } else if (feature == "promql-delayed-name-removal") {
        context.delayed_name_removal = true;
      } else if (!feature.empty() && feature != "promql-duration-expr" &&
                 feature != "promql-extended-range-selectors") {
        // Upstream prints no line end either.
        PrintOut(fmt::format("  WARNING: Unknown feature passed to --enable-feature: {}", feature));
      }
    }
  }
}

Status LoadHttpConfig(ToolContext& context) {
  const std::string& path = context.http_config_file;
  if (path.empty()) return {};
  NARTHEX_TRY(const std::string text, FileSystem::Posix().ReadAll(path));
  NARTHEX_TRY(HttpClientConfig config, ParseHttpClientConfig(text));
  SetDirectory(config, DirName(path));
  NARTHEX_TRY(context.http, ToClientOptions(config));
  return {};
}

}  // namespace

void PrintOut(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void PrintError(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
}

int ReportError(const Status& status) {
  if (status.ok()) return 0;
  PrintError(status.message() + "\n");
  return 1;
}

void DeclareHttpConfigFlag(Command& command, ToolContext& context) {
  std::string* target = &context.http_config_file;
  command.flags().Custom(
      "http.config.file", "<filename>", kHttpConfigHelp,
      [target](std::string_view text) {
        *target = text;
        return CheckExistingFile(text);
      },
      [target] { return *target; });
}

Result<int64_t> ParseToolTime(std::string_view text) {
  if (const std::optional<double> seconds = ParseFloat(text)) {
    return static_cast<int64_t>(std::floor(*seconds * 1000 + 0.5));
  }
  const Result<int64_t> nanos = ParseRfc3339(text);
  if (nanos.ok()) return *nanos / kNanosPerMilli;
  return MakeError(ErrorCode::kInvalidInput, "cannot parse {} to a valid timestamp", GoQuote(text));
}

std::string AlignColumns(const std::vector<std::vector<std::string>>& rows, size_t width_min,
                         size_t padding, bool pad_last) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    const size_t aligned = row.size() - (pad_last ? 0 : 1);
    if (widths.size() < aligned) widths.resize(aligned, width_min);
    for (size_t i = 0; i < aligned; ++i) {
      widths[i] = std::max(widths[i], CountRunes(row[i]) + padding);
    }
  }
  std::string out;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i < widths.size()) out.append(widths[i] - CountRunes(row[i]), ' ');
    }
    out += '\n';
  }
  return out;
}

int PrepareTool(ToolContext& context) {
  SetLogLevel(LogLevel::kWarn);
  if (const Status loaded = LoadHttpConfig(context); !loaded.ok()) {
    PrintError("promtool: error: Failed to load HTTP config file: " + loaded.message() + "\n");
    return 1;
  }
  ApplyFeatures(context);
  return 0;
}

void DeclareTool(Command& root, ToolContext& context) {
  root.flags().Bool("experimental", &context.experimental, "Enable experimental commands.");
  root.flags()
      .Strings("enable-feature", &context.feature_lists,
               "Comma separated feature names to enable. Valid options: "
               "promql-experimental-functions, promql-delayed-name-removal, "
               "promql-unquoted-utf8-names. See "
               "https://prometheus.io/docs/prometheus/latest/feature_flags/ for more details")
      .Placeholder(" ...");
  AddCheckCommands(root, context);
  AddQueryCommands(root, context);
  AddDebugCommands(root, context);
  AddPushCommands(root, context);
  AddTestCommands(root, context);
  AddTsdbCommands(root, context);
  AddPromqlCommands(root, context);
}

int RunTool(const Arguments& arguments) {
  ToolContext context;
  Command root("promtool", std::string(kToolHelp));
  DeclareTool(root, context);
  return RunCommandLine(root, arguments, VersionText("promtool"),
                        [&context] { return PrepareTool(context); });
}

}  // namespace narthex::apps
