// The files ~/.aws/credentials and ~/.aws/config: named profiles of keys and roles.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace narthex::net {

using AwsProfile = std::map<std::string, std::string>;

// Adds the profiles of one file. In the configuration file sections are called "profile NAME",
// except for "default"; other kinds of section are left out. Keys of a later call win.
void AddAwsProfiles(std::string_view text, bool is_config_file,
                    std::map<std::string, AwsProfile>* profiles);

}  // namespace narthex::net
