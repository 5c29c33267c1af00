#include "gotmpl/parser.h"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

#include "gotmpl/lexer.h"
#include "gotmpl/literal.h"
#include "util/strings.h"

namespace narthex::gotmpl {
namespace {

// Parentheses within parentheses, and blocks within blocks.
constexpr int kDepthMax = 1000;

// What the parsers of one text share: `define` and `block` hand the lexer to a parser of their own.
struct Source {
  Lexer lexer;
  std::shared_ptr<const std::string> text;
  std::string parse_name;
  const std::function<bool(std::string_view)>& has_function;
  TreeSet trees;
  int depth = 0;
};

class TreeParser {
 public:
  TreeParser(Source* source, std::string name) : source_(source), tree_(std::make_shared<Tree>()) {
    tree_->name = std::move(name);
    tree_->parse_name = source->parse_name;
    tree_->text = source->text;
  }

  Status ParseTop();

 private:
  // Up to three tokens can be put back.
  Token Next();
  Token Peek();
  void Backup() { ++peek_count_; }
  void Backup2(const Token& first);
  void Backup3(const Token& first, const Token& second);
  Token NextNonSpace();
  Token PeekNonSpace();

  template <typename... Args>
  Status Fail(fmt::format_string<Args...> format, Args&&... args) {
    return MakeError(ErrorCode::kInvalidInput, "template: {}:{}: {}", source_->parse_name,
                     tokens_[0].line, fmt::format(format, std::forward<Args>(args)...));
  }
  Status Unexpected(const Token& token, std::string_view context);
  Result<Token> Expect(TokenKind kind, std::string_view context);

  Status AddTree();
  Status ParseDefinition();
  // Takes nodes until {{end}} or {{else}}, which is returned.
  Result<NodePtr> ParseList(std::unique_ptr<ListNode>* list);
  Result<NodePtr> ParseTextOrAction();
  Result<NodePtr> ParseAction();
  Result<NodePtr> ParseLoopControl(Node::Kind kind, size_t position, std::string_view word);
  Result<NodePtr> ParseElse();
  Result<NodePtr> ParseBranch(Node::Kind kind);
  Status ParseElseList(Node::Kind kind, BranchNode* branch);
  Result<NodePtr> ParseBlock();
  Result<NodePtr> ParseTemplateCall();
  Result<std::string> TemplateName(const Token& token, std::string_view context);
  Result<PipePtr> ParsePipeline(std::string_view context, TokenKind end);
  Status ParseDeclarations(std::string_view context, PipeNode* pipe);
  Status CheckPipeline(const PipeNode& pipe, std::string_view context);
  Result<std::unique_ptr<CommandNode>> ParseCommand();
  Result<NodePtr> ParseOperand();  // Null when the next token is none.
  Result<NodePtr> ParseTerm();     // The same.
  Result<NodePtr> ParseNumber(const Token& token);
  std::unique_ptr<VariableNode> MakeVariable(size_t position, std::string_view text);
  template <typename T>
  std::unique_ptr<T> Make(size_t position) {
    return std::make_unique<T>(tree_.get(), position);
  }

  Source* source_;
  std::shared_ptr<Tree> tree_;
  Token tokens_[3];
  int peek_count_ = 0;
  std::vector<std::string> variables_ = {"$"};
  int action_line_ = 0;
  int range_depth_ = 0;
};

// -------------------------------------------------------------------------------------------------
// Tokens
// -------------------------------------------------------------------------------------------------

Token TreeParser::Next() {
  if (peek_count_ > 0) {
    --peek_count_;
  } else {
    tokens_[0] = source_->lexer.Next();
  }
  return tokens_[peek_count_];
}

Token TreeParser::Peek() {
  if (peek_count_ > 0) return tokens_[peek_count_ - 1];
  peek_count_ = 1;
  tokens_[0] = source_->lexer.Next();
  return tokens_[0];
}

void TreeParser::Backup2(const Token& first) {
  tokens_[1] = first;
  peek_count_ = 2;
}

void TreeParser::Backup3(const Token& first, const Token& second) {
  tokens_[1] = second;
  tokens_[2] = first;
  peek_count_ = 3;
}

Token TreeParser::NextNonSpace() {
  Token token = Next();
  while (token.kind == TokenKind::kSpace) token = Next();
  return token;
}

Token TreeParser::PeekNonSpace() {
  const Token token = NextNonSpace();
  Backup();
  return token;
}

Status TreeParser::Unexpected(const Token& token, std::string_view context) {
  if (token.kind != TokenKind::kError) {
    return Fail("unexpected {} in {}", Describe(token), context);
  }
  std::string extra;
  if (action_line_ != 0 && action_line_ != token.line) {
    extra = fmt::format("{} started at {}:{}", token.text.ends_with(" action") ? "" : " in action",
                        source_->parse_name, action_line_);
  }
  return Fail("{}{}", token.text, extra);
}

Result<Token> TreeParser::Expect(TokenKind kind, std::string_view context) {
  const Token token = NextNonSpace();
  if (token.kind != kind) return Unexpected(token, context);
  return token;
}

// -------------------------------------------------------------------------------------------------
// Lists and definitions
// -------------------------------------------------------------------------------------------------

Status TreeParser::ParseTop() {
  tree_->root = Make<ListNode>(Peek().position);
  while (Peek().kind != TokenKind::kEof) {
    if (Peek().kind == TokenKind::kLeftDelim) {
      const Token delim = Next();
      if (NextNonSpace().kind == TokenKind::kDefine) {
        TreeParser definition(source_, "definition");
        NARTHEX_RETURN_IF_ERROR(definition.ParseDefinition());
        continue;
      }
      Backup2(delim);
    }
    NARTHEX_TRY(NodePtr node, ParseTextOrAction());
    if (node->kind == Node::Kind::kEnd || node->kind == Node::Kind::kElse) {
      return Fail("unexpected {}", node->ToString());
    }
    tree_->root->nodes.push_back(std::move(node));
  }
  return AddTree();
}

// An empty template never takes the place of another.
Status TreeParser::AddTree() {
  std::shared_ptr<Tree>& slot = source_->trees[tree_->name];
  if (slot == nullptr || IsEmptyList(*slot->root)) {
    slot = tree_;
  } else if (!IsEmptyList(*tree_->root)) {
    return Fail("template: multiple definition of template {}", GoQuote(tree_->name));
  }
  return {};
}

Status TreeParser::ParseDefinition() {
  constexpr std::string_view kContext = "define clause";
  const Token name = NextNonSpace();
  NARTHEX_TRY(tree_->name, TemplateName(name, kContext));
  NARTHEX_RETURN_IF_ERROR(Expect(TokenKind::kRightDelim, kContext).status());
  NARTHEX_TRY(const NodePtr end, ParseList(&tree_->root));
  if (end->kind != Node::Kind::kEnd) {
    return Fail("unexpected {} in {}", end->ToString(), kContext);
  }
  return AddTree();
}

Result<NodePtr> TreeParser::ParseList(std::unique_ptr<ListNode>* list) {
  if (source_->depth >= kDepthMax) return Fail("max nesting depth exceeded");
  ++source_->depth;
  *list = Make<ListNode>(PeekNonSpace().position);
  while (PeekNonSpace().kind != TokenKind::kEof) {
    NARTHEX_TRY(NodePtr node, ParseTextOrAction());
    if (node->kind == Node::Kind::kEnd || node->kind == Node::Kind::kElse) {
      --source_->depth;
      return node;
    }
    (*list)->nodes.push_back(std::move(node));
  }
  return Fail("unexpected EOF");
}

Result<NodePtr> TreeParser::ParseTextOrAction() {
  const Token token = NextNonSpace();
  if (token.kind == TokenKind::kText) {
    auto text = Make<TextNode>(token.position);
    text->text = std::string(token.text);
    return NodePtr(std::move(text));
  }
  if (token.kind != TokenKind::kLeftDelim) return Unexpected(token, "input");
  action_line_ = token.line;
  Result<NodePtr> action = ParseAction();
  action_line_ = 0;
  return action;
}

// -------------------------------------------------------------------------------------------------
// Actions
// -------------------------------------------------------------------------------------------------

Result<NodePtr> TreeParser::ParseAction() {
  const Token token = NextNonSpace();
  switch (token.kind) {
    case TokenKind::kBlock: return ParseBlock();
    case TokenKind::kBreak:
      return ParseLoopControl(Node::Kind::kBreak, token.position, "{{break}}");
    case TokenKind::kContinue:
      return ParseLoopControl(Node::Kind::kContinue, token.position, "{{continue}}");
    case TokenKind::kElse: return ParseElse();
    case TokenKind::kEnd: {
      NARTHEX_TRY(const Token end, Expect(TokenKind::kRightDelim, "end"));
      return NodePtr(std::make_unique<LeafNode>(Node::Kind::kEnd, tree_.get(), end.position));
    }
    case TokenKind::kIf: return ParseBranch(Node::Kind::kIf);
    case TokenKind::kRange: return ParseBranch(Node::Kind::kRange);
    case TokenKind::kTemplate: return ParseTemplateCall();
    case TokenKind::kWith: return ParseBranch(Node::Kind::kWith);
    default: break;
  }
  Backup();
  auto action = Make<ActionNode>(Peek().position);
  NARTHEX_TRY(action->pipe, ParsePipeline("command", TokenKind::kRightDelim));
  return NodePtr(std::move(action));
}

Result<NodePtr> TreeParser::ParseLoopControl(Node::Kind kind, size_t position,
                                             std::string_view word) {
  NARTHEX_RETURN_IF_ERROR(Expect(TokenKind::kRightDelim, word).status());
  if (range_depth_ == 0) return Fail("{} outside {{{{range}}}}", word);
  return NodePtr(std::make_unique<LeafNode>(kind, tree_.get(), position));
}

// `else if` and `else with` leave their second word for ParseElseList.
Result<NodePtr> TreeParser::ParseElse() {
  const Token next = PeekNonSpace();
  size_t position = next.position;
  if (next.kind != TokenKind::kIf && next.kind != TokenKind::kWith) {
    NARTHEX_TRY(const Token delim, Expect(TokenKind::kRightDelim, "else"));
    position = delim.position;
  }
  return NodePtr(std::make_unique<LeafNode>(Node::Kind::kElse, tree_.get(), position));
}

Result<NodePtr> TreeParser::ParseBranch(Node::Kind kind) {
  const std::string_view context = kind == Node::Kind::kIf      ? "if"
                                   : kind == Node::Kind::kRange ? "range"
                                                                : "with";
  const size_t variables = variables_.size();
  NARTHEX_TRY(PipePtr pipe, ParsePipeline(context, TokenKind::kRightDelim));
  auto branch = std::make_unique<BranchNode>(kind, tree_.get(), pipe->position);
  branch->pipe = std::move(pipe);
  if (kind == Node::Kind::kRange) ++range_depth_;
  NARTHEX_TRY(const NodePtr end, ParseList(&branch->list));
  if (kind == Node::Kind::kRange) --range_depth_;
  if (end->kind == Node::Kind::kElse) NARTHEX_RETURN_IF_ERROR(ParseElseList(kind, branch.get()));
  variables_.resize(variables);
  return NodePtr(std::move(branch));
}

Status TreeParser::ParseElseList(Node::Kind kind, BranchNode* branch) {
  const TokenKind next = Peek().kind;
  const bool chain = (kind == Node::Kind::kIf && next == TokenKind::kIf) ||
                     (kind == Node::Kind::kWith && next == TokenKind::kWith);
  if (!chain) {
    NARTHEX_TRY(const NodePtr end, ParseList(&branch->else_list));
    if (end->kind != Node::Kind::kEnd) return Fail("expected end; found {}", end->ToString());
    return {};
  }
  // The inner branch takes the one {{end}} for both.
  if (source_->depth >= kDepthMax) return Fail("max nesting depth exceeded");
  ++source_->depth;
  branch->else_list = Make<ListNode>(Next().position);
  NARTHEX_TRY(NodePtr inner, ParseBranch(kind));
  branch->else_list->nodes.push_back(std::move(inner));
  --source_->depth;
  return {};
}

Result<std::string> TreeParser::TemplateName(const Token& token, std::string_view context) {
  if (token.kind != TokenKind::kString && token.kind != TokenKind::kRawString) {
    return Unexpected(token, context);
  }
  std::optional<std::string> name = UnquoteGo(token.text);
  if (!name) return Fail("invalid syntax");
  return *std::move(name);
}

Result<NodePtr> TreeParser::ParseBlock() {
  constexpr std::string_view kContext = "block clause";
  const Token token = NextNonSpace();
  auto call = Make<TemplateNode>(token.position);
  NARTHEX_TRY(call->name, TemplateName(token, kContext));
  NARTHEX_TRY(call->pipe, ParsePipeline(kContext, TokenKind::kRightDelim));
  TreeParser block(source_, call->name);
  NARTHEX_TRY(const NodePtr end, block.ParseList(&block.tree_->root));
  if (end->kind != Node::Kind::kEnd) {
    return Fail("unexpected {} in {}", end->ToString(), kContext);
  }
  NARTHEX_RETURN_IF_ERROR(block.AddTree());
  return NodePtr(std::move(call));
}

Result<NodePtr> TreeParser::ParseTemplateCall() {
  constexpr std::string_view kContext = "template clause";
  const Token token = NextNonSpace();
  auto call = Make<TemplateNode>(token.position);
  NARTHEX_TRY(call->name, TemplateName(token, kContext));
  if (NextNonSpace().kind != TokenKind::kRightDelim) {
    Backup();
    NARTHEX_TRY(call->pipe, ParsePipeline(kContext, TokenKind::kRightDelim));
  }
  return NodePtr(std::move(call));
}

// -------------------------------------------------------------------------------------------------
// Pipelines
// -------------------------------------------------------------------------------------------------

Result<PipePtr> TreeParser::ParsePipeline(std::string_view context, TokenKind end) {
  auto pipe = Make<PipeNode>(PeekNonSpace().position);
  NARTHEX_RETURN_IF_ERROR(ParseDeclarations(context, pipe.get()));
  for (;;) {
    const Token token = NextNonSpace();
    if (token.kind == end) {
      NARTHEX_RETURN_IF_ERROR(CheckPipeline(*pipe, context));
      return pipe;
    }
    switch (token.kind) {
      case TokenKind::kBool:
      case TokenKind::kCharConstant:
      case TokenKind::kComplex:
      case TokenKind::kDot:
      case TokenKind::kField:
      case TokenKind::kIdentifier:
      case TokenKind::kNumber:
      case TokenKind::kNil:
      case TokenKind::kRawString:
      case TokenKind::kString:
      case TokenKind::kVariable:
      case TokenKind::kLeftParen: break;
      default: return Unexpected(token, context);
    }
    Backup();
    NARTHEX_TRY(auto command, ParseCommand());
    pipe->commands.push_back(std::move(command));
  }
}

// $x := …, $x = …, and for range $i, $x := …
Status TreeParser::ParseDeclarations(std::string_view context, PipeNode* pipe) {
  while (PeekNonSpace().kind == TokenKind::kVariable) {
    const Token variable = NextNonSpace();
    // Whether it is a declaration shows only behind the spaces.
    const Token after = Peek();
    const Token next = PeekNonSpace();
    const bool comma = next.kind == TokenKind::kChar && next.text == ",";
    if (next.kind != TokenKind::kAssign && next.kind != TokenKind::kDeclare && !comma) {
      if (after.kind == TokenKind::kSpace) {
        Backup3(variable, after);
      } else {
        Backup2(variable);
      }
      return {};
    }
    NextNonSpace();
    pipe->declarations.push_back(MakeVariable(variable.position, variable.text));
    variables_.emplace_back(variable.text);
    if (!comma) {
      pipe->assign = next.kind == TokenKind::kAssign;
      return {};
    }
    if (context != "range" || pipe->declarations.size() >= 2) {
      return Fail("too many declarations in {}", context);
    }
    switch (PeekNonSpace().kind) {
      case TokenKind::kVariable:
      case TokenKind::kRightDelim:
      case TokenKind::kRightParen: break;
      default: return Fail("range can only initialize variables");
    }
  }
  return {};
}

Status TreeParser::CheckPipeline(const PipeNode& pipe, std::string_view context) {
  if (pipe.commands.empty()) return Fail("missing value for {}", context);
  for (size_t i = 1; i < pipe.commands.size(); ++i) {
    switch (pipe.commands[i]->arguments[0]->kind) {
      case Node::Kind::kBool:
      case Node::Kind::kDot:
      case Node::Kind::kNil:
      case Node::Kind::kNumber:
      case Node::Kind::kString: return Fail("non executable command in pipeline stage {}", i + 1);
      default: break;
    }
  }
  return {};
}

Result<std::unique_ptr<CommandNode>> TreeParser::ParseCommand() {
  auto command = Make<CommandNode>(PeekNonSpace().position);
  for (;;) {
    PeekNonSpace();  // Passes the spaces in front.
    NARTHEX_TRY(NodePtr operand, ParseOperand());
    if (operand != nullptr) command->arguments.push_back(std::move(operand));
    const Token token = Next();
    if (token.kind == TokenKind::kSpace) continue;
    if (token.kind == TokenKind::kRightDelim || token.kind == TokenKind::kRightParen) {
      Backup();
    } else if (token.kind != TokenKind::kPipe) {
      return Unexpected(token, "operand");
    }
    break;
  }
  if (command->arguments.empty()) return Fail("empty command");
  return command;
}

std::unique_ptr<VariableNode> TreeParser::MakeVariable(size_t position, std::string_view text) {
  auto variable = Make<VariableNode>(position);
  variable->names.emplace_back(text);
  return variable;
}

Result<NodePtr> TreeParser::ParseOperand() {
  NARTHEX_TRY(NodePtr term, ParseTerm());
  if (term == nullptr || Peek().kind != TokenKind::kField) return term;
  const size_t position = Peek().position;
  std::vector<std::string> names;
  while (Peek().kind == TokenKind::kField) names.emplace_back(Next().text.substr(1));
  const auto extend = [&](std::vector<std::string> base, auto node) {
    node->names = std::move(base);
    node->names.insert(node->names.end(), names.begin(), names.end());
    return NodePtr(std::move(node));
  };
  switch (term->kind) {
    case Node::Kind::kField:
      return extend(std::move(term->As<FieldNode>().names), Make<FieldNode>(position));
    case Node::Kind::kVariable:
      return extend(std::move(term->As<VariableNode>().names), Make<VariableNode>(position));
    case Node::Kind::kBool:
    case Node::Kind::kString:
    case Node::Kind::kNumber:
    case Node::Kind::kNil:
    case Node::Kind::kDot: return Fail("unexpected . after term {}", GoQuote(term->ToString()));
    default: break;
  }
  auto chain = Make<ChainNode>(position);
  chain->node = std::move(term);
  chain->names = std::move(names);
  return NodePtr(std::move(chain));
}

Result<NodePtr> TreeParser::ParseTerm() {
  const Token token = NextNonSpace();
  switch (token.kind) {
    case TokenKind::kIdentifier: {
      if (!source_->has_function(token.text)) {
        return Fail("function {} not defined", GoQuote(token.text));
      }
      auto identifier = Make<IdentifierNode>(token.position);
      identifier->name = std::string(token.text);
      return NodePtr(std::move(identifier));
    }
    case TokenKind::kDot:
      return NodePtr(std::make_unique<LeafNode>(Node::Kind::kDot, tree_.get(), token.position));
    case TokenKind::kNil:
      return NodePtr(std::make_unique<LeafNode>(Node::Kind::kNil, tree_.get(), token.position));
    case TokenKind::kVariable: {
      for (const std::string& name : variables_) {
        if (name == token.text) return NodePtr(MakeVariable(token.position, token.text));
      }
      return Fail("undefined variable {}", GoQuote(token.text));
    }
    case TokenKind::kField: {
      auto field = Make<FieldNode>(token.position);
      field->names.emplace_back(token.text.substr(1));
      return NodePtr(std::move(field));
    }
    case TokenKind::kBool: {
      auto boolean = Make<BoolNode>(token.position);
      boolean->value = token.text == "true";
      return NodePtr(std::move(boolean));
    }
    case TokenKind::kCharConstant:
    case TokenKind::kComplex:
    case TokenKind::kNumber: return ParseNumber(token);
    case TokenKind::kLeftParen: {
      if (source_->depth >= kDepthMax) return Fail("max expression depth exceeded");
      ++source_->depth;
      NARTHEX_TRY(PipePtr pipe, ParsePipeline("parenthesized pipeline", TokenKind::kRightParen));
      --source_->depth;
      return NodePtr(std::move(pipe));
    }
    case TokenKind::kString:
    case TokenKind::kRawString: {
      std::optional<std::string> text = UnquoteGo(token.text);
      if (!text) return Fail("invalid syntax");
      auto string = Make<StringNode>(token.position);
      string->quoted = std::string(token.text);
      string->text = *std::move(text);
      return NodePtr(std::move(string));
    }
    default: break;
  }
  Backup();
  return NodePtr();
}

Result<NodePtr> TreeParser::ParseNumber(const Token& token) {
  const NumberForm form = token.kind == TokenKind::kCharConstant ? NumberForm::kCharConstant
                          : token.kind == TokenKind::kComplex    ? NumberForm::kComplex
                                                                 : NumberForm::kPlain;
  auto number = Make<NumberNode>(token.position);
  if (const Status status = ParseGoNumber(token.text, form, number.get()); !status.ok()) {
    return Fail("{}", status.message());
  }
  return NodePtr(std::move(number));
}

}  // namespace

Result<TreeSet> ParseTemplate(std::string_view name, std::string_view text,
                              const std::function<bool(std::string_view)>& has_function) {
  auto shared_text = std::make_shared<const std::string>(text);
  Source source{Lexer(*shared_text), shared_text, std::string(name), has_function, {}, 0};
  source.lexer.set_break_is_keyword(!has_function("break"));
  source.lexer.set_continue_is_keyword(!has_function("continue"));
  TreeParser parser(&source, std::string(name));
  NARTHEX_RETURN_IF_ERROR(parser.ParseTop());
  return std::move(source.trees);
}

}  // namespace narthex::gotmpl
