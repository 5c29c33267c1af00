// Sections of a configuration file as tables of fields.
//
// A section is a struct plus a Schema that lists its keys in the order in which they are printed.
// The table alone drives reading, the detection of unknown and repeated keys, null values, the
// printing, and the joining of relative file names:
//
//   template <>
//   struct Schema<DnsSdConfig> {
//     static constexpr std::string_view kGoType = "dns.plain";   // what error messages call it
//     static constexpr Reset kReset = Reset::kDefaults;
//     static FieldList Fields() {
//       return {Field<&DnsSdConfig::names>("names"),
//               Field<&DnsSdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
//               Field<&DnsSdConfig::type>("type"),
//               Field<&DnsSdConfig::port>("port")};
//     }
//     static Status Check(DnsSdConfig& config);                  // optional
//   };
//
// How a field is read and printed follows from its C++ type through Codec<type>. A struct with a
// Schema is itself such a type, so sections nest; Inline<&T::member>() splices the keys of a nested
// struct into the outer one.
//
// Semantics are those of Go's yaml library, since upstream's error texts depend on them: a null
// sets a field to zero (not to its default), a section's Check runs only when its keys were good,
// and the first failed Check ends everything.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/values.h"
#include "config/yaml_decode.h"
#include "config/yaml_node.h"
#include "config/yaml_print.h"
#include "util/numbers.h"
#include "util/status.h"
#include "util/strings.h"

namespace narthex {

enum class SecretPrint { kHide, kReveal };

// The operations on one C++ type, with its objects as void*.
struct TypeOps {
  bool (*read)(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type, void* out);
  YamlValue (*print)(const void* value, SecretPrint secrets);
  bool (*is_zero)(const void* value);
  void (*set_zero)(void* value);
  // Joins the file names below; `is_path` says that texts of this type are such names themselves.
  void (*set_directory)(void* value, std::string_view directory, bool is_path);
  std::string_view go_type;
};

// How a field is treated.
using FieldFlags = unsigned;
inline constexpr FieldFlags kOmitEmpty = 1;  // Not printed when zero.
inline constexpr FieldFlags kFlow = 2;       // A list printed as [a, b].
inline constexpr FieldFlags kPath = 4;       // File names, relative to the configuration file.

struct FieldSpec {
  std::string_view key;
  size_t offset = 0;
  const TypeOps* ops = nullptr;
  FieldFlags flags = 0;
  std::string_view go_type;
};
using FieldList = std::vector<FieldSpec>;

// What reading a section starts from.
enum class Reset {
  kKeep,      // What the outer section put there.
  kDefaults,  // T{}.
  kZero,      // Every field zero.
};

template <typename T>
struct Schema;  // Specialised for every section.

template <typename T>
concept HasSchema = requires { Schema<T>::Fields(); };
template <typename T>
concept HasCheck = requires(T& value) {
  { Schema<T>::Check(value) } -> std::same_as<Status>;
};

// What a table cannot say: a look at the node once its fields are read.
template <typename T>
concept HasAfterRead = requires(YamlDecoder& decoder, const YamlNode& node, T& value) {
  Schema<T>::AfterRead(decoder, node, value);
};

template <typename T>
struct Codec;  // Specialised for every type of field.

bool ReadStruct(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                const FieldList& fields, void* out);
YamlValue PrintStruct(const FieldList& fields, const void* value, SecretPrint secrets);
bool IsZeroStruct(const FieldList& fields, const void* value);
void SetZeroStruct(const FieldList& fields, void* value);
void SetStructDirectory(const FieldList& fields, void* value, std::string_view directory);
// Whether a mapping gives this key an empty list, which is not the same as leaving it out.
bool HasEmptyList(const YamlNode& mapping, std::string_view key);
// Reads `node` into `out`; a null makes it zero.
bool ReadValue(YamlDecoder& decoder, const YamlNode& node, const TypeOps& ops,
               std::string_view go_type, void* out);
// "config.Header" of "[]*config.Header".
std::string_view ElementGoType(std::string_view list_go_type);
// config.JoinDir: absolute and empty names stay.
std::string JoinDirectory(std::string_view directory, const std::string& path);

template <typename T>
const FieldList& FieldsOf() {
  static const FieldList fields = Schema<T>::Fields();
  return fields;
}

template <typename T>
const TypeOps& OpsOf() {
  static const TypeOps ops = {
      [](YamlDecoder& decoder, const YamlNode& node, std::string_view go_type, void* out) {
        return Codec<T>::Read(decoder, node, go_type, *static_cast<T*>(out));
      },
      [](const void* value, SecretPrint secrets) {
        return Codec<T>::Print(*static_cast<const T*>(value), secrets);
      },
      [](const void* value) { return Codec<T>::IsZero(*static_cast<const T*>(value)); },
      [](void* value) { Codec<T>::SetZero(*static_cast<T*>(value)); },
      [](void* value, std::string_view directory, bool is_path) {
        if constexpr (requires {
                        Codec<T>::SetDirectory(*static_cast<T*>(value), directory, is_path);
                      }) {
          Codec<T>::SetDirectory(*static_cast<T*>(value), directory, is_path);
        }
      },
      Codec<T>::kGoType};
  return ops;
}

namespace fields_internal {

template <typename M>
struct MemberTraits;
template <typename C, typename M>
struct MemberTraits<M C::*> {
  using Class = C;
  using Member = M;
};

template <auto kMember>
size_t OffsetOf() {
  using Class = typename MemberTraits<decltype(kMember)>::Class;
  static const Class sample{};
  return static_cast<size_t>(reinterpret_cast<const char*>(&(sample.*kMember)) -
                             reinterpret_cast<const char*>(&sample));
}

}  // namespace fields_internal

// One key. `go_type` is what messages call the type, where it is not the usual name.
template <auto kMember>
FieldSpec Field(std::string_view key, FieldFlags flags = 0, std::string_view go_type = {}) {
  using Member = typename fields_internal::MemberTraits<decltype(kMember)>::Member;
  const TypeOps& ops = OpsOf<Member>();
  return {key, fields_internal::OffsetOf<kMember>(), &ops, flags,
          go_type.empty() ? ops.go_type : go_type};
}

// The keys of a nested struct, as if they stood in the outer one.
template <auto kMember>
FieldList Inline() {
  using Member = typename fields_internal::MemberTraits<decltype(kMember)>::Member;
  FieldList fields = Schema<Member>::Fields();
  for (FieldSpec& field : fields) field.offset += fields_internal::OffsetOf<kMember>();
  return fields;
}

// Strings single keys and inlined structs together: Concat(Inline<&T::http>(), Field<…>("port")).
template <typename... Parts>
FieldList Concat(Parts&&... parts) {
  FieldList fields;
  const auto add = [&](auto&& part) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(part)>, FieldSpec>) {
      fields.push_back(part);
    } else {
      fields.insert(fields.end(), part.begin(), part.end());
    }
  };
  (add(std::forward<Parts>(parts)), ...);
  return fields;
}

// ---- Scalars ------------------------------------------------------------------------------------

template <>
struct Codec<std::string> {
  static constexpr std::string_view kGoType = "string";
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   std::string& out) {
    return decoder.ReadText(node, go_type, &out);
  }
  static YamlValue Print(const std::string& value, SecretPrint) { return YamlValue::Text(value); }
  static bool IsZero(const std::string& value) { return value.empty(); }
  static void SetZero(std::string& value) { value.clear(); }
  static void SetDirectory(std::string& value, std::string_view directory, bool is_path) {
    if (is_path) value = JoinDirectory(directory, value);
  }
};

template <>
struct Codec<bool> {
  static constexpr std::string_view kGoType = "bool";
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   bool& out) {
    return decoder.ReadBool(node, go_type, &out);
  }
  static YamlValue Print(bool value, SecretPrint) {
    return YamlValue::Verbatim(value ? "true" : "false");
  }
  static bool IsZero(bool value) { return !value; }
  static void SetZero(bool& value) { value = false; }
};

template <>
struct Codec<int64_t> {
  static constexpr std::string_view kGoType = "int";
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   int64_t& out) {
    return decoder.ReadInt(node, go_type, &out);
  }
  static YamlValue Print(int64_t value, SecretPrint) {
    return YamlValue::Verbatim(std::to_string(value));
  }
  static bool IsZero(int64_t value) { return value == 0; }
  static void SetZero(int64_t& value) { value = 0; }
};

template <>
struct Codec<uint64_t> {
  static constexpr std::string_view kGoType = "uint64";
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   uint64_t& out) {
    return decoder.ReadUint(node, go_type, &out);
  }
  static YamlValue Print(uint64_t value, SecretPrint) {
    return YamlValue::Verbatim(std::to_string(value));
  }
  static bool IsZero(uint64_t value) { return value == 0; }
  static void SetZero(uint64_t& value) { value = 0; }
};

template <>
struct Codec<double> {
  static constexpr std::string_view kGoType = "float64";
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   double& out) {
    return decoder.ReadFloat(node, go_type, &out);
  }
  static YamlValue Print(double value, SecretPrint);
  static bool IsZero(double value) { return value == 0; }
  static void SetZero(double& value) { value = 0; }
};

template <>
struct Codec<Duration> {
  static constexpr std::string_view kGoType = "string";
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   Duration& out);
  static YamlValue Print(Duration value, SecretPrint) { return YamlValue::Text(value.ToString()); }
  static bool IsZero(Duration value) { return value.nanos == 0; }
  static void SetZero(Duration& value) { value = {}; }
};

template <>
struct Codec<ByteSize> {
  static constexpr std::string_view kGoType = "units.Base2Bytes";
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   ByteSize& out);
  static YamlValue Print(ByteSize value, SecretPrint) { return YamlValue::Text(value.ToString()); }
  static bool IsZero(ByteSize value) { return value.bytes == 0; }
  static void SetZero(ByteSize& value) { value = {}; }
};

template <>
struct Codec<Secret> {
  static constexpr std::string_view kGoType = "config.plain";
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   Secret& out) {
    return decoder.ReadText(node, go_type, &out.value);
  }
  static YamlValue Print(const Secret& value, SecretPrint secrets) {
    if (value.empty()) return YamlValue::Null();
    return YamlValue::Text(secrets == SecretPrint::kReveal ? std::string_view(value.value)
                                                           : std::string_view("<secret>"));
  }
  static bool IsZero(const Secret& value) { return value.empty(); }
  static void SetZero(Secret& value) { value.value.clear(); }
};

// ---- Composites ---------------------------------------------------------------------------------

// A pointer in upstream's structs: missing and zero differ.
template <typename T>
struct Codec<std::optional<T>> {
  static constexpr std::string_view kGoType = Codec<T>::kGoType;
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   std::optional<T>& out) {
    if (!out) {
      out.emplace();
      Codec<T>::SetZero(*out);
    }
    return Codec<T>::Read(decoder, node, go_type, *out);
  }
  static YamlValue Print(const std::optional<T>& value, SecretPrint secrets) {
    return value ? Codec<T>::Print(*value, secrets) : YamlValue::Null();
  }
  static bool IsZero(const std::optional<T>& value) { return !value; }
  static void SetZero(std::optional<T>& value) { value.reset(); }
  static void SetDirectory(std::optional<T>& value, std::string_view directory, bool is_path) {
    if (value) OpsOf<T>().set_directory(&*value, directory, is_path);
  }
};

// Elements that cannot be read are left out (the reading fails in the end anyway). A null element
// is a zero one; where that is not allowed, the outer section's Check refuses it.
template <typename T>
struct Codec<std::vector<T>> {
  static constexpr std::string_view kGoType = Codec<T>::kGoType == "string" ? "[]string" : "[]";
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   std::vector<T>& out) {
    if (node.kind != YamlNode::Kind::kSequence) {
      decoder.AddMismatch(node, go_type);
      return false;
    }
    out.clear();
    for (const YamlNode* child : node.children) {
      T element{};
      Codec<T>::SetZero(element);
      if (ReadValue(decoder, *child, OpsOf<T>(), ElementGoType(go_type), &element)) {
        out.push_back(std::move(element));
      }
      if (decoder.failed()) return false;
    }
    return true;
  }
  static YamlValue Print(const std::vector<T>& value, SecretPrint secrets) {
    YamlValue list = YamlValue::Sequence();
    for (const T& element : value) list.Add(Codec<T>::Print(element, secrets));
    return list;
  }
  static bool IsZero(const std::vector<T>& value) { return value.empty(); }
  static void SetZero(std::vector<T>& value) { value.clear(); }
  static void SetDirectory(std::vector<T>& value, std::string_view directory, bool is_path) {
    for (T& element : value) OpsOf<T>().set_directory(&element, directory, is_path);
  }
};

template <typename T>
struct Codec<std::map<std::string, T>> {
  static constexpr std::string_view kGoType =
      Codec<T>::kGoType == "string" ? "map[string]string" : "map[string]";
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   std::map<std::string, T>& out) {
    if (node.kind != YamlNode::Kind::kMapping) {
      decoder.AddMismatch(node, go_type);
      return false;
    }
    decoder.ForEachPair(node, [&](const std::string& key, const YamlNode&,
                                  const YamlNode& value_node) {
      T value{};
      Codec<T>::SetZero(value);
      if (!ReadValue(decoder, value_node, OpsOf<T>(), ElementGoType(go_type), &value)) return;
      const bool unique = decoder.options().dialect == YamlDialect::kV2 && decoder.options().strict;
      if (unique && out.contains(key)) {
        decoder.AddError(value_node, "key " + GoQuote(key) + " already set in map");
        return;
      }
      out.insert_or_assign(key, std::move(value));
    });
    return !decoder.failed();
  }
  static YamlValue Print(const std::map<std::string, T>& value, SecretPrint secrets) {
    YamlValue mapping = YamlValue::Mapping();
    std::vector<const std::pair<const std::string, T>*> entries;
    for (const auto& entry : value) entries.push_back(&entry);
    std::sort(entries.begin(), entries.end(),
              [](const auto* a, const auto* b) { return YamlKeyLess(a->first, b->first); });
    for (const auto* entry : entries) {
      mapping.Add(entry->first, Codec<T>::Print(entry->second, secrets));
    }
    return mapping;
  }
  static bool IsZero(const std::map<std::string, T>& value) { return value.empty(); }
  static void SetZero(std::map<std::string, T>& value) { value.clear(); }
  static void SetDirectory(std::map<std::string, T>& value, std::string_view directory,
                           bool is_path) {
    for (auto& [key, element] : value) OpsOf<T>().set_directory(&element, directory, is_path);
  }
};

// A section.
template <HasSchema T>
struct Codec<T> {
  static constexpr std::string_view kGoType = Schema<T>::kGoType;
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view, T& out) {
    if constexpr (Schema<T>::kReset == Reset::kDefaults) {
      out = T{};
    } else if constexpr (Schema<T>::kReset == Reset::kZero) {
      SetZero(out);
    }
    const size_t errors_before = decoder.error_count();
    const bool good = ReadStruct(decoder, node, kGoType, FieldsOf<T>(), &out);
    if (decoder.failed() || !good || decoder.error_count() > errors_before) return false;
    if constexpr (HasAfterRead<T>) Schema<T>::AfterRead(decoder, node, out);
    if constexpr (HasCheck<T>) {
      if (Status checked = Schema<T>::Check(out); !checked.ok()) {
        decoder.Fail(std::move(checked));
        return false;
      }
    }
    return true;
  }
  static YamlValue Print(const T& value, SecretPrint secrets) {
    return PrintStruct(FieldsOf<T>(), &value, secrets);
  }
  static bool IsZero(const T& value) { return IsZeroStruct(FieldsOf<T>(), &value); }
  static void SetZero(T& value) { SetZeroStruct(FieldsOf<T>(), &value); }
  static void SetDirectory(T& value, std::string_view directory, bool) {
    SetStructDirectory(FieldsOf<T>(), &value, directory);
  }
};

// ---- Whole documents ----------------------------------------------------------------------------

// Reads a document into `out`, which keeps what it holds where the document is empty.
template <typename T>
Status ReadYaml(std::string_view yaml, YamlDecoder::Options options, T& out) {
  NARTHEX_TRY(const YamlDocument document, YamlDocument::Parse(yaml));
  if (document.root() == nullptr) return {};
  YamlDecoder decoder(options);
  // A document that is one null leaves everything zero; upstream's defaults stay in that case.
  if (!document.root()->is_null()) {
    ReadValue(decoder, *document.root(), OpsOf<T>(), Codec<T>::kGoType, &out);
  }
  return decoder.Finish();
}

template <typename T>
std::string PrintYaml(const T& value, SecretPrint secrets = SecretPrint::kHide) {
  return Codec<T>::Print(value, secrets).Print();
}

}  // namespace narthex
