#include "noise_reduction.h"

#include "../config.h"

#include <algorithm>
#include <cmath>

namespace localvqe {
namespace {

using namespace noise_reduction; // the constants of localvqe_cli/reference/noise_reduction.py
using residual_echo::kPowerFloor;
constexpr int kGains = RealFft512::kBins;

} // namespace

NoiseReduction::NoiseReduction(float decibels) : least_(std::pow(10.0f, -decibels / 20.0f)), speech_(kGains) {}

void NoiseReduction::reset() { speech_.clear(); }

void NoiseReduction::step(const float * power, const float * background, float * gain) {
    float * speech = speech_.data();
    for (int f = 0; f < kGains; ++f) {
        const float noise = kNoiseBias * (background[f] + kPowerFloor);
        const float ratio = gain[f] * gain[f] * power[f] / noise;
        const float stands_out = kDecisionMemory * speech[f] + (1.0f - kDecisionMemory) * std::max(0.0f, ratio - 1.0f);
        const float kept = std::max(least_, stands_out / (1.0f + stands_out));
        speech[f] = kept * kept * ratio;
        gain[f] *= kept;
    }
}

} // namespace localvqe
