#include "apps/tool_test_file.h"

#include <algorithm>

#include "apps/tool.h"
#include "config/fields.h"

namespace narthex {

using apps::AlertTest;
using apps::ExpectedAlert;
using apps::ExpectedSample;
using apps::ExprTest;
using apps::InputSeries;
using apps::RuleTestFile;
using apps::RuleTestGroup;
using apps::TestStart;

template <>
struct Codec<TestStart> {
  static constexpr std::string_view kGoType = "string";
  static bool Read(YamlDecoder& decoder, const YamlNode& node, std::string_view go_type,
                   TestStart& out) {
    std::string text;
    if (!decoder.ReadText(node, go_type, &text)) return false;
    Result<int64_t> time = apps::ParseToolTime(text);
    if (!time.ok()) {
      decoder.Fail(std::move(time).status());
      return false;
    }
    out.ms = *time;
    return true;
  }
  static YamlValue Print(TestStart value, SecretPrint) {
    return YamlValue::Verbatim(std::to_string(value.ms));
  }
  static bool IsZero(TestStart value) { return value.ms == 0; }
  static void SetZero(TestStart& value) { value = {}; }
};

template <>
struct Schema<InputSeries> {
  static constexpr std::string_view kGoType = "main.series";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields() {
    return {Field<&InputSeries::series>("series"), Field<&InputSeries::values>("values")};
  }
};

template <>
struct Schema<ExpectedAlert> {
  static constexpr std::string_view kGoType = "main.alert";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields() {
    return {Field<&ExpectedAlert::labels>("exp_labels"),
            Field<&ExpectedAlert::annotations>("exp_annotations")};
  }
};

template <>
struct Schema<AlertTest> {
  static constexpr std::string_view kGoType = "main.alertTestCase";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields() {
    return {Field<&AlertTest::eval_time>("eval_time"), Field<&AlertTest::alertname>("alertname"),
            Field<&AlertTest::alerts>("exp_alerts", 0, "[]main.alert")};
  }
};

template <>
struct Schema<ExpectedSample> {
  static constexpr std::string_view kGoType = "main.sample";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields() {
    return {Field<&ExpectedSample::labels>("labels"), Field<&ExpectedSample::value>("value"),
            Field<&ExpectedSample::histogram>("histogram")};
  }
};

template <>
struct Schema<ExprTest> {
  static constexpr std::string_view kGoType = "main.promqlTestCase";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields() {
    return {Field<&ExprTest::expr>("expr"), Field<&ExprTest::eval_time>("eval_time"),
            Field<&ExprTest::samples>("exp_samples", 0, "[]main.sample")};
  }
};

template <>
struct Schema<RuleTestGroup> {
  static constexpr std::string_view kGoType = "main.testGroup";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields() {
    using T = RuleTestGroup;
    return {Field<&T::interval>("interval"),
            Field<&T::input_series>("input_series", 0, "[]main.series"),
            Field<&T::alert_tests>("alert_rule_test", 0, "[]main.alertTestCase"),
            Field<&T::expr_tests>("promql_expr_test", 0, "[]main.promqlTestCase"),
            Field<&T::external_labels>("external_labels"),
            Field<&T::external_url>("external_url"),
            Field<&T::name>("name"),
            Field<&T::start>("start_timestamp")};
  }
};

template <>
struct Schema<RuleTestFile> {
  static constexpr std::string_view kGoType = "main.unitTestFile";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields() {
    using T = RuleTestFile;
    return {Field<&T::rule_files>("rule_files"),
            Field<&T::evaluation_interval>("evaluation_interval"),
            Field<&T::group_eval_order>("group_eval_order"),
            Field<&T::tests>("tests", 0, "[]main.testGroup"),
            Field<&T::fuzzy_compare>("fuzzy_compare")};
  }
};

namespace apps {

int64_t RuleTestGroup::LastEvalNanos() const {
  int64_t last = 0;
  for (const AlertTest& test : alert_tests) last = std::max(last, test.eval_time.nanos);
  for (const ExprTest& test : expr_tests) last = std::max(last, test.eval_time.nanos);
  return last;
}

Result<RuleTestFile> ParseRuleTestFile(std::string_view yaml) {
  RuleTestFile file;
  NARTHEX_RETURN_IF_ERROR(ReadYaml(yaml, {}, file));
  return file;
}

}  // namespace apps
}  // namespace narthex
