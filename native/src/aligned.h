// A zero-initialised array of floats on a 64-byte boundary.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

namespace localvqe {

class AlignedFloats {
public:
    AlignedFloats() = default;
    explicit AlignedFloats(size_t n) : size_(n) {
        const size_t bytes = (n * sizeof(float) + 63) / 64 * 64;
        data_ = static_cast<float *>(::operator new(bytes, kAlignment)); // Windows has no std::aligned_alloc
        std::memset(data_, 0, bytes);
    }
    AlignedFloats(AlignedFloats && other) noexcept { swap(other); }
    AlignedFloats & operator=(AlignedFloats && other) noexcept {
        swap(other);
        return *this;
    }
    AlignedFloats(const AlignedFloats &) = delete;
    AlignedFloats & operator=(const AlignedFloats &) = delete;
    ~AlignedFloats() { ::operator delete(data_, kAlignment); }

    float * data() { return data_; }
    const float * data() const { return data_; }
    float & operator[](size_t i) { return data_[i]; }
    const float & operator[](size_t i) const { return data_[i]; }
    size_t size() const { return size_; }
    void clear() {
        if (size_ != 0) {
            std::memset(data_, 0, size_ * sizeof(float));
        }
    }

private:
    static constexpr std::align_val_t kAlignment{64};

    void swap(AlignedFloats & other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
    }
    float * data_ = nullptr;
    size_t size_ = 0;
};

} // namespace localvqe
