"""The machines that wheels are made for: what the compiler calls them, what their wheels are called, what runs them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TARGETS", "Target"]


@dataclass(frozen=True)
class Target:
    """A kind of machine.

    Attributes:
        name: what tools/wheels.py takes.
        zig: what zig compiles for.
        tags: platform tags of the wheel.
        processor: x86_64 or aarch64.
        runner: what runs a program of the target, [] for this machine itself, or None where nothing can.
        files: what the runner needs besides, and the Debian package that has it.
    """

    name: str
    zig: str
    tags: tuple[str, ...]
    processor: str
    runner: tuple[str, ...] | None
    files: dict[str, str]

    @property
    def system(self) -> str:
        """linux, windows or macos."""
        return self.zig.split("-")[1].split(".")[0]

    @property
    def glibc(self) -> tuple[int, int] | None:
        """The oldest glibc that the wheel runs on; None for systems without it."""
        if "-linux-gnu." not in self.zig:
            return None
        major, minor = self.zig.rsplit("gnu.", 1)[1].split(".")
        return int(major), int(minor)

    @property
    def platform(self) -> str:
        """The last part of the wheel's file name."""
        return ".".join(sorted(self.tags))

    @property
    def library(self) -> str:
        """The name of the library in the wheel."""
        return {"linux": "liblocalvqe.so", "windows": "liblocalvqe.dll", "macos": "liblocalvqe.dylib"}[self.system]


_QEMU = {"/usr/bin/qemu-aarch64": "qemu-user"}
_ARM_LIBC = {"/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1": "libc6-arm64-cross"}
_ARM_MUSL = {"/lib/ld-musl-aarch64.so.1": "musl:arm64 (after dpkg --add-architecture arm64 and apt-get update)"}

TARGETS = {
    target.name: target
    for target in (
        Target(
            "manylinux_x86_64",
            "x86_64-linux-gnu.2.17",
            ("manylinux_2_17_x86_64", "manylinux2014_x86_64"),
            "x86_64",
            (),
            {},
        ),
        Target(
            "win_amd64",
            "x86_64-windows-gnu",
            ("win_amd64",),
            "x86_64",
            ("wine",),
            {"/usr/bin/wine": "wine", "/usr/lib/wine/wine64": "wine64"},
        ),
        Target(
            "manylinux_aarch64",
            "aarch64-linux-gnu.2.17",
            ("manylinux_2_17_aarch64", "manylinux2014_aarch64"),
            "aarch64",
            ("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"),
            _QEMU | _ARM_LIBC,
        ),
        Target(
            "musllinux_x86_64",
            "x86_64-linux-musl",
            ("musllinux_1_2_x86_64",),
            "x86_64",
            (),
            {"/lib/ld-musl-x86_64.so.1": "musl"},
        ),
        Target(
            "musllinux_aarch64",
            "aarch64-linux-musl",
            ("musllinux_1_2_aarch64",),
            "aarch64",
            ("qemu-aarch64",),
            _QEMU | _ARM_MUSL,
        ),
        Target("macosx_arm64", "aarch64-macos.11.0", ("macosx_11_0_arm64",), "aarch64", None, {}),
        Target("macosx_x86_64", "x86_64-macos.11.0", ("macosx_11_0_x86_64",), "x86_64", None, {}),
    )
}
