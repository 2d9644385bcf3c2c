#include "cluster/address.h"

#include <arpa/inet.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace carousel {
namespace {

constexpr int kMaxPort = 65535;

// Without its brackets, and perhaps with a zone: fe80::1%eth0.
bool IsIpv6(std::string_view host) {
  const std::string address(host.substr(0, host.find('%')));
  in6_addr parsed;
  return inet_pton(AF_INET6, address.c_str(), &parsed) == 1;
}

bool IsHost(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) return IsIpv6(host.substr(1, host.size() - 2));
  if (host == "*") return true;
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_';
  });
}

bool IsPort(std::string_view digits, int least) {
  int port = -1;
  return !digits.empty() && digits.find_first_not_of("0123456789") == digits.npos &&
         absl::SimpleAtoi(absl::string_view(digits.data(), digits.size()), &port) &&
         port >= least && port <= kMaxPort;
}

}  // namespace

bool IsAddress(std::string_view address, int least_port) {
  const size_t colon = address.rfind(':');
  return colon != address.npos && IsHost(address.substr(0, colon)) &&
         IsPort(address.substr(colon + 1), least_port);
}

absl::Status CheckAddress(std::string_view flag, const std::string& address, int least_port) {
  if (IsAddress(address, least_port)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(flag), "=", address, " is not host:port with a port from ",
                   least_port, " to ", kMaxPort, ", e.g. 127.0.0.1:7070 or [::1]:7070"));
}

}  // namespace carousel
