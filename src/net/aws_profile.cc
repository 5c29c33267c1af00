#include "net/aws_profile.h"

#include "util/strings.h"

namespace narthex::net {

void AddAwsProfiles(std::string_view text, bool is_config_file,
                    std::map<std::string, AwsProfile>* profiles) {
  AwsProfile* current = nullptr;
  for (std::string_view line : Split(text, '\n')) {
    // An indented line continues a nested block ("s3 ="), which says nothing about credentials.
    if (line.starts_with(' ') || line.starts_with('\t')) continue;
    line = TrimSpace(line);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      current = nullptr;
      const size_t end = line.find(']');
      if (end == std::string_view::npos) continue;
      std::string_view name = TrimSpace(line.substr(1, end - 1));
      if (is_config_file && name != "default") {
        if (!name.starts_with("profile ") && !name.starts_with("profile\t")) continue;
        name = TrimSpace(name.substr(8));
      }
      current = &(*profiles)[std::string(name)];
      continue;
    }
    const size_t equal = line.find('=');
    if (current == nullptr || equal == std::string_view::npos) continue;
    std::string_view value = line.substr(equal + 1);
    // A comment needs a space before it, since secrets may hold '#'.
    for (const std::string_view mark : {" #", " ;", "\t#", "\t;"}) {
      value = value.substr(0, value.find(mark));
    }
    (*current)[ToLower(TrimSpace(line.substr(0, equal)))] = TrimSpace(value);
  }
}

}  // namespace narthex::net
