// Tables of static, file, http and dns discovery.
#include "config/config.h"
#include "config/sd_schema.h"
#include "util/strings.h"

namespace narthex {

namespace {

Status Invalid(std::string text) {
  return Status(ErrorCode::kInvalidInput, std::move(text));
}

// A URL of the web with a host.
Status CheckWebUrl(std::string_view text) {
  if (text.empty()) return Invalid("URL is missing");
  NARTHEX_TRY(const Url url, Url::Parse(text));
  if (url.scheme != "http" && url.scheme != "https") {
    return Invalid("URL scheme must be 'http' or 'https'");
  }
  if (url.host.empty()) return Invalid("host is missing in URL");
  return {};
}

// Matches ^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$: a star only in the last part.
bool IsFileSdName(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return false;
  bool known = false;
  for (const std::string_view end : {"json", "yml", "yaml", "JSON", "YML", "YAML"}) {
    known = known || name.substr(dot + 1) == end;
  }
  const std::string_view stem = name.substr(0, dot);
  const size_t star = stem.find('*');
  return known &&
         (star == std::string_view::npos || stem.substr(star).find('/') == std::string_view::npos);
}

}  // namespace

// The element type has no name upstream, so messages spell it out.
template <>
struct Schema<StaticGroup> {
  static constexpr std::string_view kGoType =
      "struct { Targets []string \"yaml:\\\"targets\\\"\"; Labels model.LabelSet "
      "\"yaml:\\\"labels\\\"\" }";
  static constexpr Reset kReset = Reset::kZero;
  static FieldList Fields() {
    return {Field<&StaticGroup::targets>("targets"),
            Field<&StaticGroup::labels>("labels", kOmitEmpty, "model.LabelSet")};
  }
  static Status Check(StaticGroup& group) {
    for (const auto& [name, value] : group.labels) {
      if (name.empty() || !IsValidUtf8(name)) {
        return Invalid(GoQuote(name) + " is not a valid label name");
      }
    }
    return {};
  }
};

namespace {

// All groups of a section make one entry.
struct StaticListCodec {
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   void* out) {
    auto& entries = *static_cast<std::vector<SdConfig>*>(out);
    if (node.kind != YamlNode::Kind::kSequence) {
      decoder.AddMismatch(node, go_type);
      return false;
    }
    StaticSdConfig all;
    for (const YamlNode* child : node.children) {
      decoder.Visit(*child, [&](const YamlNode& at) {
        if (at.is_null()) {
          entries.push_back(SdConfig::MakeNull("static"));
          return true;
        }
        StaticGroup group;
        if (!Codec<StaticGroup>::Read(decoder, at, {}, group)) return false;
        all.groups.push_back(std::move(group));
        return true;
      });
    }
    if (!all.groups.empty()) entries.push_back(SdConfig::Make("static", std::move(all)));
    return !decoder.failed();
  }
  static YamlValue Print(const void* value, SecretPrint secrets) {
    YamlValue list = YamlValue::Sequence();
    for (const SdConfig& entry : *static_cast<const std::vector<SdConfig>*>(value)) {
      const auto* config = entry.As<StaticSdConfig>();
      if (config == nullptr) continue;
      for (const StaticGroup& group : config->groups) {
        list.Add(Codec<StaticGroup>::Print(group, secrets));
      }
    }
    return list;
  }
  static bool IsZero(const void* value) {
    for (const SdConfig& entry : *static_cast<const std::vector<SdConfig>*>(value)) {
      if (entry.mechanism() == "static") return false;
    }
    return true;
  }
  static void SetZero(void* value) {
    std::erase_if(*static_cast<std::vector<SdConfig>*>(value),
                  [](const SdConfig& entry) { return entry.mechanism() == "static"; });
  }
  static void SetDirectory(void*, std::string_view, bool) {}
};

// For fingerprints: what is behind a static entry, printed as its list.
YamlValue PrintStaticSection(const void* value, SecretPrint secrets) {
  return Codec<std::vector<StaticGroup>>::Print(static_cast<const StaticSdConfig*>(value)->groups,
                                                secrets);
}

SdMechanism StaticMechanism() {
  static const TypeOps list_ops = {StaticListCodec::Read,         StaticListCodec::Print,
                                   StaticListCodec::IsZero,       StaticListCodec::SetZero,
                                   StaticListCodec::SetDirectory, "[]*targetgroup.Group"};
  static const TypeOps section_ops = [] {
    TypeOps ops = list_ops;
    ops.print = PrintStaticSection;
    return ops;
  }();
  return {"static", "static_configs", &list_ops, &section_ops};
}

}  // namespace

template <>
struct Schema<DnsSdConfig> {
  static constexpr std::string_view kMechanism = "dns";
  static constexpr std::string_view kGoType = "dns.plain";
  static constexpr std::string_view kGoListType = "[]*dns.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return {Field<&DnsSdConfig::names>("names"),
            Field<&DnsSdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
            Field<&DnsSdConfig::type>("type"), Field<&DnsSdConfig::port>("port")};
  }
  static Status Check(DnsSdConfig& config) {
    if (config.names.empty()) {
      return Invalid("DNS-SD config must contain at least one SRV record name");
    }
    const std::string type = ToUpper(config.type);
    if (type == "SRV") return {};
    if (type != "A" && type != "AAAA" && type != "MX" && type != "NS") {
      return Invalid("invalid DNS-SD records type " + config.type);
    }
    if (config.port == 0) {
      return Invalid("a port is required in DNS-SD configs for all record types except SRV");
    }
    return {};
  }
};

template <>
struct Schema<FileSdConfig> {
  static constexpr std::string_view kMechanism = "file";
  static constexpr std::string_view kGoType = "file.plain";
  static constexpr std::string_view kGoListType = "[]*file.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return {Field<&FileSdConfig::files>("files", kPath),
            Field<&FileSdConfig::refresh_interval>("refresh_interval", kOmitEmpty)};
  }
  static Status Check(FileSdConfig& config) {
    if (config.files.empty()) {
      return Invalid("file service discovery config must contain at least one path name");
    }
    for (const std::string& name : config.files) {
      if (!IsFileSdName(name)) {
        return Invalid(fmt::format("path name {} is not valid for file discovery", GoQuote(name)));
      }
    }
    return {};
  }
};

template <>
struct Schema<HttpSdConfig> {
  static constexpr std::string_view kMechanism = "http";
  static constexpr std::string_view kGoType = "http.plain";
  static constexpr std::string_view kGoListType = "[]*http.SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Inline<&HttpSdConfig::http_client>(),
                  Field<&HttpSdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
                  Field<&HttpSdConfig::url>("url"));
  }
  static Status Check(HttpSdConfig& config) {
    NARTHEX_RETURN_IF_ERROR(CheckWebUrl(config.url));
    return config.http_client.Validate();
  }
};

Result<std::vector<StaticGroup>> ParseStaticGroups(std::string_view yaml) {
  std::vector<std::optional<StaticGroup>> read;
  NARTHEX_RETURN_IF_ERROR(ReadYaml(yaml, {}, read));
  std::vector<StaticGroup> groups;
  for (std::optional<StaticGroup>& group : read) {
    if (!group) return Invalid("nil target group item found");
    groups.push_back(*std::move(group));
  }
  return groups;
}

std::vector<SdMechanism> BasicSdMechanisms() {
  return {StaticMechanism(), MakeSdMechanism<DnsSdConfig>(), MakeSdMechanism<FileSdConfig>(),
          MakeSdMechanism<HttpSdConfig>()};
}

}  // namespace narthex
