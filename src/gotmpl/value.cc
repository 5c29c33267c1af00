#include "gotmpl/value.h"

namespace narthex::gotmpl {
namespace types {
namespace {

// Types are compared by address and outlive everything.
const Type* Make(std::string name, Kind kind, const Type* element = nullptr) {
  return new Type{.name = std::move(name), .kind = kind, .element = element, .methods = {}};
}

}  // namespace

#define NARTHEX_GOTMPL_TYPE(function, ...)              \
  const Type* function() {                              \
    static const Type* const kType = Make(__VA_ARGS__); \
    return kType;                                       \
  }

NARTHEX_GOTMPL_TYPE(Any, "interface {}", Kind::kNil)
NARTHEX_GOTMPL_TYPE(ReflectValue, "reflect.Value", Kind::kInvalid)
NARTHEX_GOTMPL_TYPE(Bool, "bool", Kind::kBool)
NARTHEX_GOTMPL_TYPE(Int, "int", Kind::kInt)
NARTHEX_GOTMPL_TYPE(Int64, "int64", Kind::kInt)
NARTHEX_GOTMPL_TYPE(Uint, "uint", Kind::kUint)
NARTHEX_GOTMPL_TYPE(Uint8, "uint8", Kind::kUint)
NARTHEX_GOTMPL_TYPE(Uint64, "uint64", Kind::kUint)
NARTHEX_GOTMPL_TYPE(Float, "float64", Kind::kFloat)
NARTHEX_GOTMPL_TYPE(Complex, "complex128", Kind::kComplex)
NARTHEX_GOTMPL_TYPE(String, "string", Kind::kString)
NARTHEX_GOTMPL_TYPE(StringList, "[]string", Kind::kList, String())
NARTHEX_GOTMPL_TYPE(AnyList, "[]interface {}", Kind::kList, Any())
NARTHEX_GOTMPL_TYPE(StringMap, "map[string]string", Kind::kMap, String())
NARTHEX_GOTMPL_TYPE(AnyMap, "map[string]interface {}", Kind::kMap, Any())
NARTHEX_GOTMPL_TYPE(Function, "func", Kind::kFunction)
NARTHEX_GOTMPL_TYPE(Html, "template.HTML", Kind::kString)
NARTHEX_GOTMPL_TYPE(HtmlAttr, "template.HTMLAttr", Kind::kString)
NARTHEX_GOTMPL_TYPE(Css, "template.CSS", Kind::kString)
NARTHEX_GOTMPL_TYPE(Js, "template.JS", Kind::kString)
NARTHEX_GOTMPL_TYPE(JsStr, "template.JSStr", Kind::kString)
NARTHEX_GOTMPL_TYPE(Url, "template.URL", Kind::kString)

#undef NARTHEX_GOTMPL_TYPE

}  // namespace types

Value Value::Nil(const Type* type) {
  Value value;
  value.kind_ = Kind::kNil;
  value.type_ = type;
  value.boxed_ = type == types::Any();
  return value;
}

Value Value::Bool(bool v) {
  Value value;
  value.kind_ = Kind::kBool;
  value.type_ = types::Bool();
  value.data_ = v;
  return value;
}

Value Value::Int(int64_t v, const Type* type) {
  Value value;
  value.kind_ = Kind::kInt;
  value.type_ = type;
  value.data_ = v;
  return value;
}

Value Value::Uint(uint64_t v, const Type* type) {
  Value value;
  value.kind_ = Kind::kUint;
  value.type_ = type;
  value.data_ = v;
  return value;
}

Value Value::Float(double v, const Type* type) {
  Value value;
  value.kind_ = Kind::kFloat;
  value.type_ = type;
  value.data_ = v;
  return value;
}

Value Value::Complex(std::complex<double> v) {
  Value value;
  value.kind_ = Kind::kComplex;
  value.type_ = types::Complex();
  value.data_ = v;
  return value;
}

Value Value::String(std::string v, const Type* type) {
  Value value;
  value.kind_ = Kind::kString;
  value.type_ = type;
  value.data_ = std::move(v);
  return value;
}

Value Value::MakeList(List v, const Type* type) {
  Value value;
  value.kind_ = Kind::kList;
  value.type_ = type;
  value.data_ = std::make_shared<const List>(std::move(v));
  return value;
}

Value Value::MakeMap(Map v, const Type* type) {
  Value value;
  value.kind_ = Kind::kMap;
  value.type_ = type;
  value.data_ = std::make_shared<const Map>(std::move(v));
  return value;
}

Value Value::StringMap(const std::map<std::string, std::string>& v) {
  Map map;
  for (const auto& [name, text] : v) map.emplace(name, String(text));
  return MakeMap(std::move(map), types::StringMap());
}

Value Value::MakeStruct(std::shared_ptr<const Struct> v, const Type* type) {
  Value value;
  value.kind_ = Kind::kStruct;
  value.type_ = type;
  value.data_ = std::move(v);
  return value;
}

Value Value::MakeFunction(std::shared_ptr<const Function> v) {
  Value value;
  value.kind_ = Kind::kFunction;
  value.type_ = types::Function();
  value.data_ = std::move(v);
  return value;
}

const std::string& Value::TypeName() const {
  static const std::string* const kNone = new std::string();
  if (kind_ == Kind::kInvalid) return *kNone;
  return boxed_ ? types::Any()->name : type_->name;
}

Value Value::WithType(const Type* type) const {
  Value value = *this;
  value.type_ = type;
  value.boxed_ = false;
  return value;
}

Value Value::Boxed() const {
  if (kind_ == Kind::kInvalid) return Nil();
  Value value = *this;
  value.boxed_ = true;
  return value;
}

Value Value::Unboxed() const {
  if (kind_ == Kind::kNil && type_ == types::Any()) return {};
  Value value = *this;
  value.boxed_ = false;
  return value;
}

Value Value::Element(const Value& stored) const {
  return type_->element == types::Any() ? stored.Boxed() : stored;
}

Value Value::Zero(const Type* type) {
  if (type->pointee != nullptr) return Nil(type);
  switch (type->kind) {
    case Kind::kBool: return Bool(false).WithType(type);
    case Kind::kInt: return Int(0, type);
    case Kind::kUint: return Uint(0, type);
    case Kind::kFloat: return Float(0, type);
    case Kind::kComplex: return Complex(0).WithType(type);
    case Kind::kString: return String("", type);
    case Kind::kList: return MakeList({}, type);
    case Kind::kMap: return MakeMap({}, type);
    case Kind::kStruct: return MakeStruct(std::make_shared<Struct>(), type);
    case Kind::kInvalid: return {};
    case Kind::kNil:
    case Kind::kFunction: break;
  }
  return Nil(type);
}

bool Value::Truth() const {
  if (is_pointer()) return kind_ != Kind::kNil;
  switch (kind_) {
    case Kind::kInvalid:
    case Kind::kNil: return false;
    case Kind::kBool: return bool_value();
    case Kind::kInt: return int_value() != 0;
    case Kind::kUint: return uint_value() != 0;
    case Kind::kFloat: return float_value() != 0;
    case Kind::kComplex: return complex_value() != std::complex<double>(0);
    case Kind::kString: return !string_value().empty();
    case Kind::kList: return !list().empty();
    case Kind::kMap: return !map().empty();
    case Kind::kStruct:
    case Kind::kFunction: return true;
  }
  return false;
}

bool IsAssignable(const Type* from, const Type* to) {
  if (from == to || to == types::Any()) return true;
  if (from == nullptr || to == nullptr) return false;
  return (from->underlying != nullptr && from->underlying == to) ||
         (to->underlying != nullptr && to->underlying == from);
}

const Method* FindMethod(const Type* type, std::string_view name) {
  for (const Type* at = type; at != nullptr; at = at->pointee) {
    if (const auto method = at->methods.find(name); method != at->methods.end()) {
      return &method->second;
    }
  }
  return nullptr;
}

}  // namespace narthex::gotmpl
