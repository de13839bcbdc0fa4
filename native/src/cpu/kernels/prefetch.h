// Memory that will be needed soon, and the reading of it into the second-level cache between other work.
#pragma once

#include <cstddef>

namespace localvqe {

constexpr size_t kCacheLine = 64;

struct MemorySpan {
    const char * begin = nullptr;
    size_t bytes = 0;
};

// What is left to fetch of a list of spans. Kernels fetch a line beside each step of their inner loop.
class PrefetchCursor {
public:
    PrefetchCursor() = default;
    PrefetchCursor(const MemorySpan * spans, int count, size_t skip_lines) : spans_(spans), count_(count) {
        while (count_ > 0 && skip_lines >= lines_of(*spans_)) {
            skip_lines -= lines_of(*spans_);
            ++spans_;
            --count_;
        }
        at_ = skip_lines;
    }

    bool done() const { return count_ == 0; }
    const char * line() const { return spans_->begin + at_ * kCacheLine; }
    // After `lines` lines from line() on; what goes beyond a span is not carried over to the next.
    void advance(size_t lines) {
        at_ += lines;
        if (at_ >= lines_of(*spans_)) {
            ++spans_;
            --count_;
            at_ = 0;
        }
    }

    static size_t lines_of(const MemorySpan & span) { return (span.bytes + kCacheLine - 1) / kCacheLine; }

private:
    const MemorySpan * spans_ = nullptr;
    int count_ = 0;
    size_t at_ = 0;
};

} // namespace localvqe
