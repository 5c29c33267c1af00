#include "gotmpl/executor.h"

#include <fmt/format.h>

#include <algorithm>

#include "gotmpl/builtins.h"
#include "gotmpl/format.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::gotmpl {
namespace {

// Templates that call templates. Go allows 100,000, on a stack that grows.
constexpr int kDepthMax = 1000;
// Nodes inside nodes, over all templates that the thread is executing: a function may execute
// another template. Each takes stack.
constexpr int kWalkDepthMax = 3000;
// What an execution inside an execution counts for.
constexpr int kRunLevels = 50;
thread_local int walk_depth = 0;

class WalkLevel {
 public:
  explicit WalkLevel(int levels) : levels_(levels) { walk_depth += levels_; }
  ~WalkLevel() { walk_depth -= levels_; }
  WalkLevel(const WalkLevel&) = delete;
  WalkLevel& operator=(const WalkLevel&) = delete;

 private:
  int levels_;
};

// Clock and stop token are looked at once in so many steps.
constexpr uint64_t kStepsPerCheck = 1024;

}  // namespace

Executor::Executor(const TreeSet& trees, const FunctionMap& functions,
                   const TemplateOptions& options)
    : trees_(trees),
      functions_(functions),
      options_(options),
      deadline_ns_(MonotonicNanos() + options.limits.time_ns_max) {}

Result<std::string> Executor::Run(const Tree& tree, const Value& data) {
  const WalkLevel level(kRunLevels);
  tree_ = &tree;
  variables_.emplace_back("$", data);
  NARTHEX_RETURN_IF_ERROR(Walk(data, *tree.root).status());
  if (options_.html && !html_.in_text()) {
    return MakeError(ErrorCode::kExecution, "html/template:{}: ends in a non-text context: {}",
                     tree.name, html_.Describe());
  }
  return std::move(output_);
}

// The place, as Go counts it: lines from 1, bytes in the line from 0.
std::string Executor::Location() const {
  const Tree& source = *node_->tree;
  const std::string_view before = std::string_view(*source.text).substr(0, node_->position);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t line_break = before.rfind('\n');
  const size_t column =
      line_break == std::string_view::npos ? before.size() : before.size() - line_break - 1;
  return fmt::format("{}:{}:{}", source.parse_name, line, column);
}

Status Executor::Fail(std::string message) const {
  if (node_ == nullptr) {
    return MakeError(ErrorCode::kExecution, "template: {}: {}", tree_->name, message);
  }
  return MakeError(ErrorCode::kExecution, "template: {}: executing {} at <{}>: {}", Location(),
                   GoQuote(tree_->name), node_->ToString(), message);
}

Status Executor::CountStep() {
  const ExecutionLimits& limits = options_.limits;
  if (++steps_ > limits.steps_max) {
    return Failf("execution takes more than {} steps", limits.steps_max);
  }
  if (steps_ % kStepsPerCheck != 0) return {};
  if (limits.stop.stop_requested()) return Fail("execution was cancelled");
  if (MonotonicNanos() > deadline_ns_) {
    return Failf("execution takes longer than {}", FormatGoDuration(limits.time_ns_max));
  }
  return {};
}

Status Executor::Write(std::string_view text) {
  if (options_.html) {
    if (const Status status = html_.Text(text, &output_); !status.ok()) {
      return status.WithPrefix("html/template:" + tree_->name + ": ");
    }
  } else {
    output_ += text;
  }
  if (output_.size() <= options_.limits.output_bytes_max) return {};
  return Failf("output is larger than {} bytes", options_.limits.output_bytes_max);
}

// -------------------------------------------------------------------------------------------------
// Nodes
// -------------------------------------------------------------------------------------------------

Result<Executor::Flow> Executor::Walk(const Value& dot, const Node& node) {
  At(node);
  const WalkLevel level(1);
  if (walk_depth > kWalkDepthMax) {
    return Failf("exceeded maximum template depth ({})", kDepthMax);
  }
  NARTHEX_RETURN_IF_ERROR(CountStep());
  switch (node.kind) {
    case Node::Kind::kAction: {
      const ActionNode& action = node.As<ActionNode>();
      NARTHEX_TRY(const Value value, EvalPipeline(dot, *action.pipe));
      // Declarations print nothing.
      if (action.pipe->declarations.empty()) NARTHEX_RETURN_IF_ERROR(PrintValue(action, value));
      return Flow::kNext;
    }
    case Node::Kind::kBreak: return Flow::kBreak;
    case Node::Kind::kContinue: return Flow::kContinue;
    case Node::Kind::kIf:
    case Node::Kind::kWith: return WalkIfOrWith(dot, node.As<BranchNode>());
    case Node::Kind::kRange: return WalkRange(dot, node.As<BranchNode>());
    case Node::Kind::kList: return WalkList(dot, node.As<ListNode>());
    case Node::Kind::kTemplate:
      NARTHEX_RETURN_IF_ERROR(WalkTemplate(dot, node.As<TemplateNode>()));
      return Flow::kNext;
    case Node::Kind::kText:
      NARTHEX_RETURN_IF_ERROR(Write(node.As<TextNode>().text));
      return Flow::kNext;
    default: return Failf("unknown node: {}", node.ToString());
  }
}

Result<Executor::Flow> Executor::WalkList(const Value& dot, const ListNode& list) {
  for (const NodePtr& node : list.nodes) {
    NARTHEX_TRY(const Flow flow, Walk(dot, *node));
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Result<Executor::Flow> Executor::WalkIfOrWith(const Value& dot, const BranchNode& branch) {
  const size_t mark = variables_.size();
  NARTHEX_TRY(const Value value, EvalPipeline(dot, *branch.pipe));
  Result<Flow> flow = Flow::kNext;
  if (value.Unboxed().Truth()) {
    flow = Walk(branch.kind == Node::Kind::kWith ? value : dot, *branch.list);
  } else if (branch.else_list != nullptr) {
    flow = Walk(dot, *branch.else_list);
  }
  variables_.resize(mark);
  return flow;
}

Result<Executor::Flow> Executor::IterateOnce(const BranchNode& branch, const Value& index,
                                             const Value& element) {
  const PipeNode& pipe = *branch.pipe;
  const size_t count = pipe.declarations.size();
  if (count > 0 && pipe.assign) {
    const Value& first = count > 1 ? index : element;
    NARTHEX_RETURN_IF_ERROR(SetVariable(pipe.declarations[0]->names[0], first));
    if (count > 1) NARTHEX_RETURN_IF_ERROR(SetVariable(pipe.declarations[1]->names[0], element));
  } else if (count > 0) {
    variables_.back().second = element;
    if (count > 1) variables_[variables_.size() - 2].second = index;
  }
  const size_t mark = variables_.size();
  Result<Flow> flow = Walk(element, *branch.list);
  variables_.resize(mark);
  if (flow.ok() && *flow == Flow::kContinue) return Flow::kNext;
  return flow;
}

Result<Executor::Flow> Executor::WalkRange(const Value& dot, const BranchNode& branch) {
  At(branch);
  const size_t mark = variables_.size();
  NARTHEX_TRY(const Value piped, EvalPipeline(dot, *branch.pipe));
  const Value value = piped.Indirect();
  bool any = false;
  // False when the loop is over.
  Status failure;
  const auto iterate = [&](const Value& index, const Value& element) {
    any = true;
    const Result<Flow> flow = IterateOnce(branch, index, element);
    if (!flow.ok()) failure = flow.status();
    return flow.ok() && *flow == Flow::kNext;
  };
  const size_t declarations = branch.pipe->declarations.size();
  switch (value.kind()) {
    case Kind::kInt:
    case Kind::kUint: {
      if (declarations > 1) {
        return Failf("can't use {} to iterate over more than one variable", FormatValue(value));
      }
      const bool is_signed = value.kind() == Kind::kInt;
      const uint64_t count = is_signed
                                 ? static_cast<uint64_t>(std::max<int64_t>(value.int_value(), 0))
                                 : value.uint_value();
      for (uint64_t i = 0; i < count; ++i) {
        const Value element = is_signed ? Value::Int(static_cast<int64_t>(i), value.type())
                                        : Value::Uint(i, value.type());
        if (!iterate(Value(), element)) break;
      }
      break;
    }
    case Kind::kList: {
      int64_t i = 0;
      for (const Value& element : value.list()) {
        if (!iterate(Value::Int(i++), value.Element(element))) break;
      }
      break;
    }
    case Kind::kMap:
      for (const auto& [name, element] : value.map()) {
        if (!iterate(Value::String(name), value.Element(element))) break;
      }
      break;
    case Kind::kInvalid: break;
    default: return Failf("range can't iterate over {}", FormatValue(value));
  }
  NARTHEX_RETURN_IF_ERROR(failure);
  Result<Flow> flow = Flow::kNext;
  if (!any && branch.else_list != nullptr) flow = Walk(dot, *branch.else_list);
  variables_.resize(mark);
  return flow;
}

Status Executor::WalkTemplate(const Value& dot, const TemplateNode& call) {
  At(call);
  const auto found = trees_.find(call.name);
  if (found == trees_.end() && options_.html) {
    return MakeError(ErrorCode::kExecution, "html/template:{}: no such template {}", Location(),
                     GoQuote(call.name));
  }
  if (found == trees_.end()) return Failf("template {} not defined", GoQuote(call.name));
  if (depth_ == kDepthMax) return Failf("exceeded maximum template depth ({})", kDepthMax);
  Value data;
  if (call.pipe != nullptr) {
    NARTHEX_TRY(data, EvalPipeline(dot, *call.pipe));
  }
  const Tree* const outer_tree = std::exchange(tree_, found->second.get());
  const Node* const outer_node = node_;
  const size_t outer_begin = std::exchange(variables_begin_, variables_.size());
  ++depth_;
  variables_.emplace_back("$", data);
  NARTHEX_RETURN_IF_ERROR(Walk(data, *tree_->root).status());
  --depth_;
  variables_.resize(variables_begin_);
  variables_begin_ = outer_begin;
  tree_ = outer_tree;
  node_ = outer_node;
  return {};
}

Status Executor::PrintValue(const ActionNode& action, const Value& value) {
  At(action);
  if (value.kind() == Kind::kFunction) {
    return Failf("can't print {} of type {}", action.ToString(), value.TypeName());
  }
  if (!options_.html) {
    return Write(value.valid() ? FormatValue(value.is_pointer() && value.kind() != Kind::kNil
                                                 ? value.Indirect()
                                                 : value)
                               : "<no value>");
  }
  // The function at the end of the pipeline may have done the escaping.
  std::string_view escaper;
  const Node& last = *action.pipe->commands.back()->arguments[0];
  if (last.kind == Node::Kind::kIdentifier) {
    const std::string& name = last.As<IdentifierNode>().name;
    if (name == "html" || name == "urlquery") escaper = name;
  }
  html_.Append(value, escaper, &output_);
  return Write({});
}

// -------------------------------------------------------------------------------------------------
// Variables
// -------------------------------------------------------------------------------------------------

const Value* Executor::FindVariable(std::string_view name) const {
  for (size_t i = variables_.size(); i > variables_begin_; --i) {
    if (variables_[i - 1].first == name) return &variables_[i - 1].second;
  }
  return nullptr;
}

Status Executor::SetVariable(std::string_view name, const Value& value) {
  Value* const slot = const_cast<Value*>(FindVariable(name));
  if (slot == nullptr) return Failf("undefined variable: {}", name);
  *slot = value;
  return {};
}

}  // namespace narthex::gotmpl
