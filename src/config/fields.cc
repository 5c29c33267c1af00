#include "config/fields.h"

#include <cmath>

namespace narthex {

namespace {

void* At(void* object, size_t offset) {
  return static_cast<char*>(object) + offset;
}
const void* At(const void* object, size_t offset) {
  return static_cast<const char*>(object) + offset;
}

// path.Join of two: without doubled slashes, `.` and inner `..`.
std::string CleanPath(std::string_view path) {
  const bool rooted = path.starts_with('/');
  std::vector<std::string> parts;
  for (const std::string_view part : Split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!parts.empty() && parts.back() != "..") {
        parts.pop_back();
        continue;
      }
      if (rooted) continue;
    }
    parts.emplace_back(part);
  }
  const std::string joined = Join(parts, "/");
  if (rooted) return "/" + joined;
  return joined.empty() ? "." : joined;
}

}  // namespace

std::string JoinDirectory(std::string_view directory, const std::string& path) {
  if (path.empty() || path.front() == '/') return path;
  return directory.empty() ? CleanPath(path) : CleanPath(std::string(directory) + "/" + path);
}

std::string_view ElementGoType(std::string_view list_go_type) {
  const size_t bracket = list_go_type.find(']');
  if (bracket == std::string_view::npos) return {};
  std::string_view element = list_go_type.substr(bracket + 1);
  if (element.starts_with('*')) element.remove_prefix(1);
  return element;
}

bool HasEmptyList(const YamlNode& mapping, std::string_view key) {
  for (size_t i = 0; i + 1 < mapping.children.size(); i += 2) {
    const YamlNode* value = mapping.children[i + 1];
    if (value->kind == YamlNode::Kind::kAlias) value = value->alias;
    if (mapping.children[i]->value == key && value != nullptr &&
        value->kind == YamlNode::Kind::kSequence && value->children.empty()) {
      return true;
    }
  }
  return false;
}

bool ReadValue(YamlDecoder& decoder, const YamlNode& node, const TypeOps& ops,
               std::string_view go_type, void* out) {
  return decoder.Visit(node, [&](const YamlNode& at) {
    if (at.is_null()) {
      ops.set_zero(out);
      return true;
    }
    return ops.read(decoder, at, go_type.empty() ? ops.go_type : go_type, out);
  });
}

bool ReadStruct(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                const FieldList& fields, void* out) {
  if (node.kind != YamlNode::Kind::kMapping) {
    decoder.AddMismatch(node, go_type);
    return false;
  }
  // What the section says itself must not repeat; what it merges may be said again.
  std::vector<bool> seen(fields.size(), false);
  const int own_depth = decoder.merge_depth();
  const bool v2 = decoder.options().dialect == YamlDialect::kV2;
  decoder.ForEachPair(node, [&](const std::string& key, const YamlNode& key_node,
                                const YamlNode& value) {
    size_t index = 0;
    while (index < fields.size() && fields[index].key != key) ++index;
    if (index == fields.size()) {
      if (decoder.options().strict) {
        decoder.AddError(key_node, fmt::format("field {} not found in type {}", key, go_type));
      }
      return;
    }
    if (v2 && decoder.options().strict && decoder.merge_depth() == own_depth) {
      if (seen[index]) {
        decoder.AddError(key_node, fmt::format("field {} already set in type {}", key, go_type));
        return;
      }
      seen[index] = true;
    }
    const FieldSpec& field = fields[index];
    ReadValue(decoder, value, *field.ops, field.go_type, At(out, field.offset));
  });
  return !decoder.failed();
}

YamlValue PrintStruct(const FieldList& fields, const void* value, SecretPrint secrets) {
  YamlValue mapping = YamlValue::Mapping();
  for (const FieldSpec& field : fields) {
    const void* member = At(value, field.offset);
    if ((field.flags & kOmitEmpty) != 0 && field.ops->is_zero(member)) continue;
    YamlValue printed = field.ops->print(member, secrets);
    if ((field.flags & kFlow) != 0) printed.set_flow();
    mapping.Add(std::string(field.key), std::move(printed));
  }
  return mapping;
}

bool IsZeroStruct(const FieldList& fields, const void* value) {
  for (const FieldSpec& field : fields) {
    if (!field.ops->is_zero(At(value, field.offset))) return false;
  }
  return true;
}

void SetZeroStruct(const FieldList& fields, void* value) {
  for (const FieldSpec& field : fields) field.ops->set_zero(At(value, field.offset));
}

void SetStructDirectory(const FieldList& fields, void* value, std::string_view directory) {
  for (const FieldSpec& field : fields) {
    field.ops->set_directory(At(value, field.offset), directory, (field.flags & kPath) != 0);
  }
}

YamlValue Codec<double>::Print(double value, SecretPrint) {
  if (std::isnan(value)) return YamlValue::Verbatim(".nan");
  if (std::isinf(value)) return YamlValue::Verbatim(value > 0 ? ".inf" : "-.inf");
  return YamlValue::Verbatim(FormatFloatG(value));
}

bool Codec<Duration>::Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                           Duration& out) {
  std::string text;
  if (!decoder.ReadText(node, go_type, &text)) return false;
  const Result<int64_t> nanos = ParseDuration(text);
  if (!nanos.ok()) {
    decoder.Fail(nanos.status());
    return false;
  }
  out.nanos = *nanos;
  return true;
}

bool Codec<ByteSize>::Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                           ByteSize& out) {
  if (!node.is_scalar()) {
    decoder.AddMismatch(node, go_type);
    return false;
  }
  // Whatever the scalar looks like, its text is taken.
  const Result<ByteSize> size = ByteSize::Parse(node.value);
  if (!size.ok()) {
    decoder.Fail(size.status());
    return false;
  }
  out = *size;
  return true;
}

}  // namespace narthex
