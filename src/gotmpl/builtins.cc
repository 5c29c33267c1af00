#include "gotmpl/builtins.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "gotmpl/format.h"
#include "util/strings.h"

namespace narthex::gotmpl {
namespace {

template <typename... Args>
Status Fail(fmt::format_string<Args...> format, Args&&... args) {
  return MakeError(ErrorCode::kExecution, format, std::forward<Args>(args)...);
}

// -------------------------------------------------------------------------------------------------
// Indexing
// -------------------------------------------------------------------------------------------------

// An index into something of `size` elements; the end itself is let through, as in Go.
Result<size_t> ToIndex(const Value& index, size_t size) {
  int64_t at = 0;
  if (index.boxed()) {
    return Fail("cannot index slice/array with type {}", index.TypeName());
  }
  if (index.kind() == Kind::kInt && !index.is_pointer()) {
    at = index.int_value();
  } else if (index.kind() == Kind::kUint && !index.is_pointer()) {
    at = static_cast<int64_t>(index.uint_value());
  } else if (!index.valid()) {
    return Fail("cannot index slice/array with nil");
  } else {
    return Fail("cannot index slice/array with type {}", index.TypeName());
  }
  if (at < 0 || static_cast<uint64_t>(at) > size) return Fail("index out of range: {}", at);
  return static_cast<size_t>(at);
}

Result<Value> IndexOnce(const Value& item, const Value& index) {
  switch (item.kind()) {
    case Kind::kNil: return Fail("index of nil pointer");
    case Kind::kList: {
      NARTHEX_TRY(const size_t at, ToIndex(index, item.list().size()));
      if (at == item.list().size()) return Fail("reflect: slice index out of range");
      return item.Element(item.list()[at]);
    }
    case Kind::kString: {
      NARTHEX_TRY(const size_t at, ToIndex(index, item.string_value().size()));
      if (at == item.string_value().size()) return Fail("reflect: string index out of range");
      return Value::Uint(static_cast<uint8_t>(item.string_value()[at]), types::Uint8());
    }
    case Kind::kMap: {
      if (!index.valid()) return Fail("value is nil; should be of type string");
      if (index.type() != types::String()) {
        return Fail("value has type {}; should be string", index.TypeName());
      }
      const auto found = item.map().find(index.string_value());
      return found == item.map().end() ? item.ZeroElement() : item.Element(found->second);
    }
    default: return Fail("can't index item of type {}", item.TypeName());
  }
}

Result<Value> Index(const Arguments& arguments) {
  Value item = arguments[0].Unboxed();
  if (!item.valid()) return Fail("index of untyped nil");
  for (size_t i = 1; i < arguments.size(); ++i) {
    item = item.Indirect();
    if (!item.valid()) return Fail("index of nil pointer");
    NARTHEX_TRY(item, IndexOnce(item, arguments[i].Unboxed()));
  }
  return item;
}

Result<Value> Slice(const Arguments& arguments) {
  Value item = arguments[0].Unboxed();
  if (!item.valid()) return Fail("slice of untyped nil");
  item = item.Indirect();
  if (item.kind() == Kind::kNil) return Fail("slice of nil pointer");
  const size_t indexes = arguments.size() - 1;
  if (indexes > 3) return Fail("too many slice indexes: {}", indexes);
  const bool string = item.kind() == Kind::kString;
  if (string && indexes == 3) return Fail("cannot 3-index slice a string");
  if (!string && item.kind() != Kind::kList) {
    return Fail("can't slice item of type {}", item.TypeName());
  }
  const size_t size = string ? item.string_value().size() : item.list().size();
  size_t at[3] = {0, size, size};
  for (size_t i = 0; i < indexes; ++i) {
    NARTHEX_TRY(at[i], ToIndex(arguments[i + 1], size));
  }
  if (at[0] > at[1]) return Fail("invalid slice index: {} > {}", at[0], at[1]);
  if (at[1] > at[2]) return Fail("invalid slice index: {} > {}", at[1], at[2]);
  if (string) {
    return Value::String(item.string_value().substr(at[0], at[1] - at[0]), item.type());
  }
  const auto begin = item.list().begin();
  return Value::MakeList(
      List(begin + static_cast<ptrdiff_t>(at[0]), begin + static_cast<ptrdiff_t>(at[1])),
      item.type());
}

Result<Value> Length(const Arguments& arguments) {
  const Value item = arguments[0].Indirect();
  switch (item.kind()) {
    case Kind::kNil: return Fail("len of nil pointer");
    case Kind::kInvalid:
      if (arguments[0].kind() == Kind::kNil) return Fail("len of nil pointer");
      return Fail("reflect: call of reflect.Value.Type on zero Value");
    case Kind::kString: return Value::Int(static_cast<int64_t>(item.string_value().size()));
    case Kind::kList: return Value::Int(static_cast<int64_t>(item.list().size()));
    case Kind::kMap: return Value::Int(static_cast<int64_t>(item.map().size()));
    default: return Fail("len of type {}", item.TypeName());
  }
}

// -------------------------------------------------------------------------------------------------
// Comparison
// -------------------------------------------------------------------------------------------------

// The kind as far as it can be compared; pointers, lists and so on count as kInvalid.
Kind BasicKind(const Value& value) {
  if (value.is_pointer()) return Kind::kInvalid;
  switch (value.kind()) {
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kUint:
    case Kind::kFloat:
    case Kind::kComplex:
    case Kind::kString: return value.kind();
    default: return Kind::kInvalid;
  }
}

Status BadComparison() {
  return Fail("invalid type for comparison");
}

Status IncompatibleTypes(const Value& a, const Value& b) {
  return Fail("incompatible types for comparison: {} and {}", a.TypeName(), b.TypeName());
}

bool IsNilValue(const Value& value) {
  return !value.valid() || value.kind() == Kind::kNil;
}

// As Go's compiler sees it: no maps, lists or functions, and no structs with such fields.
bool IsComparable(const Value& value) {
  if (value.is_pointer()) return true;
  switch (value.kind()) {
    case Kind::kList:
    case Kind::kMap:
    case Kind::kFunction: return false;
    case Kind::kStruct: {
      const auto& fields = value.struct_as().fields;
      return std::all_of(fields.begin(), fields.end(),
                         [](const auto& field) { return IsComparable(field.second); });
    }
    default: return true;
  }
}

Result<bool> EqualOthers(const Value& a, const Value& b) {
  const bool same_kind = a.kind() == b.kind() && a.is_pointer() == b.is_pointer();
  if (!same_kind && a.valid() && b.valid()) {
    return Fail("non-comparable types {}: {}, {}: {}", Sprintf("%s", {&a, 1}), a.TypeName(),
                b.TypeName(), FormatValue(b));
  }
  if (IsNilValue(a) || IsNilValue(b)) return IsNilValue(a) == IsNilValue(b);
  if (b.is_pointer()) {
    return b.kind() == Kind::kStruct && a.shared_struct() == b.shared_struct();
  }
  if (!IsComparable(b)) {
    return Fail("non-comparable type {}: {}", Sprintf("%s", {&b, 1}), b.TypeName());
  }
  return a.type() == b.type() && FormatValue(a) == FormatValue(b);
}

Result<bool> EqualPair(const Value& a, const Value& b) {
  const Kind kind_a = BasicKind(a);
  const Kind kind_b = BasicKind(b);
  if (kind_a == Kind::kInt && kind_b == Kind::kUint) {
    return a.int_value() >= 0 && static_cast<uint64_t>(a.int_value()) == b.uint_value();
  }
  if (kind_a == Kind::kUint && kind_b == Kind::kInt) {
    return b.int_value() >= 0 && static_cast<uint64_t>(b.int_value()) == a.uint_value();
  }
  if (kind_a != kind_b) {
    if (a.valid() && b.valid()) return IncompatibleTypes(a, b);
    return false;
  }
  switch (kind_a) {
    case Kind::kBool: return a.bool_value() == b.bool_value();
    case Kind::kInt: return a.int_value() == b.int_value();
    case Kind::kUint: return a.uint_value() == b.uint_value();
    case Kind::kFloat: return a.float_value() == b.float_value();
    case Kind::kComplex: return a.complex_value() == b.complex_value();
    case Kind::kString: return a.string_value() == b.string_value();
    default: return EqualOthers(a, b);
  }
}

// Whether the first equals any of the others.
Result<bool> Equal(const Arguments& arguments) {
  if (arguments.size() < 2) return Fail("missing argument for comparison");
  const Value first = arguments[0].Unboxed();
  for (size_t i = 1; i < arguments.size(); ++i) {
    NARTHEX_TRY(const bool equal, EqualPair(first, arguments[i].Unboxed()));
    if (equal) return true;
  }
  return false;
}

Result<bool> Less(const Arguments& arguments) {
  const Value a = arguments[0].Unboxed();
  const Value b = arguments[1].Unboxed();
  const Kind kind_a = BasicKind(a);
  const Kind kind_b = BasicKind(b);
  if (kind_a == Kind::kInvalid || kind_b == Kind::kInvalid) return BadComparison();
  if (kind_a == Kind::kInt && kind_b == Kind::kUint) {
    return a.int_value() < 0 || static_cast<uint64_t>(a.int_value()) < b.uint_value();
  }
  if (kind_a == Kind::kUint && kind_b == Kind::kInt) {
    return b.int_value() >= 0 && a.uint_value() < static_cast<uint64_t>(b.int_value());
  }
  if (kind_a != kind_b) return IncompatibleTypes(a, b);
  switch (kind_a) {
    case Kind::kInt: return a.int_value() < b.int_value();
    case Kind::kUint: return a.uint_value() < b.uint_value();
    case Kind::kFloat: return a.float_value() < b.float_value();
    case Kind::kString: return a.string_value() < b.string_value();
    default: return BadComparison();
  }
}

Result<bool> LessOrEqual(const Arguments& arguments) {
  NARTHEX_TRY(const bool less, Less(arguments));
  if (less) return true;
  return Equal(arguments);
}

using Comparison = Result<bool> (*)(const Arguments&);

auto Compare(Comparison comparison, bool negate) {
  return [comparison, negate](const Arguments& arguments) -> Result<Value> {
    NARTHEX_TRY(const bool result, comparison(arguments));
    return Value::Bool(result != negate);
  };
}

// -------------------------------------------------------------------------------------------------
// Texts
// -------------------------------------------------------------------------------------------------

// Arguments as printing shows them: pointers followed.
std::string PrintedText(const Arguments& arguments) {
  if (arguments.size() == 1 && arguments[0].type() == types::String()) {
    return arguments[0].string_value();
  }
  Arguments printed;
  for (const Value& argument : arguments) {
    const bool missing = !argument.valid() || argument.boxed();
    Value value =
        missing && !argument.Unboxed().valid() ? Value::String("<no value>") : argument.Indirect();
    printed.push_back(std::move(value));
  }
  return Sprint(printed);
}

auto Escape(std::string (*escape)(std::string_view)) {
  return [escape](const Arguments& arguments) -> Result<Value> {
    return Value::String(escape(PrintedText(arguments)));
  };
}

std::span<const Value> Rest(const Arguments& arguments) {
  return std::span<const Value>(arguments).subspan(1);
}

FunctionMap MakeBuiltins() {
  FunctionMap map;
  const auto add = [&](std::string name, std::vector<const Type*> parameters, bool variadic,
                       std::function<Result<Value>(const Arguments&)> call) {
    auto function = std::make_shared<Function>();
    function->name = name;
    function->parameters = std::move(parameters);
    function->variadic = variadic;
    function->call = std::move(call);
    map.emplace(std::move(name), std::move(function));
  };
  const Type* const anything = types::ReflectValue();
  const Type* const any = types::Any();
  const auto special = [](const Arguments&) -> Result<Value> { return Value(); };
  add("and", {anything, anything}, true, special);
  add("or", {anything, anything}, true, special);
  add("call", {anything, anything}, true, special);
  add("not", {anything}, false, [](const Arguments& arguments) -> Result<Value> {
    return Value::Bool(!arguments[0].Unboxed().Truth());
  });
  add("index", {anything, anything}, true, Index);
  add("slice", {anything, anything}, true, Slice);
  add("len", {anything}, false, Length);
  add("html", {any}, true, Escape(HtmlEscape));
  add("js", {any}, true, Escape(JsEscape));
  add("urlquery", {any}, true, Escape(QueryEscape));
  add("print", {any}, true,
      [](const Arguments& arguments) -> Result<Value> { return Value::String(Sprint(arguments)); });
  add("println", {any}, true, [](const Arguments& arguments) -> Result<Value> {
    return Value::String(Sprintln(arguments));
  });
  add("printf", {types::String(), any}, true, [](const Arguments& arguments) -> Result<Value> {
    return Value::String(Sprintf(arguments[0].string_value(), Rest(arguments)));
  });
  add("eq", {anything, anything}, true, Compare(Equal, false));
  add("ne", {anything, anything}, false, Compare(Equal, true));
  add("lt", {anything, anything}, false, Compare(Less, false));
  add("le", {anything, anything}, false, Compare(LessOrEqual, false));
  add("gt", {anything, anything}, false, Compare(LessOrEqual, true));
  add("ge", {anything, anything}, false, Compare(Less, true));
  return map;
}

}  // namespace

const std::shared_ptr<const Function>& FindBuiltin(std::string_view name) {
  static const FunctionMap* const kBuiltins = new FunctionMap(MakeBuiltins());
  static const std::shared_ptr<const Function>* const kNone = new std::shared_ptr<const Function>();
  const auto found = kBuiltins->find(name);
  return found == kBuiltins->end() ? *kNone : found->second;
}

Result<Value> CallFunction(std::string_view name, const Value& function, Arguments arguments) {
  const Value callee = function.Unboxed();
  if (!callee.valid()) return Fail("call of nil");
  if (callee.kind() != Kind::kFunction) {
    return Fail("non-function {} of type {}", name, callee.TypeName());
  }
  const Function& target = callee.function();
  const size_t fixed = target.parameters.size() - (target.variadic ? 1 : 0);
  if (target.variadic ? arguments.size() < fixed : arguments.size() != fixed) {
    return Fail("wrong number of args for {}: got {} want {}{}", name, arguments.size(),
                target.variadic ? "at least " : "", fixed);
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Type* const wanted = target.parameters[std::min(i, target.parameters.size() - 1)];
    const Value argument = arguments[i].Unboxed();
    if (!argument.valid()) {
      if (wanted != types::Any() && wanted->pointee == nullptr) {
        return Fail("arg {}: value is nil; should be of type {}", i, wanted->name);
      }
      arguments[i] = Value::Nil(wanted);
    } else if (!IsAssignable(argument.type(), wanted)) {
      return Fail("arg {}: value has type {}; should be {}", i, argument.TypeName(), wanted->name);
    } else {
      arguments[i] = argument;
    }
  }
  return target.call(arguments);
}

std::string HtmlEscape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '\0': out += "\xef\xbf\xbd"; break;
      case '"': out += "&#34;"; break;
      case '\'': out += "&#39;"; break;
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string JsEscape(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const char c = text[0];
    size_t size = 1;
    switch (c) {
      case '\\': out += "\\\\"; break;
      case '\'': out += "\\'"; break;
      case '"': out += "\\\""; break;
      case '<': out += "\\u003C"; break;
      case '>': out += "\\u003E"; break;
      case '&': out += "\\u0026"; break;
      case '=': out += "\\u003D"; break;
      default:
        if (static_cast<uint8_t>(c) < 0x20) {
          out += fmt::format("\\u00{:02X}", static_cast<uint8_t>(c));
        } else if (static_cast<uint8_t>(c) < 0x80) {
          out += c;
        } else {
          const char32_t rune = DecodeRune(text, &size);
          // Printable runes quote as themselves.
          const bool printable = GoQuoteRune(rune).find('\\') == std::string::npos;
          if (printable) {
            out += text.substr(0, size);
          } else {
            out += fmt::format("\\u{:04X}", static_cast<uint32_t>(rune));
          }
        }
    }
    text.remove_prefix(size);
  }
  return out;
}

std::string QueryEscape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      out += fmt::format("%{:02X}", static_cast<uint8_t>(c));
    }
  }
  return out;
}

}  // namespace narthex::gotmpl
