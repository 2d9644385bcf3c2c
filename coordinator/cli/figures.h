// Figures as people read them. Pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "proto/coordinator.pb.h"

namespace carousel {

std::string Bytes(double bytes);          // 12.3 MiB
std::string Duration(double seconds);     // 4.2 s, 3 min 20 s, 2 h 05 min, 3 d 4 h
std::string Percent(double ratio);        // 83 %
std::string TimeOfDay(double wall_time);  // 2026-11-24 10:07:12 UTC
std::string LossText(double loss);        // 2.1234
std::string Perplexity(double loss);      // 8.36

// "step 12/440  loss 2.1234  perplexity 8.36  49,152 tokens  12,345 tokens/s  eta 3 min 20 s  busy
// 73 %, 82 %, 75 %": the last of its stages in their order.
std::string ProgressText(const Job& job);

// Does the job's bubble come from a step that ran? One stage alone may measure none at all.
bool HasMeasuredBubble(const Job& job);
// "bubble 12 %, predicted 10 %", with a dash for what was not measured.
std::string BubbleText(const Job& job);

// "1f1b, 3 stages, 2 segments"
std::string PlanText(const Job& job);

}  // namespace carousel
