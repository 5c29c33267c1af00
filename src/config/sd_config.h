// One entry of a `*_sd_configs` list (or all `static_configs` of a job) in its parsed form.
//
// The type of the struct behind an entry follows from the mechanism; sd_mechanisms.h declares them
// all. Whoever implements a mechanism asks for its struct:
//
//   if (const FileSdConfig* config = entry.As<FileSdConfig>()) …
//
// Entries are immutable and shared: copying a configuration copies pointers.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <typeindex>
#include <typeinfo>
#include <vector>

#include "config/http_client_config.h"
#include "config/values.h"

namespace narthex {

class SdConfig {
 public:
  SdConfig() = default;
  // Made by the reader and by tests: SdConfig::Make("file", FileSdConfig{…}).
  template <typename T>
  static SdConfig Make(std::string_view mechanism, T config);

  // Stands for a null in a list until the section is checked.
  static SdConfig MakeNull(std::string_view mechanism) {
    SdConfig made;
    made.mechanism_ = mechanism;
    return made;
  }

  // "file", "http", "kubernetes", …; "static".
  std::string_view mechanism() const { return mechanism_; }
  template <typename T>
  const T* As() const {
    return type_ == std::type_index(typeid(T)) ? static_cast<const T*>(config_.get()) : nullptr;
  }
  // Everything in it, secrets too, as text: two entries are the same configuration exactly when
  // these are equal. Not for people's eyes.
  std::string Fingerprint() const;

  bool is_null() const { return config_ == nullptr; }
  const void* raw() const { return config_.get(); }
  friend bool operator==(const SdConfig& a, const SdConfig& b) {
    return a.mechanism_ == b.mechanism_ && a.Fingerprint() == b.Fingerprint();
  }

 private:
  std::string_view mechanism_;
  std::shared_ptr<const void> config_;
  std::type_index type_ = std::type_index(typeid(void));
};

template <typename T>
SdConfig SdConfig::Make(std::string_view mechanism, T config) {
  SdConfig made;
  made.mechanism_ = mechanism;
  made.config_ = std::make_shared<const T>(std::move(config));
  made.type_ = std::type_index(typeid(T));
  return made;
}

// One element of static_configs.
struct StaticGroup {
  std::vector<std::string> targets;
  TextMap labels;
  friend bool operator==(const StaticGroup&, const StaticGroup&) = default;
};
struct StaticSdConfig {
  std::vector<StaticGroup> groups;
};

struct FileSdConfig {
  std::vector<std::string> files;
  Duration refresh_interval = Minutes(5);
};

struct HttpSdConfig {
  HttpClientConfig http_client;
  Duration refresh_interval = Seconds(60);
  std::string url;
};

struct DnsSdConfig {
  std::vector<std::string> names;
  Duration refresh_interval = Seconds(30);
  std::string type = "SRV";  // As written; compare without case.
  int64_t port = 0;
};

// Names of all mechanisms that a configuration may name, sorted: "aws", "azure", … "vultr".
const std::vector<std::string>& SdMechanismNames();

}  // namespace narthex
