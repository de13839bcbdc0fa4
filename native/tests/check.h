// The smallest test harness that does the job: CHECK counts failures, the process exits with them.
#pragma once

#include <atomic>
#include <cstdio>

namespace check {

inline std::atomic<int> & failures() {
    static std::atomic<int> n{0};
    return n;
}

inline std::atomic<int> & checks() {
    static std::atomic<int> n{0};
    return n;
}

inline int report() {
    std::printf("%d checks, %d failures\n", checks().load(), failures().load());
    return failures() == 0 ? 0 : 1;
}

} // namespace check

#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        ++check::checks();                                                                                             \
        if (!(condition)) {                                                                                            \
            ++check::failures();                                                                                       \
            std::printf("%s:%d: %s: ", __FILE__, __LINE__, #condition);                                                \
            std::printf(__VA_ARGS__);                                                                                  \
            std::printf("\n");                                                                                         \
        }                                                                                                              \
    } while (0)
