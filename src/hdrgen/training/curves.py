"""Learning curves as tab-separated files, which DVC plots and everything else read."""

from pathlib import Path

from hdrgen.runtime.atomic import replacing


class Curve:
    """Rows of numbers under named columns; the first column is the step."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        self._columns = columns
        self._rows: list[tuple[float, ...]] = []

    @property
    def rows(self) -> list[tuple[float, ...]]:
        """What was added so far."""
        return list(self._rows)

    def add(self, *values: float) -> None:
        """Add a row."""
        if len(values) != len(self._columns):
            raise ValueError(f"expected {len(self._columns)} values, got {len(values)}")
        self._rows.append(values)

    def write(self, path: Path) -> None:
        """Write all rows."""
        lines = ["\t".join(self._columns), *("\t".join(f"{v:.6g}" for v in row) for row in self._rows)]
        with replacing(path) as temporary:
            temporary.write_text("\n".join(lines) + "\n")
