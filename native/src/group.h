// Streams of one model that move together, for devices which many hops at once suit: clips out of a list.
#pragma once

#include "backend.h"
#include "cpu/thread_team.h"
#include "host/front.h"
#include "model.h"
#include "noise_gate.h"
#include "profile.h"

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace localvqe {

class Group {
public:
    // threads: workers for what the host does of each stream. batch: most hops one run of the net takes; results do not
    // depend on it. Throws Error when the model has no network, or its backend no room for so many.
    Group(std::shared_ptr<const Model> model, int threads, int streams, int batch);
    Group(const Group &) = delete;
    Group & operator=(const Group &) = delete;

    int streams() const { return int(fronts_.size()); }
    // (streams, hops * 256) samples in and out; out lags in by one hop. A stream whose output is not finite gets silence from
    // there on and starts anew; ran_away (streams) is 1 for those, else 0.
    void process(const float * mic, const float * ref, size_t hops, float * out, std::vector<char> & ran_away);
    // Forgets everything that a stream has heard so far.
    void reset(int stream);

    NoiseGate gate;
    std::string error;

private:
    // What the host does, of one run.
    struct Work {
        Group * group;
        const float * mic;
        const float * ref;
        size_t stride; // samples from one stream to the next
        int hops;
    };

    std::shared_ptr<const Model> model_;
    int batch_;
    ThreadTeam team_;
    std::deque<Profile> profiles_; // of the fronts, which write them at the same time
    std::deque<Front> fronts_;
    Profile profile_;
    std::unique_ptr<Session> session_;
};

} // namespace localvqe
