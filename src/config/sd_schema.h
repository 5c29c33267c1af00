// How lists of discovery entries are read and printed: one SdMechanism for each `*_sd_configs` key.
//
// All entries of a section, whatever their mechanism, end in one vector<SdConfig>; each key's
// operations touch only the entries of its own mechanism.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/fields.h"
#include "config/http_client_schema.h"
#include "config/sd_config.h"

namespace narthex {

struct SdMechanism {
  std::string_view name;       // "file"
  std::string key;             // "file_sd_configs"
  const TypeOps* list_ops;     // On std::vector<SdConfig>.
  const TypeOps* section_ops;  // On the struct behind an entry.
};

// In the order of their keys, which is the order in which they are printed.
const std::vector<SdMechanism>& SdMechanisms();
const SdMechanism* FindSdMechanism(std::string_view name);
// The keys of all mechanisms, for a section whose entries are at `offset`.
FieldList SdFields(size_t offset);
// Puts entries into the order of their keys, the static ones last. Error for a null entry:
// `empty or null section in file_sd_configs`.
Status FinishSdConfigs(std::vector<SdConfig>& configs);
void SetDirectory(std::vector<SdConfig>& configs, std::string_view directory);

// Each of these is a part of SdMechanisms().
std::vector<SdMechanism> BasicSdMechanisms();
std::vector<SdMechanism> AwsSdMechanisms();
std::vector<SdMechanism> CloudSdMechanisms();
std::vector<SdMechanism> PlatformSdMechanisms();

template <typename T>
struct SdListCodec {
  static constexpr std::string_view kMechanism = Schema<T>::kMechanism;

  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   void* out) {
    auto& entries = *static_cast<std::vector<SdConfig>*>(out);
    if (node.kind != YamlNode::Kind::kSequence) {
      decoder.AddMismatch(node, go_type);
      return false;
    }
    for (const YamlNode* child : node.children) {
      decoder.Visit(*child, [&](const YamlNode& at) {
        if (at.is_null()) {
          entries.push_back(SdConfig::MakeNull(kMechanism));
          return true;
        }
        T entry{};
        if (!Codec<T>::Read(decoder, at, {}, entry)) return false;
        entries.push_back(SdConfig::Make(kMechanism, std::move(entry)));
        return true;
      });
    }
    return !decoder.failed();
  }
  static YamlValue Print(const void* value, SecretPrint secrets) {
    YamlValue list = YamlValue::Sequence();
    for (const SdConfig& entry : *static_cast<const std::vector<SdConfig>*>(value)) {
      if (const T* config = entry.As<T>()) list.Add(Codec<T>::Print(*config, secrets));
    }
    return list;
  }
  static bool IsZero(const void* value) {
    for (const SdConfig& entry : *static_cast<const std::vector<SdConfig>*>(value)) {
      if (entry.mechanism() == kMechanism) return false;
    }
    return true;
  }
  static void SetZero(void* value) {
    std::erase_if(*static_cast<std::vector<SdConfig>*>(value),
                  [](const SdConfig& entry) { return entry.mechanism() == kMechanism; });
  }
  // Entries are shared and immutable, so changed ones are made anew.
  static void SetDirectory(void* value, std::string_view directory, bool) {
    for (SdConfig& entry : *static_cast<std::vector<SdConfig>*>(value)) {
      const T* config = entry.As<T>();
      if (config == nullptr) continue;
      T moved = *config;
      Codec<T>::SetDirectory(moved, directory, false);
      entry = SdConfig::Make(kMechanism, std::move(moved));
    }
  }
};

template <typename T>
SdMechanism MakeSdMechanism() {
  using List = SdListCodec<T>;
  static const TypeOps list_ops = {List::Read,    List::Print,        List::IsZero,
                                   List::SetZero, List::SetDirectory, Schema<T>::kGoListType};
  return {List::kMechanism, std::string(List::kMechanism) + "_sd_configs", &list_ops, &OpsOf<T>()};
}

}  // namespace narthex
