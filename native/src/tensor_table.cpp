#include "tensor_table.h"

#include "error.h"
#include "gguf_reader.h"
#include "quantized.h"

namespace localvqe {
namespace {

using Shapes = std::map<std::string, std::vector<uint64_t>>;

void add_conv(Shapes & s, const std::string & name, int out, int in, int kh, int kw) {
    s[name + ".weight"] = {uint64_t(kw), uint64_t(kh), uint64_t(in), uint64_t(out)};
    s[name + ".bias"] = {uint64_t(out)};
}

void add_affine(Shapes & s, const std::string & name, int channels) {
    s[name + ".weight"] = {uint64_t(channels)};
    s[name + ".bias"] = {uint64_t(channels)};
}

void add_block(Shapes & s, const ModelConfig & c, const BlockShape & b) {
    const int width = b.decoder ? b.in_channels : b.out_channels;
    if (b.decoder) {
        add_conv(s, b.name + ".skip_conv", b.in_channels, b.in_channels, 1, 1);
        add_conv(s, b.name + ".deconv.conv", 2 * b.out_channels, b.in_channels, c.kernel_h, c.kernel_w);
    } else {
        add_conv(s, b.name + ".conv", b.out_channels, b.in_channels, c.kernel_h, c.kernel_w);
    }
    add_conv(s, b.name + ".resblock.conv", width, width, c.kernel_h, c.kernel_w);
    if (c.has_norm()) {
        if (b.decoder) {
            add_affine(s, b.name + ".skip_norm", b.in_channels);
            add_affine(s, b.name + ".deconv.norm", b.in_channels);
        } else {
            add_affine(s, b.name + ".norm", b.in_channels);
        }
        add_affine(s, b.name + ".resblock.norm", width);
    } else if (b.decoder && b.name != "dec1") {
        s[b.name + ".bn.scale"] = {uint64_t(b.out_channels)};
        s[b.name + ".bn.bias"] = {uint64_t(b.out_channels)};
    }
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
void check_quantized(const GgufFile & file, const std::string & name, const GgufTensor & t, const std::vector<uint64_t> & ne) {
    const BlockFormat * format = find_format(t.type);
    if (format == nullptr) {
        throw Error("tensor " + name + " has type " + gguf_type_name(t.type) + "; this engine runs F32, Q8_0, Q4_K, Q5_K and Q6_K");
    }
    if (!quantizable(name, ne)) {
        throw Error("tensor " + name + " has type " + gguf_type_name(t.type) + ", but only F32 is allowed there");
    }
    const MatrixShape matrix = matrix_shape(ne);
    const size_t block = size_t(format->block);
    const size_t padded = (matrix.columns + block - 1) / block * block;
    if (trimmed(t.ne) != trimmed({padded, matrix.rows})) {
        throw Error("tensor " + name + " has shape " + shape_text(t.ne) + ", expected " + padded_text(matrix, padded));
    }
    const std::vector<uint64_t> stated = file.u32_array_or_empty(shape_key(name));
    const std::vector<uint64_t> shape(ne.rbegin(), ne.rend());
    if (stated != shape) {
        throw Error("key " + shape_key(name) + (stated.empty() ? " is missing or no short array of u32" : " is " + shape_text(stated)) +
                    ", expected " + shape_text(shape));
    }
}

} // namespace

bool quantizable(const std::string & name, const std::vector<uint64_t> & ne) {
    return ne.size() >= 2 && name.compare(0, 9, "frontend.") != 0 && name != "encoder.conv.weight" && name != "decoder.linear.weight" && name != "align.conv.1.weight";
}

bool leaves_out_bases(const GgufFile & file) {
    if (!file.has("localvqe.bases")) {
        return false;
    }
    const std::string & value = file.string("localvqe.bases");
    if (value != "standard") {
        throw Error("key localvqe.bases is not \"standard\", the only value known");
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

std::string shape_key(const std::string & tensor) { return "localvqe.shape." + tensor; }

std::vector<BlockShape> block_shapes(const ModelConfig & c) {
    std::vector<BlockShape> out;
    const auto mic = [&](int i) {
        const int joined = i == 3 ? c.far_channels[kFarStages] : 0; // the aligned far-end feature (report, 2.4)
        out.push_back({"mic_enc" + std::to_string(i), c.mic_channels[i - 1] + joined, c.mic_channels[i], false});
    };
    mic(1);
    mic(2);
    for (int i = 1; i <= kFarStages; ++i) {
        out.push_back({"far_enc" + std::to_string(i), c.far_channels[i - 1], c.far_channels[i], false});
    }
    for (int i = 3; i <= kMicStages; ++i) {
        mic(i);
    }
    for (int i = kMicStages; i >= 1; --i) {
        out.push_back({"dec" + std::to_string(i), c.mic_channels[i], i > 1 ? c.mic_channels[i - 1] : kMaskChannels, true});
    }
    return out;
}

Shapes tensor_shapes(const ModelConfig & c) {
    Shapes s;
    if (c.has_frontend && c.frontend.gain_hidden > 0) {
        const uint64_t hidden = uint64_t(c.frontend.gain_hidden);
        s["frontend.gain.weight_ih"] = {kGainFeatures, 3 * hidden};
        s["frontend.gain.weight_hh"] = {hidden, 3 * hidden};
        s["frontend.gain.bias_ih"] = {3 * hidden};
        s["frontend.gain.bias_hh"] = {3 * hidden};
        s["frontend.gain.out.weight"] = {hidden, 2};
        s["frontend.gain.out.bias"] = {2};
    }
    if (!c.has_network) {
        return s;
    }
    s["encoder.conv.weight"] = {kFft, 1, kFft};
    s["decoder.linear.weight"] = {kFft, kFft};
    for (const BlockShape & b : block_shapes(c)) {
        add_block(s, c, b);
    }
    add_conv(s, "align.pconv_mic", c.align_hidden, c.mic_channels[2], 1, 1);
    add_conv(s, "align.pconv_ref", c.align_hidden, c.far_channels[2], 1, 1);
    add_conv(s, "align.conv.1", 1, c.align_hidden, 5, 3);
    const uint64_t hidden = uint64_t(c.bottleneck_hidden);
    const uint64_t features = uint64_t(c.bottleneck_features());
    for (const char * part : kS4dParts) {
        s[std::string("bottleneck") + part] = {hidden};
    }
    s["bottleneck.D"] = {features};
    s["bottleneck.input_proj.weight"] = {features, hidden};
    s["bottleneck.input_proj.bias"] = {hidden};
    s["bottleneck.output_proj.weight"] = {hidden, features};
    s["bottleneck.output_proj.bias"] = {features};
    return s;
}

void check_tensors(const GgufFile & file, const ModelConfig & config) {
    Shapes expected = tensor_shapes(config);
    if (leaves_out_bases(file)) { // no such tensors without a network
        expected.erase("encoder.conv.weight");
        expected.erase("decoder.linear.weight");
    }
    if (file.tensors().count("align.temperature") != 0) {
        throw Error("tensor align.temperature is present, so its tau was not folded into align.conv.1: export the "
                    "checkpoint again");
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
        if (trimmed(t.ne) != trimmed(entry.second)) {
            throw Error("tensor " + entry.first + " has shape " + shape_text(t.ne) + ", expected " +
                        shape_text(entry.second));
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
