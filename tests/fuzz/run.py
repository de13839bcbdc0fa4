#!/usr/bin/env python
r"""Fuzz everything that reads what strangers made. The full campaign:

    python tests/fuzz/run.py --models 20000 --audio 5000 --checkpoints 2000 \
        --manifests 5000 --onnx 10000 --codecs 5000 --archives 5000 --calls 1000000 --build build/fuzz

Without counts a short one runs. ``--seed`` changes the cases; case N of a seed is always the same bytes, and
``--first N --models 1`` repeats it. ``--build DIR`` builds the engine there with address and undefined sanitizers
and loads every model into it as well (``--sanitizer ''`` for none); without it only the Python readers are tried.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tests"), str(ROOT)]


def build(folder: Path, sanitizer: str, extra: list[str]) -> str:
    """Build ``fuzz_api`` with sanitizers; returns its path."""
    options = [f"-DLOCALVQE_SANITIZE={sanitizer}", "-DLOCALVQE_TESTS=ON", "-DCMAKE_BUILD_TYPE=RelWithDebInfo", *extra]
    subprocess.run(["cmake", "-S", str(ROOT / "native"), "-B", str(folder), *options], check=True, stdout=sys.stderr)
    subprocess.run(["cmake", "--build", str(folder), "--target", "fuzz_api", "-j2"], check=True, stdout=sys.stderr)
    return str(folder / "tests" / "fuzz_api")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, count in (
        ("models", 500),
        ("audio", 200),
        ("checkpoints", 60),
        ("manifests", 500),
        ("onnx", 100),
        ("codecs", 200),
        ("archives", 100),
        ("calls", 0),
    ):
        parser.add_argument(f"--{name}", type=int, default=count, metavar="N")
    parser.add_argument("--streams", type=float, default=0.0, metavar="SECONDS", help="64 streams in 8 threads")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first case")
    parser.add_argument("--build", type=Path, metavar="DIR", help="build the engine with sanitizers and try it too")
    parser.add_argument("--sanitizer", default="address,undefined", help="or: thread, for --streams")
    parser.add_argument("--cmake", action="append", default=[], metavar="OPTION", help="passed on to cmake")
    args = parser.parse_args()

    import campaign
    import cases
    import seeds

    program = build(args.build, args.sanitizer, args.cmake) if args.build else None
    findings = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def fuzz(label: str, case: campaign.Case, count: int) -> None:
            nonlocal findings
            tally = campaign.Tally()
            campaign.run(case, args.first, count, tally)
            print(tally.line(label), flush=True)
            for finding in tally.findings[:20]:
                print(f"  {finding}", flush=True)
            findings += len(tally.findings)

        if args.manifests:
            fuzz("manifests", cases.manifest_case(folder, args.seed), args.manifests)
        if args.audio:
            fuzz("audio", cases.audio_case(folder, seeds.sounds(folder), args.seed), args.audio)
        if args.checkpoints:
            fuzz("checkpoints", cases.checkpoint_case(folder, seeds.checkpoints(folder), args.seed), args.checkpoints)
        if args.onnx:
            fuzz("onnx", cases.onnx_case(folder, seeds.onnx_files(folder), args.seed), args.onnx)
        if args.codecs:
            fuzz("codecs", cases.codec_case(folder, seeds.codecs(folder), args.seed), args.codecs)
        if args.archives:
            fuzz("archives", cases.archive_case(folder, seeds.archives(folder), args.seed), args.archives)
        if args.models or args.calls or args.streams:
            documents = seeds.models(folder)
            if args.models:
                fuzz("models", cases.model_case(folder, documents, args.seed, program), args.models)
            paths = sorted(folder.glob("[!0-9]*.gguf"))  # not the damaged ones, which are named by process
            paths = [path for path in paths if not path.name.startswith("codec-")]  # of the other family
            if (args.calls or args.streams) and not program:
                parser.error("--calls and --streams need --build")
            for number, path in enumerate(paths):
                if args.calls:
                    share = str(-(-args.calls // len(paths)))
                    findings += native([str(program), "calls", str(path), str(args.seed + number), share], path.stem)
            if args.streams:
                path = folder / "stages.gguf"
                command = [str(program), "streams", str(path), str(args.seed), str(args.streams), "64", "8"]
                findings += native(command, path.stem)
    return 1 if findings else 0


def native(command: list[str], label: str) -> int:
    """Run ``fuzz_api``; the number of findings, 0 or 1."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    lines = done.stdout.splitlines()
    print(f"{command[1]} on {label}: {lines[-1] if lines else 'no result'}, exit code {done.returncode}", flush=True)
    if done.returncode:
        print(done.stderr[-4000:], flush=True)
    return int(done.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
