// The allocation operators, kept inside the library. The ones in the standard library that zig links are exported, and
// its linker for macOS cannot hide them; where they exist already, they are not linked.
// Compiled with -fvisibility-global-new-delete=force-hidden, since the operators are declared before any file begins.
#include <cstdlib>
#include <new>

namespace {

void * allocate(std::size_t size, std::size_t alignment) noexcept {
    void * memory = nullptr;
    alignment = alignment < sizeof(void *) ? sizeof(void *) : alignment;
    return posix_memalign(&memory, alignment, size == 0 ? 1 : size) == 0 ? memory : nullptr;
}

void * allocate_or_throw(std::size_t size, std::size_t alignment) {
    void * memory = allocate(size, alignment);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}

constexpr std::size_t kUsual = alignof(std::max_align_t);

} // namespace

void * operator new(std::size_t n) { return allocate_or_throw(n, kUsual); }
void * operator new[](std::size_t n) { return allocate_or_throw(n, kUsual); }
void * operator new(std::size_t n, std::align_val_t a) { return allocate_or_throw(n, std::size_t(a)); }
void * operator new[](std::size_t n, std::align_val_t a) { return allocate_or_throw(n, std::size_t(a)); }
void * operator new(std::size_t n, const std::nothrow_t &) noexcept { return allocate(n, kUsual); }
void * operator new[](std::size_t n, const std::nothrow_t &) noexcept { return allocate(n, kUsual); }
void * operator new(std::size_t n, std::align_val_t a, const std::nothrow_t &) noexcept {
    return allocate(n, std::size_t(a));
}
void * operator new[](std::size_t n, std::align_val_t a, const std::nothrow_t &) noexcept {
    return allocate(n, std::size_t(a));
}
void operator delete(void * p) noexcept { std::free(p); }
void operator delete[](void * p) noexcept { std::free(p); }
void operator delete(void * p, std::size_t) noexcept { std::free(p); }
void operator delete[](void * p, std::size_t) noexcept { std::free(p); }
void operator delete(void * p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void * p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void * p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void * p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete(void * p, const std::nothrow_t &) noexcept { std::free(p); }
void operator delete[](void * p, const std::nothrow_t &) noexcept { std::free(p); }
void operator delete(void * p, std::align_val_t, const std::nothrow_t &) noexcept { std::free(p); }
void operator delete[](void * p, std::align_val_t, const std::nothrow_t &) noexcept { std::free(p); }
