#include "discovery/aws/xml_labels.h"

#include "util/strings.h"
#include "util/time.h"

namespace narthex {
namespace {

std::string TimeText(const std::string& text) {
  const Result<int64_t> nanos = ParseRfc3339(text);
  return nanos.ok() ? FormatRfc3339Nano(*nanos / kNanosPerSecond * kNanosPerSecond) : text;
}

}  // namespace

pugi::xml_node XmlChild(const pugi::xml_node& node, std::string_view path) {
  pugi::xml_node found = node;
  for (const std::string_view name : Split(path, '.')) {
    found = found.child(std::string(name).c_str());
  }
  return found;
}

std::string XmlText(const pugi::xml_node& node, std::string_view path) {
  return XmlChild(node, path).text().get();
}

void SetXmlLabels(const pugi::xml_node& node, std::span<const XmlLabel> table,
                  std::string_view prefix, TextMap* labels) {
  for (const XmlLabel& entry : table) {
    const pugi::xml_node child = XmlChild(node, entry.path);
    if (!child) continue;
    std::string text = child.text().get();
    if (entry.kind == XmlKind::kTime) text = TimeText(text);
    (*labels)[std::string(prefix) + entry.label] = std::move(text);
  }
}

void SetXmlTags(const pugi::xml_node& list, std::string_view prefix, TextMap* labels) {
  for (const pugi::xml_node tag : list.children()) {
    if (!tag.child("Key") || !tag.child("Value")) continue;
    (*labels)[std::string(prefix) + SanitizeLabelName(XmlText(tag, "Key"))] = XmlText(tag, "Value");
  }
}

}  // namespace narthex
