"""The answers of models, one small file each, so that nothing is asked twice."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from hdrgen.dataset.captions.answer import Answer, Text
from hdrgen.dataset.captions.light import MeasuredLight
from hdrgen.dataset.captions.request import Model
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError

_LAST_ASKING = "last_asking.json"


class Record(BaseModel):
    """One answer with what it cost.

    ``retries`` counts attempts before the one that was answered, ``invalid`` those of them whose answer was of no
    use. ``invalid`` is beside the point of a caption, but tells an operator that a server is not well.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    source: str
    model: Model
    frame: Text
    light: MeasuredLight
    answer: Answer
    prompt_tokens: int = 0
    completion_tokens: int = 0
    retries: int = 0
    invalid: int = 0


class Asking(BaseModel):
    """How a model was last asked: frames answered, tokens read and written for them, and the time it took."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: int
    tokens: int
    seconds: float


class Records:
    """A folder of records, each in a file of its key. It only grows: who deletes it asks again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> Record | None:
        """Return the answer of a key, None where nobody was asked or the file is damaged."""
        try:
            record = Record.model_validate_json(self._path(key).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        except OSError as error:
            raise HdrgenError(f"{self._path(key)}: cannot be read ({error.strerror})") from None
        return record if record.key == key else None

    def put(self, record: Record) -> None:
        """Keep an answer; it is there as a whole or not at all, even if the process is killed."""
        with replacing(self._path(record.key)) as temporary:
            temporary.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def last_asking(self) -> Asking | None:
        """Return how fast answers came the last time that anything was asked."""
        try:
            return Asking.model_validate_json((self.folder / _LAST_ASKING).read_bytes())
        except (OSError, ValidationError):
            return None

    def put_asking(self, asking: Asking) -> None:
        """Keep how fast answers came, for runs that have nothing to ask."""
        with replacing(self.folder / _LAST_ASKING) as temporary:
            temporary.write_text(asking.model_dump_json() + "\n", encoding="utf-8")

    def _path(self, key: str) -> Path:
        # Folders of 256 keep listings short when there are a million.
        return self.folder / key[:2] / f"{key}.json"
