#include "program.h"

#include "../error.h"
#include "../transform.h"
#include "../weights.h"
#include "session.h"

#include <algorithm>
#include <string>

namespace localvqe {
namespace {

// A device that more does not fill is hardly faster with it, and there is a thread for each, reading files.
constexpr size_t kMostStreams = 32;

// (outputs, inputs, kh, kw) with zero taps in front, so that the window has as many bins below as above: backends pad
// both sides alike.
std::vector<float> centred(const std::vector<float> & kernel, int kw, int zeros) {
    const size_t rows = kernel.size() / size_t(kw), wide = size_t(kw + zeros);
    std::vector<float> out(rows * wide, 0.0f);
    for (size_t r = 0; r < rows; ++r) {
        for (size_t i = 0; i < size_t(kw); ++i) {
            out[r * wide + size_t(zeros) + i] = kernel[r * size_t(kw) + i];
        }
    }
    return out;
}

} // namespace

GgmlProgram::GgmlProgram(const Net & net, const Loader & loader, ggml_backend_dev_t device)
    : net_(net), device_(device), weights_(net.operations().size()) {
    const size_t most = 2 * net_.operations().size() + 1;
    context_.reset(ggml_init({most * ggml_tensor_overhead(), nullptr, true}));
    std::vector<Upload> uploads;
    for (const Operation & op : net_.operations()) {
        load(op, loader, uploads);
    }
    buffer_.reset(ggml_backend_alloc_ctx_tensors_from_buft(context_.get(), ggml_backend_dev_buffer_type(device)));
    if (buffer_ == nullptr) {
        throw Error(std::string("no memory for the weights on ") + ggml_backend_dev_description(device));
    }
    ggml_backend_buffer_set_usage(buffer_.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    for (const Upload & upload : uploads) {
        ggml_backend_tensor_set(upload.tensor, upload.values.data(), 0, upload.values.size() * sizeof(float));
    }
}

std::unique_ptr<Session> GgmlProgram::open(int threads, int batch, int streams, Profile & profile) const {
    return std::unique_ptr<Session>(new GgmlSession(*this, threads, batch, streams, profile));
}

int GgmlProgram::most_streams(int batch) const {
    Profile profile;
    const GgmlSession::Size one = GgmlSession(*this, 1, batch, 1, profile).size();
    size_t free = 0, total = 0;
    ggml_backend_dev_memory(device_, &free, &total);
    const size_t largest = ggml_backend_buft_get_max_size(ggml_backend_dev_buffer_type(device_));
    return int(std::clamp<size_t>(std::min(free / 2 / one.bytes, largest / 2 / one.largest), 1, kMostStreams));
}

ggml_tensor * GgmlProgram::tensor(std::vector<int64_t> shape, std::vector<float> values,
                                  std::vector<Upload> & uploads) {
    ggml_tensor * made = ggml_new_tensor(context_.get(), GGML_TYPE_F32, int(shape.size()), shape.data());
    if (ggml_nelements(made) != int64_t(values.size())) {
        throw Error("the ggml backend expected " + std::to_string(ggml_nelements(made)) + " weights, got " +
                    std::to_string(values.size()));
    }
    uploads.push_back({made, std::move(values)});
    return made;
}

void GgmlProgram::load(const Operation & op, const Loader & loader, std::vector<Upload> & uploads) {
    Weights & w = weights_[size_t(op.out.id)];
    switch (op.verb) {
        case Verb::conv: {
            const int kw = op.conv.kernel_w, zeros = (kw - 1) % 2, outputs = conv_outputs(op);
            w.matrix = tensor({kw + zeros, op.conv.kernel_h, op.x.channels, outputs},
                              centred(loader.conv_weight(op), kw, zeros), uploads);
            w.second = tensor({1, 1, 1, outputs}, loader.conv_bias(op), uploads);
            break;
        }
        case Verb::softmax_lags:
            w.matrix = tensor({kSmoothLags, kSmoothHops, op.x.channels, 1}, loader.read(op.name + ".weight"), uploads);
            w.second = tensor({1}, loader.read(op.name + ".bias"), uploads);
            break;
        case Verb::linear:
            w.matrix = tensor({op.x.bins * op.x.channels, op.out.bins * op.out.channels},
                              loader.read(op.name + ".weight"), uploads);
            w.second = tensor({op.out.bins * op.out.channels}, loader.read(op.name + ".bias"), uploads);
            break;
        case Verb::norm:
            w.matrix = tensor({1, op.x.channels}, loader.read(op.name + ".weight"), uploads);
            w.second = tensor({1, op.x.channels}, loader.read(op.name + ".bias"), uploads);
            break;
        case Verb::scale: w.matrix = tensor({op.x.bins, 1, 1, op.x.channels}, loader.read(op.name), uploads); break;
        case Verb::mask:
            w.matrix = tensor({3, 3, 2, 1}, std::vector<float>(18), uploads);
            break; // only its shape counts
        case Verb::s4d:
            for (const char * part : kS4dParts) {
                const std::vector<float> values = loader.read(op.name + part);
                w.recurrence.insert(w.recurrence.end(), values.begin(), values.end());
            }
            break;
        case Verb::analysis:
        case Verb::synthesis: load_basis(op, loader, uploads); break;
        default: break;
    }
}

void GgmlProgram::load_basis(const Operation & op, const Loader & loader, std::vector<Upload> & uploads) {
    Weights & w = weights_[size_t(op.out.id)];
    for (const Operation & other : net_.operations()) { // both ends share one
        if (other.verb == op.verb && other.out.id < op.out.id) {
            w = weights_[size_t(other.out.id)];
            return;
        }
    }
    // Rows of analysis are filters, re and im in turn; of synthesis, output samples over the same order.
    std::vector<float> basis;
    if (leaves_out_bases(loader.file)) {
        basis.resize(size_t(kFft) * kFft);
        const std::unique_ptr<Transform> transform = standard_transform(net_.config.version);
        std::vector<float> unit(kFft), column(kFft);
        for (size_t i = 0; i < kFft; ++i) {
            unit.assign(kFft, 0.0f);
            unit[i] = 1.0f;
            size_t at = i;
            if (op.verb == Verb::analysis) {
                transform->analyse(unit.data(), unit.data() + kHop, column.data());
            } else {
                transform->synthesise(unit.data(), column.data());
                at = 2 * (i % kBins) + i / kBins; // from planar
            }
            for (size_t row = 0; row < kFft; ++row) {
                basis[row * kFft + at] = column[row];
            }
        }
    } else {
        basis = loader.read(op.verb == Verb::analysis ? kEncoderBasis : kDecoderBasis);
    }
    std::vector<float> parts[2];
    for (size_t part = 0; part < 2; ++part) {
        for (size_t row = 0; row < kFft; ++row) {
            for (size_t i = 0; i < kFft; ++i) {
                if ((op.verb == Verb::analysis ? row : i) % 2 == part) {
                    parts[part].push_back(basis[row * kFft + i]);
                }
            }
        }
    }
    const std::vector<int64_t> shape =
        op.verb == Verb::analysis ? std::vector<int64_t>{kFft, kBins} : std::vector<int64_t>{kBins, kFft};
    w.matrix = tensor(shape, std::move(parts[0]), uploads);
    w.second = tensor(shape, std::move(parts[1]), uploads);
}

} // namespace localvqe
