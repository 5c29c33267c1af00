#include "config/sd_schema.h"

#include <algorithm>

namespace narthex {

const std::vector<SdMechanism>& SdMechanisms() {
  static const std::vector<SdMechanism> mechanisms = [] {
    std::vector<SdMechanism> all;
    for (std::vector<SdMechanism>& part : std::vector<std::vector<SdMechanism>>{
             BasicSdMechanisms(), AwsSdMechanisms(), CloudSdMechanisms(), PlatformSdMechanisms()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    std::sort(all.begin(), all.end(),
              [](const SdMechanism& a, const SdMechanism& b) { return a.key < b.key; });
    return all;
  }();
  return mechanisms;
}

const SdMechanism* FindSdMechanism(std::string_view name) {
  for (const SdMechanism& mechanism : SdMechanisms()) {
    if (mechanism.name == name) return &mechanism;
  }
  return nullptr;
}

const std::vector<std::string>& SdMechanismNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const SdMechanism& mechanism : SdMechanisms()) all.emplace_back(mechanism.name);
    std::sort(all.begin(), all.end());
    return all;
  }();
  return names;
}

FieldList SdFields(size_t offset) {
  FieldList fields;
  for (const SdMechanism& mechanism : SdMechanisms()) {
    fields.push_back(
        {mechanism.key, offset, mechanism.list_ops, kOmitEmpty, mechanism.list_ops->go_type});
  }
  return fields;
}

Status FinishSdConfigs(std::vector<SdConfig>& configs) {
  std::vector<SdConfig> ordered;
  std::vector<SdConfig> static_ones;
  for (const SdMechanism& mechanism : SdMechanisms()) {
    for (const SdConfig& config : configs) {
      if (config.mechanism() != mechanism.name) continue;
      if (config.is_null()) {
        return MakeError(ErrorCode::kInvalidInput, "empty or null section in {}", mechanism.key);
      }
      (mechanism.name == "static" ? static_ones : ordered).push_back(config);
    }
  }
  ordered.insert(ordered.end(), static_ones.begin(), static_ones.end());
  configs = std::move(ordered);
  return {};
}

void SetDirectory(std::vector<SdConfig>& configs, std::string_view directory) {
  for (const SdMechanism& mechanism : SdMechanisms()) {
    mechanism.list_ops->set_directory(&configs, directory, false);
  }
}

std::string SdConfig::Fingerprint() const {
  const SdMechanism* mechanism = FindSdMechanism(mechanism_);
  if (mechanism == nullptr || is_null()) return std::string(mechanism_);
  return std::string(mechanism_) + "\n" +
         mechanism->section_ops->print(config_.get(), SecretPrint::kReveal).Print();
}

}  // namespace narthex
