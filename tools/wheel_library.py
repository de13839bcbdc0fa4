"""What a compiled library asks of the machine it is loaded on, and what it shows to others there, by its file alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import lief
from wheel_targets import Target

__all__ = ["LARGEST", "Library", "problems", "read"]

lief.logging.disable()  # what it cannot read of a file is none of what is asked here

#: Bytes of a wheel.
LARGEST = 3_000_000
#: What every system has that a wheel's tag names. Whoever adds a library here adds a promise.
_LIBRARIES = {
    "gnu": {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-x86-64.so.2",
            "ld-linux-aarch64.so.1"},
    "musl": {"libc.so"},
    "windows": {"kernel32.dll", "advapi32.dll", "msvcrt.dll", "ntdll.dll"},
    "macos": {"/usr/lib/libSystem.B.dylib"},
}  # fmt: skip
#: What zig's linker marks in every library for macOS; nothing there can be linked with another library's.
_MARKS = {"_mh_dylib_header", "__dso_handle"}
#: The C library of Windows 10 in parts.
_WINDOWS_PARTS = "api-ms-win-crt-"


@dataclass(frozen=True)
class Library:
    """What the file says.

    Attributes:
        processor: x86_64 or aarch64.
        needs: libraries that it loads.
        glibc: the newest version of glibc that one of its symbols needs.
        macos: the oldest macOS that it says it runs on.
        exports: names that others can use.
        symbols: whether it still has symbols for a debugger.
    """

    processor: str
    needs: frozenset[str]
    exports: frozenset[str]
    glibc: tuple[int, ...] = ()
    macos: tuple[int, ...] = ()
    versions: frozenset[str] = field(default_factory=frozenset)
    symbols: bool = False


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def read(path: Path) -> Library:
    """The library at ``path``, of any system.

    Raises:
        ValueError: it is no library that this knows.
    """
    file = lief.parse(str(path))
    if isinstance(file, lief.ELF.Binary):
        return _read_elf(file)
    if isinstance(file, lief.PE.Binary):
        return _read_pe(file)
    if isinstance(file, lief.MachO.Binary):
        return _read_macho(file)
    raise ValueError(f"{path} is no library")


def _read_elf(file: lief.ELF.Binary) -> Library:
    names = {lief.ELF.ARCH.X86_64: "x86_64", lief.ELF.ARCH.AARCH64: "aarch64"}
    needed = {str(aux.name) for need in file.symbols_version_requirement for aux in need.get_auxiliary_symbols()}
    glibc = [_version(name.removeprefix("GLIBC_")) for name in needed if name.startswith("GLIBC_")]
    own = {str(definition.auxiliary_symbols[0].name) for definition in file.symbols_version_definition}
    exports = {
        str(symbol.name)
        for symbol in file.dynamic_symbols
        if symbol.shndx != 0 and symbol.binding != lief.ELF.Symbol.BINDING.LOCAL and str(symbol.name) not in own
    }
    return Library(
        processor=names.get(file.header.machine_type, str(file.header.machine_type)),
        needs=frozenset(map(str, file.libraries)),
        exports=frozenset(exports),
        glibc=max(glibc, default=()),
        versions=frozenset(needed),
        symbols=any(section.name == ".symtab" for section in file.sections),
    )


def _read_pe(file: lief.PE.Binary) -> Library:
    names = {lief.PE.Header.MACHINE_TYPES.AMD64: "x86_64", lief.PE.Header.MACHINE_TYPES.ARM64: "aarch64"}
    exported = file.get_export()
    return Library(
        processor=names.get(file.header.machine, str(file.header.machine)),
        needs=frozenset(str(needed.name).lower() for needed in file.imports),
        exports=frozenset(str(entry.name) for entry in exported.entries) if exported else frozenset(),
    )


def _read_macho(file: lief.MachO.Binary) -> Library:
    names = {lief.MachO.Header.CPU_TYPE.X86_64: "x86_64", lief.MachO.Header.CPU_TYPE.ARM64: "aarch64"}
    build = file.build_version
    return Library(
        processor=names.get(file.header.cpu_type, str(file.header.cpu_type)),
        needs=frozenset(
            str(needed.name) for needed in file.libraries if needed.command != lief.MachO.LoadCommand.TYPE.ID_DYLIB
        ),
        exports=frozenset(str(symbol.name).removeprefix("_") for symbol in file.exported_symbols) - _MARKS,
        macos=tuple(build.minos) if build else (),
    )


def problems(target: Target, library: Library) -> Iterator[str]:
    """What is wrong with a library for a target, a line each."""
    if library.processor != target.processor:
        yield f"it is for {library.processor}, not {target.processor}"
    kind = target.system if target.system != "linux" else "gnu" if target.glibc else "musl"
    foreign = {name for name in library.needs - _LIBRARIES[kind] if not name.startswith(_WINDOWS_PARTS)}
    if foreign:
        yield f"it needs {', '.join(sorted(foreign))}, which not every machine of the tag has"
    if kind in ("gnu", "musl") and not any(name.startswith("libc.") for name in library.needs):
        yield "it brings a C library of its own"
    if target.glibc and library.glibc > target.glibc:
        yield f"it needs glibc {'.'.join(map(str, library.glibc))}, and the tag says {'.'.join(map(str, target.glibc))}"
    if not target.glibc and library.glibc:
        yield "it needs glibc"
    others = {name for name in library.versions if not name.startswith("GLIBC_")}
    if others:
        yield f"it needs {', '.join(sorted(others))}"
    if target.system == "macos":
        oldest = _version(target.zig.split("macos.")[1])
        if not library.macos or library.macos[:2] > oldest:
            yield f"it is for macOS {'.'.join(map(str, library.macos)) or 'of any version'}"
    if not library.exports:
        yield "it exports nothing"
    others = {name for name in library.exports if not name.startswith("localvqe_")}
    if others:
        shown = ", ".join(sorted(others)[:5])
        yield f"it exports {len(others)} names beside localvqe_*: {shown}"
    if library.symbols:
        yield "it is not stripped"
