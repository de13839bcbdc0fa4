#include "session.h"

#include "../error.h"

#include <algorithm>
#include <string>

namespace localvqe {

GgmlSession::GgmlSession(const GgmlProgram & program, int threads, int batch, int streams, Profile & profile)
    : program_(program), profile_(profile), block_(profile.block("network")), batch_(batch), streams_(streams),
      backend_(ggml_backend_dev_init(program.device(), nullptr)), output_(size_t(streams) * size_t(batch) * kHop) {
    if (backend_ == nullptr) {
        throw Error(device_name() + " cannot be opened");
    }
    const auto set_threads = reinterpret_cast<ggml_backend_set_n_threads_t>(ggml_backend_reg_get_proc_address(
        ggml_backend_dev_backend_reg(program.device()), "ggml_backend_set_n_threads"));
    if (set_threads != nullptr) {
        set_threads(backend_.get(), threads);
    }
    const Net & net = program.net();
    const size_t operations = net.operations().size();
    context_.reset(ggml_init({2 * operations * ggml_tensor_overhead(), nullptr, true}));
    memory_ = make_memory(context_.get(), net, streams);
    kept_.reset(ggml_backend_alloc_ctx_tensors(context_.get(), backend_.get()));

    constants_context_.reset(ggml_init({2 * operations * ggml_tensor_overhead(), nullptr, true}));
    std::vector<int> sizes{1};
    if (batch > 1) {
        sizes.push_back(batch);
    }
    std::vector<std::vector<ggml_tensor *>> s4d(sizes.size(), std::vector<ggml_tensor *>(operations));
    for (size_t i = 0; i < sizes.size(); ++i) {
        for (const Operation & op : net.operations()) {
            if (op.verb == Verb::s4d) {
                const int64_t side = sizes[i] + 2;
                s4d[i][size_t(op.out.id)] =
                    ggml_new_tensor_3d(constants_context_.get(), GGML_TYPE_F32, side, side, op.out.channels);
            }
        }
    }
    constants_.reset(ggml_backend_alloc_ctx_tensors(constants_context_.get(), backend_.get()));
    if (kept_ == nullptr || constants_ == nullptr) {
        throw Error("no memory for " + std::to_string(streams) + " streams on " + device_name());
    }
    for (size_t i = 0; i < sizes.size(); ++i) {
        for (const Operation & op : net.operations()) {
            if (op.verb == Verb::s4d) {
                const std::vector<float> matrices = s4d_matrices(program.weights(op).recurrence, sizes[i]);
                ggml_backend_tensor_set(s4d[i][size_t(op.out.id)], matrices.data(), 0, matrices.size() * sizeof(float));
            }
        }
        compile(i == 0 ? single_ : whole_, sizes[i], s4d[i]);
    }
    for (const ggml_tensor * input : single_.graph.inputs) {
        if (input->ne[3] != 1) {
            throw Error("the ggml backend takes inputs of one channel");
        }
        inputs_.emplace_back(size_t(streams) * size_t(batch) * size_t(input->ne[0]));
    }
    ggml_backend_buffer_clear(kept_.get(), 0);
}

GgmlSession::Size GgmlSession::size() const {
    Size found{ggml_backend_buffer_get_size(kept_.get()), 1};
    for (const Compiled * compiled : {&single_, &whole_}) {
        if (compiled->hops == 0) {
            continue;
        }
        found.bytes += ggml_gallocr_get_buffer_size(compiled->scratch.get(), 0);
        for (int i = 0; i < ggml_graph_n_nodes(compiled->graph.graph); ++i) {
            found.largest = std::max(found.largest, ggml_nbytes(ggml_graph_node(compiled->graph.graph, i)));
        }
    }
    return found;
}

std::string GgmlSession::device_name() const { return ggml_backend_dev_description(program_.device()); }

void GgmlSession::compile(Compiled & compiled, int hops, const std::vector<ggml_tensor *> & s4d) {
    compiled.hops = hops;
    compiled.context.reset(ggml_init({lowering_size(program_.net()), nullptr, true}));
    compiled.graph = lower(compiled.context.get(), program_, memory_, s4d, hops);
    for (int i = 0; i < ggml_graph_n_nodes(compiled.graph.graph); ++i) {
        const ggml_tensor * node = ggml_graph_node(compiled.graph.graph, i);
        if (!ggml_backend_dev_supports_op(program_.device(), node)) {
            throw Error(device_name() + " cannot compute " + ggml_op_desc(node) + "; choose another backend");
        }
    }
    compiled.scratch.reset(ggml_gallocr_new(ggml_backend_get_default_buffer_type(backend_.get())));
    if (!ggml_gallocr_alloc_graph(compiled.scratch.get(), compiled.graph.graph)) {
        throw Error("no memory for " + std::to_string(hops) + " hops of " + std::to_string(streams_) + " streams on " +
                    device_name());
    }
}

float * GgmlSession::input(size_t index, int hop, int stream) {
    const size_t bins = inputs_[index].size() / size_t(batch_) / size_t(streams_);
    return inputs_[index].data() + (size_t(stream) * size_t(batch_) + size_t(hop)) * bins;
}

void GgmlSession::run(int hops) {
    const Profile::Time start = profile_.on() ? Profile::now() : Profile::Time();
    if (hops == batch_ && batch_ > 1) {
        compute(whole_, 0);
    } else {
        for (int hop = 0; hop < hops; ++hop) {
            compute(single_, hop);
        }
    }
    if (profile_.on()) {
        profile_.add(block_, start);
    }
}

void GgmlSession::compute(const Compiled & compiled, int first) {
    const GgmlGraph & graph = compiled.graph;
    for (size_t i = 0; i < inputs_.size(); ++i) {
        const size_t bytes = graph.inputs[i]->nb[2];
        for (int stream = 0; stream < streams_; ++stream) {
            ggml_backend_tensor_set(graph.inputs[i], input(i, first, stream), size_t(stream) * bytes, bytes);
        }
    }
    if (ggml_backend_graph_compute(backend_.get(), graph.graph) != GGML_STATUS_SUCCESS) {
        throw Error(device_name() + " failed while computing");
    }
    const size_t samples = size_t(compiled.hops) * kHop, bytes = samples * sizeof(float);
    for (int stream = 0; stream < streams_; ++stream) {
        float * to = output_.data() + (size_t(stream) * size_t(batch_) + size_t(first)) * kHop;
        ggml_backend_tensor_get(graph.output, to, size_t(stream) * bytes, bytes);
    }
    last_ = &compiled;
}

void GgmlSession::reset(int stream) {
    if (streams_ == 1) {
        ggml_backend_buffer_clear(kept_.get(), 0);
    } else {
        std::vector<uint8_t> zeros;
        for (const std::vector<ggml_tensor *> * kind : {&memory_.past, &memory_.own}) {
            for (ggml_tensor * kept : *kind) {
                for (int64_t c = 0; kept != nullptr && c < kept->ne[3]; ++c) {
                    zeros.resize(std::max(zeros.size(), kept->nb[2]));
                    ggml_backend_tensor_set(kept, zeros.data(), size_t(c) * kept->nb[3] + size_t(stream) * kept->nb[2],
                                            kept->nb[2]);
                }
            }
        }
    }
    last_ = nullptr;
}

void GgmlSession::read_tap(size_t index, float * out) const {
    const NetTap & tap = program_.net().taps()[index];
    const size_t bins = size_t(tap.value.bins), channels = size_t(tap.value.channels);
    if (last_ == nullptr) {
        std::fill_n(out, bins * channels, 0.0f);
        return;
    }
    const ggml_tensor * x = last_->graph.taps[index];
    std::vector<float> row(bins);
    for (size_t c = 0; c < channels; ++c) {
        ggml_backend_tensor_get(x, row.data(), c * x->nb[3] + size_t(last_->hops - 1) * x->nb[1], bins * sizeof(float));
        for (size_t f = 0; f < bins; ++f) {
            out[tap.bins_first ? f * channels + c : c * bins + f] = row[f];
        }
    }
}

void GgmlSession::set_observing(bool) { throw Error("calibration runs on the cpu backend"); }

std::vector<float> GgmlSession::input_power(const std::string &) const { return {}; }

} // namespace localvqe
