"""Stress scenes for the adaptive front-end: what it hears, and figures of what it makes of it.

docs/reference/frontend.md has the results.
"""
