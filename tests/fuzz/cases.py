"""What must hold for one damaged file of each kind."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

import mutate
import numpy as np
import seeds
from campaign import Case, Native, one_line
from fake_model import FakeModel
from gguf_document import Document

from localvqe_cli import gguf_file
from localvqe_cli.errors import AudioError, CheckpointError, GGUFError, LocalVQEError, ModelError, UsageError


def _described(path: Path) -> None:
    """What ``inspect`` does, which must come to an end with any file."""
    scanned = gguf_file.scan(path)
    gguf_file.check(scanned)
    json.dumps(gguf_file.describe(scanned, tensors=True).to_dict(), allow_nan=False)


def model_case(folder: Path, documents: list[Document], seed: int, program: str | None = None) -> Case:
    """Reader and engine accept or refuse; what both accept computes, or stops with a word."""
    native = Native(program) if program else None

    def case(index: int) -> str:
        rng = mutate.source(seed, index)
        path = folder / f"{os.getpid()}.gguf"
        path.write_bytes(mutate.damage_gguf(rng, documents[index % len(documents)]))
        _described(path)
        try:
            gguf_file.read(path)
            verdict = "accepted"
        except GGUFError as exc:
            one_line(str(exc), path)
            verdict = "refused"
        if native is None:
            return verdict
        engine = native.load(path)
        if verdict == "accepted":
            assert engine != "refused", "the reader takes what the engine refuses"
        # The other way round is harmless, since whoever comes through Python meets the reader first; but it is counted.
        return f"{verdict}, engine {engine}"

    return case


def audio_case(folder: Path, sounds: list[tuple[str, bytes]], seed: int) -> Case:
    """Enhanced to a finite file, or refused with exit code 3 or 2 and nothing left behind."""
    import soundfile as sf

    from localvqe_cli.audio import Job
    from localvqe_cli.enhance_files import EnhanceOptions, enhance_job

    good = folder / "good.wav"
    sf.write(good, 0.1 * np.random.default_rng(1).standard_normal(4000), 16000)

    def case(index: int) -> str:
        rng = mutate.source(seed, index)
        suffix, content = sounds[index % len(sounds)]
        home = folder / str(os.getpid())
        home.mkdir(exist_ok=True)
        hurt, out = home / f"hurt.{suffix}", home / "out.wav"
        hurt.write_bytes(mutate.damage_bytes(rng, content, rng.choice((60, 60, 400, None))))
        out.unlink(missing_ok=True)
        mic, ref = (hurt, good) if rng.random() < 0.7 else (good, hurt)
        options = EnhanceOptions(allow_truncated=rng.random() < 0.5)
        try:
            enhance_job(FakeModel(), Job("x", str(mic), str(ref), str(out)), options)
        except (AudioError, UsageError) as exc:
            one_line(str(exc))
            assert sorted(os.listdir(home)) == [hurt.name], "something was left behind"
            hurt.unlink()
            return "refused"
        assert sorted(os.listdir(home)) == sorted([hurt.name, out.name])
        samples, _ = sf.read(out, dtype="float32")
        assert np.isfinite(samples).all()
        hurt.unlink()
        return "accepted"

    return case


def checkpoint_case(folder: Path, contents: list[bytes], seed: int) -> Case:
    """Read or refused with exit code 4, and nothing in it was run."""
    from localvqe_cli import checkpoint

    def case(index: int) -> str:
        rng = mutate.source(seed, index)
        path = folder / f"{os.getpid()}.pt"
        path.write_bytes(mutate.damage_checkpoint(rng, contents[index % len(contents)]))
        os.chdir(folder)
        try:
            checkpoint.read(path, arch=None if rng.random() < 0.5 else 3)
            verdict = "accepted"
        except (CheckpointError, UsageError) as exc:
            one_line(str(exc), path)
            verdict = "refused"
        assert not (folder / "executed").exists(), "code in the checkpoint was run"
        return verdict

    return case


def onnx_case(folder: Path, contents: list[bytes], seed: int) -> Case:
    """Refused with exit code 4, or taken and run: a finite hop, or a word why not."""
    from localvqe_cli.onnx_file.session import OnnxEnhancer

    hop = np.full(256, 0.1, np.float32)

    def case(index: int) -> str:
        rng = mutate.source(seed, index)
        path = folder / f"{os.getpid()}.onnx"
        path.write_bytes(mutate.damage_onnx(rng, contents[index % len(contents)]))
        try:
            stream = OnnxEnhancer(path).stream()
        except ModelError as exc:
            one_line(str(exc), path)
            return "refused"
        try:
            assert np.isfinite(stream.process(hop, hop)).all()
        except LocalVQEError as exc:
            one_line(str(exc))
            return "stopped"
        return "accepted"

    return case


def codec_case(folder: Path, documents: list[Document], seed: int) -> Case:
    """Model files of the speech codec: refused with exit code 4, or taken and run: tokens and finite sound, or a word
    why not."""
    from localvqe_cli.lfsc.codec import Codec

    importlib.import_module("localvqe_cli.lfsc.reference")  # here, so that no case pays for loading torch

    sound = (0.1 * np.random.default_rng(1).standard_normal(200)).astype(np.float32)

    def case(index: int) -> str:
        rng = mutate.source(seed, index)
        path = folder / f"{os.getpid()}.gguf"
        path.write_bytes(mutate.damage_gguf(rng, documents[index % len(documents)]))
        _described(path)
        try:
            codec = Codec(path)
        except ModelError as exc:
            one_line(str(exc), path)
            return "refused"
        try:
            tokens = codec.encode(sound)
            assert tokens.min() >= 0
            assert tokens.max() < codec.config.codes
            assert np.isfinite(codec.decode(tokens, sound.size)).all()
        except LocalVQEError as exc:
            one_line(str(exc), path)
            return "stopped"
        return "accepted"

    return case


def archive_case(folder: Path, contents: list[bytes], seed: int) -> Case:
    """Read or refused with exit code 4; nothing in it was run, nothing unpacked."""
    from localvqe_cli.lfsc import nemo

    for needed in ("torch", "yaml"):  # here, so that no case pays for loading them
        importlib.import_module(needed)

    def case(index: int) -> str:
        rng = mutate.source(seed, index)
        home = folder / str(os.getpid())
        home.mkdir(exist_ok=True)
        path = home / "hurt.nemo"
        path.write_bytes(mutate.damage_archive(rng, contents[index % len(contents)]))
        os.chdir(home)
        try:
            nemo.read(path)
            verdict = "accepted"
        except CheckpointError as exc:
            one_line(str(exc), path)
            verdict = "refused"
        assert os.listdir(home) == [path.name], "something was unpacked or run"
        return verdict

    return case


def manifest_case(folder: Path, seed: int) -> Case:
    """Jobs whose outputs stay in the folder that was asked for, or exit code 2."""
    from localvqe_cli.audio.pairing import jobs_from_manifest

    def case(index: int) -> str:
        rng = mutate.source(seed, index)
        path = folder / f"{os.getpid()}.tsv"
        path.write_bytes(mutate.damage_text(rng, seeds.MANIFEST))
        try:
            jobs = jobs_from_manifest(str(path), str(folder / "out"))
        except UsageError as exc:
            one_line(str(exc))
            return "refused"
        for job in jobs:
            assert os.path.dirname(os.path.realpath(job.output)) == os.path.realpath(folder / "out")
            assert job.mic != "-"
            assert job.ref != "-"
        return "accepted"

    return case
