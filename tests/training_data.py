"""A small manifest of synthetic voices and noises, so that training can be tested without recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE = 16000


def tone_voice(pitch: float, seconds: float, seed: int) -> np.ndarray:
    """Harmonics that come and go a few times a second, with silence at the end."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    syllables = np.clip(np.sin(2 * np.pi * 3.0 * time + rng.uniform(0, 6)), 0.0, 1.0)
    wave = sum(np.sin(2 * np.pi * pitch * k * time + rng.uniform(0, 6)) / k for k in range(1, 12))
    wave = 0.2 * syllables * wave
    wave[int(0.8 * len(wave)) :] = 0.0
    return wave.astype(np.float32)


def make_manifest(folder: Path) -> Path:
    """Two training voices, one held-out voice, two noises and one device response; returns the manifest."""
    rows = []

    def add(name: str, wave: np.ndarray, kind: str, split: str, speaker: str = "") -> None:
        soundfile.write(folder / name, wave, RATE, subtype="PCM_16")
        rows.append((name, kind, split, f"{len(wave) / RATE:.3f}", speaker, "CC0", "synthetic"))

    for voice, (pitch, split) in enumerate(((110.0, "train"), (170.0, "train"), (220.0, "valid"))):
        for take in range(2):
            wave = tone_voice(pitch, 1.0 + take, 10 * voice + take)
            add(f"voice{voice}-{take}.wav", wave, "speech", split, f"v{voice}")
    rng = np.random.default_rng(5)
    for number, split in enumerate(("train", "valid")):
        add(f"noise{number}.wav", (0.05 * rng.standard_normal(RATE)).astype(np.float32), "noise", split)
    device = np.zeros(800, dtype=np.float32)
    device[[40, 55, 90]] = (0.9, -0.4, 0.2)
    add("device.wav", device, "rir", "train")
    manifest = folder / "manifest.tsv"
    lines = ["path\tkind\tsplit\tseconds\tspeaker\tlicence\tsource", *("\t".join(row) for row in rows)]
    manifest.write_text("\n".join(lines) + "\n")
    return manifest
