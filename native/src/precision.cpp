#include "precision.h"

#include "error.h"

#include <cstdlib>

namespace localvqe {

bool find_precision(const std::string & word, Precision & found) {
    if (word == "auto" || word == "f32" || word == "int16") {
        found = word == "auto" ? Precision::automatic : word == "f32" ? Precision::f32 : Precision::int16;
        return true;
    }
    return false;
}

Precision decided(Precision wanted) {
    const char * word = std::getenv("LOCALVQE_ARITHMETIC");
    if (wanted == Precision::automatic && word != nullptr && *word != 0 && !find_precision(word, wanted)) {
        throw Error("LOCALVQE_ARITHMETIC=" + std::string(word) + " is not known; choose auto, f32 or int16");
    }
    return wanted;
}

} // namespace localvqe
