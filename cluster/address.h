// "host:port", as flags and the environment say it: one rule for every program. (Who may reach an
// address to listen on: loopback.h.)
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace carousel {

// The least port of an address: to connect to, and to listen on, where 0 takes a free one.
inline constexpr int kPortToConnect = 1;
inline constexpr int kPortToListen = 0;

// The host is a name, an IPv4 address, an IPv6 one in brackets, or "*"; the port is decimal digits
// from `least_port` to 65535, for one beyond would be taken for another.
bool IsAddress(std::string_view address, int least_port);

// kInvalidArgument names the flag and its value unless IsAddress.
absl::Status CheckAddress(std::string_view flag, const std::string& address, int least_port);

}  // namespace carousel
