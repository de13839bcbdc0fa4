#include "open_file.h"

#include "error.h"

#if defined(_WIN32)
#include <vector>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <sys/stat.h>
#endif

namespace localvqe {

#if defined(_WIN32)

namespace {

// The narrow calls of Windows take the code page of the machine, and no path of more than 259 characters.
std::wstring wide_path(const std::string & utf8) {
    const int units = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, utf8.data(), int(utf8.size()), nullptr, 0);
    if (units <= 0) {
        throw Error(utf8.empty() ? "no such file" : "the path is not UTF-8");
    }
    std::wstring given(size_t(units), L'\0');
    MultiByteToWideChar(CP_UTF8, 0, utf8.data(), int(utf8.size()), &given[0], units);
    const DWORD needed = GetFullPathNameW(given.c_str(), 0, nullptr, nullptr);
    if (needed < MAX_PATH || given.compare(0, 4, L"\\\\?\\") == 0) {
        return given;
    }
    // This prefix lifts the limit, and takes only whole paths.
    std::vector<wchar_t> whole(needed);
    const DWORD length = GetFullPathNameW(given.c_str(), needed, whole.data(), nullptr);
    const std::wstring full(whole.data(), length);
    const bool share = full.compare(0, 2, L"\\\\") == 0;
    return share ? L"\\\\?\\UNC\\" + full.substr(2) : L"\\\\?\\" + full;
}

} // namespace

std::FILE * open_regular_file(const std::string & utf8_path, uint64_t & size) {
    const std::wstring path = wide_path(utf8_path);
    WIN32_FILE_ATTRIBUTE_DATA info;
    if (!GetFileAttributesExW(path.c_str(), GetFileExInfoStandard, &info)) {
        throw Error("no such file");
    }
    if ((info.dwFileAttributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_DEVICE)) != 0) {
        throw Error("not a regular file");
    }
    std::FILE * file = _wfopen(path.c_str(), L"rb");
    if (file == nullptr) {
        throw Error("cannot be opened for reading");
    }
    // Of what was opened: the attributes of a symbolic link are its own.
    const __int64 end = _fseeki64(file, 0, SEEK_END) == 0 ? _ftelli64(file) : -1;
    if (end < 0 || _fseeki64(file, 0, SEEK_SET) != 0) {
        std::fclose(file);
        throw Error("not a regular file");
    }
    size = uint64_t(end);
    return file;
}

#else

std::FILE * open_regular_file(const std::string & utf8_path, uint64_t & size) {
    struct stat info;
    if (stat(utf8_path.c_str(), &info) != 0) {
        throw Error("no such file");
    }
    if (!S_ISREG(info.st_mode)) {
        throw Error("not a regular file");
    }
    std::FILE * file = std::fopen(utf8_path.c_str(), "rb");
    if (file == nullptr) {
        throw Error("cannot be opened for reading");
    }
    size = uint64_t(info.st_size);
    return file;
}

#endif

} // namespace localvqe
