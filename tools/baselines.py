"""Outputs of classical echo cancellers, to compare with: WebRTC's AEC3 and SpeexDSP.

    pip install livekit                   # AEC3, inside AudioProcessingModule
    apt-get install libspeexdsp1          # SpeexDSP, loaded by ctypes
    python tools/baselines.py pairs.tsv OUT [--only aec3 --only speex]

writes ``OUT/{aec3,aec3-ns,speex}/ID_enhanced.wav``, 16 kHz, 16 bit, for ``localvqe eval --enhanced OUT/aec3``. Every
canceller gets what the models get: mic and reference at 16 kHz, one frame of both at a time, nothing about delays.
docs/reference/evaluation.md quotes the result.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from localvqe_cli.audio import MODEL_RATE
from localvqe_cli.evaluation import read_source
from localvqe_cli.signal_path import read_at_model_rate

Pcm = npt.NDArray[np.int16]
Canceller = Callable[[Pcm, Pcm], Pcm]

_AEC3_FRAME = MODEL_RATE // 100  # the module's own, 10 ms
# As in the library's manual: frames of 10 to 20 ms, a tail of a third of the room's reverberation at least.
_SPEEX_FRAME = MODEL_RATE // 50
_SPEEX_TAIL = MODEL_RATE // 4
_SPEEX_ECHO_SET_RATE = 24
_SPEEX_PREPROCESS_SET_ECHO_STATE = 24


def aec3(mic: Pcm, ref: Pcm, *, noise_suppression: bool) -> Pcm:
    """WebRTC's third canceller with its high-pass filter; (n,) in and out."""
    from livekit.rtc import AudioFrame
    from livekit.rtc.apm import AudioProcessingModule

    module = AudioProcessingModule(
        echo_cancellation=True, noise_suppression=noise_suppression, high_pass_filter=True, auto_gain_control=False
    )
    out = []
    for mic_frame, ref_frame in _frames(mic, ref, _AEC3_FRAME):
        near, far = (AudioFrame(bytearray(x.tobytes()), MODEL_RATE, 1, _AEC3_FRAME) for x in (mic_frame, ref_frame))
        module.process_reverse_stream(far)
        module.set_stream_delay_ms(0)
        module.process_stream(near)
        out.append(np.frombuffer(bytes(near.data.cast("B")), np.int16))
    return np.concatenate(out)[: mic.size]


def speex(mic: Pcm, ref: Pcm) -> Pcm:
    """SpeexDSP's adaptive filter and its suppressor of residual echo and noise, as they come; (n,) in and out."""
    lib = _speexdsp()
    echo = lib.speex_echo_state_init(_SPEEX_FRAME, _SPEEX_TAIL)
    after = lib.speex_preprocess_state_init(_SPEEX_FRAME, MODEL_RATE)
    rate = ctypes.c_int(MODEL_RATE)
    lib.speex_echo_ctl(echo, _SPEEX_ECHO_SET_RATE, ctypes.byref(rate))
    lib.speex_preprocess_ctl(after, _SPEEX_PREPROCESS_SET_ECHO_STATE, echo)
    out = []
    for mic_frame, ref_frame in _frames(mic, ref, _SPEEX_FRAME):
        frame = np.empty(_SPEEX_FRAME, np.int16)
        lib.speex_echo_cancellation(echo, mic_frame.ctypes.data, ref_frame.ctypes.data, frame.ctypes.data)
        lib.speex_preprocess_run(after, frame.ctypes.data)
        out.append(frame)
    lib.speex_preprocess_state_destroy(after)
    lib.speex_echo_state_destroy(echo)
    return np.concatenate(out)[: mic.size]


CANCELLERS: dict[str, Canceller] = {
    "aec3": lambda mic, ref: aec3(mic, ref, noise_suppression=False),
    "aec3-ns": lambda mic, ref: aec3(mic, ref, noise_suppression=True),
    "speex": speex,
}


def _speexdsp() -> ctypes.CDLL:
    lib = ctypes.CDLL(ctypes.util.find_library("speexdsp") or "libspeexdsp.so.1")
    pointer, number = ctypes.c_void_p, ctypes.c_int
    for name, result, arguments in (
        ("speex_echo_state_init", pointer, [number, number]),
        ("speex_echo_ctl", number, [pointer, number, pointer]),
        ("speex_echo_cancellation", None, [pointer] * 4),
        ("speex_echo_state_destroy", None, [pointer]),
        ("speex_preprocess_state_init", pointer, [number, number]),
        ("speex_preprocess_ctl", number, [pointer, number, pointer]),
        ("speex_preprocess_run", number, [pointer, pointer]),
        ("speex_preprocess_state_destroy", None, [pointer]),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


def _frames(mic: Pcm, ref: Pcm, length: int) -> Iterator[tuple[Pcm, Pcm]]:
    """Equal frames of both, the last one filled with zeros."""
    count = -(-mic.size // length)
    padded = np.zeros((2, count * length), np.int16)
    padded[0, : mic.size] = mic
    padded[1, : min(ref.size, mic.size)] = ref[: mic.size]
    for start in range(0, count * length, length):
        yield padded[0, start : start + length].copy(), padded[1, start : start + length].copy()


def _pcm(path: str) -> Pcm:
    samples = read_at_model_rate(path)
    return np.asarray(np.clip(np.round(samples * 32768.0), -32768, 32767), np.int16)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", nargs="+", help="what `localvqe eval` takes: manifests or folders")
    parser.add_argument("output", type=Path, help="folder for one folder per canceller")
    parser.add_argument("--only", action="append", choices=sorted(CANCELLERS))
    arguments = parser.parse_args()
    for name in arguments.only or CANCELLERS:
        folder = arguments.output / name
        folder.mkdir(parents=True, exist_ok=True)
        for clip in (clip for source in arguments.source for clip in read_source(source)):
            assert clip.ref is not None, f"{clip.id} has no reference"
            out = CANCELLERS[name](_pcm(clip.mic), _pcm(clip.ref))
            soundfile.write(folder / f"{clip.id}_enhanced.wav", out, MODEL_RATE, subtype="PCM_16")
        print(f"{folder}: done")


if __name__ == "__main__":
    main()
