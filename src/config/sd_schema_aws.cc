// Tables of the discovery of Amazon services.
#include "config/sd_mechanisms.h"
#include "config/sd_schema.h"
#include "util/strings.h"

namespace narthex {

namespace {

Status Invalid(std::string text) {
  return Status(ErrorCode::kInvalidInput, std::move(text));
}

}  // namespace

template <>
struct Schema<AwsFilter> {
  static constexpr std::string_view kGoType = "aws.Filter";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields() {
    return {Field<&AwsFilter::name>("name"), Field<&AwsFilter::values>("values")};
  }
};

template <>
struct Schema<AwsSdConfig> {
  static constexpr std::string_view kMechanism = "aws";
  static constexpr std::string_view kGoType = "aws.plain";
  static constexpr std::string_view kGoListType = "[]*aws.SDConfig";
  static constexpr Reset kReset = Reset::kZero;
  static FieldList Fields() {
    return Concat(
        Field<&AwsSdConfig::role>("role"), Field<&AwsSdConfig::region>("region", kOmitEmpty),
        Field<&AwsSdConfig::endpoint>("endpoint", kOmitEmpty),
        Field<&AwsSdConfig::access_key>("access_key", kOmitEmpty),
        Field<&AwsSdConfig::secret_key>("secret_key", kOmitEmpty),
        Field<&AwsSdConfig::profile>("profile", kOmitEmpty),
        Field<&AwsSdConfig::role_arn>("role_arn", kOmitEmpty),
        Field<&AwsSdConfig::external_id>("external_id", kOmitEmpty),
        Field<&AwsSdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
        Field<&AwsSdConfig::port>("port", kOmitEmpty), Inline<&AwsSdConfig::http_client>(),
        Field<&AwsSdConfig::filters>("filters", kOmitEmpty, "[]*aws.Filter"),
        Field<&AwsSdConfig::clusters>("clusters", kOmitEmpty));
  }
  static Status Check(AwsSdConfig& config) {
    for (const std::string_view role : {"ec2", "ecs", "elasticache", "lightsail", "msk", "rds"}) {
      if (config.role == role) return {};
    }
    return Invalid("unknown AWS SD role " + GoQuote(config.role));
  }
};

template <>
struct Schema<Ec2SdConfig> {
  static constexpr std::string_view kMechanism = "ec2";
  static constexpr std::string_view kGoType = "aws.plain";
  static constexpr std::string_view kGoListType = "[]*aws.EC2SDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Field<&Ec2SdConfig::endpoint>("endpoint"), Field<&Ec2SdConfig::region>("region"),
                  Field<&Ec2SdConfig::access_key>("access_key", kOmitEmpty),
                  Field<&Ec2SdConfig::secret_key>("secret_key", kOmitEmpty),
                  Field<&Ec2SdConfig::profile>("profile", kOmitEmpty),
                  Field<&Ec2SdConfig::role_arn>("role_arn", kOmitEmpty),
                  Field<&Ec2SdConfig::external_id>("external_id", kOmitEmpty),
                  Field<&Ec2SdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
                  Field<&Ec2SdConfig::port>("port"),
                  Field<&Ec2SdConfig::filters>("filters", 0, "[]*aws.Filter"),
                  Inline<&Ec2SdConfig::http_client>());
  }
  static Status Check(Ec2SdConfig& config) {
    for (const AwsFilter& filter : config.filters) {
      if (filter.values.empty()) {
        return Invalid("EC2 SD configuration filter values cannot be empty");
      }
    }
    return config.http_client.Validate();
  }
};

template <>
struct Schema<EcsSdConfig> {
  static constexpr std::string_view kMechanism = "ecs";
  static constexpr std::string_view kGoType = "aws.plain";
  static constexpr std::string_view kGoListType = "[]*aws.ECSSDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Field<&EcsSdConfig::region>("region"), Field<&EcsSdConfig::endpoint>("endpoint"),
                  Field<&EcsSdConfig::access_key>("access_key", kOmitEmpty),
                  Field<&EcsSdConfig::secret_key>("secret_key", kOmitEmpty),
                  Field<&EcsSdConfig::profile>("profile", kOmitEmpty),
                  Field<&EcsSdConfig::role_arn>("role_arn", kOmitEmpty),
                  Field<&EcsSdConfig::external_id>("external_id", kOmitEmpty),
                  Field<&EcsSdConfig::clusters>("clusters", kOmitEmpty),
                  Field<&EcsSdConfig::port>("port"),
                  Field<&EcsSdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
                  Field<&EcsSdConfig::request_concurrency>("request_concurrency", kOmitEmpty),
                  Inline<&EcsSdConfig::http_client>());
  }
  static Status Check(EcsSdConfig& config) {
    if (config.request_concurrency <= 0) {
      return Invalid(fmt::format("ecs_sd: request_concurrency must be positive, got {}",
                                 config.request_concurrency));
    }
    return config.http_client.Validate();
  }
};

template <>
struct Schema<ElasticacheSdConfig> {
  static constexpr std::string_view kMechanism = "elasticache";
  static constexpr std::string_view kGoType = "aws.plain";
  static constexpr std::string_view kGoListType = "[]*aws.ElasticacheSDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(
        Field<&ElasticacheSdConfig::region>("region"),
        Field<&ElasticacheSdConfig::endpoint>("endpoint"),
        Field<&ElasticacheSdConfig::access_key>("access_key", kOmitEmpty),
        Field<&ElasticacheSdConfig::secret_key>("secret_key", kOmitEmpty),
        Field<&ElasticacheSdConfig::profile>("profile", kOmitEmpty),
        Field<&ElasticacheSdConfig::role_arn>("role_arn", kOmitEmpty),
        Field<&ElasticacheSdConfig::external_id>("external_id", kOmitEmpty),
        Field<&ElasticacheSdConfig::clusters>("clusters", kOmitEmpty),
        Field<&ElasticacheSdConfig::port>("port"),
        Field<&ElasticacheSdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
        Field<&ElasticacheSdConfig::request_concurrency>("request_concurrency", kOmitEmpty),
        Inline<&ElasticacheSdConfig::http_client>());
  }
  static Status Check(ElasticacheSdConfig& config) {
    if (config.request_concurrency <= 0) {
      return Invalid(fmt::format("elasticache_sd: request_concurrency must be positive, got {}",
                                 config.request_concurrency));
    }
    return config.http_client.Validate();
  }
};

template <>
struct Schema<LightsailSdConfig> {
  static constexpr std::string_view kMechanism = "lightsail";
  static constexpr std::string_view kGoType = "aws.plain";
  static constexpr std::string_view kGoListType = "[]*aws.LightsailSDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Field<&LightsailSdConfig::endpoint>("endpoint"),
                  Field<&LightsailSdConfig::region>("region"),
                  Field<&LightsailSdConfig::access_key>("access_key", kOmitEmpty),
                  Field<&LightsailSdConfig::secret_key>("secret_key", kOmitEmpty),
                  Field<&LightsailSdConfig::profile>("profile", kOmitEmpty),
                  Field<&LightsailSdConfig::role_arn>("role_arn", kOmitEmpty),
                  Field<&LightsailSdConfig::external_id>("external_id", kOmitEmpty),
                  Field<&LightsailSdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
                  Field<&LightsailSdConfig::port>("port"),
                  Inline<&LightsailSdConfig::http_client>());
  }
  static Status Check(LightsailSdConfig& config) { return config.http_client.Validate(); }
};

template <>
struct Schema<MskSdConfig> {
  static constexpr std::string_view kMechanism = "msk";
  static constexpr std::string_view kGoType = "aws.plain";
  static constexpr std::string_view kGoListType = "[]*aws.MSKSDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Field<&MskSdConfig::region>("region"), Field<&MskSdConfig::endpoint>("endpoint"),
                  Field<&MskSdConfig::access_key>("access_key", kOmitEmpty),
                  Field<&MskSdConfig::secret_key>("secret_key", kOmitEmpty),
                  Field<&MskSdConfig::profile>("profile", kOmitEmpty),
                  Field<&MskSdConfig::role_arn>("role_arn", kOmitEmpty),
                  Field<&MskSdConfig::external_id>("external_id", kOmitEmpty),
                  Field<&MskSdConfig::clusters>("clusters", kOmitEmpty),
                  Field<&MskSdConfig::port>("port"),
                  Field<&MskSdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
                  Field<&MskSdConfig::request_concurrency>("request_concurrency", kOmitEmpty),
                  Inline<&MskSdConfig::http_client>());
  }
  static Status Check(MskSdConfig& config) {
    if (config.request_concurrency <= 0) {
      return Invalid(fmt::format("msk_sd: request_concurrency must be positive, got {}",
                                 config.request_concurrency));
    }
    return config.http_client.Validate();
  }
};

template <>
struct Schema<RdsSdConfig> {
  static constexpr std::string_view kMechanism = "rds";
  static constexpr std::string_view kGoType = "aws.plain";
  static constexpr std::string_view kGoListType = "[]*aws.RDSSDConfig";
  static constexpr Reset kReset = Reset::kDefaults;
  static FieldList Fields() {
    return Concat(Field<&RdsSdConfig::region>("region"), Field<&RdsSdConfig::endpoint>("endpoint"),
                  Field<&RdsSdConfig::access_key>("access_key", kOmitEmpty),
                  Field<&RdsSdConfig::secret_key>("secret_key", kOmitEmpty),
                  Field<&RdsSdConfig::profile>("profile", kOmitEmpty),
                  Field<&RdsSdConfig::role_arn>("role_arn", kOmitEmpty),
                  Field<&RdsSdConfig::external_id>("external_id", kOmitEmpty),
                  Field<&RdsSdConfig::clusters>("clusters", kOmitEmpty),
                  Field<&RdsSdConfig::port>("port"),
                  Field<&RdsSdConfig::refresh_interval>("refresh_interval", kOmitEmpty),
                  Field<&RdsSdConfig::filters>("filters", 0, "[]*aws.Filter"),
                  Field<&RdsSdConfig::request_concurrency>("request_concurrency", kOmitEmpty),
                  Inline<&RdsSdConfig::http_client>());
  }
  static Status Check(RdsSdConfig& config) {
    if (config.request_concurrency <= 0) {
      return Invalid(fmt::format("rds_sd: request_concurrency must be positive, got {}",
                                 config.request_concurrency));
    }
    return config.http_client.Validate();
  }
};

std::vector<SdMechanism> AwsSdMechanisms() {
  return {MakeSdMechanism<AwsSdConfig>(),       MakeSdMechanism<Ec2SdConfig>(),
          MakeSdMechanism<EcsSdConfig>(),       MakeSdMechanism<ElasticacheSdConfig>(),
          MakeSdMechanism<LightsailSdConfig>(), MakeSdMechanism<MskSdConfig>(),
          MakeSdMechanism<RdsSdConfig>()};
}

}  // namespace narthex
