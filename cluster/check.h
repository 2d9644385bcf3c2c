// CAROUSEL_CHECK: for our own mistakes only. What the world can do wrong is an absl::Status.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace carousel {

[[noreturn]] inline void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, condition);
  std::abort();
}

}  // namespace carousel

// Aborts with file, line and the condition's text when `condition` is false; in every build mode.
#define CAROUSEL_CHECK(condition) \
  ((condition) ? (void)0 : ::carousel::CheckFailed(__FILE__, __LINE__, #condition))
