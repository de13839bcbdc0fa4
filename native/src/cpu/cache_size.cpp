#include "cache_size.h"

#if defined(_WIN32)
#include <vector>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#elif defined(__APPLE__)
#include <initializer_list>
#include <sys/sysctl.h>
#else
#include <unistd.h>
#endif

namespace localvqe {

size_t second_level_cache() {
#if defined(_WIN32)
    DWORD bytes = 0;
    GetLogicalProcessorInformation(nullptr, &bytes);
    std::vector<SYSTEM_LOGICAL_PROCESSOR_INFORMATION> parts(bytes / sizeof(SYSTEM_LOGICAL_PROCESSOR_INFORMATION));
    if (parts.empty() || !GetLogicalProcessorInformation(parts.data(), &bytes)) {
        return 0;
    }
    for (const SYSTEM_LOGICAL_PROCESSOR_INFORMATION & part : parts) {
        if (part.Relationship == RelationCache && part.Cache.Level == 2) {
            return size_t(part.Cache.Size);
        }
    }
    return 0;
#elif defined(__APPLE__)
    // Of the fast cores, where there are two kinds.
    for (const char * name : {"hw.perflevel0.l2cachesize", "hw.l2cachesize"}) {
        size_t bytes = 0, length = sizeof bytes;
        if (sysctlbyname(name, &bytes, &length, nullptr, 0) == 0 && bytes > 0) {
            return bytes;
        }
    }
    return 0;
#elif defined(_SC_LEVEL2_CACHE_SIZE)
    const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return bytes > 0 ? size_t(bytes) : 0;
#else
    return 0;
#endif
}

} // namespace localvqe
