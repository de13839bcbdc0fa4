// Whether sharing operations over a team of threads pays, found out while it runs: on a machine whose other processors
// are busy, the calling thread waits for a worker that the system has stopped in the middle of its part.
#pragma once

namespace localvqe {

class SharingChoice {
public:
    // How the next call is to run.
    bool shared() const { return (probe_left_ > 0) != shared_; }
    // That call is over. time: it took, in any unit, for equal work each time.
    void took(double time);

private:
    // Calls between probes: at first and after a change. Clips of seconds are over before that.
    static constexpr int kWait = 64;

    // Of the latest calls, about `memory` of them.
    struct Mean {
        double value = 0.0;
        int calls = 0;
        void add(double time, int memory);
    };

    void wait(int calls);

    Mean times_shared_, times_alone_;
    bool shared_ = true; // but for probes of the other way
    int probe_left_ = 0; // calls, as the next two
    int until_probe_ = kWait;
    int wait_ = kWait;
};

} // namespace localvqe
