#include "model.h"

#include "blocks/network.h"
#include "cpu/kernels/kernels.h"
#include "error.h"
#include "tensor_table.h"
#include "weights.h"

namespace localvqe {
namespace {

// Names and texts out of the file stand in messages; they must not reach a terminal as commands, nor break the line.
std::string printable(std::string text) {
    for (char & c : text) {
        c = c < ' ' || c > '~' ? '?' : c;
    }
    return text;
}

} // namespace

std::shared_ptr<const Model> Model::load(const std::string & path, const Place & place) {
    const Kernels & kernels = select_kernels();
    try {
        const GgufFile file(path);
        return std::shared_ptr<const Model>(new Model(file, kernels, place));
    } catch (const Error & error) {
        throw Error(path + ": " + printable(error.what()));
    }
}

Model::Model(const GgufFile & file, const Kernels & kernels, const Place & place)
    : config_(ModelConfig::from_gguf(file)), kernels_(kernels) {
    check_tensors(file, config_);
    const auto shapes = tensor_shapes(config_);
    const Loader loader{file, shapes};
    if (config_.has_frontend && config_.frontend.gain_hidden > 0) {
        frontend_gain_.reset(new FrontendGain(loader, config_.frontend.gain_hidden));
    }
    if (config_.has_network) {
        net_.reset(new Net(network(config_)));
        program_ = make_program(*net_, loader, kernels, place);
    }
}

} // namespace localvqe
