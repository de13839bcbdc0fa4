// On machines that are only figures here: what does the choice cost against the better of the two ways?
#include "check.h"
#include "cpu/sharing_choice.h"

#include <cmath>
#include <cstdint>
#include <functional>

using localvqe::SharingChoice;

namespace {

// 0..1, the same each time.
class Random {
public:
    double next() {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return double(state_ >> 40) / double(1u << 24);
    }

private:
    uint64_t state_ = 1;
};

struct Outcome {
    double mean;   // time of a call
    double shared; // share of the calls
};

// calls: of them the last `counted` count. time: of a call that is shared, or not.
Outcome run(SharingChoice & choice, int calls, int counted, const std::function<double(bool, int)> & time) {
    double total = 0.0;
    int shared = 0;
    for (int call = 0; call < calls; ++call) {
        const bool now = choice.shared();
        const double took = time(now, call);
        choice.took(took);
        if (call >= calls - counted) {
            total += took;
            shared += now ? 1 : 0;
        }
    }
    return {total / counted, double(shared) / counted};
}

} // namespace

int main() {
    Random random;
    const auto noise = [&] { return 0.9 + 0.2 * random.next(); };
    bool before = true;
    const auto calm = [&](bool shared, int) {
        const bool woken = shared && !before; // workers that sleep take long
        before = shared;
        return (woken ? 4.0 : shared ? 0.65 : 1.0) * noise();
    };
    // A worker is stopped in the middle of its part in every third call.
    const auto busy = [&](bool shared, int) {
        return (shared ? 0.65 + (random.next() < 0.33 ? 3.0 : 0.0) : 1.0) * noise();
    };
    {
        SharingChoice choice;
        const Outcome clip = run(choice, 60, 60, calm);
        CHECK(clip.shared == 1.0, "threads were asked for, and a short clip is no time to try: shared %.3f",
              clip.shared);
        const Outcome now = run(choice, 10000, 10000, calm);
        CHECK(now.shared > 0.985, "a machine to itself: shared %.3f", now.shared);
        CHECK(now.mean < 0.67, "a machine to itself: %.3f", now.mean);
    }
    {
        SharingChoice choice;
        const Outcome now = run(choice, 5000, 5000, [&](bool shared, int) { return (shared ? 1.15 : 1.0) * noise(); });
        CHECK(now.mean < 1.01, "sharing that never pays: %.3f", now.mean);
    }
    {
        SharingChoice choice;
        const Outcome now = run(choice, 10000, 10000, busy);
        CHECK(now.mean < 1.02, "a busy machine: %.3f, shared %.3f", now.mean, now.shared);
        // It becomes calm: sharing comes back within half a minute of calls 16 ms apart, and then is as good as ever.
        run(choice, 2500, 1, calm);
        const Outcome then = run(choice, 10000, 10000, calm);
        CHECK(then.mean < 0.68, "calm again: %.3f, shared %.3f", then.mean, then.shared);
        const Outcome later = run(choice, 10000, 10000, busy);
        CHECK(later.mean < 1.02, "busy again: %.3f, shared %.3f", later.mean, later.shared);
    }
    {
        // The system lets the worker run for a while, and then another program for as long.
        SharingChoice choice;
        double time = 0.0;
        const Outcome now = run(choice, 10000, 10000, [&](bool shared, int) {
            const double slice = 4.0, at = std::fmod(time, 2.0 * slice);
            double took = 1.0; // as when the worker takes no part
            if (shared && at < slice) {
                took = at + 0.65 > slice ? 0.65 + slice : 0.65; // stopped in the middle of its part
            }
            time += took * noise();
            return took;
        });
        CHECK(now.mean < 1.01, "time slices: %.3f", now.mean);
        CHECK(now.shared < 0.1, "time slices: shared %.3f, for nothing", now.shared);
    }
    {
        SharingChoice choice;
        const Outcome now = run(choice, 20000, 20000, [&](bool shared, int call) {
            return calm(shared, call) + (call % 500 == 499 ? 8.0 : 0.0); // a stop that hits either way
        });
        CHECK(now.shared > 0.97, "rare stops: shared %.3f", now.shared);
    }
    {
        SharingChoice choice;
        const Outcome now =
            run(choice, 10000, 10000, [&](bool shared, int) { return (shared ? 0.98 : 1.0) * noise(); });
        CHECK(now.mean < 1.01, "neither here nor there: %.3f", now.mean);
    }
    return check::report();
}
