"""Download through huggingface_hub, which knows the hub's storage, its endpoints and the user's credentials."""

from __future__ import annotations

import errno
import inspect
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import LocalVQEError, MissingExtraError
from ..tensor_check import printable
from .mirror import Progress
from .registry import REPOSITORY, REVISION, PublishedFile

__all__ = ["fetch", "require"]

EXTRA = "hub"

_MAX_REASON = 160
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


def require() -> None:
    """Raise MissingExtraError unless huggingface_hub is installed."""
    try:
        import huggingface_hub  # noqa: F401
    except ImportError as exc:
        raise MissingExtraError("downloading models", EXTRA) from exc


def fetch(file: PublishedFile, folder: Path, progress: Progress) -> Path:
    """Download ``file`` somewhere into ``folder``; its content is not checked.

    Whether a lost connection is taken up again is up to its version; ``progress`` is told from version 1.2 on.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
        LocalVQEError: the hub cannot be reached or refuses.
        OSError: ``folder`` cannot be written.
    """
    require()
    from huggingface_hub import hf_hub_download

    options: dict[str, Any] = {}
    if "tqdm_class" in inspect.signature(hf_hub_download).parameters:
        options["tqdm_class"] = _bar_class(progress)
    try:
        with _silence():
            found = hf_hub_download(
                REPOSITORY,
                file.filename,
                revision=REVISION,
                local_dir=folder,
                cache_dir=folder / "cache",  # not the user's own, where a damaged copy could lie for good
                library_name="localvqe",
                endpoint=os.environ.get("HF_ENDPOINT") or None,
                **options,
            )
    except Exception as exc:  # what it raises depends on its version and on the HTTP client below it
        disk_error = _disk_error(exc)
        if disk_error is not None:
            raise disk_error from exc
        raise LocalVQEError(
            f"could not download {file.filename} from the hub: {_reason(exc)}; try again later"
        ) from exc
    return Path(found)


def _bar_class(progress: Progress) -> type[Any]:
    """A class of progress bars that draw nothing and tell ``progress`` what they would show."""
    import tqdm  # which huggingface_hub brings

    any_bar: Any = tqdm.tqdm

    class Bar(any_bar):  # type: ignore[misc]
        furthest = 0.0  # of all bars: the hub shows two for one file

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)  # of huggingface_hub's own class
            super().__init__(*args, **(kwargs | {"disable": False, "file": io.StringIO()}))

        def display(self, *_: Any, **__: Any) -> None:
            if self.n > Bar.furthest:
                Bar.furthest = self.n
                progress(self.n, self.total)

    return Bar


@contextmanager
def _silence() -> Iterator[None]:
    """Keep huggingface_hub's own bars and warnings from the terminal."""
    from huggingface_hub import utils as typed

    utils: Any = typed
    verbosity, had_bars = utils.logging.get_verbosity(), not utils.are_progress_bars_disabled()
    utils.logging.set_verbosity_error()
    try:
        if had_bars:
            utils.disable_progress_bars()
        yield
    finally:
        utils.logging.set_verbosity(verbosity)
        if had_bars:
            utils.enable_progress_bars()


def _disk_error(exc: BaseException) -> OSError | None:
    """The error of the local disk behind ``exc``, if that is what it was."""
    return next((e for e in _chain(exc) if isinstance(e, OSError) and e.errno in _DISK_ERRORS), None)


def _reason(exc: BaseException) -> str:
    """One line: what the system said at the bottom of it, or else the first line of huggingface_hub's account."""
    root = _chain(exc)[-1]
    text = root.strerror if isinstance(root, OSError) and root.strerror else str(exc)
    line = next((" ".join(line.split()) for line in text.splitlines() if line.strip()), type(exc).__name__)
    return printable(line, _MAX_REASON)


def _chain(exc: BaseException) -> list[BaseException]:
    """``exc``, what caused it, what caused that, and so on."""
    chain = [exc]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    return chain
