// Model files where people keep them: under names of other alphabets, in folders deeper than old Windows calls reach.

#include "check.h"
#include "localvqe_api.h"

#include <filesystem>
#include <string>

namespace fs = std::filesystem;

namespace {

std::string utf8(const fs::path & path) {
    const auto text = path.u8string(); // of another character type from C++20 on
    return std::string(text.begin(), text.end());
}

// What the system's own calls take at any length.
fs::path for_system(const fs::path & whole) {
#if defined(_WIN32)
    return fs::path(L"\\\\?\\" + whole.wstring());
#else
    return whole;
#endif
}

void test_loads(const fs::path & path) {
    const uintptr_t ctx = localvqe_new(utf8(path).c_str());
    CHECK(ctx != 0, "%s: %s", utf8(path).c_str(), localvqe_creation_error());
    localvqe_free(ctx);
}

} // namespace

int main(int argc, char ** argv) {
    if (argc != 2) {
        std::printf("usage: test_paths MODEL.gguf\n");
        return 2;
    }
    const fs::path model = argv[1];
    const fs::path home = fs::absolute(fs::u8path(u8"paths of test \u00fc \u97f3"));
    fs::create_directories(for_system(home));
    fs::copy_file(model, for_system(home / fs::u8path(u8"\u043c\u043e\u0434\u0435\u043b\u044c.gguf")),
                  fs::copy_options::overwrite_existing);
    test_loads(home / fs::u8path(u8"\u043c\u043e\u0434\u0435\u043b\u044c.gguf"));

    fs::path deep = home;
    for (int i = 0; i < 4; ++i) {
        deep /= std::string(90, char('a' + i));
        fs::create_directory(for_system(deep));
    }
    fs::copy_file(model, for_system(deep / "model.gguf"), fs::copy_options::overwrite_existing);
    test_loads(deep / "model.gguf");

    for (const fs::path & wrong : {home, home / "none.gguf"}) {
        CHECK(localvqe_new(utf8(wrong).c_str()) == 0, "%s was taken for a model", utf8(wrong).c_str());
        const std::string why = localvqe_creation_error();
        CHECK(why.find(wrong == home ? "not a regular file" : "no such file") != std::string::npos, "%s", why.c_str());
    }
    CHECK(localvqe_new("\xff\xfe.gguf") == 0 && localvqe_creation_error()[0] != 0,
          "a path that is not UTF-8 was taken");
    fs::remove_all(for_system(home));
    return check::report();
}
