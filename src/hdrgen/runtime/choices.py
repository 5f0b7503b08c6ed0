"""What people choose by name, the same on the command line, the page, ComfyUI's nodes and in settings.

Imports nothing heavy. What concerns files is in `images.choices`.
"""

from typing import Literal, get_args

Route = Literal["brackets", "dual", "latent"]
"""How a prompt becomes light: four LogC4 exposures that are merged, two tone maps that are fused, or HDR latents."""
ROUTES: tuple[Route, ...] = get_args(Route)

MergeMethod = Literal["learned", "closed", "debevec", "robertson"]
"""What merges exposures: the network, inverse variance, or one of OpenCV's."""

DisplayCurve = Literal["auto", "srgb", "film", "aces13", "aces2"]
"""How an ordinary picture was rendered: estimated; sRGB's curve alone; a filmic shoulder, which is estimated; ACES's SDR views."""
DISPLAY_CURVES: tuple[DisplayCurve, ...] = get_args(DisplayCurve)

Backend = Literal["auto", "torch", "onnx", "tensorrt"]
"""What runs a network; ``auto`` is what `hdrgen bench` found to be fastest on this machine, else torch."""

Device = Literal["auto", "cpu", "cuda"]
"""Where a FLUX checkpoint works; ``auto`` is the GPU where there is one."""

ScaleBy = Literal["none", "median", "least_squares"]
"""How the overall exposure is taken out before a comparison: not, by luminance in stops, or by linear light."""
