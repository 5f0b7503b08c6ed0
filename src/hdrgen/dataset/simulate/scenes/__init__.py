"""The kinds of scene, one function each: a seeded generator in, a `Scene` out."""

from collections.abc import Callable

import numpy as np

from hdrgen.dataset.simulate.scene import Scene
from hdrgen.dataset.simulate.scenes.interiors import daylight_room, living_room_practicals
from hdrgen.dataset.simulate.scenes.nature import campfire, foliage_backlit
from hdrgen.dataset.simulate.scenes.people import portrait
from hdrgen.dataset.simulate.scenes.skies import cloudscape_road, meadow_sun_in_frame, sea_sunset
from hdrgen.dataset.simulate.scenes.still_lifes import (
    chrome_still_life,
    colour_chart,
    draped_cloth,
    glass_still_life,
)
from hdrgen.dataset.simulate.scenes.streets import neon_alley, night_street

KINDS: dict[str, Callable[[np.random.Generator], Scene]] = {
    scene.__name__: scene
    for scene in (
        living_room_practicals,
        daylight_room,
        night_street,
        neon_alley,
        meadow_sun_in_frame,
        cloudscape_road,
        sea_sunset,
        foliage_backlit,
        campfire,
        portrait,
        chrome_still_life,
        glass_still_life,
        draped_cloth,
        colour_chart,
    )
}
"""Every kind of scene by its name."""
