// KERNEL_CHECK: a broken precondition of an operation is our own mistake and ends the process with
// file, line and text.
#pragma once

#include <cstdio>
#include <cstdlib>

#define KERNEL_CHECK(condition)                                                                 \
  do {                                                                                          \
    if (!(condition)) {                                                                         \
      std::fprintf(stderr, "%s:%d: broken precondition: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                             \
    }                                                                                           \
  } while (false)
