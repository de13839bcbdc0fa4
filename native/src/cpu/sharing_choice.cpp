#include "sharing_choice.h"

#include <algorithm>

namespace localvqe {
namespace {

constexpr int kProbe = 4; // calls; the first wakes workers or lets them go to sleep, and does not count
// Calls: one long stop is not many, and neither are the few good ones of a probe on a busy machine.
constexpr int kMemory = 32, kMemoryOfProbes = 8;
constexpr int kLongestWait = 512; // calls between probes: slow ones are fewer than one in a hundred
constexpr double kGain = 0.95;    // of the time alone: less is not worth a change

} // namespace

void SharingChoice::Mean::add(double time, int memory) {
    calls = std::min(calls + 1, memory);
    value += (time - value) / calls;
}

void SharingChoice::took(double time) {
    if (probe_left_ != kProbe) {
        (shared() ? times_shared_ : times_alone_).add(time, probe_left_ > 0 ? kMemoryOfProbes : kMemory);
    }
    if (probe_left_ > 0) {
        if (--probe_left_ == 0) {
            const bool pays = !shared_ && times_shared_.value < kGain * times_alone_.value;
            shared_ = shared_ || pays;
            wait(pays ? kWait : std::min(2 * wait_, kLongestWait));
        }
    } else if (shared_ && times_alone_.calls > 0 && times_shared_.value > times_alone_.value) {
        shared_ = false;
        wait(kWait);
    } else if (--until_probe_ == 0) {
        probe_left_ = kProbe;
    }
}

void SharingChoice::wait(int calls) { until_probe_ = wait_ = calls; }

} // namespace localvqe
