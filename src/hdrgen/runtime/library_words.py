"""What libraries say of themselves: warnings, and lines of their logs. None of it is for the person who runs us."""

import logging
import os
import warnings

_LIBRARIES = ("transformers", "diffusers")


def silence_libraries() -> None:
    """Have libraries keep their warnings to themselves, those that are imported later too; what people set stays."""
    warnings.simplefilter("ignore")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    for library in _LIBRARIES:
        # It reads this when it is imported, and sets its own level.
        if os.environ.setdefault(f"{library.upper()}_VERBOSITY", "error") == "error":
            logging.getLogger(library).setLevel(logging.ERROR)
