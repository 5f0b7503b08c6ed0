"""Figures about captions: which captioner wrote them, how long they are, whether they fit the light, what they cost."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hdrgen.dataset.captions.captioning import Caption, Captions
from hdrgen.dataset.captions.light import CONTRADICTIONS, contradictions
from hdrgen.metrics.quality import summarise
from hdrgen.runtime.atomic import replacing

MOST_TAGS = 40
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def contradicted(caption: Caption) -> tuple[str, ...]:
    """Return what a caption says against its frame's measured light, see `light.contradictions`."""
    text = ". ".join((caption.caption, caption.time_of_day, *caption.tags, *caption.light_sources))
    return contradictions(text, caption.light)


def caption_figures(done: Captions) -> dict[str, Any]:
    """Return the figures of a run, for a metrics file.

    Rates are those of the last time that a model was asked, so a run that asks nothing changes no figure.
    """
    captions, records = [*done.captions.values()], [*done.records.values()]
    against = [contradicted(caption) for caption in captions]
    figures: dict[str, Any] = {
        "frames": len(captions) + len(done.failures),
        "captions": len(captions),
        "failures": len(done.failures),
        "sources": dict(sorted(Counter(caption.source for caption in captions).items())),
        "retried": sum(record.retries > 0 for record in records),
        "invalid": sum(record.invalid for record in records),
        "contradicted_share": sum(map(bool, against)) / max(1, len(captions)),
        "contradictions": {name: sum(name in names for names in against) for name in CONTRADICTIONS},
        "tags": len({tag for caption in captions for tag in caption.tags}),
        "prompt_tokens": sum(record.prompt_tokens for record in records),
        "completion_tokens": sum(record.completion_tokens for record in records),
    }
    if captions:
        figures |= summarise([{"words": len(caption.caption.split())} for caption in captions])
    if done.asking is not None and done.asking.seconds > 0:
        figures["frames_per_second"] = round(done.asking.frames / done.asking.seconds, 2)
        figures["tokens_per_second"] = round(done.asking.tokens / done.asking.seconds, 1)
    return figures


def write_tag_frequencies(path: Path, captions: Iterable[Caption]) -> None:
    """Write how many frames have each of the most frequent tags, as a table for a plot."""
    counts = Counter(tag for caption in captions for tag in set(caption.tags))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_TAGS]
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, delimiter="\t", lineterminator="\n")
        table.writerow(("tag", "frames"))
        table.writerows((" ".join(_CONTROL.sub(" ", tag).split()), count) for tag, count in ordered)


def caption_examples(captions: Sequence[Caption], count: int = 10) -> list[Caption]:
    """Return captions for a table: those that contradict their light first, then evenly among all others."""
    suspect = [caption for caption in captions if contradicted(caption)][: count // 2]
    others = [caption for caption in captions if caption not in suspect]
    left = min(count - len(suspect), len(others))
    return suspect + [others[place * len(others) // left] for place in range(left)]
