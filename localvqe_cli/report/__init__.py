"""Reports of an evaluation: one result, several renderings."""

from __future__ import annotations

from .model import Report

__all__ = ["Report"]
