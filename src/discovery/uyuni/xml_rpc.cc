#include "discovery/uyuni/xml_rpc.h"

#include <fmt/format.h>

#include "util/strings.h"

namespace narthex {

namespace {

std::string EscapeXml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string Encode(const XmlRpcArgument& argument) {
  if (const auto* text = std::get_if<std::string>(&argument)) {
    return "<string>" + EscapeXml(*text) + "</string>";
  }
  if (const auto* number = std::get_if<int64_t>(&argument)) {
    return fmt::format("<int>{}</int>", *number);
  }
  std::string out = "<array><data>";
  for (const int64_t number : std::get<std::vector<int64_t>>(argument)) {
    out += fmt::format("<value><int>{}</int></value>", number);
  }
  return out + "</data></array>";
}

// The typed element in a <value>; a value without one is a text.
pugi::xml_node TypedChild(const pugi::xml_node& value) {
  for (const pugi::xml_node child : value.children()) {
    if (child.type() == pugi::node_element) return child;
  }
  return {};
}

}  // namespace

std::string EncodeXmlRpcCall(std::string_view method,
                             const std::vector<XmlRpcArgument>& arguments) {
  std::string out = fmt::format(
      R"(<?xml version="1.0" encoding="UTF-8"?><methodCall><methodName>{}</methodName><params>)",
      method);
  for (const XmlRpcArgument& argument : arguments) {
    out += "<param><value>" + Encode(argument) + "</value></param>";
  }
  return out + "</params></methodCall>";
}

Result<pugi::xml_node> DecodeXmlRpcAnswer(std::string_view body, pugi::xml_document* document) {
  const pugi::xml_parse_result parsed = document->load_buffer(body.data(), body.size());
  if (!parsed) {
    return MakeError(ErrorCode::kInvalidInput, "invalid XML: {}", parsed.description());
  }
  const pugi::xml_node answer = document->child("methodResponse");
  if (const pugi::xml_node fault = answer.child("fault").child("value")) {
    return MakeError(ErrorCode::kUnavailable, "error: {} code: {}",
                     GoQuote(XmlRpcText(XmlRpcMember(fault, "faultString"))),
                     XmlRpcText(XmlRpcMember(fault, "faultCode")));
  }
  const pugi::xml_node value = answer.child("params").child("param").child("value");
  if (!value) return MakeError(ErrorCode::kInvalidInput, "the answer has no value");
  return value;
}

pugi::xml_node XmlRpcMember(const pugi::xml_node& value, std::string_view name) {
  for (const pugi::xml_node member : value.child("struct").children("member")) {
    if (TrimSpace(member.child("name").text().get()) == name) return member.child("value");
  }
  return {};
}

std::vector<pugi::xml_node> XmlRpcElements(const pugi::xml_node& value) {
  std::vector<pugi::xml_node> elements;
  for (const pugi::xml_node element : value.child("array").child("data").children("value")) {
    elements.push_back(element);
  }
  return elements;
}

std::string XmlRpcText(const pugi::xml_node& value) {
  const pugi::xml_node typed = TypedChild(value);
  return std::string(TrimSpace((typed ? typed : value).text().get()));
}

}  // namespace narthex
