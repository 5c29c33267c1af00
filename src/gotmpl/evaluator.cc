// The half of the executor that gives values: pipelines, commands, fields and calls.
#include <fmt/format.h>

#include <algorithm>

#include "gotmpl/builtins.h"
#include "gotmpl/executor.h"
#include "gotmpl/format.h"
#include "util/strings.h"

namespace narthex::gotmpl {
namespace {

bool CanBeNil(const Type* type) {
  if (type->pointee != nullptr || type == types::ReflectValue()) return true;
  switch (type->kind) {
    case Kind::kNil:
    case Kind::kList:
    case Kind::kMap:
    case Kind::kFunction: return true;
    default: return false;
  }
}

// Written as a float: with a point or an exponent, and neither hexadecimal nor a character.
bool LooksLikeFloat(const std::string& text) {
  const bool hex = text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X') &&
                   text.find_first_of("pP") == std::string::npos;
  return !hex && !text.starts_with('\'') && text.find_first_of(".eEpP") != std::string::npos;
}

}  // namespace

Result<Value> Executor::EvalPipeline(const Value& dot, const PipeNode& pipe) {
  At(pipe);
  Final value;
  for (const auto& command : pipe.commands) {
    NARTHEX_TRY(Value next, EvalCommand(dot, *command, value));
    value = next.Unboxed();
  }
  for (const auto& variable : pipe.declarations) {
    if (pipe.assign) {
      NARTHEX_RETURN_IF_ERROR(SetVariable(variable->names[0], *value));
    } else {
      variables_.emplace_back(variable->names[0], *value);
    }
  }
  return *std::move(value);
}

Status Executor::RefuseArguments(const Operands& operands, const Final& final) const {
  if (operands.size() <= 1 && !final) return {};
  return Failf("can't give argument to non-function {}", operands[0]->ToString());
}

Result<Value> Executor::EvalCommand(const Value& dot, const CommandNode& command,
                                    const Final& final) {
  NARTHEX_RETURN_IF_ERROR(CountStep());
  Operands operands;
  operands.reserve(command.arguments.size());
  for (const NodePtr& argument : command.arguments) operands.push_back(argument.get());
  const Node& first = *operands[0];
  switch (first.kind) {
    case Node::Kind::kField:
      At(first);
      return EvalFields(dot, dot, first, first.As<FieldNode>().names, 0, &operands, final);
    case Node::Kind::kChain: return EvalChain(dot, first.As<ChainNode>(), &operands, final);
    case Node::Kind::kIdentifier:
      return EvalFunction(dot, first.As<IdentifierNode>(), command, &operands, final);
    case Node::Kind::kPipe:
      NARTHEX_RETURN_IF_ERROR(RefuseArguments(operands, final));
      return EvalPipeline(dot, first.As<PipeNode>());
    case Node::Kind::kVariable:
      return EvalVariable(dot, first.As<VariableNode>(), &operands, final);
    default: break;
  }
  At(first);
  NARTHEX_RETURN_IF_ERROR(RefuseArguments(operands, final));
  switch (first.kind) {
    case Node::Kind::kBool: return Value::Bool(first.As<BoolNode>().value);
    case Node::Kind::kDot: return dot;
    case Node::Kind::kNil: return Fail("nil is not a command");
    case Node::Kind::kNumber: return EvalConstant(first.As<NumberNode>());
    case Node::Kind::kString: return Value::String(first.As<StringNode>().text);
    default: return Failf("can't evaluate command {}", GoQuote(first.ToString()));
  }
}

Result<Value> Executor::EvalConstant(const NumberNode& number) {
  At(number);
  if (number.is_complex) return Value::Complex(number.complex_value);
  if (number.is_float && LooksLikeFloat(number.text)) return Value::Float(number.float_value);
  if (number.is_int) return Value::Int(number.int_value);
  return Failf("{} overflows int", number.text);
}

// -------------------------------------------------------------------------------------------------
// Fields
// -------------------------------------------------------------------------------------------------

Result<Value> Executor::EvalVariable(const Value& dot, const VariableNode& node,
                                     const Operands* operands, const Final& final) {
  At(node);
  const Value* const value = FindVariable(node.names[0]);
  if (value == nullptr) return Failf("undefined variable: {}", node.names[0]);
  if (node.names.size() == 1) {
    if (operands != nullptr) {
      NARTHEX_RETURN_IF_ERROR(RefuseArguments(*operands, final));
    } else if (final) {
      return Failf("can't give argument to non-function {}", node.ToString());
    }
    return *value;
  }
  return EvalFields(dot, *value, node, node.names, 1, operands, final);
}

Result<Value> Executor::EvalChain(const Value& dot, const ChainNode& node, const Operands* operands,
                                  const Final& final) {
  At(node);
  if (node.node->kind == Node::Kind::kNil) {
    return Failf("indirection through explicit nil in {}", node.ToString());
  }
  NARTHEX_TRY(Value receiver, EvalArgument(dot, nullptr, *node.node));
  return EvalFields(dot, std::move(receiver), node, node.names, 0, operands, final);
}

// .a.b.c: only the last may be a call with arguments.
Result<Value> Executor::EvalFields(const Value& dot, Value receiver, const Node& node,
                                   const std::vector<std::string>& names, size_t first,
                                   const Operands* operands, const Final& final) {
  for (size_t i = first; i + 1 < names.size(); ++i) {
    NARTHEX_TRY(receiver, EvalField(dot, names[i], node, nullptr, std::nullopt, receiver));
  }
  return EvalField(dot, names.back(), node, operands, final, receiver);
}

Result<Value> Executor::EvalMapField(const std::string& name, bool has_arguments,
                                     const Value& map) {
  if (has_arguments) return Failf("{} is not a method but has arguments", name);
  if (const auto found = map.map().find(name); found != map.map().end()) {
    return map.Element(found->second);
  }
  switch (options_.missing_key) {
    case MissingKey::kInvalid: return Value();
    case MissingKey::kZero: return map.ZeroElement();
    case MissingKey::kError: break;
  }
  return Failf("map has no entry for key {}", GoQuote(name));
}

Result<Value> Executor::EvalField(const Value& dot, const std::string& name, const Node& node,
                                  const Operands* operands, const Final& final,
                                  const Value& receiver) {
  if (!receiver.valid()) {
    if (options_.missing_key != MissingKey::kError) return Value();
    return Failf("nil data; no entry for key {}", GoQuote(name));
  }
  const std::string& type_name = receiver.TypeName();
  const Value value = receiver.kind() == Kind::kNil ? receiver : receiver.Unboxed();
  if (value.kind() == Kind::kNil && value.type() == types::Any()) {
    return Failf("nil pointer evaluating {}.{}", type_name, name);
  }
  if (const Method* const method = FindMethod(value.type(), name)) {
    const Callee callee{.name = name,
                        .parameters = &method->parameters,
                        .variadic = method->variadic,
                        .call = [&](const Arguments& a) { return method->call(value, a); }};
    return EvalCall(dot, callee, node, operands, final);
  }
  const bool has_arguments = (operands != nullptr && operands->size() > 1) || final.has_value();
  if (value.kind() == Kind::kStruct) {
    for (const auto& [field_name, field] : value.struct_as().fields) {
      if (field_name != name) continue;
      if (has_arguments) return Failf("{} has arguments but cannot be invoked as function", name);
      return field;
    }
  } else if (value.kind() == Kind::kMap) {
    return EvalMapField(name, has_arguments, value);
  } else if (value.kind() == Kind::kNil) {
    return Failf("nil pointer evaluating {}.{}", type_name, name);
  }
  return Failf("can't evaluate field {} in type {}", name, type_name);
}

// -------------------------------------------------------------------------------------------------
// Calls
// -------------------------------------------------------------------------------------------------

Result<Value> Executor::EvalFunction(const Value& dot, const IdentifierNode& identifier,
                                     const Node& context, const Operands* operands,
                                     const Final& final) {
  At(identifier);
  const auto found = functions_.find(identifier.name);
  const bool builtin = found == functions_.end();
  const Function* const function =
      builtin ? FindBuiltin(identifier.name).get() : found->second.get();
  if (function == nullptr) {
    return Failf("{} is not a defined function", GoQuote(identifier.name));
  }
  const Callee callee{.name = identifier.name,
                      .parameters = &function->parameters,
                      .variadic = function->variadic,
                      .builtin = builtin,
                      .call = function->call};
  return EvalCall(dot, callee, context, operands, final);
}

// `and` and `or` stop at the argument that decides.
Result<Value> Executor::EvalLogic(const Value& dot, const Callee& callee, const Operands& operands,
                                  const Final& final) {
  Value value;
  for (const Node* operand : operands) {
    NARTHEX_TRY(value, EvalArgument(dot, types::ReflectValue(), *operand));
    if (value.Unboxed().Truth() == (callee.name == "or")) return value;
  }
  return final ? *final : value;
}

Result<Value> Executor::EvalCall(const Value& dot, const Callee& callee, const Node& context,
                                 const Operands* operands, const Final& final) {
  Operands given;
  if (operands != nullptr) given.assign(operands->begin() + 1, operands->end());
  const size_t count = given.size() + (final ? 1 : 0);
  const size_t parameters = callee.parameters->size();
  const size_t fixed = callee.variadic ? parameters - 1 : given.size();
  if (callee.variadic && count < fixed) {
    return Failf("wrong number of args for {}: want at least {} got {}", callee.name, fixed,
                 given.size());
  }
  if (!callee.variadic && count != parameters) {
    return Failf("wrong number of args for {}: want {} got {}", callee.name, parameters, count);
  }
  if (callee.builtin && (callee.name == "and" || callee.name == "or")) {
    return EvalLogic(dot, callee, given, final);
  }
  const auto parameter = [&](size_t i) {
    return (*callee.parameters)[std::min(i, parameters - 1)];
  };
  Arguments arguments;
  for (size_t i = 0; i < given.size(); ++i) {
    NARTHEX_TRY(Value argument, EvalArgument(dot, parameter(i), *given[i]));
    arguments.push_back(std::move(argument));
  }
  if (final) {
    NARTHEX_TRY(Value argument, Validate(*final, parameter(given.size())));
    arguments.push_back(std::move(argument));
  }
  Result<Value> result = Value();
  if (callee.builtin && callee.name == "call") {
    std::string name;
    if (!given.empty()) {
      name = given[0]->ToString();
    } else {
      name = final->kind() == Kind::kString ? final->string_value()
                                            : fmt::format("<{} Value>", final->TypeName());
    }
    const Value function = arguments.front();
    arguments.erase(arguments.begin());
    result = CallFunction(name, function, std::move(arguments));
  } else {
    result = callee.call(arguments);
  }
  if (result.ok()) return result;
  At(context);
  return Failf("error calling {}: {}", callee.name, result.status().message());
}

// -------------------------------------------------------------------------------------------------
// Arguments
// -------------------------------------------------------------------------------------------------

// Fits the value to the type; without a type it stays as it is.
Result<Value> Executor::Validate(const Value& value, const Type* type) const {
  if (!value.valid()) {
    if (type == nullptr) return value;
    if (CanBeNil(type)) return Value::Zero(type);
    return Failf("invalid value; expected {}", type->name);
  }
  if (type == nullptr || type == types::ReflectValue()) return value;
  const Type* const own = value.boxed() ? types::Any() : value.type();
  if (IsAssignable(own, type)) return value;
  const Value inner = value.kind() == Kind::kNil ? value : value.Unboxed();
  if (value.boxed() && IsAssignable(inner.type(), type)) return inner;
  if (inner.is_pointer() && IsAssignable(inner.type()->pointee, type)) {
    if (inner.kind() == Kind::kNil) {
      return Failf("dereference of nil pointer of type {}", type->name);
    }
    return inner.Indirect();
  }
  return Failf("wrong type for value; expected {}; got {}", type->name, inner.TypeName());
}

Result<Value> Executor::EvalArgument(const Value& dot, const Type* type, const Node& node) {
  At(node);
  NARTHEX_RETURN_IF_ERROR(CountStep());
  switch (node.kind) {
    case Node::Kind::kDot: return Validate(dot, type);
    case Node::Kind::kNil:
      if (CanBeNil(type)) return Value::Zero(type);
      return Failf("cannot assign nil to {}", type->name);
    case Node::Kind::kField: {
      const Operands self = {&node};
      At(node);
      NARTHEX_TRY(const Value value,
                  EvalFields(dot, dot, node, node.As<FieldNode>().names, 0, &self, std::nullopt));
      return Validate(value, type);
    }
    case Node::Kind::kVariable: {
      NARTHEX_TRY(const Value value,
                  EvalVariable(dot, node.As<VariableNode>(), nullptr, std::nullopt));
      return Validate(value, type);
    }
    case Node::Kind::kPipe: {
      NARTHEX_TRY(const Value value, EvalPipeline(dot, node.As<PipeNode>()));
      return Validate(value, type);
    }
    case Node::Kind::kIdentifier: {
      NARTHEX_TRY(const Value value,
                  EvalFunction(dot, node.As<IdentifierNode>(), node, nullptr, std::nullopt));
      return Validate(value, type);
    }
    case Node::Kind::kChain: {
      NARTHEX_TRY(const Value value, EvalChain(dot, node.As<ChainNode>(), nullptr, std::nullopt));
      return Validate(value, type);
    }
    default: return EvalLiteral(dot, type, node);
  }
}

// A constant takes the type of the parameter.
Result<Value> Executor::EvalLiteral(const Value& dot, const Type* type, const Node& node) {
  if (type == nullptr || type == types::ReflectValue() || type == types::Any()) {
    return EvalAny(dot, node);
  }
  const bool number = node.kind == Node::Kind::kNumber;
  const auto expected = [&](std::string_view what) {
    return Failf("expected {}; found {}", what, node.ToString());
  };
  if (type->pointee == nullptr) {
    switch (type->kind) {
      case Kind::kBool:
        if (node.kind != Node::Kind::kBool) return expected("bool");
        return Value::Bool(node.As<BoolNode>().value).WithType(type);
      case Kind::kComplex:
        if (!number || !node.As<NumberNode>().is_complex) return expected("complex");
        return Value::Complex(node.As<NumberNode>().complex_value);
      case Kind::kFloat:
        if (!number || !node.As<NumberNode>().is_float) return expected("float");
        return Value::Float(node.As<NumberNode>().float_value, type);
      case Kind::kInt:
        if (!number || !node.As<NumberNode>().is_int) return expected("integer");
        return Value::Int(node.As<NumberNode>().int_value, type);
      case Kind::kUint:
        if (!number || !node.As<NumberNode>().is_uint) return expected("unsigned integer");
        return Value::Uint(node.As<NumberNode>().uint_value, type);
      case Kind::kString:
        if (node.kind != Node::Kind::kString) return expected("string");
        return Value::String(node.As<StringNode>().text, type);
      default: break;
    }
  }
  return Failf("can't handle {} for arg of type {}", node.ToString(), type->name);
}

Result<Value> Executor::EvalAny(const Value& dot, const Node& node) {
  At(node);
  switch (node.kind) {
    case Node::Kind::kBool: return Value::Bool(node.As<BoolNode>().value);
    case Node::Kind::kDot: return dot;
    case Node::Kind::kNumber: return EvalConstant(node.As<NumberNode>());
    case Node::Kind::kString: return Value::String(node.As<StringNode>().text);
    default:
      return Failf("can't handle assignment of {} to empty interface argument", node.ToString());
  }
}

}  // namespace narthex::gotmpl
