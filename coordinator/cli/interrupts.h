// Ctrl-C, a polite kill and a terminal that went away, counted instead of obeyed: `local` pauses
// its job at the first and stops at once at the second.
#pragma once

#include <functional>

namespace carousel {

// Asked now and then by whatever waits: true once nobody wants the result any more. The wait then
// ends with kCancelled.
using Abandoned = std::function<bool()>;
inline bool NeverAbandoned() { return false; }  // by those who do not count interrupts

// For the rest of the process.
void CountInterrupts();
int InterruptsSoFar();
inline bool Interrupted() { return InterruptsSoFar() > 0; }

}  // namespace carousel
