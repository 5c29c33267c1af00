// Values as templates see them: Go's types, as far as templates can tell them apart.
//
// A template prints, compares and converts by type, and error texts name types in Go's spelling, so
// every value carries its type. Types are few and live for ever; values share what is large and
// never change.
//
//   Value = kind + type + payload          Type = name, kind, element type, methods
//
// A pointer is a value of a type that has a `pointee`; its payload is that of what it points to. A
// value that was read from a slot of type interface{} is `boxed` until a pipeline takes it over:
// only error texts show the difference.
#pragma once

#include <complex>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "util/status.h"

namespace narthex::gotmpl {

enum class Kind : uint8_t {
  kInvalid,  // No value at all; prints as <no value>.
  kNil,      // A nil interface or nil pointer.
  kBool,
  kInt,
  kUint,
  kFloat,
  kComplex,
  kString,
  kList,
  kMap,  // Keys are strings.
  kStruct,
  kFunction,
};

class Value;
struct Type;

// What a call gets: arguments in order, checked against the parameters.
using Arguments = std::vector<Value>;

struct Method {
  std::vector<const Type*> parameters;
  bool variadic = false;  // The last parameter may be repeated or left out.
  std::function<Result<Value>(const Value& self, const Arguments& arguments)> call;
};

struct Type {
  std::string name;  // "map[string]string", "*template.sample"
  Kind kind = Kind::kInvalid;
  const Type* element = nullptr;  // Of lists and maps.
  const Type* pointee = nullptr;  // Set: a pointer.
  // Of named lists and maps: the type without the name, to and from which it converts by itself.
  const Type* underlying = nullptr;
  std::map<std::string, Method, std::less<>> methods;
  // String() or Error(), which printing prefers.
  std::string (*to_string)(const Value& self) = nullptr;
};

namespace types {
const Type* Any();           // interface {}
const Type* ReflectValue();  // Parameters that take anything, even nothing.
const Type* Bool();
const Type* Int();
const Type* Int64();
const Type* Uint();
const Type* Uint8();
const Type* Uint64();
const Type* Float();
const Type* Complex();
const Type* String();
const Type* StringList();  // []string
const Type* AnyList();     // []interface {}
const Type* StringMap();   // map[string]string
const Type* AnyMap();      // map[string]interface {}
const Type* Function();
// Text that html/template trusts.
const Type* Html();      // template.HTML
const Type* HtmlAttr();  // template.HTMLAttr
const Type* Css();       // template.CSS
const Type* Js();        // template.JS
const Type* JsStr();     // template.JSStr
const Type* Url();       // template.URL
}  // namespace types

using List = std::vector<Value>;
using Map = std::map<std::string, Value, std::less<>>;

// Fields in order of declaration. Types of one's own derive from it and keep more.
struct Struct {
  virtual ~Struct() = default;
  std::vector<std::pair<std::string, Value>> fields;
};

struct Function {
  std::string name;
  std::vector<const Type*> parameters;
  bool variadic = false;
  std::function<Result<Value>(const Arguments& arguments)> call;
};
using FunctionMap = std::map<std::string, std::shared_ptr<const Function>, std::less<>>;

class Value {
 public:
  Value() = default;  // kInvalid.
  static Value Nil(const Type* type = types::Any());
  static Value Bool(bool v);
  static Value Int(int64_t v, const Type* type = types::Int());
  static Value Uint(uint64_t v, const Type* type = types::Uint());
  static Value Float(double v, const Type* type = types::Float());
  static Value Complex(std::complex<double> v);
  static Value String(std::string v, const Type* type = types::String());
  static Value MakeList(List v, const Type* type = types::AnyList());
  static Value MakeMap(Map v, const Type* type = types::AnyMap());
  // map[string]string
  static Value StringMap(const std::map<std::string, std::string>& v);
  static Value MakeStruct(std::shared_ptr<const Struct> v, const Type* type);
  static Value MakeFunction(std::shared_ptr<const Function> v);

  Kind kind() const { return kind_; }
  // Null only for kInvalid.
  const Type* type() const { return type_; }
  bool valid() const { return kind_ != Kind::kInvalid; }
  bool boxed() const { return boxed_; }
  bool is_pointer() const { return type_ != nullptr && type_->pointee != nullptr; }
  // In Go's spelling, as seen through an interface where the value is boxed.
  const std::string& TypeName() const;

  // Only of the right kind.
  bool bool_value() const { return std::get<bool>(data_); }
  int64_t int_value() const { return std::get<int64_t>(data_); }
  uint64_t uint_value() const { return std::get<uint64_t>(data_); }
  double float_value() const { return std::get<double>(data_); }
  std::complex<double> complex_value() const { return std::get<std::complex<double>>(data_); }
  const std::string& string_value() const { return std::get<std::string>(data_); }
  const List& list() const { return *std::get<std::shared_ptr<const List>>(data_); }
  const Map& map() const { return *std::get<std::shared_ptr<const Map>>(data_); }
  const std::shared_ptr<const Struct>& shared_struct() const {
    return std::get<std::shared_ptr<const Struct>>(data_);
  }
  template <typename T = Struct>
  const T& struct_as() const {
    return static_cast<const T&>(*shared_struct());
  }
  const Function& function() const { return *std::get<std::shared_ptr<const Function>>(data_); }

  // The same payload under another type, such as the pointee of a pointer.
  Value WithType(const Type* type) const;
  Value Boxed() const;
  // A nil interface becomes no value.
  Value Unboxed() const;
  // What a pointer points to; others as they are.
  Value Indirect() const { return is_pointer() ? WithType(type_->pointee) : Unboxed(); }

  // The element of a map or list as a slot of the element type holds it.
  Value Element(const Value& stored) const;
  // What an absent element counts as.
  Value ZeroElement() const { return Zero(type_->element); }
  static Value Zero(const Type* type);

  // Go's notion of truth: not the zero of its type, not empty.
  bool Truth() const;

 private:
  Kind kind_ = Kind::kInvalid;
  bool boxed_ = false;
  const Type* type_ = nullptr;
  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::complex<double>, std::string,
               std::shared_ptr<const List>, std::shared_ptr<const Map>,
               std::shared_ptr<const Struct>, std::shared_ptr<const Function>>
      data_;
};

// Whether a value of type `from` fits a slot of type `to` as it is.
bool IsAssignable(const Type* from, const Type* to);
// The method of the type, or of what it points to; null when there is none.
const Method* FindMethod(const Type* type, std::string_view name);

}  // namespace narthex::gotmpl
