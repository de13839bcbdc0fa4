// localvqe.hpp - the C interface for C++: handles that free themselves, failures as exceptions.
#pragma once

#include <localvqe_api.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace localvqe {

using Samples = std::vector<std::int16_t>;  // mono, 16 kHz

// One call. Belongs to one thread at a time; different streams are independent.
class Stream {
public:
    // Throws std::runtime_error, with the file and the reason, when there is no such model.
    explicit Stream(const std::string & model) : handle_(localvqe_new(model.c_str())) {
        if (handle_ == 0) {
            throw std::runtime_error(localvqe_creation_error());
        }
    }
    ~Stream() { localvqe_free(handle_); }
    Stream(Stream && other) noexcept : handle_(std::exchange(other.handle_, 0)) {}
    Stream & operator=(Stream && other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    Stream(const Stream &) = delete;
    Stream & operator=(const Stream &) = delete;

    std::size_t hop() const { return static_cast<std::size_t>(localvqe_hop_length(handle_)); }

    // The next hop() samples of a live call, in place: `mic` becomes the hop before, without its echo.
    void process(Samples & mic, const Samples & ref) {
        if (mic.size() != hop() || ref.size() != hop()) {
            throw std::invalid_argument("a hop has " + std::to_string(hop()) + " samples");
        }
        check(localvqe_process_frame_s16(handle_, mic.data(), ref.data(), static_cast<int>(hop()), mic.data()));
    }

    // A whole recording, as long as `mic` and in step with it. Where `ref` is shorter, silence stands for the rest.
    Samples enhance(Samples mic, Samples ref) {
        const std::size_t length = mic.size() + hop();  // output is a hop late, so a hop of silence brings out the end
        if (length > std::size_t{1} << 28) {
            throw std::invalid_argument("a recording has at most 2^28 samples");
        }
        mic.resize(length);
        ref.resize(length);
        Samples out(length);
        check(localvqe_process_s16(handle_, mic.data(), ref.data(), static_cast<int>(length), out.data()));
        out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(hop()));
        return out;
    }

private:
    void check(int code) const {
        if (code != 0) {
            throw std::runtime_error(localvqe_last_error(handle_));
        }
    }

    std::uintptr_t handle_;
};

}  // namespace localvqe
