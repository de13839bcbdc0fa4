"""``localvqe live`` as a service of the user's session: a systemd user unit, or a desktop autostart entry."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ..atomic import atomic_output
from ..errors import LocalVQEError, UsageError

__all__ = ["install_service", "remove_service"]

_UNIT = "localvqe-live.service"
_ENTRY = "localvqe-live.desktop"
#: What the command returns when systemd stops it politely.
_TERMINATED = 143

_UNIT_TEXT = """\
[Unit]
Description=LocalVQE, a microphone without echo
After=pipewire-pulse.service pulseaudio.service

[Service]
ExecStart={command}
Restart=on-failure
RestartSec=5
SuccessExitStatus={terminated}

[Install]
WantedBy=default.target
"""
_ENTRY_TEXT = """\
[Desktop Entry]
Type=Application
Name=LocalVQE, a microphone without echo
Exec={command}
Terminal=false
"""


def install_service(arguments: list[str]) -> tuple[Path, bool]:
    """Have ``localvqe`` run with these arguments in every session, and now where systemd can.

    Returns:
        The file that says so, and whether it runs already. Where there is no systemd of the user's, the file is a
        desktop autostart entry, which the next session starts.

    Raises:
        UsageError: this system has neither.
        LocalVQEError: systemd refused; the unit is removed again.
    """
    _require_linux()
    command = [sys.executable, "-m", "localvqe_cli", *arguments]
    if not _has_systemd():
        entry = _folder("autostart") / _ENTRY
        _write(entry, _ENTRY_TEXT.format(command=" ".join(_quoted(part, dollar="\\\\$") for part in command)))
        return entry, False
    unit = _folder("systemd/user") / _UNIT
    line = " ".join(_quoted(part, dollar="$$") for part in command)
    _write(unit, _UNIT_TEXT.format(command=line, terminated=_TERMINATED))
    try:
        _systemctl("daemon-reload")
        _systemctl("enable", _UNIT)
        _systemctl("restart", _UNIT)
    except LocalVQEError:
        unit.unlink()
        raise
    return unit, True


def remove_service() -> Path:
    """Undo :func:`install_service`; returns the file that is gone.

    Raises:
        UsageError: it is not installed.
        LocalVQEError: systemd refused.
    """
    _require_linux()
    unit, entry = _folder("systemd/user") / _UNIT, _folder("autostart") / _ENTRY
    if unit.exists():
        if _has_systemd():
            _systemctl("disable", "--now", _UNIT)
        unit.unlink()
        if _has_systemd():
            _systemctl("daemon-reload")
        return unit
    if entry.exists():
        entry.unlink()
        return entry
    raise UsageError(f"the service is not installed: neither {unit} nor {entry} is there")


def _require_linux() -> None:
    if not sys.platform.startswith("linux"):
        raise UsageError("--install-service and --remove-service are for Linux; use this system's own autostart")


def _folder(name: str) -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / name


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_output(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _has_systemd() -> bool:
    """Whether this session has a systemd of the user's that answers."""
    if shutil.which("systemctl") is None:
        return False
    done = subprocess.run(["systemctl", "--user", "show-environment"], capture_output=True, check=False)
    return done.returncode == 0


def _systemctl(*arguments: str) -> None:
    done = subprocess.run(["systemctl", "--user", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise LocalVQEError(f"systemctl --user {' '.join(arguments)}: {said[-1] if said else done.returncode}")


def _quoted(part: str, *, dollar: str) -> str:
    """As one word of a command line: % means something in both kinds of file, $ too."""
    text = part.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", dollar)
    return f'"{text}"'
