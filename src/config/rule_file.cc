#include "config/rule_file.h"

#include <set>

#include "config/fields.h"

namespace narthex {

template <>
struct Schema<RuleConfig> {
  static constexpr std::string_view kGoType = "rulefmt.Rule";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields() {
    using T = RuleConfig;
    return {Field<&T::record>("record", kOmitEmpty),
            Field<&T::alert>("alert", kOmitEmpty),
            Field<&T::expr>("expr"),
            Field<&T::hold>("for", kOmitEmpty),
            Field<&T::keep_firing_for>("keep_firing_for", kOmitEmpty),
            Field<&T::labels>("labels", kOmitEmpty),
            Field<&T::annotations>("annotations", kOmitEmpty)};
  }
  static void AfterRead(YamlDecoder&, const YamlNode& node, RuleConfig& out) {
    for (size_t i = 0; i + 1 < node.children.size(); i += 2) {
      const std::string& key = node.children[i]->value;
      const YamlNode& value = *node.children[i + 1];
      const FilePosition position{value.line, value.column};
      if (key == "record") out.record_position = position;
      if (key == "alert") out.alert_position = position;
      if (key == "expr") out.expr_position = position;
    }
  }
};

template <>
struct Schema<RuleGroupConfig> {
  static constexpr std::string_view kGoType = "rulefmt.RuleGroup";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields() {
    using T = RuleGroupConfig;
    return {Field<&T::name>("name"),
            Field<&T::interval>("interval", kOmitEmpty),
            Field<&T::query_offset>("query_offset", kOmitEmpty),
            Field<&T::limit>("limit", kOmitEmpty),
            Field<&T::rules>("rules", 0, "[]rulefmt.Rule"),
            Field<&T::labels>("labels", kOmitEmpty)};
  }
};

template <>
struct Schema<RuleGroups> {
  static constexpr std::string_view kGoType = "rulefmt.RuleGroups";
  static constexpr Reset kReset = Reset::kKeep;
  static FieldList Fields() {
    return {Field<&RuleGroups::groups>("groups", 0, "[]rulefmt.RuleGroup")};
  }
};

namespace {

std::string At(FilePosition position) {
  return fmt::format("{}:{}: ", position.line, position.column);
}

// Collects what is wrong with one file.
class RuleChecker {
 public:
  RuleChecker(const std::string& file, const RuleFileOptions& options, std::vector<Status>& errors)
      : file_(file), options_(options), errors_(errors) {}

  void Check(const RuleGroups& groups) {
    std::set<std::string> names;
    for (const RuleGroupConfig& group : groups.groups) {
      // Upstream has no position of a group and says 0:0.
      if (group.name.empty()) Add("0:0: Groupname must not be empty");
      if (!names.insert(group.name).second) {
        Add(fmt::format("0:0: groupname: \"{}\" is repeated in the same file", group.name));
      }
      CheckLabels(group.labels, [&](std::string text) { Add(std::move(text)); });
      for (size_t i = 0; i < group.rules.size(); ++i) CheckRule(group, i);
    }
  }

 private:
  void Add(std::string text) {
    errors_.emplace_back(ErrorCode::kInvalidInput, file_ + ": " + std::move(text));
  }

  template <typename AddError>
  void CheckLabels(const TextMap& labels, const AddError& add) {
    for (const auto& [name, value] : labels) {
      if (!IsValidLabelName(options_.name_validation, name) || name == kMetricNameLabel) {
        add("invalid label name: " + name);
      }
      if (!IsValidUtf8(value)) add("invalid label value: " + value);
    }
  }

  void CheckRule(const RuleGroupConfig& group, size_t index) {
    const RuleConfig& rule = group.rules[index];
    const std::string who = fmt::format("group {}, rule {}, {}: ", GoQuote(group.name), index + 1,
                                        GoQuote(rule.name()));
    const auto add = [&](const std::string& text) { Add(who + text); };
    const auto add_at = [&](FilePosition position, std::string_view text) {
      Add(At(position) + who + std::string(text));
    };
    const std::string both = At(rule.record_position) + At(rule.alert_position);
    if (!rule.record.empty() && !rule.alert.empty()) {
      Add(both + who + "only one of 'record' and 'alert' must be set");
    }
    if (rule.record.empty() && rule.alert.empty()) {
      Add(both + who + "one of 'record' or 'alert' must be set");
    }
    if (rule.expr.empty()) {
      add_at(rule.expr_position, "field 'expr' must be set in rule");
    } else if (options_.check_expression) {
      if (const Status status = options_.check_expression(rule.expr); !status.ok()) {
        add_at(rule.expr_position, "could not parse expression: " + status.message());
      }
    }
    if (!rule.record.empty()) CheckRecord(rule, add_at);
    CheckLabels(rule.labels, add);
    for (const auto& [name, value] : rule.annotations) {
      if (!IsValidLabelName(options_.name_validation, name)) {
        add("invalid annotation name: " + name);
      }
    }
    if (!rule.alert.empty()) CheckTemplates(rule, add);
  }

  template <typename AddAt>
  void CheckRecord(const RuleConfig& rule, const AddAt& add_at) {
    const FilePosition at = rule.record_position;
    if (!rule.annotations.empty()) add_at(at, "invalid field 'annotations' in recording rule");
    if (rule.hold.nanos != 0) add_at(at, "invalid field 'for' in recording rule");
    if (rule.keep_firing_for.nanos != 0) {
      add_at(at, "invalid field 'keep_firing_for' in recording rule");
    }
    if (!IsValidMetricName(options_.name_validation, rule.record)) {
      add_at(at, "invalid recording rule name: " + rule.record);
    }
    if (rule.record.find_first_of("{}") != std::string::npos) {
      add_at(at,
             "braces present in the recording rule name; should it be in expr?: " + rule.record);
    }
  }

  template <typename AddError>
  void CheckTemplates(const RuleConfig& rule, const AddError& add) {
    if (!options_.check_template) return;
    const auto check = [&](std::string_view kind, const TextMap& texts) {
      for (const auto& [name, text] : texts) {
        const Status status = options_.check_template("__alert_" + rule.alert, text);
        if (!status.ok()) add(fmt::format("{} {}: {}", kind, GoQuote(name), status.message()));
      }
    };
    check("label", rule.labels);
    check("annotation", rule.annotations);
  }

  const std::string& file_;
  const RuleFileOptions& options_;
  std::vector<Status>& errors_;
};

Status ReadGroups(const YamlDocument& document, bool strict, RuleGroups& groups) {
  if (document.root() == nullptr) return {};
  YamlDecoder decoder({.dialect = YamlDialect::kV3, .strict = strict});
  ReadValue(decoder, *document.root(), OpsOf<RuleGroups>(), Schema<RuleGroups>::kGoType, &groups);
  return decoder.Finish();
}

}  // namespace

RuleFileResult ParseRuleFile(const std::string& file, std::string_view yaml,
                             const RuleFileOptions& options) {
  RuleFileResult result;
  const std::string prefix = file + ": ";
  Result<YamlDocument> document = YamlDocument::Parse(yaml);
  if (!document.ok()) {
    // Upstream reads every file twice, for positions, and reports what fails twice.
    result.errors.assign(2, document.status().WithPrefix(prefix));
    return result;
  }
  result.groups.has_second_document = document->has_second_document();
  Status strict = ReadGroups(*document, !options.ignore_unknown_fields, result.groups);
  if (!strict.ok()) result.errors.push_back(strict.WithPrefix(prefix));
  RuleGroups ignored;
  Status lenient = ReadGroups(*document, false, ignored);
  if (!lenient.ok()) result.errors.push_back(lenient.WithPrefix(prefix));
  if (result.errors.empty()) RuleChecker(file, options, result.errors).Check(result.groups);
  return result;
}

RuleFileResult LoadRuleFile(const std::string& path, const RuleFileOptions& options,
                            FileSystem& files) {
  Result<std::string> text = files.ReadAll(path);
  if (!text.ok()) {
    RuleFileResult result;
    result.errors.push_back(text.status().WithPrefix(path + ": "));
    return result;
  }
  return ParseRuleFile(path, *text, options);
}

}  // namespace narthex
