// Whether an address to listen on can be reached from other machines: the one rule behind every
// "--insecure is missing".
#pragma once

#include <string>

#include "absl/strings/match.h"

namespace carousel {

// Is the host of "host:port" this machine only?
inline bool IsLoopback(const std::string& listen) {
  const std::string host = listen.substr(0, listen.rfind(':'));
  return host == "localhost" || host == "[::1]" || absl::StartsWith(host, "127.");
}

}  // namespace carousel
