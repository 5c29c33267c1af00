#include "net/aws_credentials.h"

#include <cstdlib>
#include <ctime>
#include <map>
#include <mutex>
#include <pugixml.hpp>

#include "net/aws_profile.h"
#include "net/url.h"
#include "util/file.h"
#include "util/json_reader.h"
#include "util/strings.h"
#include "util/time.h"

namespace narthex::net {
namespace {

using CredentialsDone = std::function<void(Result<AwsCredentials>)>;
using TextDone = std::function<void(Result<std::string>)>;

constexpr int64_t kRenewBeforeSeconds = 30;
constexpr int64_t kRoleSeconds = 900;
constexpr int64_t kMetadataTimeoutNanos = 2'000'000'000;
constexpr int64_t kStsTimeoutNanos = 30'000'000'000;
constexpr size_t kAnswerBytesMax = 1 << 20;
constexpr size_t kFileBytesMax = 1 << 20;
constexpr int kProfileDepthMax = 5;  // Of roles that are taken with another profile's role.
constexpr std::string_view kContainerHost = "http://169.254.170.2";

Result<std::string> ReadSmallFile(const std::string& path) {
  NARTHEX_TRY(std::string text, FileSystem::Posix().ReadAll(path));
  if (text.size() > kFileBytesMax) {
    return MakeError(ErrorCode::kLimitExceeded, "{} is larger than {} bytes", path, kFileBytesMax);
  }
  return text;
}

Result<json::object> AnswerObject(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) {
    return Status(ErrorCode::kInvalidInput, "the answer is not a JSON object");
  }
  return std::move(value.get_object());
}

Result<int64_t> ParseExpiry(const std::string& text) {
  if (text.empty()) return int64_t{0};
  NARTHEX_TRY(const int64_t nanos, ParseRfc3339(text));
  return nanos / 1'000'000'000;
}

// The metadata service and the container's agent answer alike.
Result<AwsCredentials> ParseJsonCredentials(std::string_view text) {
  NARTHEX_TRY(const json::object object, AnswerObject(text));
  const std::string code = Text(object, "Code");
  if (!code.empty() && code != "Success") {
    return MakeError(ErrorCode::kIo, "{}: {}", code, Text(object, "Message"));
  }
  AwsCredentials credentials;
  credentials.access_key = Text(object, "AccessKeyId");
  credentials.secret_key = Text(object, "SecretAccessKey");
  credentials.session_token = Text(object, "Token");
  if (credentials.access_key.empty() || credentials.secret_key.empty()) {
    return Status(ErrorCode::kInvalidInput, "the answer holds no credentials");
  }
  NARTHEX_TRY(credentials.expires_unix_seconds, ParseExpiry(Text(object, "Expiration")));
  return credentials;
}

// What STS answers to AssumeRole and AssumeRoleWithWebIdentity.
Result<AwsCredentials> ParseStsAnswer(const HttpClientResponse& response) {
  pugi::xml_document document;
  const bool parsed = static_cast<bool>(
      document.load_buffer(response.body.data(), response.body.size(), pugi::parse_default));
  if (response.status / 100 != 2) {
    const pugi::xml_node error = document.first_child().child("Error");
    const std::string code = error.child_value("Code");
    if (code.empty()) return MakeError(ErrorCode::kIo, "STS answered {}", response.status_text);
    return MakeError(ErrorCode::kIo, "api error {}: {}", code, error.child_value("Message"));
  }
  pugi::xml_node found;
  if (parsed) {
    // <AssumeRoleResponse><AssumeRoleResult><Credentials>…
    for (const pugi::xml_node result : document.first_child().children()) {
      if (const pugi::xml_node child = result.child("Credentials")) found = child;
    }
  }
  AwsCredentials credentials;
  credentials.access_key = found.child_value("AccessKeyId");
  credentials.secret_key = found.child_value("SecretAccessKey");
  credentials.session_token = found.child_value("SessionToken");
  if (credentials.access_key.empty() || credentials.secret_key.empty()) {
    return Status(ErrorCode::kInvalidInput, "STS answered without credentials");
  }
  NARTHEX_TRY(credentials.expires_unix_seconds, ParseExpiry(found.child_value("Expiration")));
  return credentials;
}

struct Role {
  std::string arn;
  std::string session_name;
  std::string external_id;
  std::vector<std::pair<std::string, std::string>> tags;
};

std::string StsHost(const std::string& region, bool fips) {
  return fmt::format("https://{}.{}.amazonaws.com{}", fips ? "sts-fips" : "sts", region,
                     region.starts_with("cn-") ? ".cn" : "");
}

class Provider : public AwsCredentialsProvider, public std::enable_shared_from_this<Provider> {
 public:
  Provider(AwsOptions options, AwsFetch fetch)
      : options_(std::move(options)), fetch_(std::move(fetch)) {
    if (!options_.environment) {
      options_.environment = [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        return value == nullptr ? std::nullopt : std::optional<std::string>(value);
      };
    }
    if (!options_.unix_seconds) {
      options_.unix_seconds = [] { return static_cast<int64_t>(std::time(nullptr)); };
    }
    if (options_.metadata_endpoint.empty()) {
      options_.metadata_endpoint = Environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    }
    if (options_.metadata_endpoint.empty()) options_.metadata_endpoint = "http://169.254.169.254";
    while (options_.metadata_endpoint.ends_with('/')) options_.metadata_endpoint.pop_back();
  }

  void Get(CredentialsDone done) override {
    {
      std::unique_lock lock(mutex_);
      const int64_t expiry = cached_ ? cached_->expires_unix_seconds : 0;
      if (cached_ && (expiry == 0 || expiry - kRenewBeforeSeconds > options_.unix_seconds())) {
        const AwsCredentials credentials = *cached_;
        lock.unlock();
        done(credentials);
        return;
      }
      waiting_.push_back(std::move(done));
      if (waiting_.size() > 1) return;
    }
    Resolve([self = shared_from_this()](Result<AwsCredentials> result) {
      std::vector<CredentialsDone> waiting;
      {
        const std::lock_guard lock(self->mutex_);
        self->cached_.reset();
        if (result.ok()) self->cached_ = *result;
        waiting.swap(self->waiting_);
      }
      for (const CredentialsDone& waiter : waiting) waiter(result);
    });
  }

  void GetRegion(TextDone done) override {
    const std::string region = ConfiguredRegion();
    if (!region.empty()) {
      done(region);
      return;
    }
    Metadata("/latest/dynamic/instance-identity/document",
             [done = std::move(done)](Result<std::string> document) {
               std::string found;
               if (document.ok()) {
                 const Result<json::object> object = AnswerObject(*document);
                 if (object.ok()) found = Text(*object, "region");
               }
               if (found.empty()) {
                 done(Status(ErrorCode::kNotFound,
                             "region not configured in sigv4 or in default credentials chain"));
               } else {
                 done(std::move(found));
               }
             });
  }

 private:
  std::string Environment(const std::string& name) const {
    return options_.environment(name).value_or("");
  }

  std::string ProfileName() const {
    if (!options_.profile.empty()) return options_.profile;
    std::string name = Environment("AWS_PROFILE");
    if (name.empty()) name = Environment("AWS_DEFAULT_PROFILE");
    return name.empty() ? "default" : name;
  }

  // Files that are not there hold no profiles.
  std::map<std::string, AwsProfile> ReadProfiles() const {
    std::map<std::string, AwsProfile> profiles;
    const auto add = [&](const std::string& variable, const std::string& file, bool is_config) {
      std::string path = Environment(variable);
      if (path.empty()) path = Environment("HOME") + "/.aws/" + file;
      const Result<std::string> text = ReadSmallFile(path);
      if (text.ok()) AddAwsProfiles(*text, is_config, &profiles);
    };
    add("AWS_CONFIG_FILE", "config", true);
    add("AWS_SHARED_CREDENTIALS_FILE", "credentials", false);
    return profiles;
  }

  std::string ConfiguredRegion() const {
    if (!options_.region.empty()) return options_.region;
    for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
      if (std::string region = Environment(name); !region.empty()) return region;
    }
    auto profiles = ReadProfiles();
    return profiles[ProfileName()]["region"];
  }

  void Resolve(CredentialsDone done) {
    if (options_.role_arn.empty()) {
      ResolveBase(std::move(done));
      return;
    }
    ResolveBase([self = shared_from_this(), done = std::move(done)](Result<AwsCredentials> base) {
      if (!base.ok()) {
        done(base.status());
        return;
      }
      const AwsOptions& options = self->options_;
      self->AssumeRole({options.role_arn, options.session_name, options.external_id, options.tags},
                       *base, done);
    });
  }

  void ResolveBase(CredentialsDone done) {
    if (!options_.access_key.empty() && !options_.secret_key.empty()) {
      done(AwsCredentials{options_.access_key, options_.secret_key, {}, 0});
      return;
    }
    if (options_.profile.empty()) {
      if (const std::optional<AwsCredentials> found = FromEnvironment()) {
        done(*found);
        return;
      }
      const std::string token_file = Environment("AWS_WEB_IDENTITY_TOKEN_FILE");
      if (!token_file.empty()) {
        AssumeWebIdentity(
            {Environment("AWS_ROLE_ARN"), Environment("AWS_ROLE_SESSION_NAME"), {}, {}}, token_file,
            std::move(done));
        return;
      }
    }
    FromProfile(std::make_shared<const std::map<std::string, AwsProfile>>(ReadProfiles()),
                ProfileName(), 0, std::move(done));
  }

  std::optional<AwsCredentials> FromEnvironment() const {
    AwsCredentials credentials;
    credentials.access_key = Environment("AWS_ACCESS_KEY_ID");
    if (credentials.access_key.empty()) credentials.access_key = Environment("AWS_ACCESS_KEY");
    credentials.secret_key = Environment("AWS_SECRET_ACCESS_KEY");
    if (credentials.secret_key.empty()) credentials.secret_key = Environment("AWS_SECRET_KEY");
    if (credentials.access_key.empty() || credentials.secret_key.empty()) return std::nullopt;
    credentials.session_token = Environment("AWS_SESSION_TOKEN");
    return credentials;
  }

  void FromProfile(std::shared_ptr<const std::map<std::string, AwsProfile>> profiles,
                   const std::string& name, int depth, CredentialsDone done) {
    const auto entry = profiles->find(name);
    if (entry == profiles->end()) {
      // Only a profile that somebody named has to be there.
      if (depth > 0 || !options_.profile.empty() || name != "default") {
        done(MakeError(ErrorCode::kNotFound, "failed to get shared config profile, {}", name));
      } else {
        FromSurroundings(std::move(done));
      }
      return;
    }
    const AwsProfile& profile = entry->second;
    const auto get = [&](const std::string& key) {
      const auto found = profile.find(key);
      return found == profile.end() ? std::string() : found->second;
    };
    const Role role{get("role_arn"), get("role_session_name"), get("external_id"), {}};
    const bool has_keys =
        !get("aws_access_key_id").empty() && !get("aws_secret_access_key").empty();
    const AwsCredentials keys{get("aws_access_key_id"), get("aws_secret_access_key"),
                              get("aws_session_token"), 0};
    if (!role.arn.empty()) {
      if (depth >= kProfileDepthMax) {
        done(MakeError(ErrorCode::kInvalidInput, "profile {}: too many roles in a row", name));
        return;
      }
      if (const std::string file = get("web_identity_token_file"); !file.empty()) {
        AssumeWebIdentity(role, file, std::move(done));
        return;
      }
      CredentialsDone assume = [self = shared_from_this(), role,
                                done = std::move(done)](Result<AwsCredentials> base) {
        if (base.ok()) {
          self->AssumeRole(role, *base, done);
        } else {
          done(base.status());
        }
      };
      const std::string source = get("source_profile");
      const std::string kind = get("credential_source");
      if (source == name && has_keys) {
        assume(keys);
      } else if (!source.empty()) {
        FromProfile(profiles, source, depth + 1, std::move(assume));
      } else if (kind == "Environment") {
        const std::optional<AwsCredentials> found = FromEnvironment();
        assume(found ? Result<AwsCredentials>(*found)
                     : Result<AwsCredentials>(
                           Status(ErrorCode::kNotFound, "no credentials in the environment")));
      } else if (kind == "Ec2InstanceMetadata") {
        FromMetadata(std::move(assume));
      } else if (kind == "EcsContainer") {
        FromContainer(std::move(assume));
      } else {
        assume(MakeError(ErrorCode::kInvalidInput,
                         "profile {}: role_arn needs source_profile or credential_source", name));
      }
      return;
    }
    if (has_keys) {
      done(keys);
      return;
    }
    for (const char* key : {"credential_process", "sso_session", "sso_start_url"}) {
      if (get(key).empty()) continue;
      done(MakeError(ErrorCode::kUnsupported, "profile {}: {} is not supported yet", name, key));
      return;
    }
    FromSurroundings(std::move(done));
  }

  // No configuration names credentials: the container or the machine may have a role.
  void FromSurroundings(CredentialsDone done) {
    if (!Environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").empty() ||
        !Environment("AWS_CONTAINER_CREDENTIALS_FULL_URI").empty()) {
      FromContainer(std::move(done));
    } else {
      FromMetadata(std::move(done));
    }
  }

  void FromContainer(CredentialsDone done) {
    HttpClientRequest request;
    const std::string relative = Environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    request.url = relative.empty() ? Environment("AWS_CONTAINER_CREDENTIALS_FULL_URI")
                                   : std::string(kContainerHost) + relative;
    std::string token = Environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (const std::string file = Environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        !file.empty()) {
      Result<std::string> text = ReadSmallFile(file);
      if (!text.ok()) {
        done(text.status().WithPrefix("failed to read authorization token from file: "));
        return;
      }
      token = TrimSpace(*text);
    }
    if (!token.empty()) request.headers.emplace_back("Authorization", token);
    request.timeout_nanos = kMetadataTimeoutNanos;
    Ask(std::move(request), [done = std::move(done)](Result<std::string> body) {
      done(body.ok() ? ParseJsonCredentials(*body) : Result<AwsCredentials>(body.status()));
    });
  }

  void FromMetadata(CredentialsDone done) {
    static const std::string kRoles = "/latest/meta-data/iam/security-credentials/";
    Metadata(kRoles, [self = shared_from_this(), done = std::move(done)](Result<std::string> text) {
      const std::string role = text.ok() ? std::string(TrimSpace(Split(*text, '\n')[0])) : "";
      if (role.empty()) {
        done(MakeError(ErrorCode::kNotFound, "no EC2 IMDS role found, {}",
                       text.ok() ? "the machine has none" : text.status().message()));
        return;
      }
      self->Metadata(kRoles + role, [done](Result<std::string> body) {
        done(body.ok() ? ParseJsonCredentials(*body) : Result<AwsCredentials>(body.status()));
      });
    });
  }

  // A page of the metadata service. Version 2 wants a session token first; where the service is so
  // old that it knows none, the page is asked for without.
  void Metadata(const std::string& path, TextDone done) {
    if (ToLower(Environment("AWS_EC2_METADATA_DISABLED")) == "true") {
      done(Status(ErrorCode::kNotFound,
                  "access disabled to EC2 IMDS via client option, or "
                  "\"AWS_EC2_METADATA_DISABLED\" environment variable"));
      return;
    }
    HttpClientRequest request;
    request.method = "PUT";
    request.url = options_.metadata_endpoint + "/latest/api/token";
    request.headers = {{"X-aws-ec2-metadata-token-ttl-seconds", "300"}};
    request.timeout_nanos = kMetadataTimeoutNanos;
    request.body_bytes_max = kAnswerBytesMax;
    fetch_(std::move(request), [self = shared_from_this(), path,
                                done = std::move(done)](HttpClientResponse response) {
      if (!response.error.ok()) {
        done(response.error);
        return;
      }
      HttpClientRequest page;
      page.url = self->options_.metadata_endpoint + path;
      page.timeout_nanos = kMetadataTimeoutNanos;
      if (response.status == 200) {
        page.headers.emplace_back("X-aws-ec2-metadata-token", TrimSpace(response.body));
      } else if (response.status != 403 && response.status != 404 && response.status != 405) {
        done(MakeError(ErrorCode::kIo, "metadata token: {}", response.status_text));
        return;
      }
      self->Ask(std::move(page), done);
    });
  }

  void AssumeRole(const Role& role, const AwsCredentials& base, CredentialsDone done) {
    FormValues form;
    form.Add("DurationSeconds", std::to_string(kRoleSeconds));
    if (!role.external_id.empty()) form.Add("ExternalId", role.external_id);
    for (size_t i = 0; i < role.tags.size(); ++i) {
      form.Add(fmt::format("Tags.member.{}.Key", i + 1), role.tags[i].first);
      form.Add(fmt::format("Tags.member.{}.Value", i + 1), role.tags[i].second);
    }
    AskSts("AssumeRole", role, std::move(form), base, std::move(done));
  }

  void AssumeWebIdentity(const Role& role, const std::string& token_file, CredentialsDone done) {
    if (role.arn.empty()) {
      done(Status(ErrorCode::kInvalidInput,
                  "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not"));
      return;
    }
    Result<std::string> token = ReadSmallFile(token_file);
    if (!token.ok()) {
      done(token.status().WithPrefix("failed to retrieve jwt from provide source, "));
      return;
    }
    FormValues form;
    form.Add("WebIdentityToken", std::string(TrimSpace(*token)));
    AskSts("AssumeRoleWithWebIdentity", role, std::move(form), std::nullopt, std::move(done));
  }

  void AskSts(const std::string& action, const Role& role, FormValues form,
              std::optional<AwsCredentials> signer, CredentialsDone done) {
    form.Add("Action", action);
    form.Add("Version", "2011-06-15");
    form.Add("RoleArn", role.arn);
    form.Add("RoleSessionName", role.session_name.empty()
                                    ? std::to_string(options_.unix_seconds()) + "000000000"
                                    : role.session_name);
    GetRegion([self = shared_from_this(), action, body = form.Encode(), signer = std::move(signer),
               done = std::move(done)](Result<std::string> region) {
      if (!region.ok()) {
        done(region.status());
        return;
      }
      HttpClientRequest request;
      request.method = "POST";
      std::string endpoint = self->options_.sts_endpoint;
      for (const char* name : {"AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"}) {
        if (endpoint.empty()) endpoint = self->Environment(name);
      }
      if (endpoint.empty()) endpoint = StsHost(*region, self->options_.use_fips_sts_endpoint);
      while (endpoint.ends_with('/')) endpoint.pop_back();
      request.url = endpoint + "/";
      request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
      request.body = body;
      request.timeout_nanos = kStsTimeoutNanos;
      request.body_bytes_max = kAnswerBytesMax;
      if (signer) {
        Result<HeaderFields> added =
            SignAwsRequest(request.method, request.url, request.headers, request.body, *signer,
                           {*region, "sts"}, self->options_.unix_seconds());
        if (!added.ok()) {
          done(added.status());
          return;
        }
        request.headers.insert(request.headers.end(), added->begin(), added->end());
      }
      self->fetch_(std::move(request), [action, done](const HttpClientResponse& response) {
        Result<AwsCredentials> result =
            response.error.ok() ? ParseStsAnswer(response) : Result<AwsCredentials>(response.error);
        if (result.ok()) {
          done(std::move(result));
        } else {
          done(result.status().WithPrefix(fmt::format("operation error STS: {}, ", action)));
        }
      });
    });
  }

  // The body of a 2xx answer.
  void Ask(HttpClientRequest request, TextDone done) {
    request.body_bytes_max = kAnswerBytesMax;
    const std::string url = request.url;
    fetch_(std::move(request), [url, done = std::move(done)](HttpClientResponse response) {
      if (!response.error.ok()) {
        done(response.error);
      } else if (response.status / 100 != 2) {
        done(MakeError(ErrorCode::kIo, "{} answered {}", url, response.status_text));
      } else {
        done(std::move(response.body));
      }
    });
  }

  AwsOptions options_;
  const AwsFetch fetch_;
  std::mutex mutex_;
  std::optional<AwsCredentials> cached_;
  std::vector<CredentialsDone> waiting_;
};

}  // namespace

std::shared_ptr<AwsCredentialsProvider> MakeAwsCredentialsProvider(AwsOptions options,
                                                                   AwsFetch fetch) {
  return std::make_shared<Provider>(std::move(options), std::move(fetch));
}

}  // namespace narthex::net
