#include "config/web_config.h"

#include <algorithm>
#include <array>
#include <optional>

#include "config/fields.h"
#include "config/http_client_schema.h"

namespace narthex {

namespace {

Status Invalid(std::string text) {
  return Status(ErrorCode::kInvalidInput, std::move(text));
}

constexpr std::array<std::string_view, 13> kCiphers = {
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
};
constexpr std::array<std::string_view, 4> kCurves = {"CurveP256", "CurveP384", "CurveP521",
                                                     "X25519"};

struct AllowedHeader {
  std::string_view name;
  std::vector<std::string> values;  // Empty: any.
};
const std::vector<AllowedHeader>& AllowedHeaders() {
  static const std::vector<AllowedHeader> headers = {
      {"Strict-Transport-Security", {}},
      {"X-Content-Type-Options", {"nosniff"}},
      {"X-Frame-Options", {"deny", "sameorigin"}},
      {"X-XSS-Protection", {}},
      {"Content-Security-Policy", {}},
  };
  return headers;
}

// %q of a list of strings.
std::string QuoteList(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ' ';
    out += GoQuote(text);
  }
  return out + "]";
}

Status CheckHeaders(const TextMap& headers) {
  for (const auto& [name, value] : headers) {
    const auto& allowed = AllowedHeaders();
    const auto found = std::find_if(allowed.begin(), allowed.end(),
                                    [&](const AllowedHeader& entry) { return entry.name == name; });
    if (found == allowed.end()) {
      return Invalid(fmt::format("HTTP header {} can not be configured", GoQuote(name)));
    }
    const auto& values = found->values;
    if (!values.empty() && std::find(values.begin(), values.end(), value) == values.end()) {
      return Invalid(fmt::format("invalid value for {}. Expected one of: {}, but got: {}", name,
                                 QuoteList(values), GoQuote(value)));
    }
  }
  return {};
}

// What bcrypt.Cost says of something that is no bcrypt hash.
Status CheckBcryptHash(std::string_view hash) {
  constexpr size_t kHashSizeMin = 59;
  if (hash.size() < kHashSizeMin) {
    return Invalid("crypto/bcrypt: hashedSecret too short to be a bcrypted password");
  }
  if (hash[0] != '$') {
    return Invalid(fmt::format(
        "crypto/bcrypt: bcrypt hashes must start with '$', but hashedSecret started with '{}'",
        hash[0]));
  }
  if (hash[1] > '2') {
    return Invalid(
        fmt::format("crypto/bcrypt: bcrypt algorithm version '{}' requested is newer than current "
                    "version '2'",
                    hash[1]));
  }
  const std::string_view cost_text = hash.substr(hash[2] == '$' ? 3 : 4, 2);
  const std::optional<int64_t> cost = ParseInt(cost_text);
  if (!cost) {
    return Invalid(fmt::format("strconv.Atoi: parsing {}: invalid syntax", GoQuote(cost_text)));
  }
  if (*cost < 4 || *cost > 31) {
    return Invalid(
        fmt::format("crypto/bcrypt: cost {} is outside allowed inclusive range 4..31", *cost));
  }
  return {};
}

// time.ParseDuration: "1h1.5s", "300ms".
std::optional<int64_t> ParseGoDuration(std::string_view text) {
  struct Unit {
    std::string_view name;
    double nanos;
  };
  static constexpr Unit kUnits[] = {{"ns", 1},  {"us", 1e3}, {"µs", 1e3},  {"ms", 1e6},
                                    {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text == "0") return 0;
  if (text.empty()) return std::nullopt;
  double total = 0;
  while (!text.empty()) {
    const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
    const std::optional<double> number = ParseFloat(text.substr(0, digits));
    if (digits == 0 || !number) return std::nullopt;
    text.remove_prefix(digits);
    const std::string_view name = text.substr(0, text.find_first_of("0123456789."));
    const auto* unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                    [&](const Unit& entry) { return entry.name == name; });
    if (unit == std::end(kUnits)) return std::nullopt;
    text.remove_prefix(name.size());
    total += *number * unit->nanos;
  }
  if (total >= 9.2e18) return std::nullopt;
  return static_cast<int64_t>(negative ? -total : total);
}

}  // namespace

// Go's own durations, or nanoseconds.
struct GoDuration {
  int64_t nanos = 0;
};

template <>
struct Codec<GoDuration> {
  static constexpr std::string_view kGoType = "time.Duration";
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   GoDuration& out) {
    if (node.is_scalar()) {
      if (const std::optional<int64_t> nanos = ParseGoDuration(node.value)) {
        out.nanos = *nanos;
        return true;
      }
    }
    return decoder.ReadInt(node, go_type, &out.nanos);
  }
  static YamlValue Print(GoDuration value, SecretPrint) {
    return YamlValue::Text(FormatGoDuration(value.nanos));
  }
  static bool IsZero(GoDuration value) { return value.nanos == 0; }
  static void SetZero(GoDuration& value) { value.nanos = 0; }
};

namespace {

// The file as it is read; WebConfig shows the interval as a number.
struct RateLimitSection {
  int64_t burst = 0;
  GoDuration interval;
};
struct WebConfigFile {
  TlsServerConfig tls_server_config;
  HttpServerConfig http_server_config;
  RateLimitSection rate_limit;
  std::map<std::string, Secret> basic_auth_users;
};

}  // namespace

template <>
struct Schema<TlsServerConfig> {
  using T = TlsServerConfig;
  static constexpr std::string_view kGoType = "web.TLSConfig";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields() {
    return {Field<&T::cert>("cert"),
            Field<&T::key>("key"),
            Field<&T::client_ca>("client_ca"),
            Field<&T::cert_file>("cert_file", kPath),
            Field<&T::key_file>("key_file", kPath),
            Field<&T::client_auth_type>("client_auth_type"),
            Field<&T::client_ca_file>("client_ca_file", kPath),
            Field<&T::cipher_suites>("cipher_suites", 0, "[]web.Cipher"),
            Field<&T::curve_preferences>("curve_preferences", 0, "[]web.Curve"),
            Field<&T::min_version>("min_version"),
            Field<&T::max_version>("max_version"),
            Field<&T::prefer_server_cipher_suites>("prefer_server_cipher_suites"),
            Field<&T::client_allowed_sans>("client_allowed_sans")};
  }
  static Status Check(T& config) {
    for (const std::string& cipher : config.cipher_suites) {
      if (std::find(kCiphers.begin(), kCiphers.end(), cipher) == kCiphers.end()) {
        return Invalid("unknown cipher: " + cipher);
      }
    }
    for (const std::string& curve : config.curve_preferences) {
      if (std::find(kCurves.begin(), kCurves.end(), curve) == kCurves.end()) {
        return Invalid("unknown curve: " + curve);
      }
    }
    return {};
  }
};

template <>
struct Schema<HttpServerConfig> {
  static constexpr std::string_view kGoType = "web.HTTPConfig";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields() {
    return {Field<&HttpServerConfig::http2>("http2"),
            Field<&HttpServerConfig::headers>("headers", kOmitEmpty)};
  }
};

template <>
struct Schema<RateLimitSection> {
  static constexpr std::string_view kGoType = "web.RateLimiterConfig";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields() {
    return {Field<&RateLimitSection::burst>("burst"),
            Field<&RateLimitSection::interval>("interval")};
  }
};

template <>
struct Schema<WebConfigFile> {
  static constexpr std::string_view kGoType = "web.Config";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields() {
    return {
        Field<&WebConfigFile::tls_server_config>("tls_server_config"),
        Field<&WebConfigFile::http_server_config>("http_server_config"),
        Field<&WebConfigFile::rate_limit>("rate_limit"),
        Field<&WebConfigFile::basic_auth_users>("basic_auth_users", 0, "map[string]config.Secret")};
  }
};

bool TlsServerConfig::is_enabled() const {
  return !cert_file.empty() || !cert.empty() || !key_file.empty() || !key.empty() ||
         !client_ca_file.empty() || !client_ca.empty() || !client_auth_type.empty();
}

Result<ClientAuthType> TlsServerConfig::ParseClientAuthType() const {
  const std::string& type = client_auth_type;
  if (type.empty() || type == "NoClientCert") return ClientAuthType::kNoClientCert;
  if (type == "RequestClientCert") return ClientAuthType::kRequestClientCert;
  if (type == "RequireAnyClientCert" || type == "RequireClientCert") {
    return ClientAuthType::kRequireAnyClientCert;
  }
  if (type == "VerifyClientCertIfGiven") return ClientAuthType::kVerifyClientCertIfGiven;
  if (type == "RequireAndVerifyClientCert") return ClientAuthType::kRequireAndVerifyClientCert;
  return Invalid("invalid ClientAuth: " + type);
}

Status TlsServerConfig::Validate() const {
  if (cert_file.empty() && cert.empty()) return Invalid("missing one of cert or cert_file");
  if (key_file.empty() && key.empty()) return Invalid("missing one of key or key_file");
  NARTHEX_TRY(const ClientAuthType type, ParseClientAuthType());
  if ((!client_ca_file.empty() || !client_ca.empty()) && type == ClientAuthType::kNoClientCert) {
    return Invalid("client CA's have been configured without a Client Auth Policy");
  }
  return {};
}

Status WebConfig::ValidateUsers() const {
  for (const auto& [user, hash] : basic_auth_users) {
    NARTHEX_RETURN_IF_ERROR(CheckBcryptHash(hash.value));
  }
  return {};
}

Result<WebConfig> ParseWebConfig(std::string_view yaml) {
  WebConfigFile file;
  NARTHEX_RETURN_IF_ERROR(ReadYaml(yaml, {}, file));
  NARTHEX_RETURN_IF_ERROR(CheckHeaders(file.http_server_config.headers));
  WebConfig config;
  config.tls_server_config = std::move(file.tls_server_config);
  config.http_server_config = std::move(file.http_server_config);
  config.rate_limit = {file.rate_limit.burst, file.rate_limit.interval.nanos};
  config.basic_auth_users = std::move(file.basic_auth_users);
  return config;
}

Result<WebConfig> LoadWebConfigFile(const std::string& path, FileSystem& files) {
  NARTHEX_TRY(const std::string text, files.ReadAll(path));
  NARTHEX_TRY(WebConfig config, ParseWebConfig(text));
  SetStructDirectory(FieldsOf<TlsServerConfig>(), &config.tls_server_config, DirName(path));
  return config;
}

}  // namespace narthex
