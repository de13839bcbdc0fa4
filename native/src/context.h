// What a C handle points to.
#pragma once

#include "noise_gate.h"
#include "stream.h"

#include <memory>
#include <string>

namespace localvqe {

// What 0 threads means where there is work for several.
int auto_threads();
// What GGML_NTHREADS asks for, or 0; programs written for ggml set it.
int threads_from_environment();

// A live stream, and for whole clips a second one that works in larger steps and starts on first use.
class Context {
public:
    // threads 0: one for the live stream, whose hops are short, and all processors up to 8 for clips.
    Context(std::shared_ptr<const Model> model, int threads, int max_hops);

    void process_clip(const float * mic, const float * ref, size_t n, float * out);
    void process_hops(const float * mic, const float * ref, size_t hops, float * out);
    // A hop of each of these contexts of one model; see Stream. Where one ran away, its `error` says so.
    static void process_together(Context * const * contexts, int count, const float * const * mic,
                                 const float * const * ref, float * const * out, bool * ran_away);
    void reset();

    Stream & stream() { return *stream_; }
    const Model & model() const { return *model_; }
    // Index of a tap; -1 if there is none of that name.
    int find_tap(const char * name) const;

    NoiseGate gate;
    std::string error;
    bool named = false; // by a list that is being checked for names that come twice

private:
    std::shared_ptr<const Model> model_;
    int threads_;
    std::unique_ptr<Stream> stream_;
    std::unique_ptr<Stream> clip_;
};

} // namespace localvqe
