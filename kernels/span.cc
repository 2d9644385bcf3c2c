#include "kernels/span.h"

namespace carousel::kernels::internal {

constinit thread_local ptrdiff_t address_bias = 0;

}  // namespace carousel::kernels::internal
