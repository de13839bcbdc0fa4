// A loaded model: checked configuration, the net's description and its weights on a backend; read-only after
// construction and shared by any number of streams.
#pragma once

#include "backends.h"
#include "config.h"
#include "host/frontend_gain.h"
#include "net.h"

#include <memory>
#include <string>

namespace localvqe {

class Model {
public:
    // Validates the whole file before anything is built from it; throws Error with the path in the text.
    static std::shared_ptr<const Model> load(const std::string & path, const Place & place = {});
    // The same of a file's content, which is needed no longer than this takes.
    static std::shared_ptr<const Model> load(const void * bytes, uint64_t size);

    const ModelConfig & config() const { return config_; }
    const Kernels & kernels() const { return kernels_; }                        // of the host's part
    const FrontendGain * frontend_gain() const { return frontend_gain_.get(); } // null without a learned controller
    const Net * net() const { return net_.get(); }                              // null without a network, as the next
    const Program * program() const { return program_.get(); }

private:
    template <class Open>
    static std::shared_ptr<const Model> load_named(const std::string & name, Open && open, const Place & place);
    Model(const class GgufFile & file, const Kernels & kernels, const Place & place);

    ModelConfig config_;
    const Kernels & kernels_;
    std::unique_ptr<const FrontendGain> frontend_gain_;
    std::unique_ptr<const Net> net_;
    std::unique_ptr<const Program> program_;
};

} // namespace localvqe
