"""The section of the stage ``report``."""

from pydantic import Field

from hdrgen.runtime.params import Section


class ReportSettings(Section):
    """How much is shown."""

    frames: int = Field(3, ge=1)
    """Test frames that stand side by side as footage, 8-bit input and each command's result."""
    generated: int = Field(6, ge=1)
    """Generated pictures that stand side by side by route."""
    sheet_frames: int = Field(48, ge=1)
    """Frames on the contact sheet, evenly among all."""
    captions: int = Field(10, ge=1)
    """Frames with their captions; those that contradict their measured light come first."""
    changes: int = Field(60, ge=1)
    """Changed figures in the table."""
    exposure_side: int = Field(160, ge=32)
    """Longest side of one exposure, in pixels."""
    quality: int = Field(80, ge=1, le=100)
    """Quality of the pictures' compression, 1 to 100."""
