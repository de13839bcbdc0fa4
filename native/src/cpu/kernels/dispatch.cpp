#include "compiler.h"
#include "error.h"
#include "kernels.h"

#include <cstdlib>
#include <cstring>
#include <string>

#if defined(__x86_64__) && !defined(LVQE_PLAIN_VECTORS)
#define LVQE_X86_SETS
#include <cpuid.h>
#endif

namespace localvqe {

#if defined(__wasm_simd128__)
extern const Kernels kSimd128Kernels;
#else
extern const Kernels kPortableKernels;
extern const Kernels kWideKernels;
#endif
#if defined(LVQE_X86_SETS)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx512VnniKernels;
#endif

#if defined(LVQE_X86_SETS)
namespace {

struct Instructions {
    bool avx2 = false;   // with FMA
    bool avx512 = false; // F, VL, DQ and BW
    bool vnni = false;
};

// Asked of the processor itself: some compilers' runtimes answer __builtin_cpu_supports with no whatever is there.
Instructions instructions() {
    Instructions found;
    unsigned a = 0, b = 0, c = 0, d = 0;
    const auto bit = [](unsigned word, int n) { return (word >> n & 1u) != 0; };
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || !bit(c, 27) || !bit(c, 12)) { // the system saves registers; FMA
        return found;
    }
    unsigned saved = 0, saved_high = 0;
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(saved_high) : "c"(0));
    const bool saves_256 = (saved & 0x06u) == 0x06u, saves_512 = (saved & 0xe6u) == 0xe6u;
    if (!saves_256 || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) {
        return found;
    }
    found.avx2 = bit(b, 5);
    found.avx512 = saves_512 && bit(b, 16) && bit(b, 17) && bit(b, 30) && bit(b, 31);
    found.vnni = bit(c, 11);
    return found;
}

} // namespace
#endif

int available_kernels(const Kernels ** out, int capacity) {
    const Kernels * sets[kMaxKernelSets] = {};
    int n = 0;
#if defined(LVQE_X86_SETS)
    const Instructions cpu = instructions();
    if (cpu.avx512 && cpu.vnni) {
        sets[n++] = &kAvx512VnniKernels;
    }
    if (cpu.avx512) {
        sets[n++] = &kAvx512Kernels;
    }
    if (cpu.avx2) {
        sets[n++] = &kAvx2Kernels;
    }
#endif
#if defined(__wasm_simd128__)
    sets[n++] = &kSimd128Kernels; // a module is all or nothing: whoever loads it has them
#else
    sets[n++] = &kPortableKernels;
    sets[n++] = &kWideKernels;
#endif
    n = n < capacity ? n : capacity;
    for (int i = 0; i < n; ++i) {
        out[i] = sets[i];
    }
    return n;
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
