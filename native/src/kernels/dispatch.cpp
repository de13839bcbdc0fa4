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
extern const Kernels kAvx512VnniKernels;
#endif

int available_kernels(const Kernels ** out, int capacity) {
    const Kernels * sets[kMaxKernelSets] = {};
    int n = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("fma")) {
        if (__builtin_cpu_supports("avx512vnni")) {
            sets[n++] = &kAvx512VnniKernels;
        }
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

bool prefers_integers(const Kernels & kernels) {
    const char * wanted = std::getenv("LOCALVQE_ARITHMETIC");
    if (wanted == nullptr || *wanted == 0) {
        return kernels.integer_is_faster;
    }
    if (std::strcmp(wanted, "int16") != 0 && std::strcmp(wanted, "f32") != 0) {
        throw Error("LOCALVQE_ARITHMETIC=" + std::string(wanted) + " is not known; choose int16 or f32");
    }
    return wanted[0] == 'i';
}

const Kernels & select_kernels() {
    const Kernels * sets[kMaxKernelSets] = {};
    const int n = available_kernels(sets, kMaxKernelSets);
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
