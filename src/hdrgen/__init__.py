"""Scene-linear, half-float OpenEXR out of AI image models."""

__version__ = "0.1.0"
