"""What people choose by name of files. Imports nothing heavy."""

from typing import Literal

Compression = Literal[
    "none", "rle", "zips", "zip", "piz", "pxr24", "b44", "b44a", "dwaa", "dwab", "htj2k", "zstd"
]
"""Compression of an EXR."""

CodeEncoding = Literal["logc4", "srgb", "logc3", "display_p3", "adobe_rgb"]
"""Curve and primaries of 8- or 16-bit codes; some keys of `encoded.CODE_ENCODINGS`."""
