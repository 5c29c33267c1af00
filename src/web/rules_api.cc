// Rules and alerts (parity/api.md section 6).
#include <openssl/sha.h>

#include <algorithm>

#include "util/numbers.h"
#include "util/strings.h"
#include "web/api.h"
#include "web/json_writer.h"
#include "web/params.h"

namespace narthex::web {
namespace {

std::string FormatTime(int64_t nanos) {
  return nanos == 0 ? "0001-01-01T00:00:00Z" : FormatRfc3339Nano(nanos);
}

void WriteAlert(JsonWriter& json, const AlertView& alert) {
  json.BeginObject();
  json.Key("labels").LabelObject(alert.labels);
  json.Key("annotations").LabelObject(alert.annotations);
  json.Key("state").String(alert.state);
  json.Key("activeAt").String(FormatTime(alert.active_at_nanos));
  if (alert.keep_firing_since_nanos) {
    json.Key("keepFiringSince").String(FormatTime(*alert.keep_firing_since_nanos));
  }
  json.Key("value").String(FormatFloatE(alert.value));
  json.EndObject();
}

void WriteRule(JsonWriter& json, const RuleView& rule, bool exclude_alerts) {
  json.BeginObject();
  if (rule.alerting) {
    json.Key("state").String(rule.state);
    json.Key("name").String(rule.name);
    json.Key("query").String(rule.query);
    json.Key("duration").Double(rule.duration_seconds);
    json.Key("keepFiringFor").Double(rule.keep_firing_for_seconds);
    json.Key("labels").LabelObject(rule.labels);
    json.Key("annotations").LabelObject(rule.annotations);
    json.Key("alerts");
    if (exclude_alerts) {
      json.Null();
    } else {
      json.BeginArray();
      for (const AlertView& alert : rule.alerts) WriteAlert(json, alert);
      json.EndArray();
    }
  } else {
    json.Key("name").String(rule.name);
    json.Key("query").String(rule.query);
    json.Key("labels").LabelObject(rule.labels);
  }
  json.Key("health").String(rule.health);
  if (!rule.last_error.empty()) json.Key("lastError").String(rule.last_error);
  json.Key("evaluationTime").Double(rule.evaluation_seconds);
  json.Key("lastEvaluation").String(FormatTime(rule.last_evaluation_nanos));
  json.Key("type").String(rule.alerting ? "alerting" : "recording");
  json.EndObject();
}

// Names the first group of the next page.
std::string GroupToken(const RuleGroupView& group) {
  const std::string text = group.file + ";" + group.name;
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  std::string token;
  for (const unsigned char byte : digest) token += fmt::format("{:02x}", byte);
  return token;
}

struct RuleFilter {
  std::string type;
  std::vector<std::string> names, groups, files;
  std::vector<std::vector<Matcher>> matcher_sets;

  static bool Contains(const std::vector<std::string>& wanted, const std::string& value) {
    return wanted.empty() || std::find(wanted.begin(), wanted.end(), value) != wanted.end();
  }
  bool Keeps(const RuleGroupView& group) const {
    return Contains(groups, group.name) && Contains(files, group.file);
  }
  bool Keeps(const RuleView& rule) const {
    if (type == "alert" && !rule.alerting) return false;
    if (type == "record" && rule.alerting) return false;
    if (!Contains(names, rule.name)) return false;
    if (matcher_sets.empty()) return true;
    return std::any_of(matcher_sets.begin(), matcher_sets.end(), [&](const auto& matchers) {
      return std::all_of(matchers.begin(), matchers.end(), [&](const Matcher& matcher) {
        return matcher.Matches(rule.labels.Get(matcher.name()));
      });
    });
  }
};

}  // namespace

Status Api::Alerts(Call& call) {
  JsonWriter json(&call.writer.buffer());
  json.BeginObject().Key("alerts").BeginArray();
  for (const RuleGroupView& group : sources_.rule_groups()) {
    for (const RuleView& rule : group.rules) {
      for (const AlertView& alert : rule.alerts) {
        WriteAlert(json, alert);
        NARTHEX_RETURN_IF_ERROR(call.writer.Flush());
      }
    }
  }
  json.EndArray().EndObject();
  return {};
}

Status Api::Rules(Call& call) {
  NARTHEX_TRY(const net::FormValues form, ParseForm(call.request));
  RuleFilter filter;
  filter.names = form.GetAll("rule_name[]");
  filter.groups = form.GetAll("rule_group[]");
  filter.files = form.GetAll("file[]");
  NARTHEX_TRY(filter.matcher_sets, MatchSets(form.GetAll("match[]"), true));
  filter.type = ToLower(form.Get("type"));
  if (!filter.type.empty() && filter.type != "alert" && filter.type != "record") {
    return InvalidParameter("type", MakeError(ErrorCode::kInvalidInput, "not supported value {}",
                                              GoQuote(filter.type)));
  }
  bool exclude_alerts = false;
  if (const std::string_view text = form.Get("exclude_alerts"); !text.empty()) {
    const std::optional<bool> parsed = ParseBool(ToLower(text));
    if (!parsed) {
      return InvalidParameter(
          "exclude_alerts",
          MakeError(
              ErrorCode::kInvalidInput,
              "error converting exclude_alerts: strconv.ParseBool: parsing {}: invalid syntax",
              GoQuote(ToLower(text))));
    }
    exclude_alerts = *parsed;
  }
  const std::string_view token = form.Get("group_next_token");
  size_t page_size = 0;
  if (const std::string_view text = form.Get("group_limit"); !text.empty()) {
    const std::optional<int64_t> parsed = ParseInt(text);
    if (!parsed) {
      return InvalidParameter(
          "group_limit",
          IntegerError("ParseInt", text).WithPrefix("group_limit needs to be a valid number: "));
    }
    if (*parsed <= 0) {
      return InvalidParameter("group_limit", Status(ErrorCode::kInvalidInput,
                                                    "group_limit needs to be greater than 0"));
    }
    page_size = static_cast<size_t>(*parsed);
  } else if (!token.empty()) {
    return InvalidParameter(
        "group_next_token",
        Status(ErrorCode::kInvalidInput,
               "group_limit needs to be present in order to paginate over the groups"));
  }

  std::vector<RuleGroupView> groups = sources_.rule_groups();
  std::stable_sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) {
    return std::tie(a.file, a.name) < std::tie(b.file, b.name);
  });
  size_t first = 0;
  if (!token.empty()) {
    while (first < groups.size() && GroupToken(groups[first]) != token) ++first;
    if (first == groups.size()) {
      return InvalidParameter(
          "group_next_token",
          MakeError(ErrorCode::kInvalidInput,
                    "invalid group_next_token '{}'. were rule groups changed?", token));
    }
  }
  JsonWriter json(&call.writer.buffer());
  json.BeginObject().Key("groups").BeginArray();
  size_t shown = 0;
  std::string next_token;
  for (size_t i = first; i < groups.size(); ++i) {
    const RuleGroupView& group = groups[i];
    if (!filter.Keeps(group)) continue;
    std::vector<const RuleView*> kept;
    for (const RuleView& rule : group.rules) {
      if (filter.Keeps(rule)) kept.push_back(&rule);
    }
    // A group without rules of its own is shown unless a filter emptied it.
    if (kept.empty()) continue;
    if (page_size > 0 && shown == page_size) {
      next_token = GroupToken(group);
      break;
    }
    ++shown;
    json.BeginObject();
    json.Key("name").String(group.name);
    json.Key("file").String(group.file);
    json.Key("rules").BeginArray();
    for (const RuleView* rule : kept) {
      WriteRule(json, *rule, exclude_alerts);
      NARTHEX_RETURN_IF_ERROR(call.writer.Flush());
    }
    json.EndArray();
    json.Key("interval").Double(group.interval_seconds);
    json.Key("limit").Int(static_cast<int64_t>(group.limit));
    json.Key("evaluationTime").Double(group.evaluation_seconds);
    json.Key("lastEvaluation").String(FormatTime(group.last_evaluation_nanos));
    json.EndObject();
  }
  json.EndArray();
  if (!next_token.empty()) json.Key("groupNextToken").String(next_token);
  json.EndObject();
  return {};
}

}  // namespace narthex::web
