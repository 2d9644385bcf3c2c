#include "coordinator/cli/interrupts.h"

#include <csignal>
#include <initializer_list>

namespace carousel {
namespace {

volatile std::sig_atomic_t interrupts = 0;
void Count(int) { interrupts = interrupts + 1; }

}  // namespace

void CountInterrupts() {
  struct sigaction action = {};
  action.sa_handler = Count;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
}

int InterruptsSoFar() { return interrupts; }

}  // namespace carousel
