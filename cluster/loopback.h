// Whether an address to listen on can be reached from other machines: the one rule behind every
// "--insecure is missing".
#pragma once

#include <arpa/inet.h>

#include <string>

namespace carousel {

// Is the host of "host:port" this machine only? A name other than localhost may be anybody's, also
// one that looks like an address (127.example.org).
inline bool IsLoopback(const std::string& listen) {
  const std::string host = listen.substr(0, listen.rfind(':'));
  if (host == "localhost" || host == "[::1]") return true;
  in_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

}  // namespace carousel
