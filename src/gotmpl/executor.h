// Runs one tree over one value. For template.cc; one executor serves one execution.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gotmpl/html_context.h"
#include "gotmpl/template.h"

namespace narthex::gotmpl {

class Executor {
 public:
  Executor(const TreeSet& trees, const FunctionMap& functions, const TemplateOptions& options);

  Result<std::string> Run(const Tree& tree, const Value& data);

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue };
  // Arguments of a command: the function or field itself first. Null: there are none, not even it.
  using Operands = std::vector<const Node*>;
  using Final =
      std::optional<Value>;  // What the pipeline hands to the command as its last argument.

  std::string Location() const;
  Status Fail(std::string message) const;
  template <typename... Args>
  Status Failf(fmt::format_string<Args...> format, Args&&... args) const {
    return Fail(fmt::format(format, std::forward<Args>(args)...));
  }
  // Errors quote the node where execution last stood.
  void At(const Node& node) { node_ = &node; }
  Status CountStep();

  Result<Flow> Walk(const Value& dot, const Node& node);
  Result<Flow> WalkList(const Value& dot, const ListNode& list);
  Result<Flow> WalkIfOrWith(const Value& dot, const BranchNode& branch);
  Result<Flow> WalkRange(const Value& dot, const BranchNode& branch);
  Result<Flow> IterateOnce(const BranchNode& branch, const Value& index, const Value& element);
  Status WalkTemplate(const Value& dot, const TemplateNode& call);
  Status PrintValue(const ActionNode& action, const Value& value);
  Status Write(std::string_view text);

  Result<Value> EvalPipeline(const Value& dot, const PipeNode& pipe);
  Result<Value> EvalCommand(const Value& dot, const CommandNode& command, const Final& final);
  Status RefuseArguments(const Operands& operands, const Final& final) const;
  Result<Value> EvalConstant(const NumberNode& number);
  Result<Value> EvalVariable(const Value& dot, const VariableNode& node, const Operands* operands,
                             const Final& final);
  Result<Value> EvalChain(const Value& dot, const ChainNode& node, const Operands* operands,
                          const Final& final);
  Result<Value> EvalFields(const Value& dot, Value receiver, const Node& node,
                           const std::vector<std::string>& names, size_t first,
                           const Operands* operands, const Final& final);
  Result<Value> EvalField(const Value& dot, const std::string& name, const Node& node,
                          const Operands* operands, const Final& final, const Value& receiver);
  Result<Value> EvalMapField(const std::string& name, bool has_arguments, const Value& map);
  Result<Value> EvalFunction(const Value& dot, const IdentifierNode& identifier,
                             const Node& context, const Operands* operands, const Final& final);

  // A function or method with its receiver bound.
  struct Callee {
    std::string_view name;
    const std::vector<const Type*>* parameters;
    bool variadic = false;
    bool builtin = false;
    std::function<Result<Value>(const Arguments&)> call;
  };
  Result<Value> EvalCall(const Value& dot, const Callee& callee, const Node& context,
                         const Operands* operands, const Final& final);
  Result<Value> EvalLogic(const Value& dot, const Callee& callee, const Operands& operands,
                          const Final& final);
  Result<Value> EvalArgument(const Value& dot, const Type* type, const Node& node);
  Result<Value> EvalLiteral(const Value& dot, const Type* type, const Node& node);
  Result<Value> EvalAny(const Value& dot, const Node& node);
  Result<Value> Validate(const Value& value, const Type* type) const;

  const Value* FindVariable(std::string_view name) const;
  Status SetVariable(std::string_view name, const Value& value);

  const TreeSet& trees_;
  const FunctionMap& functions_;
  const TemplateOptions& options_;
  const Tree* tree_ = nullptr;
  const Node* node_ = nullptr;
  std::vector<std::pair<std::string, Value>> variables_;
  size_t variables_begin_ = 0;  // Of the template being executed; others are out of sight.
  int depth_ = 0;
  uint64_t steps_ = 0;
  int64_t deadline_ns_ = 0;
  std::string output_;
  HtmlContext html_;
};

}  // namespace narthex::gotmpl
