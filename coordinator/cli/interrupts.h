// Ctrl-C, a polite kill and a terminal that went away, counted instead of obeyed: `local` pauses
// its job at the first and stops at once at the second.
#pragma once

namespace carousel {

// For the rest of the process.
void CountInterrupts();
int InterruptsSoFar();

}  // namespace carousel
