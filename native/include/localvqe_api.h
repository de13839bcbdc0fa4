/* localvqe_api.h - remove echo, and with some models noise and reverberation, from 16 kHz voice, in C.
 *
 * A complete program:
 *
 *     #include <localvqe_api.h>
 *     #include <stdio.h>
 *
 *     int main(void) {
 *         static float mic[16000], ref[16000], out[16000];      // one second at 16 kHz, filled by you
 *         localvqe_ctx_t ctx = localvqe_new("model.gguf");
 *         if (!ctx) { fprintf(stderr, "%s\n", localvqe_creation_error()); return 1; }
 *         if (localvqe_process_f32(ctx, mic, ref, 16000, out) != 0) { fprintf(stderr, "%s\n", localvqe_last_error(ctx)); }
 *         localvqe_free(ctx);
 *         return 0;
 *     }
 *
 * compiled with:  cc program.c -I<include dir> -L<library dir> -llocalvqe
 * (`python -c "import localvqe as l; print(l.get_include(), l.get_library_dir())"` prints both folders.)
 *
 * A live call feeds one hop of 256 samples at a time:
 *
 *     localvqe_process_frame_f32(ctx, mic_hop, ref_hop, 256, out_hop);
 *
 * The output lags the input by one hop (16 ms) with every model: out[n] belongs to mic[n - 256]. One more hop of zeros
 * flushes the end. mic is what the microphone recorded, ref what the loudspeaker was given at the same time; both mono,
 * nominally in [-1, 1]. NaN and infinite samples count as zero.
 *
 * Handles are integers; 0 means failure. Functions return 0 when they succeed, -1 for a null handle or pointer, -2 for
 * a bad value, -3 when the engine failed (localvqe_last_error says why); if that is because the model's weights make its
 * output run away beyond all numbers, the rest of out is silence and the stream starts anew. A handle may be used by one
 * thread at a time; different handles are independent, also when they share a model. */
#ifndef LOCALVQE_API_H
#define LOCALVQE_API_H

#include <stdint.h>

#if defined(_WIN32)
#define LOCALVQE_API __declspec(dllexport)
#else
#define LOCALVQE_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What handles are called; all are integers. */
typedef uintptr_t localvqe_ctx_t;     /* a stream with its history */
typedef uintptr_t localvqe_options_t; /* how to make one */
typedef uintptr_t localvqe_model_t;   /* weights that streams share */
typedef uintptr_t localvqe_group_t;   /* streams that move together */

/* ---- Creating ------------------------------------------------------------------------------------------------- */

/* A context on its own copy of the model; 0 on failure, then localvqe_creation_error() says why. */
LOCALVQE_API localvqe_ctx_t localvqe_new(const char * model_path);

/* The same with options. Setters return 0, -1 for a null handle, -2 for a bad value. */
LOCALVQE_API localvqe_options_t localvqe_options_new(void);
LOCALVQE_API void localvqe_options_free(localvqe_options_t options);
LOCALVQE_API int localvqe_options_set_model_path(localvqe_options_t options, const char * model_path);
LOCALVQE_API int localvqe_options_set_backend(
    localvqe_options_t options, const char * name); /* one of localvqe_has_backend, or "" for the default */
LOCALVQE_API int localvqe_options_set_device(localvqe_options_t options,
                                             int index); /* among those of the backend, set before; from 0 */
/* In what numbers a network's convolutions compute: "auto", the default: integers for quantized files where that is
 * faster, else F32; "f32"; "int16": integers of 16 bits, for files in F32 as well (backend cpu only). */
LOCALVQE_API int localvqe_options_set_precision(localvqe_options_t options, const char * name);
LOCALVQE_API int localvqe_options_set_threads(
    localvqe_options_t options,
    int threads); /* 0 = GGML_NTHREADS, else auto; at most 32; more than there are processors are not started */
LOCALVQE_API localvqe_ctx_t localvqe_new_with_options(localvqe_options_t options);

LOCALVQE_API void localvqe_free(localvqe_ctx_t ctx);

/* Lists the devices the engine can run on, to stderr. */
LOCALVQE_API void localvqe_list_devices(void);

/* ---- Processing ----------------------------------------------------------------------------------------------- */

/* A whole clip: resets, then processes n_samples into out (also n_samples, lagging by one hop). A last partial hop is
 * processed as if followed by zeros. -2 when there is less than one hop or more than 2^28 samples (4.6 hours). */
LOCALVQE_API int localvqe_process_f32(localvqe_ctx_t ctx, const float * mic, const float * ref, int n_samples,
                                      float * out);
LOCALVQE_API int localvqe_process_s16(localvqe_ctx_t ctx, const int16_t * mic, const int16_t * ref, int n_samples,
                                      int16_t * out);

/* One hop of a live stream; -2 when hop_samples is not localvqe_hop_length(). */
LOCALVQE_API int localvqe_process_frame_f32(localvqe_ctx_t ctx, const float * mic, const float * ref, int hop_samples,
                                            float * out);
LOCALVQE_API int localvqe_process_frame_s16(localvqe_ctx_t ctx, const int16_t * mic, const int16_t * ref,
                                            int hop_samples, int16_t * out);

/* Forgets everything heard so far; options and noise gate stay. */
LOCALVQE_API void localvqe_reset(localvqe_ctx_t ctx);

/* An output hop whose RMS is at or below threshold_dbfs becomes zeros. Survives localvqe_reset. */
LOCALVQE_API int localvqe_set_noise_gate(localvqe_ctx_t ctx, int enabled, float threshold_dbfs);
LOCALVQE_API int localvqe_get_noise_gate(localvqe_ctx_t ctx, int * enabled, float * threshold_dbfs);

/* ---- Asking --------------------------------------------------------------------------------------------------- */

/* Text of the last failure on ctx, "" if none; valid until the next call on ctx. */
LOCALVQE_API const char * localvqe_last_error(localvqe_ctx_t ctx);
LOCALVQE_API int localvqe_sample_rate(localvqe_ctx_t ctx); /* 16000; 0 for a null handle, as the next two */
LOCALVQE_API int localvqe_hop_length(localvqe_ctx_t ctx);  /* 256 */
LOCALVQE_API int localvqe_fft_size(localvqe_ctx_t ctx);    /* 512 */

/* A table of the blocks to stdout: time per hop since profiling was switched on, operations, multiply-adds, memory. */
LOCALVQE_API void localvqe_print_profile(localvqe_ctx_t ctx);

/* ---- Additions of this library -------------------------------------------------------------------------------- */

/* Of the package; and the kernel set in use: avx512vnni, avx512, avx2, neon, simd128, portable or wide (LOCALVQE_KERNELS
 * overrides the choice). */
LOCALVQE_API const char * localvqe_version(void);
LOCALVQE_API const char * localvqe_kernels(void);

/* Why the last localvqe_new, localvqe_new_with_options, localvqe_model_load* or localvqe_stream_new of this thread
 * returned 0; "" if it did not. Valid until the next such call of this thread. */
LOCALVQE_API const char * localvqe_creation_error(void);

/* Where a network can run. Backends, in any case: "cpu", kernels of our own and the default; "ggml", any device that ggml
 * finds; "cuda", "metal", "vulkan", those of that kind; "auto", for this library to choose. localvqe_has_backend is 1 for
 * what this build has, else 0. Devices are listed by backend, index there and description; "" and -2 beyond the count. */
LOCALVQE_API int localvqe_has_backend(const char * name);
LOCALVQE_API int localvqe_device_count(void);
LOCALVQE_API const char * localvqe_device_backend(int i);
LOCALVQE_API int localvqe_device_index(int i);
LOCALVQE_API const char * localvqe_device_description(int i);

/* A model shared by many streams. The model may be freed before its streams: the last one keeps it alive.
 * localvqe_stream_new returns a context for every function above that takes one. max_hops (1..64) is the most hops one
 * localvqe_process_hops_f32 call handles at a time internally: 1 for a live stream, 8 for files, of which it takes fewer
 * where that is faster. */
LOCALVQE_API localvqe_model_t localvqe_model_load(const char * model_path);
/* from a file's content; free that as soon as you like */
LOCALVQE_API localvqe_model_t localvqe_model_load_memory(const void * bytes, uint64_t size);
LOCALVQE_API localvqe_model_t
localvqe_model_load_with_options(localvqe_options_t options); /* its threads do not count here */
LOCALVQE_API void localvqe_model_free(localvqe_model_t model);
LOCALVQE_API localvqe_ctx_t localvqe_stream_new(localvqe_model_t model, int threads, int max_hops);

/* Any number of whole hops of a stream, continuing where it stands; the same samples in larger steps. */
LOCALVQE_API int localvqe_process_hops_f32(localvqe_ctx_t ctx, const float * mic, const float * ref, int n_hops,
                                           float * out);

/* One hop of each of n streams of one model, each at its own point of its call: what localvqe_process_frame_f32 of each
 * would give, to the bit, in less time, because a part of the weights serves all before the next is read (backend cpu; for
 * others it is no faster). mic, ref and out point to the hops of the streams, of 256 samples each. status (n) is -3 for a
 * stream whose model ran away, which localvqe_last_error of that stream tells as well; else 0. Returns -2, and nothing was
 * processed, when n < 1, a stream is there twice or the streams are not all of one localvqe_model_t;
 * localvqe_last_error(streams[0]) says which. Threads are those of the first stream; none of them may be in use by another
 * thread meanwhile. */
LOCALVQE_API int localvqe_process_streams_f32(const localvqe_ctx_t * streams, int n, const float * const * mic,
                                              const float * const * ref, float * const * out, int * status);

/* Streams of one model that move together, for clips on a GPU, which many hops at once suit. localvqe_model_group_streams is
 * how many one group should have: as many as pay and as the device has room for, 1 where every stream had better be on its
 * own (backend cpu, models without a network). mic, ref and out hold (streams, n_hops * 256) samples. status (streams) is -3
 * for a stream whose model ran away: it gets silence from there on and starts anew; else 0. A clip of its own begins with
 * localvqe_group_reset(group, stream). localvqe_group_new returns 0 on failure, as localvqe_stream_new. */
LOCALVQE_API int localvqe_model_group_streams(localvqe_model_t model, int max_hops);
LOCALVQE_API localvqe_group_t localvqe_group_new(localvqe_model_t model, int threads, int streams,
                                                 int max_hops); /* at most 256 streams */
LOCALVQE_API void localvqe_group_free(localvqe_group_t group);
LOCALVQE_API int localvqe_group_process_f32(localvqe_group_t group, const float * mic, const float * ref, int n_hops,
                                            float * out, int * status);
LOCALVQE_API int localvqe_group_reset(localvqe_group_t group, int stream);
LOCALVQE_API int localvqe_group_set_noise_gate(localvqe_group_t group, int enabled, float threshold_dbfs);
LOCALVQE_API const char * localvqe_group_last_error(localvqe_group_t group);

/* Frames of 16 ms by which the far end currently seems to lag, and the weight of that, 0..1 (may be null):
 *   network alone: the peak of the AlignBlock's distribution, 0..d_max-1, and its weight;
 *   front-end alone: the delay at which its filter begins, 0..lags-1, and 1; the echo's peak is 0 to 2 frames later;
 *   both: the sum of the two, 0..lags-1 + d_max-1, and the weight of the AlignBlock's peak.
 * Negative return values as above. */
LOCALVQE_API int localvqe_current_delay(localvqe_ctx_t ctx, float * confidence);

/* Block outputs of the latest hop, for verification. Which there are depends on the model:
 *   with a front-end: frontend_error and frontend_echo, (1, 256) samples;
 *   with a gain stage behind it: residual_gain, (1, 257), 0..1;
 *   with a network: mic_spectrum, ref_spectrum, mic_enc1..5, far_enc1..2, delay, align, bottleneck, dec5..dec1, enhanced.
 * localvqe_tap_read copies dim0 * dim1 floats and returns how many, or -2 if the name is unknown or capacity too small. */
LOCALVQE_API int localvqe_tap_count(localvqe_ctx_t ctx);
LOCALVQE_API const char * localvqe_tap_name(localvqe_ctx_t ctx, int index);
LOCALVQE_API int localvqe_tap_shape(localvqe_ctx_t ctx, const char * name, int * dim0, int * dim1);
LOCALVQE_API int localvqe_tap_read(localvqe_ctx_t ctx, const char * name, float * out, int capacity);

/* The profile by block: how many blocks, their names, and nanoseconds per hop since profiling was switched on. */
LOCALVQE_API int localvqe_profile_count(localvqe_ctx_t ctx);
LOCALVQE_API const char * localvqe_profile_name(localvqe_ctx_t ctx, int index);
LOCALVQE_API double localvqe_profile_ns(localvqe_ctx_t ctx, int index);

/* F32 multiply-adds per second that one core reaches with the kernel set in use, measured for about `seconds` (at most
 * 10): the roofline every speed of this engine can be held against. 0 when it cannot be measured. */
LOCALVQE_API double localvqe_measure_peak(double seconds);

/* Switches profiling on (1) or off (0) and clears its counters. */
LOCALVQE_API int localvqe_set_profiling(localvqe_ctx_t ctx, int enabled);

/* How many convolutions of this model run as integer products: as localvqe_options_set_precision says, those with at least
 * 8 input channels; everything else is unpacked to F32 when the model is loaded. LOCALVQE_ARITHMETIC=int16 or =f32 in the
 * environment says what "auto" means for models loaded afterwards. 0 for a model without a network. */
LOCALVQE_API int localvqe_integer_layers(localvqe_ctx_t ctx);

/* Calibration: after localvqe_set_observing(ctx, 1), everything processed by hop is added up; localvqe_input_power copies the
 * mean square of each channel that the layer of this weight tensor ("mic_enc2.conv.weight") has read, and returns how many
 * channels, or -2 if there is no such layer, nothing was processed, or capacity is too small. */
LOCALVQE_API int localvqe_set_observing(localvqe_ctx_t ctx, int enabled);
LOCALVQE_API int localvqe_input_power(localvqe_ctx_t ctx, const char * tensor, float * out, int capacity);

/* ggml's block formats, as model files hold them. type is ggml's number: 8 Q8_0, 12 Q4_K, 13 Q5_K, 14 Q6_K. A matrix has
 * `rows` rows of `columns` numbers, a multiple of 32 (Q8_0) or 256. localvqe_quantized_size is the bytes it takes, 0 for a
 * type or size that cannot be. The others return 0, -1 for a null pointer, -2 for a type, size, value or scale that cannot
 * be, capacity (bytes, floats) too small included. importance (columns numbers, none negative, or null) says how much an
 * error in each column matters. */
LOCALVQE_API uint64_t localvqe_quantized_size(int type, uint64_t rows, uint64_t columns);
LOCALVQE_API int localvqe_quantize_rows(int type, const float * in, uint64_t rows, uint64_t columns,
                                        const float * importance, void * out, uint64_t capacity);
LOCALVQE_API int localvqe_dequantize_rows(int type, const void * in, uint64_t rows, uint64_t columns, float * out,
                                          uint64_t capacity);

/* ---- Speech codec --------------------------------------------------------------------------------------------- */

/* What a codec works on: mono sound at sample_rate, in frames of samples_per_frame; of each frame `codebooks` tokens, 0 to
 * codes - 1. A clip has least_frames or more. A frame's tokens depend on encode_context frames on either side, a frame's
 * sound on decode_context frames of tokens: what is computed of a chunk with so many beside it, where the clip has them, is
 * what is computed of the whole clip. */
typedef struct {
    int sample_rate, samples_per_frame, codebooks, codes, least_frames, encode_context, decode_context;
} localvqe_codec_info;

/* A codec from a model file of the architecture "lfsc", on so many threads (1..32); 0 on failure, then
 * localvqe_creation_error() says why. One thread of the program may use it at a time. */
LOCALVQE_API uintptr_t localvqe_codec_new(const char * model_path, int threads);
LOCALVQE_API void localvqe_codec_free(uintptr_t codec);
LOCALVQE_API int localvqe_codec_describe(uintptr_t codec, localvqe_codec_info * info);
LOCALVQE_API const char * localvqe_codec_last_error(uintptr_t codec);

/* A clip of `frames` whole frames: sound (frames * samples_per_frame) to tokens (codebooks x frames, codebook by codebook),
 * and back. Sound that is no multiple of a frame is filled up with zeros, and cut again. */
LOCALVQE_API int localvqe_codec_encode(uintptr_t codec, const float * sound, int frames, int32_t * tokens);
LOCALVQE_API int localvqe_codec_decode(uintptr_t codec, const int32_t * tokens, int frames, float * sound);

#ifdef __cplusplus
}
#endif

#endif
