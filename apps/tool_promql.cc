// `promql`: formats queries and edits their matchers.
#include <memory>
#include <string>

#include "apps/tool.h"
#include "model/matcher.h"

namespace narthex::apps {
namespace {

using promql::Expr;
using promql::ExprPtr;

struct Edit {
  std::string type = "=";
  std::string query;
  std::string name;
  std::string value;
};

// The selectors anywhere in the expression.
template <typename Visit>
void ForEachSelector(Expr& expr, Visit visit) {
  promql::WalkExpr(expr, [&](Expr& node) {
    if (node.kind == Expr::Kind::kVectorSelector) visit(node.As<promql::VectorSelector>());
  });
}

int PrintPretty(const Expr& expr) {
  PrintOut(promql::PrettyPrint(expr) + "\n");
  return 0;
}

int Format(const ToolContext& context, const std::string& query) {
  Result<ExprPtr> expr = promql::ParseExpr(query, context.parser);
  if (!expr.ok()) return ReportError(expr.status());
  return PrintPretty(**expr);
}

int SetMatcher(const ToolContext& context, const Edit& edit) {
  Result<ExprPtr> expr = promql::ParseExpr(edit.query, context.parser);
  if (!expr.ok()) return ReportError(expr.status());
  MatchType type = MatchType::kEqual;
  for (const MatchType candidate :
       {MatchType::kEqual, MatchType::kNotEqual, MatchType::kRegexp, MatchType::kNotRegexp}) {
    if (MatchTypeName(candidate) == edit.type) type = candidate;
  }
  Result<Matcher> matcher = Matcher::Create(type, edit.name, edit.value);
  if (!matcher.ok()) return ReportError(matcher.status());
  ForEachSelector(**expr, [&](promql::VectorSelector& selector) {
    bool found = false;
    for (Matcher& old : selector.matchers) {
      if (old.name() != edit.name) continue;
      old = *matcher;
      found = true;
    }
    if (!found) selector.matchers.push_back(*matcher);
  });
  return PrintPretty(**expr);
}

int DeleteMatcher(const ToolContext& context, const Edit& edit) {
  Result<ExprPtr> expr = promql::ParseExpr(edit.query, context.parser);
  if (!expr.ok()) return ReportError(expr.status());
  ForEachSelector(**expr, [&](promql::VectorSelector& selector) {
    std::erase_if(selector.matchers,
                  [&](const Matcher& matcher) { return matcher.name() == edit.name; });
  });
  return PrintPretty(**expr);
}

}  // namespace

void AddPromqlCommands(Command& root, ToolContext& context) {
  const auto guarded = [&context](std::function<int()> run) {
    return [&context, run = std::move(run)] {
      if (context.experimental) return run();
      PrintError("This command is experimental and requires the --experimental flag to be set.\n");
      return 1;
    };
  };
  Command& promql =
      root.AddCommand("promql", "PromQL formatting and editing. Requires the --experimental flag.");
  const auto edit = std::make_shared<Edit>();

  Command& format = promql.AddCommand("format", "Format PromQL query to pretty printed form.");
  format.TextArgument("query", &edit->query, Presence::kRequired, "PromQL query.");
  format.OnRun(guarded([&context, edit] { return Format(context, edit->query); }));

  Command& matchers = promql.AddCommand(
      "label-matchers", "Edit label matchers contained within an existing PromQL query.");
  Command& set = matchers.AddCommand("set", "Set a label matcher in the query.");
  set.flags()
      .Enum("type", &edit->type, {"=", "!=", "=~", "!~"}, "Type of the label matcher to set.")
      .Short('t');
  set.TextArgument("query", &edit->query, Presence::kRequired, "PromQL query.");
  set.TextArgument("name", &edit->name, Presence::kRequired, "Name of the label matcher to set.");
  set.TextArgument("value", &edit->value, Presence::kRequired,
                   "Value of the label matcher to set.");
  set.OnRun(guarded([&context, edit] { return SetMatcher(context, *edit); }));

  Command& remove = matchers.AddCommand("delete", "Delete a label from the query.");
  remove.TextArgument("query", &edit->query, Presence::kRequired, "PromQL query.");
  remove.TextArgument("name", &edit->name, Presence::kRequired, "Name of the label to delete.");
  remove.OnRun(guarded([&context, edit] { return DeleteMatcher(context, *edit); }));

  AddExplainCommands(promql, context);
}

}  // namespace narthex::apps
