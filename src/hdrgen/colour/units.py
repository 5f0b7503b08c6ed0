"""What a number of scene-linear light means: 18 % grey is 0.18, and 1.0 is shown at 100 nit."""

NITS_PER_UNIT = 100.0
"""Luminance at which scene-linear 1.0 is shown where figures need nits: PU21, Delta E ITP, JOD."""

FLOOR_LINEAR = 1e-3
"""Luminance below this, 7.5 stops under grey, is noise in any camera; errors in stops are measured above it."""
