#pragma once

#include <string>

namespace localvqe {

// Letters of the alphabet only, whatever the locale.
inline std::string lower_case(std::string text) {
    for (char & c : text) {
        c = c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
    }
    return text;
}

} // namespace localvqe
