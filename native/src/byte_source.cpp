#include "byte_source.h"

#include "open_file.h"

#include <cstring>

namespace localvqe {
namespace {

class FileSource : public ByteSource {
public:
    explicit FileSource(const std::string & utf8_path) { file_.reset(open_regular_file(utf8_path, size_)); }

    uint64_t size() const override { return size_; }

    bool read(uint64_t at, void * out, size_t n) override {
        // A seek throws away what was read ahead, so only where the next byte is another one.
        if (at != at_ && std::fseek(file_.get(), long(at), SEEK_SET) != 0) {
            return false;
        }
        const size_t got = n == 0 ? 0 : std::fread(out, 1, n, file_.get());
        at_ = at + got;
        return got == n;
    }

private:
    struct Close {
        void operator()(std::FILE * f) const { std::fclose(f); }
    };
    std::unique_ptr<std::FILE, Close> file_;
    uint64_t size_ = 0;
    uint64_t at_ = 0;
};

class MemorySource : public ByteSource {
public:
    MemorySource(const void * bytes, uint64_t size) : bytes_(static_cast<const char *>(bytes)), size_(size) {}

    uint64_t size() const override { return size_; }

    bool read(uint64_t at, void * out, size_t n) override {
        if (n != 0) {
            std::memcpy(out, bytes_ + at, n);
        }
        return true;
    }

private:
    const char * bytes_;
    uint64_t size_;
};

} // namespace

std::unique_ptr<ByteSource> open_file(const std::string & utf8_path) {
    return std::unique_ptr<ByteSource>(new FileSource(utf8_path));
}

std::unique_ptr<ByteSource> open_memory(const void * bytes, uint64_t size) {
    return std::unique_ptr<ByteSource>(new MemorySource(bytes, size));
}

} // namespace localvqe
