"""How the library reports progress: by a callback, for it prints and logs nothing of that."""

from collections.abc import Callable

OnProgress = Callable[[int, int], None]
"""Called with (items done, items in all)."""
