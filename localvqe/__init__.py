"""Remove echo, noise and reverberation from voice calls on an ordinary CPU.

>>> import localvqe
>>> clean = localvqe.Enhancer().enhance(mic, ref)  # mono float32 at 16 kHz  # doctest: +SKIP

Everything public is in ``__all__``. It is written in ``localvqe_cli``, whose modules load when a name of theirs is
first used; ``__init__.pyi`` tells type checkers the same.
"""

import sys
from dataclasses import is_dataclass
from importlib import import_module
from typing import get_type_hints

from localvqe_cli import errors as _errors

#: Module of ``localvqe_cli`` -> what of it is public.
_HOMES = {
    "block_stream": ("BlockStream",),
    "config": ("FrontendConfig", "ModelConfig", "ResidualConfig"),
    "description": ("Description", "Health", "TensorDescription"),
    "engine": ("Enhancer", "Stream", "get_include", "get_library_dir"),
    "enhance": ("enhance", "enhance_file", "enhance_files"),
    "enhance_files": ("FileResult",),
    "errors": tuple(_errors.__all__),
    "evaluation.result": ("ClipOutcome", "ClipScores", "Evaluation", "Problem", "SystemInfo"),
    "evaluation.run": ("evaluate",),
    "evaluation.statistics": ("Summary",),
    "export": ("ExportSummary", "export"),
    "families": ("LFSCConfig",),
    "inspection": ("inspect",),
    "lfsc.codec": ("Codec",),
    "lfsc.codec_files": ("CodecResult", "decode_file", "encode_file", "roundtrip_file"),
    "quantization.run": ("QuantizeSummary", "TensorSummary", "quantize"),
    "verify": ("verify",),
    "verify_result": ("BlockResult", "TensorResult", "Verification"),
    "version": ("__version__",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_module(f"localvqe_cli.{_HOME_OF[name]}")
    _publish()
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


def _publish() -> None:
    """Take over the public names of every module that is loaded by now, what came with the one asked for included."""
    for home, names in _HOMES.items():
        module = sys.modules.get(f"localvqe_cli.{home}")
        for name in names:
            found = getattr(module, name, None)  # none yet in a module that another thread is still loading
            if found is not None and name not in globals():
                if is_dataclass(found):  # its annotations are names of its module, which it no longer points to
                    found.__annotations__ = get_type_hints(found)
                if callable(found):
                    found.__module__ = __name__  # what messages, pickles and help() call it
                globals()[name] = found


_publish()
