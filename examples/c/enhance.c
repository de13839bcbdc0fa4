/* enhance MODEL.gguf MIC.wav REF.wav OUT.wav - the microphone without its echo, hop by hop as in a live call.
 *
 *     cc enhance.c -o enhance $(pkg-config --cflags --libs localvqe)
 */
#include "wav.h"

#include <localvqe_api.h>

enum { HOP = 256 }; /* 16 ms, the step of every model */

/* The hop that begins at sample `start`; silence beyond the end. */
static void take(const int16_t * samples, int count, int start, int16_t * hop) {
    for (int i = 0; i < HOP; i++) {
        hop[i] = start + i < count ? samples[start + i] : 0;
    }
}

/* Whether all of mic was processed. What comes out of a hop belongs to the one before, so silence goes in at the end. */
static int enhance(uintptr_t ctx, const int16_t * mic, int count, const int16_t * ref, int ref_count, int16_t * out) {
    int16_t mic_hop[HOP], ref_hop[HOP], clean[HOP];
    for (int start = 0; start < count + HOP; start += HOP) {
        take(mic, count, start, mic_hop);
        take(ref, ref_count, start, ref_hop);
        if (localvqe_process_frame_s16(ctx, mic_hop, ref_hop, HOP, clean) != 0) {
            fprintf(stderr, "%s\n", localvqe_last_error(ctx));
            return 0;
        }
        for (int i = 0; i < HOP; i++) {
            int place = start - HOP + i;
            if (place >= 0 && place < count) {
                out[place] = clean[i];
            }
        }
    }
    return 1;
}

int main(int argc, char ** argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: enhance MODEL.gguf MIC.wav REF.wav OUT.wav\n");
        return 2;
    }
    int count = 0, ref_count = 0, done = 0;
    int16_t * mic = wav_read(argv[2], &count);
    int16_t * ref = mic ? wav_read(argv[3], &ref_count) : NULL;
    int16_t * out = ref ? (int16_t *)malloc(sizeof(int16_t) * (size_t)count) : NULL;
    uintptr_t ctx = out ? localvqe_new(argv[1]) : 0;
    if (ctx) {
        done = enhance(ctx, mic, count, ref, ref_count, out) && wav_write(argv[4], out, count);
    } else if (out) {
        fprintf(stderr, "%s\n", localvqe_creation_error());
    }
    localvqe_free(ctx);
    free(out);
    free(ref);
    free(mic);
    return done ? 0 : 1;
}
