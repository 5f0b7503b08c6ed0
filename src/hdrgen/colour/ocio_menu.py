"""What the OpenColorIO configuration in use has to offer, for menus."""

from typing import Any

from hdrgen.colour import ocio


def space_names() -> list[str]:
    """Return the names of all colour spaces, in the configuration's order."""
    return list(_config().getColorSpaceNames())


def views() -> list[tuple[str, str]]:
    """Return all displays with each of their views, the default ones first."""
    config = _config()
    return [(display, view) for display in config.getDisplays() for view in config.getViews(display)]


def _config() -> Any:
    return ocio._config(ocio.config_source())  # noqa: SLF001 - one reader of configurations for both modules
