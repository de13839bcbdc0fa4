"""The three signals of a call as files that ``enhance`` and ``eval`` take: in step to the sample, at 16 kHz."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from ..atomic import check_output
from ..audio.resample import FloatArray
from ..audio.writer import OutputFormat, open_output
from ..errors import UsageError
from ..geometry import MODEL_RATE

__all__ = ["Recorder"]

_NAMES = ("mic", "far", "out")


class Recorder:
    """Writes mic.flac, far.flac and out.flac; they take their names when the body of ``with`` ends well.

    The far end is as the model got it: on the microphone's clock. A call of it is a ``HopListener``.
    """

    def __init__(self, folder: str, *, force: bool = False) -> None:
        """Raises UsageError: the folder cannot be made, or a file is there and ``force`` is not given."""
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise UsageError(f"cannot make the folder {folder} ({exc.strerror}); name another") from exc
        self.paths = [check_output(Path(folder) / f"{name}.flac", force=force) for name in _NAMES]
        self._stack = ExitStack()
        self._before: tuple[FloatArray, FloatArray] | None = None

    def __enter__(self) -> Recorder:
        with ExitStack() as stack:
            form = OutputFormat("FLAC", "PCM_16")
            self._files = [stack.enter_context(open_output(str(path), MODEL_RATE, form)) for path in self.paths]
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> bool | None:
        return self._stack.__exit__(*exc_info)  # type: ignore[arg-type]

    def __call__(self, mic: FloatArray, far: FloatArray, out: FloatArray) -> None:
        """A hop of each; ``out`` belongs to the hop before."""
        if self._before is not None:
            for file, signal in zip(self._files, (*self._before, out), strict=True):
                file.write(signal)
        self._before = mic.copy(), far.copy()
