#include "error.h"
#include "kernels.h"

#include <cstdlib>
#include <cstring>
#include <string>

namespace localvqe {

extern const Kernels kPortableKernels;
extern const Kernels kWideKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
#endif

int available_kernels(const Kernels ** out, int capacity) {
    const Kernels * sets[4] = {};
    int n = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("fma")) {
        sets[n++] = &kAvx512Kernels;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        sets[n++] = &kAvx2Kernels;
    }
#endif
    sets[n++] = &kPortableKernels;
    sets[n++] = &kWideKernels;
    n = n < capacity ? n : capacity;
    for (int i = 0; i < n; ++i) {
        out[i] = sets[i];
    }
    return n;
}

const Kernels & select_kernels() {
    const Kernels * sets[4] = {};
    const int n = available_kernels(sets, 4);
    const char * wanted = std::getenv("LOCALVQE_KERNELS");
    if (wanted == nullptr || *wanted == 0) {
        return *sets[0];
    }
    std::string names;
    for (int i = 0; i < n; ++i) {
        if (std::strcmp(sets[i]->name, wanted) == 0) {
            return *sets[i];
        }
        names += std::string(i == 0 ? "" : ", ") + sets[i]->name;
    }
    throw Error("LOCALVQE_KERNELS=" + std::string(wanted) + " is not available on this CPU; choose one of " + names);
}

} // namespace localvqe
