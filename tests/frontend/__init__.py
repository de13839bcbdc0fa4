"""Stress scenes for the adaptive front-end: what it hears, and figures of what it makes of it. See docs/frontend.md."""
