#include "worker/transport.h"

#include <cctype>

#include "absl/strings/str_cat.h"

namespace carousel {

std::string Tag::ToString() const {
  std::string name = PayloadKind_Name(kind);
  for (char& c : name) c = c == '_' ? ' ' : static_cast<char>(std::tolower(c));
  return absl::StrCat(name, " of step ", step, ", micro-batch ", micro_batch, ", segment ",
                      segment);
}

}  // namespace carousel
