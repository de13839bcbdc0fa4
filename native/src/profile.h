// Time per block of a stream, while somebody asks for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace localvqe {

struct BlockTime {
    std::string block;
    uint64_t nanoseconds;
};

class Profile {
public:
    using Time = std::chrono::steady_clock::time_point;

    // The place of a block, made where there is none of that name.
    size_t block(const std::string & name) {
        size_t at = 0;
        while (at < blocks_.size() && blocks_[at].block != name) {
            ++at;
        }
        if (at == blocks_.size()) {
            blocks_.push_back({name, 0});
        }
        return at;
    }

    // On or off, from zero.
    void set(bool on) {
        on_ = on;
        hops_ = 0;
        for (BlockTime & block : blocks_) {
            block.nanoseconds = 0;
        }
    }
    bool on() const { return on_; }

    static Time now() { return std::chrono::steady_clock::now(); }
    // Counts the time from `start` until now to a block; returns now.
    Time add(size_t block, Time start) {
        const Time end = now();
        blocks_[block].nanoseconds += uint64_t(std::chrono::nanoseconds(end - start).count());
        return end;
    }
    void count(int hops) { hops_ += on_ ? uint64_t(hops) : 0; }

    uint64_t hops() const { return hops_; }
    const std::vector<BlockTime> & blocks() const { return blocks_; } // in order of first use

private:
    bool on_ = false;
    uint64_t hops_ = 0;
    std::vector<BlockTime> blocks_;
};

} // namespace localvqe
