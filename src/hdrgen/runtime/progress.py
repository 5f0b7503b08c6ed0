"""The library's only way to speak while it works."""

from collections.abc import Callable

OnProgress = Callable[[int, int], None]
"""Called with (items done, items in all)."""
