// Environment variables.
#pragma once

#include <string>

namespace narthex {

// The variable, or "" where it is not set. Not while another thread changes the environment.
std::string EnvironmentVariable(const char* name);

}  // namespace narthex
