#include "tensor_table.h"

#include "contract/tensors.h"
#include "error.h"
#include "gguf_reader.h"
#include "quantized.h"

#include <initializer_list>

namespace localvqe {
namespace {

struct TableEntry {
    std::vector<uint64_t> ne; // contiguous axis first
    bool quantizable;         // convolutions and linear layers, but neither the codec's bases nor the smoothing
};

std::map<std::string, TableEntry> tensor_table(const ModelConfig & config) {
    std::map<std::string, TableEntry> table;
    each_tensor(config, [&](const char * name, bool quantizable, std::initializer_list<int> sizes) {
        table[name] = {{sizes.begin(), sizes.end()}, quantizable};
    });
    return table;
}

// Writers differ on whether trailing axes of length 1 are stored.
std::vector<uint64_t> trimmed(std::vector<uint64_t> ne) {
    while (!ne.empty() && ne.back() == 1) { // one element is one element, whether [1] or []
        ne.pop_back();
    }
    return ne;
}

std::string shape_text(const std::vector<uint64_t> & ne) {
    std::string out = "[";
    for (size_t i = 0; i < ne.size(); ++i) {
        out += (i == 0 ? "" : ", ") + std::to_string(ne[i]);
    }
    return out + "]";
}

std::string padded_text(const MatrixShape & matrix, size_t padded) {
    return shape_text({padded, matrix.rows}) + " in blocks";
}

// A quantized tensor's stored matrix and the shape it states of itself.
void check_quantized(const GgufFile & file, const std::string & name, const GgufTensor & t,
                     const TableEntry & expected) {
    const BlockFormat * format = find_format(t.type);
    if (format == nullptr) {
        throw Error("tensor " + name + " has type " + gguf_type_name(t.type) +
                    "; this engine runs F32, Q8_0, Q4_K, Q5_K and Q6_K");
    }
    if (!expected.quantizable) {
        throw Error("tensor " + name + " has type " + gguf_type_name(t.type) + ", but only F32 is allowed there");
    }
    const MatrixShape matrix = matrix_shape(expected.ne);
    const size_t block = size_t(format->block);
    const size_t padded = (matrix.columns + block - 1) / block * block;
    if (trimmed(t.ne) != trimmed({padded, matrix.rows})) {
        throw Error("tensor " + name + " has shape " + shape_text(t.ne) + ", expected " + padded_text(matrix, padded));
    }
    const std::vector<uint64_t> stated = file.u32_array_or_empty(shape_key(name));
    const std::vector<uint64_t> shape(expected.ne.rbegin(), expected.ne.rend());
    if (stated != shape) {
        throw Error("key " + shape_key(name) +
                    (stated.empty() ? " is missing or no short array of u32" : " is " + shape_text(stated)) +
                    ", expected " + shape_text(shape));
    }
}

} // namespace

bool leaves_out_bases(const GgufFile & file) {
    if (!file.has(kBasesKey)) {
        return false;
    }
    if (file.string(kBasesKey) != kStandardBases) {
        throw Error(std::string("key ") + kBasesKey + " is not \"" + kStandardBases + "\", the only value known");
    }
    return true;
}

MatrixShape matrix_shape(const std::vector<uint64_t> & ne) {
    size_t columns = 1;
    for (size_t i = 0; i + 1 < ne.size(); ++i) {
        columns *= size_t(ne[i]);
    }
    return {size_t(ne.back()), columns};
}

std::string shape_key(const std::string & tensor) { return kShapePrefix + tensor; }

std::map<std::string, std::vector<uint64_t>> tensor_shapes(const ModelConfig & config) {
    std::map<std::string, std::vector<uint64_t>> shapes;
    for (const auto & entry : tensor_table(config)) {
        shapes[entry.first] = entry.second.ne;
    }
    return shapes;
}

void check_tensors(const GgufFile & file, const ModelConfig & config) {
    std::map<std::string, TableEntry> expected = tensor_table(config);
    if (leaves_out_bases(file)) { // no such tensors without a network
        expected.erase(kEncoderBasis);
        expected.erase(kDecoderBasis);
    }
    if (file.tensors().count(kTemperature) != 0) {
        throw Error(std::string("tensor ") + kTemperature + " is present, so its tau was not folded into " +
                    kAlignSmooth + ": export the checkpoint again");
    }
    for (const auto & entry : expected) {
        const auto found = file.tensors().find(entry.first);
        if (found == file.tensors().end()) {
            throw Error("tensor " + entry.first + " is missing");
        }
        const GgufTensor & t = found->second;
        if (t.type != kTypeF32) {
            check_quantized(file, entry.first, t, entry.second);
            continue;
        }
        if (trimmed(t.ne) != trimmed(entry.second.ne)) {
            throw Error("tensor " + entry.first + " has shape " + shape_text(t.ne) + ", expected " +
                        shape_text(entry.second.ne));
        }
    }
    for (const auto & entry : file.tensors()) {
        if (expected.count(entry.first) == 0) {
            throw Error("tensor " + entry.first + " does not belong to a version-" + std::to_string(config.version) +
                        " model");
        }
    }
}

} // namespace localvqe
