#include "gotmpl/node.h"

#include "util/strings.h"

namespace narthex::gotmpl {
namespace {

void Write(const Node& node, std::string* out);

void WriteNames(const std::vector<std::string>& names, bool leading_dot, std::string* out) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0 || leading_dot) out->push_back('.');
    out->append(names[i]);
  }
}

// Pipelines inside other nodes keep their parentheses.
void WriteOperand(const Node& node, std::string* out) {
  if (node.kind != Node::Kind::kPipe) return Write(node, out);
  out->push_back('(');
  Write(node, out);
  out->push_back(')');
}

void WritePipe(const PipeNode& pipe, std::string* out) {
  for (size_t i = 0; i < pipe.declarations.size(); ++i) {
    if (i > 0) out->append(", ");
    Write(*pipe.declarations[i], out);
  }
  if (!pipe.declarations.empty()) out->append(pipe.assign ? " = " : " := ");
  for (size_t i = 0; i < pipe.commands.size(); ++i) {
    if (i > 0) out->append(" | ");
    Write(*pipe.commands[i], out);
  }
}

void WriteBranch(const BranchNode& branch, std::string_view word, std::string* out) {
  out->append("{{").append(word).push_back(' ');
  Write(*branch.pipe, out);
  out->append("}}");
  Write(*branch.list, out);
  if (branch.else_list != nullptr) {
    out->append("{{else}}");
    Write(*branch.else_list, out);
  }
  out->append("{{end}}");
}

void Write(const Node& node, std::string* out) {
  switch (node.kind) {
    case Node::Kind::kText: out->append(node.As<TextNode>().text); return;
    case Node::Kind::kAction:
      out->append("{{");
      Write(*node.As<ActionNode>().pipe, out);
      out->append("}}");
      return;
    case Node::Kind::kIf: return WriteBranch(node.As<BranchNode>(), "if", out);
    case Node::Kind::kRange: return WriteBranch(node.As<BranchNode>(), "range", out);
    case Node::Kind::kWith: return WriteBranch(node.As<BranchNode>(), "with", out);
    case Node::Kind::kTemplate: {
      const TemplateNode& call = node.As<TemplateNode>();
      out->append("{{template ").append(GoQuote(call.name));
      if (call.pipe != nullptr) {
        out->push_back(' ');
        Write(*call.pipe, out);
      }
      out->append("}}");
      return;
    }
    case Node::Kind::kBreak: out->append("{{break}}"); return;
    case Node::Kind::kContinue: out->append("{{continue}}"); return;
    case Node::Kind::kList:
      for (const NodePtr& child : node.As<ListNode>().nodes) Write(*child, out);
      return;
    case Node::Kind::kPipe: return WritePipe(node.As<PipeNode>(), out);
    case Node::Kind::kCommand: {
      const CommandNode& command = node.As<CommandNode>();
      for (size_t i = 0; i < command.arguments.size(); ++i) {
        if (i > 0) out->push_back(' ');
        WriteOperand(*command.arguments[i], out);
      }
      return;
    }
    case Node::Kind::kIdentifier: out->append(node.As<IdentifierNode>().name); return;
    case Node::Kind::kVariable: return WriteNames(node.As<VariableNode>().names, false, out);
    case Node::Kind::kField: return WriteNames(node.As<FieldNode>().names, true, out);
    case Node::Kind::kChain:
      WriteOperand(*node.As<ChainNode>().node, out);
      return WriteNames(node.As<ChainNode>().names, true, out);
    case Node::Kind::kDot: out->push_back('.'); return;
    case Node::Kind::kNil: out->append("nil"); return;
    case Node::Kind::kBool: out->append(node.As<BoolNode>().value ? "true" : "false"); return;
    case Node::Kind::kNumber: out->append(node.As<NumberNode>().text); return;
    case Node::Kind::kString: out->append(node.As<StringNode>().quoted); return;
    case Node::Kind::kEnd: out->append("{{end}}"); return;
    case Node::Kind::kElse: out->append("{{else}}"); return;
  }
}

}  // namespace

std::string Node::ToString() const {
  std::string out;
  Write(*this, &out);
  return out;
}

bool IsEmptyList(const ListNode& list) {
  for (const NodePtr& node : list.nodes) {
    if (node->kind != Node::Kind::kText) return false;
    if (!TrimSpace(node->As<TextNode>().text).empty()) return false;
  }
  return true;
}

}  // namespace narthex::gotmpl
