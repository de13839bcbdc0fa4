"""The AEC challenge's scenarios and how names are read."""

from __future__ import annotations

import re

from ..metrics import TalkType

__all__ = ["CHALLENGE", "LONG", "UNKNOWN", "from_name", "normalised", "of_clip", "sort_key", "talk_type"]

#: The challenge's own, in the order of its tables.
CHALLENGE = (
    "doubletalk",
    "doubletalk-with-movement",
    "farend-singletalk",
    "farend-singletalk-with-movement",
    "nearend-singletalk",
)
UNKNOWN = "unknown"
#: Of scenarios of whole calls with their pauses, which the challenge has not: rows and a mean of their own.
LONG = "long-"

_PATTERN = re.compile(
    r"(?:^|[-_. ])((?:doubletalk|farend[-_]singletalk|nearend[-_]singletalk)(?:[-_]with[-_]movement)?)"
)
_TALK = {"doubletalk": TalkType.DOUBLE, "farend": TalkType.FAR_END, "nearend": TalkType.NEAR_END}


def normalised(name: str) -> str:
    """``Farend_Singletalk`` -> ``farend-singletalk``; other names keep their words."""
    return re.sub(r"[\s_]+", "-", name.strip().lower()) or UNKNOWN


def from_name(stem: str) -> str:
    """The scenario inside a file's name, ``unknown`` where there is none."""
    found = _PATTERN.search(stem.lower())
    return normalised(found.group(1)) if found else UNKNOWN


def of_clip(name: str, scenario: str) -> str:
    """The row that a clip belongs to: a clip called ``long-...`` to ``long-SCENARIO``, others to their scenario."""
    return (
        LONG + scenario if name.lower().startswith(LONG) and talk_type(scenario) and LONG not in scenario else scenario
    )


def talk_type(scenario: str) -> TalkType | None:
    """Who speaks in a (normalised) scenario; None where the name does not say.

    A prefix such as ``synthetic-`` changes nothing.
    """
    found = _PATTERN.search(scenario)
    return _TALK[re.split("[-_]", found.group(1))[0]] if found else None


def sort_key(scenario: str) -> tuple[int, str]:
    """The challenge's scenarios first, the others by name."""
    known = CHALLENGE.index(scenario) if scenario in CHALLENGE else len(CHALLENGE)
    return known, scenario
