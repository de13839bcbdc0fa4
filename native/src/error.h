// The one exception type of the engine. The C ABI turns it into a return code and a text.
#pragma once

#include <stdexcept>
#include <string>

namespace localvqe {

class Error : public std::runtime_error {
public:
    explicit Error(const std::string & text) : std::runtime_error(text) {}
};

} // namespace localvqe
