#include "model.h"

#include "blocks/network.h"
#include "cpu/kernels/kernels.h"
#include "error.h"
#include "printable.h"
#include "tensor_table.h"
#include "weights.h"

namespace localvqe {
template <class Open>
std::shared_ptr<const Model> Model::load_named(const std::string & name, Open && open, const Place & place) {
    const Kernels & kernels = select_kernels();
    try {
        const GgufFile file(open());
        return std::shared_ptr<const Model>(new Model(file, kernels, place));
    } catch (const Error & error) {
        throw Error(name + ": " + printable(error.what()));
    }
}

std::shared_ptr<const Model> Model::load(const std::string & path, const Place & place) {
    return load_named(path, [&] { return open_file(path); }, place);
}

std::shared_ptr<const Model> Model::load(const void * bytes, uint64_t size) {
    return load_named("the model in memory", [&] { return open_memory(bytes, size); }, {});
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
