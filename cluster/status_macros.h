// The two lines that every fallible function would otherwise write out by hand.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define CAROUSEL_CONCAT_INNER_(a, b) a##b
#define CAROUSEL_CONCAT_(a, b) CAROUSEL_CONCAT_INNER_(a, b)

// Returns from the enclosing function if `expression`, an absl::Status, is an error.
#define CAROUSEL_RETURN_IF_ERROR(expression)                                \
  do {                                                                      \
    if (absl::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

// CAROUSEL_ASSIGN_OR_RETURN(auto x, F()): F's value, or its error returned from the enclosing
// function.
#define CAROUSEL_ASSIGN_OR_RETURN(lhs, expression) \
  CAROUSEL_ASSIGN_OR_RETURN_IMPL_(CAROUSEL_CONCAT_(status_or_, __LINE__), lhs, expression)
#define CAROUSEL_ASSIGN_OR_RETURN_IMPL_(temporary, lhs, expression) \
  auto temporary = (expression);                                    \
  if (!temporary.ok()) return temporary.status();                   \
  lhs = *std::move(temporary)
