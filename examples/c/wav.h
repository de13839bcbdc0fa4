/* wav.h - mono 16-bit WAV files at 16 kHz, the only sound that these examples read and write. */
#ifndef EXAMPLE_WAV_H
#define EXAMPLE_WAV_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAV_MOST (1u << 28) /* samples: what localvqe takes as one clip, 4.6 hours */

static uint32_t wav_number(const unsigned char * bytes, int count) {
    uint32_t value = 0;
    while (count-- > 0) {
        value = value << 8 | bytes[count];
    }
    return value;
}

/* Samples of a file, to be freed, and their count; NULL, and a line on stderr, when it is none that we can read. */
static int16_t * wav_read(const char * path, int * count) {
    const char * problem = "is no WAV file";
    FILE * file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return NULL;
    }
    unsigned char head[12], chunk[8], format[16];
    int16_t * samples = NULL;
    int known = 0;
    if (fread(head, 1, 12, file) == 12 && !memcmp(head, "RIFF", 4) && !memcmp(head + 8, "WAVE", 4)) {
        problem = "has no samples";
        while (!samples && fread(chunk, 1, 8, file) == 8) {
            uint32_t size = wav_number(chunk + 4, 4);
            if (!memcmp(chunk, "data", 4) && size >= 2) {
                if (!known || size / 2 > WAV_MOST) {
                    problem = "is not mono, 16 bit, 16 kHz and below 4.6 hours";
                    break;
                }
                size_t wanted = size / 2;
                unsigned char * bytes = (unsigned char *)malloc(2 * wanted);
                samples = (int16_t *)malloc(sizeof(int16_t) * wanted);
                if (bytes && samples && fread(bytes, 2, wanted, file) == wanted) {
                    for (size_t i = 0; i < wanted; i++) {
                        samples[i] = (int16_t)wav_number(bytes + 2 * i, 2);
                    }
                    *count = (int)wanted;
                } else {
                    problem = "ends early";
                    free(samples);
                    samples = NULL;
                    free(bytes);
                    break;
                }
                free(bytes);
            } else if (!memcmp(chunk, "fmt ", 4) && size >= 16) {
                if (fread(format, 1, 16, file) != 16 || fseek(file, (long)(size - 16 + size % 2), SEEK_CUR) != 0) {
                    break;
                }
                known = wav_number(format, 2) == 1 && wav_number(format + 2, 2) == 1 &&
                        wav_number(format + 4, 4) == 16000 && wav_number(format + 14, 2) == 16;
            } else if (fseek(file, (long)size + (long)(size % 2), SEEK_CUR) != 0) {
                break;
            }
        }
    }
    fclose(file);
    if (!samples) {
        fprintf(stderr, "%s %s; make it so with: sox IN -r 16000 -c 1 -b 16 OUT.wav\n", path, problem);
    }
    return samples;
}

static void wav_put(unsigned char * bytes, uint32_t value, int count) {
    for (int i = 0; i < count; i++) {
        bytes[i] = (unsigned char)(value >> 8 * i);
    }
}

/* Whether the whole file was written; if not, none is left, and stderr has a line. */
static int wav_write(const char * path, const int16_t * samples, int count) {
    size_t size = 44 + 2 * (size_t)count;
    unsigned char * bytes = (unsigned char *)malloc(size);
    FILE * file = bytes ? fopen(path, "wb") : NULL;
    if (file) {
        memcpy(bytes, "RIFF....WAVEfmt ", 16);
        wav_put(bytes + 4, (uint32_t)(size - 8), 4);
        wav_put(bytes + 16, 16, 4);
        wav_put(bytes + 20, 1, 2);
        wav_put(bytes + 22, 1, 2);
        wav_put(bytes + 24, 16000, 4);
        wav_put(bytes + 28, 32000, 4);
        wav_put(bytes + 32, 2, 2);
        wav_put(bytes + 34, 16, 2);
        memcpy(bytes + 36, "data", 4);
        wav_put(bytes + 40, (uint32_t)(2 * (size_t)count), 4);
        for (int i = 0; i < count; i++) {
            wav_put(bytes + 44 + 2 * (size_t)i, (uint16_t)samples[i], 2);
        }
    }
    int written = file && fwrite(bytes, 1, size, file) == size;
    if (file && fclose(file) != 0) {
        written = 0;
    }
    if (!written) {
        fprintf(stderr, "%s: cannot be written\n", path);
        if (file) {
            remove(path);
        }
    }
    free(bytes);
    return written;
}

#endif
