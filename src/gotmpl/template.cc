#include "gotmpl/template.h"

#include "gotmpl/builtins.h"
#include "gotmpl/executor.h"
#include "util/strings.h"

namespace narthex::gotmpl {

Template::Template(std::string name, FunctionMap functions, TemplateOptions options)
    : name_(std::move(name)), functions_(std::move(functions)), options_(std::move(options)) {}

Template::~Template() = default;

void Template::AddFunction(std::shared_ptr<const Function> function) {
  std::string name = function->name;
  functions_.insert_or_assign(std::move(name), std::move(function));
}

Status Template::ParseAs(std::string_view name, std::string_view text) {
  const auto has_function = [this](std::string_view function) {
    return functions_.contains(function) || FindBuiltin(function) != nullptr;
  };
  NARTHEX_TRY(TreeSet trees, ParseTemplate(name, text, has_function));
  for (auto& [tree_name, tree] : trees) {
    std::shared_ptr<Tree>& slot = trees_[tree_name];
    // An empty text does not take away what was there.
    if (slot == nullptr || !IsEmptyList(*tree->root)) slot = std::move(tree);
  }
  return {};
}

Result<std::string> Template::ExecuteTemplate(std::string_view name, const Value& data) const {
  const auto tree = trees_.find(name);
  if (tree == trees_.end()) {
    if (name == name_) {
      return MakeError(ErrorCode::kExecution, "template: {}: {} is an incomplete or empty template",
                       name, GoQuote(name));
    }
    if (options_.html) {
      return MakeError(ErrorCode::kExecution, "html/template: {} is undefined", GoQuote(name));
    }
    return MakeError(ErrorCode::kExecution, "template: no template {} associated with template {}",
                     GoQuote(name), GoQuote(name_));
  }
  Executor executor(trees_, functions_, options_);
  return executor.Run(*tree->second, data);
}

std::vector<std::string> Template::DefinedNames() const {
  std::vector<std::string> names;
  for (const auto& [name, tree] : trees_) names.push_back(name);
  return names;
}

}  // namespace narthex::gotmpl
