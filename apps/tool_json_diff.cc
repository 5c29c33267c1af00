#include "apps/tool_json_diff.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "util/strings.h"

namespace narthex::apps {
namespace {

constexpr std::string_view kRemoved = "\033[0;31m";
constexpr std::string_view kAdded = "\033[0;32m";
constexpr std::string_view kChanged = "\033[0;33m";
constexpr std::string_view kPlain;
constexpr std::string_view kEnd = "\033[0m";

using Texts = std::map<std::string, std::string>;

std::string Quoted(std::string_view text) {
  std::string out;
  AppendJsonString(text, JsonEscape::kGo, &out);
  return out;
}

class Writer {
 public:
  std::string Take() { return std::move(out_); }

  void Lists(const std::vector<JsonDiffObject>& first, const std::vector<JsonDiffObject>& second) {
    out_ += '[';
    ++level_;
    const size_t count = std::max(first.size(), second.size());
    for (size_t i = 0; i < count; ++i) {
      Line();
      if (i >= second.size()) {
        Coloured(kRemoved, [&] { Whole(first[i]); });
      } else if (i >= first.size()) {
        Coloured(kAdded, [&] { Whole(second[i]); });
      } else {
        Objects(first[i], second[i]);
      }
      if (i + 1 < count) out_ += ',';
    }
    Close(']');
  }

 private:
  template <typename Write>
  void Coloured(std::string_view colour, Write write) {
    out_ += colour;
    colour_ = colour;
    write();
    colour_ = kPlain;
    out_ += kEnd;
  }
  // A line end takes the colour off and puts it on again.
  void Line() {
    if (!colour_.empty()) out_ += kEnd;
    out_ += '\n';
    out_.append(4 * level_, ' ');
    out_ += colour_;
  }
  void Close(char bracket) {
    --level_;
    Line();
    out_ += bracket;
  }

  void Objects(const JsonDiffObject& first, const JsonDiffObject& second) {
    out_ += '{';
    ++level_;
    // Both always have the same members.
    for (auto at = first.begin(); at != first.end(); ++at) {
      Line();
      out_ += Quoted(at->first) + ": ";
      const auto other = second.find(at->first);
      Members(at->second, other == second.end() ? Texts() : other->second);
      if (std::next(at) != first.end()) out_ += ',';
    }
    Close('}');
  }

  void Members(const Texts& first, const Texts& second) {
    std::set<std::string> keys;
    for (const auto& [key, value] : first) keys.insert(key);
    for (const auto& [key, value] : second) keys.insert(key);
    if (keys.empty()) {
      out_ += "{}";
      return;
    }
    out_ += '{';
    ++level_;
    for (auto key = keys.begin(); key != keys.end(); ++key) {
      Line();
      const auto a = first.find(*key);
      const auto b = second.find(*key);
      if (b == second.end()) {
        Coloured(kRemoved, [&] { out_ += Quoted(*key) + ": " + Quoted(a->second); });
      } else if (a == first.end()) {
        Coloured(kAdded, [&] { out_ += Quoted(*key) + ": " + Quoted(b->second); });
      } else if (a->second == b->second) {
        out_ += Quoted(*key) + ": " + Quoted(a->second);
      } else {
        out_ += Quoted(*key) + ": ";
        Coloured(kChanged, [&] { out_ += Quoted(a->second) + " => " + Quoted(b->second); });
      }
      if (std::next(key) != keys.end()) out_ += ',';
    }
    Close('}');
  }

  void Whole(const JsonDiffObject& object) {
    out_ += '{';
    ++level_;
    for (auto member = object.begin(); member != object.end(); ++member) {
      Line();
      out_ += Quoted(member->first) + ": ";
      WholeTexts(member->second);
      if (std::next(member) != object.end()) out_ += ',';
    }
    Close('}');
  }

  void WholeTexts(const Texts& texts) {
    if (texts.empty()) {
      out_ += "{}";
      return;
    }
    out_ += '{';
    ++level_;
    for (auto text = texts.begin(); text != texts.end(); ++text) {
      Line();
      out_ += Quoted(text->first) + ": " + Quoted(text->second);
      if (std::next(text) != texts.end()) out_ += ',';
    }
    Close('}');
  }

  std::string out_;
  size_t level_ = 0;
  std::string_view colour_;
};

}  // namespace

std::string DiffJson(const std::vector<JsonDiffObject>& first,
                     const std::vector<JsonDiffObject>& second) {
  Writer writer;
  writer.Lists(first, second);
  return writer.Take();
}

}  // namespace narthex::apps
