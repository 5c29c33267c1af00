// Signing against the example of Amazon's documentation, and each source of credentials against a
// scripted network.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "net/aws_credentials.h"
#include "net/aws_profile.h"
#include "net/aws_signer.h"
#include "net/crypto.h"
#include "util/file.h"

namespace narthex::net {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Crypto, KnownAnswers) {
  EXPECT_EQ(HexEncode(Sha256("")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(HexEncode(HmacSha256("key", "The quick brown fox jumps over the lazy dog")),
            "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
  for (const auto& [plain, encoded] : std::map<std::string, std::string>{
           {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"\xfb\xff", "+/8="}}) {
    EXPECT_EQ(Base64Encode(plain), encoded);
    EXPECT_EQ(*Base64Decode(encoded), plain);
  }
  EXPECT_EQ(Base64UrlEncode("\xfb\xff"), "-_8");
  EXPECT_FALSE(Base64Decode("Zm9v!").ok());
  EXPECT_FALSE(Base64Decode("Zm9vZ").ok());
  EXPECT_TRUE(ConstantTimeEqual("abc", "abc"));
  EXPECT_FALSE(ConstantTimeEqual("abc", "abd"));
  EXPECT_FALSE(ConstantTimeEqual("abc", "ab"));
}

TEST(AwsSigner, SignsTheDocumentedExample) {
  const HeaderFields fields = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"},
                               {"User-Agent", "not signed"}};
  const Result<HeaderFields> added =
      SignAwsRequest("GET", "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
                     fields, "", {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", {}, 0},
                     {"us-east-1", "iam"}, 1440938160);
  ASSERT_TRUE(added.ok());
  EXPECT_EQ(added->at(0), std::pair(std::string("X-Amz-Date"), std::string("20150830T123600Z")));
  EXPECT_EQ(added->back().second,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date, "
            "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

TEST(AwsSigner, SignsBodyTokenAndPort) {
  const Result<HeaderFields> added =
      SignAwsRequest("POST", "http://h:8080/a%20b?z=1&a=%2F", {}, "body",
                     {"AK", "secret", "token", 0}, {"eu-west-1", "aps"}, 0);
  ASSERT_TRUE(added.ok());
  EXPECT_EQ(added->at(1).second, "token");
  EXPECT_THAT(added->back().second,
              HasSubstr("SignedHeaders=content-length;host;x-amz-date;x-amz-security-token,"));
  EXPECT_FALSE(SignAwsRequest("GET", "nonsense", {}, "", {}, {}, 0).ok());
}

TEST(AwsSigner, CleansPaths) {
  for (const auto& [url, clean] :
       std::map<std::string, std::string>{{"http://h", "http://h"},
                                          {"http://h/", "http://h/"},
                                          {"http://h//a/./b/../c/?q=//", "http://h/a/c/?q=//"},
                                          {"http://h/../..", "http://h/"}}) {
    EXPECT_EQ(*CleanAwsUrl(url), clean);
  }
}

TEST(AwsProfiles, ReadsBothFiles) {
  std::map<std::string, AwsProfile> profiles;
  AddAwsProfiles(
      "[default]\nregion = eu-west-1 # near\n[profile dev]\nrole_arn=arn:1\ns3 =\n  x = 1\n"
      "[sso-session s]\nregion = no\n",
      true, &profiles);
  AddAwsProfiles("; keys\n[dev]\nAWS_Access_Key_Id = A#B\nbroken line\n[open\nx = 1\n", false,
                 &profiles);
  EXPECT_EQ(profiles.size(), 2u);
  EXPECT_EQ(profiles["default"]["region"], "eu-west-1");
  EXPECT_EQ(profiles["dev"]["role_arn"], "arn:1");
  EXPECT_EQ(profiles["dev"]["aws_access_key_id"], "A#B");
  EXPECT_FALSE(profiles["dev"].contains("x"));
}

// Answers requests from a table of URL to answer and keeps what was asked.
class AwsSources : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.environment = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = environment_.find(name);
      if (found == environment_.end()) return std::nullopt;
      return found->second;
    };
    options_.unix_seconds = [this] { return now_; };
    options_.region = "eu-west-1";
    options_.metadata_endpoint = "http://imds";
    environment_["HOME"] = directory_.path();
  }

  std::string WriteFile(const std::string& name, std::string_view text) {
    const std::string path = directory_.path() + "/" + name;
    std::ofstream(path) << text;
    return path;
  }

  void Answer(const std::string& url, int status, std::string body) {
    HttpClientResponse response;
    response.status = status;
    response.status_text = fmt::format("{} {}", status, HttpStatusText(status));
    response.body = std::move(body);
    answers_[url] = std::move(response);
  }

  AwsFetch Fetch() {
    return [this](HttpClientRequest request, const HttpClient::Callback& done) {
      HttpClientResponse response;
      if (const auto found = answers_.find(request.url); found != answers_.end()) {
        response = found->second;
      } else {
        response.error = Status(ErrorCode::kIo, "no route to " + request.url);
      }
      asked_.push_back(std::move(request));
      done(std::move(response));
    };
  }

  Result<AwsCredentials> Get() {
    if (provider_ == nullptr) provider_ = MakeAwsCredentialsProvider(options_, Fetch());
    Result<AwsCredentials> result = Status(ErrorCode::kInternal, "not called");
    provider_->Get([&](Result<AwsCredentials> credentials) { result = std::move(credentials); });
    return result;
  }

  static std::string StsAnswer(const std::string& action) {
    return fmt::format(
        "<{0}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{0}Result><Credentials>"
        "<AccessKeyId>ROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
        "<SessionToken>t</SessionToken><Expiration>2020-01-01T00:15:00Z</Expiration>"
        "</Credentials></{0}Result></{0}Response>",
        action);
  }

  TemporaryDirectory directory_;
  AwsOptions options_;
  std::map<std::string, std::string> environment_;
  std::map<std::string, HttpClientResponse> answers_;
  std::vector<HttpClientRequest> asked_;
  int64_t now_ = 1577836800;  // 2020-01-01T00:00:00Z
  std::shared_ptr<AwsCredentialsProvider> provider_;
};

TEST_F(AwsSources, KeysThenEnvironmentThenProfile) {
  WriteFile("credentials",
            "[default]\naws_access_key_id=P\naws_secret_access_key=s\n"
            "[other]\naws_access_key_id=O\naws_secret_access_key=s\naws_session_token=t\n");
  environment_["AWS_SHARED_CREDENTIALS_FILE"] = directory_.path() + "/credentials";
  EXPECT_EQ(Get()->access_key, "P");
  environment_["AWS_ACCESS_KEY_ID"] = "E";
  environment_["AWS_SECRET_ACCESS_KEY"] = "s";
  provider_.reset();
  EXPECT_EQ(Get()->access_key, "E");
  options_.profile = "other";
  provider_.reset();
  EXPECT_EQ(Get()->access_key, "O");
  EXPECT_EQ(Get()->session_token, "t");
  options_.profile = "absent";
  provider_.reset();
  EXPECT_THAT(Get().status().message(), HasSubstr("failed to get shared config profile, absent"));
  options_.access_key = "K";
  options_.secret_key = "s";
  provider_.reset();
  EXPECT_EQ(Get()->access_key, "K");
  EXPECT_TRUE(asked_.empty());
}

TEST_F(AwsSources, AssumesRoleAndRenewsItInTime) {
  options_.access_key = "K";
  options_.secret_key = "s";
  options_.role_arn = "arn:aws:iam::1:role/r";
  options_.external_id = "ext";
  options_.tags = {{"team", "a b"}};
  Answer("https://sts.eu-west-1.amazonaws.com/", 200, StsAnswer("AssumeRole"));
  EXPECT_EQ(Get()->access_key, "ROLE");
  EXPECT_EQ(Get()->expires_unix_seconds, now_ + 900);
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_THAT(asked_[0].body, HasSubstr("Action=AssumeRole&DurationSeconds=900&ExternalId=ext"));
  EXPECT_THAT(asked_[0].body, HasSubstr("Tags.member.1.Key=team&Tags.member.1.Value=a+b"));
  EXPECT_THAT(asked_[0].headers.back().second, HasSubstr("Credential=K/20200101/eu-west-1/sts/"));
  now_ += 869;
  EXPECT_TRUE(Get().ok());
  EXPECT_EQ(asked_.size(), 1u);
  now_ += 1;
  EXPECT_TRUE(Get().ok());
  EXPECT_EQ(asked_.size(), 2u);
  Answer("https://sts.eu-west-1.amazonaws.com/", 403,
         "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error>"
         "</ErrorResponse>");
  EXPECT_EQ(Get().status().message(),
            "operation error STS: AssumeRole, api error AccessDenied: no");
  Answer("https://sts.eu-west-1.amazonaws.com/", 200, "<html>");
  EXPECT_THAT(Get().status().message(), HasSubstr("without credentials"));
}

TEST_F(AwsSources, NamesOtherStsHosts) {
  options_.access_key = "K";
  options_.secret_key = "s";
  options_.role_arn = "arn";
  options_.use_fips_sts_endpoint = true;
  EXPECT_THAT(Get().status().message(), HasSubstr("https://sts-fips.eu-west-1.amazonaws.com/"));
  options_.region = "cn-north-1";
  options_.use_fips_sts_endpoint = false;
  provider_.reset();
  EXPECT_THAT(Get().status().message(), HasSubstr("https://sts.cn-north-1.amazonaws.com.cn/"));
}

TEST_F(AwsSources, TradesWebIdentity) {
  environment_["AWS_WEB_IDENTITY_TOKEN_FILE"] = WriteFile("token", "jwt\n");
  EXPECT_THAT(Get().status().message(), HasSubstr("AWS_ROLE_ARN is not"));
  environment_["AWS_ROLE_ARN"] = "arn:web";
  environment_["AWS_ROLE_SESSION_NAME"] = "me";
  Answer("https://sts.eu-west-1.amazonaws.com/", 200, StsAnswer("AssumeRoleWithWebIdentity"));
  EXPECT_EQ(Get()->session_token, "t");
  EXPECT_EQ(asked_.back().body,
            "Action=AssumeRoleWithWebIdentity&RoleArn=arn%3Aweb&RoleSessionName=me&"
            "Version=2011-06-15&WebIdentityToken=jwt");
  EXPECT_EQ(asked_.back().headers.size(), 1u);  // Nothing to sign with.
}

TEST_F(AwsSources, FollowsProfileRoles) {
  environment_["AWS_CONFIG_FILE"] =
      WriteFile("config",
                "[profile a]\nrole_arn=arn:a\nsource_profile=b\n[profile b]\naws_access_key_id=B\n"
                "aws_secret_access_key=s\n[profile loop]\nrole_arn=arn:l\nsource_profile=loop\n"
                "[profile run]\ncredential_process=/bin/true\n[profile bare]\nrole_arn=arn:x\n");
  Answer("https://sts.eu-west-1.amazonaws.com/", 200, StsAnswer("AssumeRole"));
  const auto with = [&](const std::string& profile) {
    options_.profile = profile;
    provider_.reset();
    return Get();
  };
  EXPECT_EQ(with("a")->access_key, "ROLE");
  EXPECT_THAT(asked_.back().headers.back().second, HasSubstr("Credential=B/"));
  EXPECT_THAT(with("loop").status().message(), HasSubstr("too many roles in a row"));
  EXPECT_THAT(with("run").status().message(), HasSubstr("credential_process is not supported yet"));
  EXPECT_THAT(with("bare").status().message(), HasSubstr("needs source_profile"));
}

TEST_F(AwsSources, AsksContainerAndMachine) {
  const std::string answer =
      R"({"Code":"Success","AccessKeyId":"M","SecretAccessKey":"s","Token":"t",)"
      R"("Expiration":"2020-01-01T06:00:00Z"})";
  EXPECT_THAT(Get().status().message(), HasSubstr("no EC2 IMDS role found, no route to"));
  Answer("http://imds/latest/api/token", 200, "session");
  Answer("http://imds/latest/meta-data/iam/security-credentials/", 200, "web-role\n");
  Answer("http://imds/latest/meta-data/iam/security-credentials/web-role", 200, answer);
  EXPECT_EQ(Get()->access_key, "M");
  EXPECT_EQ(asked_.back().headers, (HeaderFields{{"X-aws-ec2-metadata-token", "session"}}));
  environment_["AWS_EC2_METADATA_DISABLED"] = "true";
  provider_.reset();
  EXPECT_THAT(Get().status().message(), HasSubstr("access disabled"));

  environment_["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/x";
  environment_["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "Basic y";
  Answer("http://169.254.170.2/v2/x", 200, answer);
  provider_.reset();
  EXPECT_EQ(Get()->session_token, "t");
  EXPECT_EQ(asked_.back().headers, (HeaderFields{{"Authorization", "Basic y"}}));
  for (const std::string bad : {"", "[]", "{}", R"({"Code":"Failed","Message":"m"})",
                                R"({"AccessKeyId":"A","SecretAccessKey":"s","Expiration":"?"})"}) {
    Answer("http://169.254.170.2/v2/x", 200, bad);
    provider_.reset();
    EXPECT_FALSE(Get().ok()) << bad;
  }
}

TEST_F(AwsSources, FindsRegion) {
  const auto region = [&] {
    Result<std::string> result = Status(ErrorCode::kInternal, "not called");
    MakeAwsCredentialsProvider(options_, Fetch())->GetRegion([&](Result<std::string> found) {
      result = std::move(found);
    });
    return result;
  };
  EXPECT_EQ(*region(), "eu-west-1");
  options_.region.clear();
  EXPECT_THAT(region().status().message(), HasSubstr("region not configured"));
  Answer("http://imds/latest/api/token", 404, "");
  Answer("http://imds/latest/dynamic/instance-identity/document", 200, R"({"region":"us-1"})");
  EXPECT_EQ(*region(), "us-1");
  EXPECT_TRUE(asked_.back().headers.empty());  // An old service without tokens.
  environment_["AWS_CONFIG_FILE"] = WriteFile("config", "[default]\nregion=p-1\n");
  EXPECT_EQ(*region(), "p-1");
  environment_["AWS_REGION"] = "e-1";
  EXPECT_EQ(*region(), "e-1");
}

}  // namespace
}  // namespace narthex::net
