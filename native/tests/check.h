// The smallest test harness that does the job: CHECK counts failures, the process exits with them.
#pragma once

#include <cstdio>

namespace check {

inline int & failures() {
    static int n = 0;
    return n;
}

inline int & checks() {
    static int n = 0;
    return n;
}

inline int report() {
    std::printf("%d checks, %d failures\n", checks(), failures());
    return failures() == 0 ? 0 : 1;
}

} // namespace check

#define CHECK(condition, ...)                                         \
    do {                                                              \
        ++check::checks();                                            \
        if (!(condition)) {                                           \
            ++check::failures();                                      \
            std::printf("%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            std::printf(__VA_ARGS__);                                 \
            std::printf("\n");                                        \
        }                                                             \
    } while (0)
