// Content hashes of dataset files: XXH3-128, written as 32 lower-case hex digits, the same that
// `xxh128sum FILE` prints. They find damage and mix-ups; they are no defence against forgery.
#pragma once

#include <memory>
#include <string>
#include <string_view>

struct XXH3_state_s;

namespace carousel {

// Hash of bytes that arrive piece by piece. Not thread-safe.
class ContentHasher {
 public:
  ContentHasher();

  void Update(std::string_view bytes);

  // Hash of everything so far; more may follow.
  std::string Hex() const;

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

// Hash of `bytes` in one go.
std::string ContentHash(std::string_view bytes);

}  // namespace carousel
