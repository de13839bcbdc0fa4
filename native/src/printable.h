// Texts out of a file stand in messages; they must not reach a terminal as commands, nor break the line.
#pragma once

#include <string>

namespace localvqe {

inline std::string printable(std::string text) {
    for (char & c : text) {
        c = c < ' ' || c > '~' ? '?' : c;
    }
    return text;
}

} // namespace localvqe
