"""The small JSON files that ``dvc metrics`` reads."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hdrgen.runtime.atomic import replacing


def write_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """Write metrics so that equal figures make equal bytes: keys in the order given, no time of day."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n", encoding="utf-8")
