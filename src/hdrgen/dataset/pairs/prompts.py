"""The words that frames are learned with: the prompts of the file of captions, beside the index."""

from pathlib import Path

import polars as pl

from hdrgen.runtime.errors import HdrgenError

PROMPTS = "prompts"


def with_prompts(index: pl.DataFrame, captions: Path) -> pl.DataFrame:
    """Return an index with a column of prompts, from a few words to a whole caption; null where there is no caption.

    Parameters
    ----------
    index
        Of `split`.
    captions
        What the stage `caption` wrote: JSON, one frame a line.

    Raises
    ------
    HdrgenError
        The file of captions cannot be read.
    """
    try:
        said = pl.read_ndjson(captions, schema={"frame": pl.String, PROMPTS: pl.List(pl.String)})
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise HdrgenError(f"{captions}: cannot be read ({reason}); run the stage caption") from None
    return index.join(said, on="frame", how="left", maintain_order="left")
