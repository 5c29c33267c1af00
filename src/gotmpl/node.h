// The syntax tree of templates.
//
// Nodes print as Go prints them, since execution errors quote the node at which they happened
// (`at <.Foo>`), with the position that Go's parser gives it.
#pragma once

#include <complex>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace narthex::gotmpl {

struct Tree;

struct Node {
  enum class Kind : uint8_t {
    kText,
    kAction,
    kIf,
    kRange,
    kWith,
    kTemplate,
    kBreak,
    kContinue,
    kList,
    kPipe,
    kCommand,
    kIdentifier,
    kVariable,
    kField,
    kChain,
    kDot,
    kNil,
    kBool,
    kNumber,
    kString,
    kEnd,   // Only while parsing.
    kElse,  // The same.
  };

  Node(Kind k, const Tree* t, size_t p) : kind(k), tree(t), position(p) {}
  virtual ~Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  template <typename T>
  const T& As() const {
    return static_cast<const T&>(*this);
  }
  template <typename T>
  T& As() {
    return static_cast<T&>(*this);
  }
  std::string ToString() const;

  const Kind kind;
  const Tree* const tree;  // Whose text `position` counts in.
  const size_t position;   // Bytes.
};
using NodePtr = std::unique_ptr<Node>;

struct ListNode : Node {
  ListNode(const Tree* t, size_t p) : Node(Kind::kList, t, p) {}
  std::vector<NodePtr> nodes;
};

struct TextNode : Node {
  TextNode(const Tree* t, size_t p) : Node(Kind::kText, t, p) {}
  std::string text;
};

// Operands: what stands between spaces in a command.
struct IdentifierNode : Node {
  IdentifierNode(const Tree* t, size_t p) : Node(Kind::kIdentifier, t, p) {}
  std::string name;
};

// $x.a.b: name with its dollar, then fields.
struct VariableNode : Node {
  VariableNode(const Tree* t, size_t p) : Node(Kind::kVariable, t, p) {}
  std::vector<std::string> names;
};

// .a.b
struct FieldNode : Node {
  FieldNode(const Tree* t, size_t p) : Node(Kind::kField, t, p) {}
  std::vector<std::string> names;
};

// (pipeline).a.b
struct ChainNode : Node {
  ChainNode(const Tree* t, size_t p) : Node(Kind::kChain, t, p) {}
  NodePtr node;
  std::vector<std::string> names;
};

struct LeafNode : Node {  // kDot, kNil, kEnd, kElse, kBreak, kContinue
  using Node::Node;
};

struct BoolNode : Node {
  BoolNode(const Tree* t, size_t p) : Node(Kind::kBool, t, p) {}
  bool value = false;
};

// A constant without a type yet; it may be several kinds of number at once.
struct NumberNode : Node {
  NumberNode(const Tree* t, size_t p) : Node(Kind::kNumber, t, p) {}
  bool is_int = false;
  bool is_uint = false;
  bool is_float = false;
  bool is_complex = false;
  int64_t int_value = 0;
  uint64_t uint_value = 0;
  double float_value = 0;
  std::complex<double> complex_value;
  std::string text;
};

struct StringNode : Node {
  StringNode(const Tree* t, size_t p) : Node(Kind::kString, t, p) {}
  std::string quoted;
  std::string text;
};

struct CommandNode : Node {
  CommandNode(const Tree* t, size_t p) : Node(Kind::kCommand, t, p) {}
  std::vector<NodePtr> arguments;
};

struct PipeNode : Node {
  PipeNode(const Tree* t, size_t p) : Node(Kind::kPipe, t, p) {}
  bool assign = false;  // = instead of :=
  std::vector<std::unique_ptr<VariableNode>> declarations;
  std::vector<std::unique_ptr<CommandNode>> commands;
};
using PipePtr = std::unique_ptr<PipeNode>;

struct ActionNode : Node {
  ActionNode(const Tree* t, size_t p) : Node(Kind::kAction, t, p) {}
  PipePtr pipe;
};

struct BranchNode : Node {  // kIf, kRange, kWith
  using Node::Node;
  PipePtr pipe;
  std::unique_ptr<ListNode> list;
  std::unique_ptr<ListNode> else_list;  // May be null.
};

struct TemplateNode : Node {
  TemplateNode(const Tree* t, size_t p) : Node(Kind::kTemplate, t, p) {}
  std::string name;
  PipePtr pipe;  // May be null.
};

// One named template. Trees that come from one text share it.
struct Tree {
  std::string name;
  std::string parse_name;  // Of the text, for errors.
  std::shared_ptr<const std::string> text;
  std::unique_ptr<ListNode> root;
};

// Whether the list holds nothing but spaces.
bool IsEmptyList(const ListNode& list);

}  // namespace narthex::gotmpl
