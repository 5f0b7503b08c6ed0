"""Which files of a folder are frames of one sequence, told by their names alone, and which frames are missing."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import gcd
from pathlib import Path

from hdrgen.delivery_findings import Delivery, Finding, broken
from hdrgen.delivery_rules import DeliveryRules, Frames

_DATE = re.compile(
    r"(?<![0-9])(?:19|20)[0-9]{2}([-_]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12][0-9]|3[01])(?![0-9])"
)
_NUMBER = re.compile(
    rf"{_DATE.pattern}"
    r"|(?<![^._])-[0-9]+"  # a frame before zero: a hyphen after a letter or digit only separates
    r"|[0-9]+"
)
_WORD = re.compile(r"([A-Z]?[a-z]+|[A-Z]+)$")  # the last of a compV or a comp_v
_FRAME_WORDS = {"f", "fr", "frame", "frames"}
_OTHER_WORDS = {
    *("v", "ver", "version", "rev", "ev", "take", "tk", "lod", "part", "layer"),
    *("s", "sh", "shot", "sc", "scn", "scene", "sq", "seq", "sequence", "ep", "episode"),
    *("cam", "camera", "reel", "roll", "clip"),
}
_OTHER_WORDS_APART = {"ver", "version", "ev"}  # version_2
_MOST_DIGITS = 9
_VIEW = re.compile(r"(?<![A-Za-z])(?:left|right|l|r)(?![A-Za-z])", re.IGNORECASE)
_RANGES_SAID = 8
_FEWEST_FOR_A_STEP = 3  # any two frames are as far apart as they are


@dataclass(frozen=True)
class FrameSequence:
    """Files whose names differ in the frame number only.

    `name` is what they have in common, with ``#`` for the number where something follows it besides the
    suffix. `digits` are the numbers as written, those of frames before zero with their sign. `doubtful` tells
    that the numbers may just as well count other things.
    """

    name: str
    digits: tuple[str, ...]
    doubtful: bool = False

    @property
    def frames(self) -> list[int]:
        """The frame numbers, ascending, each once."""
        return sorted({int(d) for d in self.digits})

    @property
    def step(self) -> int:
        """The number of frames from one to the next, as far as three or more of them show one."""
        frames = self.frames
        differences = [b - a for a, b in pairwise(frames)]
        return gcd(*differences) if len(frames) >= _FEWEST_FOR_A_STEP else 1

    @property
    def equally_padded(self) -> bool:
        """Whether one width writes all numbers; a sign may or may not count in it."""
        return any(map(_one_width, ([d.lstrip("-") for d in self.digits], self.digits)))


@dataclass(frozen=True)
class OtherNumbers:
    """Files whose names differ in numbers that name no frames: versions, shots, sizes, dates."""

    name: str
    count: int


def check_sequence(folder: Path, files: Sequence[Path], rules: DeliveryRules | None = None) -> Delivery:
    """Check the names of a folder's files as sequences: no frame is missing, numbers are padded alike.

    The number may stand anywhere in the name: ``a.1001.exr``, ``a.1001_v02.exr``, ``a.1001.left.exr``,
    ``a_1001_beauty.exr``, ``a-0001.exr``, ``a.-005.exr``. Views, layers, versions and shots are sequences of
    their own. What counts versions (``v002``), shots (``sh010``), sizes (``4k``) or days is no frame.
    """
    rule = (rules or DeliveryRules()).sequence
    if rule.breach == "ignore":
        return Delivery(folder, ())
    findings: list[Finding] = []
    sequences: list[FrameSequence] = []
    for found in numbered_files([file.name for file in files], rule.frame):
        if isinstance(found, OtherNumbers):
            why = f"{found.name}: {found.count} files by numbers that are not taken for frames"
            findings.append(Finding("sequence", "pass", why))
        else:
            sequences.append(found)
            findings.extend(_findings(found, rule))
    findings.extend(_unequal_views(sequences))
    return Delivery(folder, tuple(findings))


def numbered_files(names: Iterable[str], frame: str | None = None) -> list[FrameSequence | OtherNumbers]:
    """Tell which names are frames of one sequence.

    Parameters
    ----------
    names
        File names with their suffixes.
    frame
        A regular expression, searched in the name, whose first group is the frame number; names in which it is
        not found are left out. None finds the number.
    """
    if frame is not None:
        return _by_expression(names, re.compile(frame))
    alike: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
    for name in names:
        stem, dot, suffix = name.rpartition(".")
        numbers = tuple(match[0] for match in _NUMBER.finditer(stem))
        *texts, last = _NUMBER.sub("\0", stem).split("\0")
        alike[*texts, last + dot + suffix].append(numbers)
    found: list[FrameSequence | OtherNumbers] = []
    for between, members in alike.items():
        if len(members) > 1:
            found.extend(_numbered_alike(between, members))
    return sorted(found, key=lambda sequence: sequence.name)


def _by_expression(names: Iterable[str], frame: re.Pattern[str]) -> list[FrameSequence | OtherNumbers]:
    digits: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if (match := frame.search(name)) and re.fullmatch(r"-?[0-9]{1,18}", match[1] or ""):
            digits[_common(name[: match.start(1)], name[match.end(1) :])].append(match[1])
    return [FrameSequence(name, tuple(numbers)) for name, numbers in sorted(digits.items())]


def _numbered_alike(
    between: tuple[str, ...], members: list[tuple[str, ...]]
) -> Iterator[FrameSequence | OtherNumbers]:
    """Find the frames among names that have the same text between their numbers."""
    varying = [i for i in range(len(between) - 1) if len({numbers[i] for numbers in members}) > 1]
    places = [i for i in varying if _may_be_frame(between, i, [numbers[i] for numbers in members])]
    if not places:
        masked = ["#" if i in varying else number for i, number in enumerate(members[0])]
        yield OtherNumbers(Path(_joined(between, masked)).stem, len(members))
        return
    place = max(places, key=lambda i: _likelihood(between, i, [numbers[i] for numbers in members]))
    digits: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for numbers in members:
        digits[numbers[:place] + numbers[place + 1 :]].append(numbers[place])
    for others, frames in digits.items():
        before = _joined(between[: place + 1], others[:place])
        after = _joined(between[place + 1 :], others[place:])
        yield FrameSequence(_common(before, after), tuple(frames), _may_count_others(before, frames))


def _may_be_frame(between: tuple[str, ...], place: int, digits: Sequence[str]) -> bool:
    before, after = between[place], between[place + 1]
    if _follows_frame_word(before):
        return True
    inside_a_word = place > 0 and before.isalpha()  # 1920x1080, s01e02, A002C029
    return not (
        inside_a_word
        or after[:1].isalpha()  # 4k
        or before.endswith(("(", "+"))  # the second copy of a file, an exposure
        or _word(before) in _OTHER_WORDS
        or _word(before.rstrip("._-+")) in _OTHER_WORDS_APART
        or all(_DATE.fullmatch(d) for d in digits)
        or max(map(len, digits)) > _MOST_DIGITS
    )


def _may_count_others(before: str, digits: Sequence[str]) -> bool:
    """Tell whether few digits may be those of a lamp or a take (light1, shot_010) as well as a frame's."""
    longest = max(map(len, digits))
    if _follows_frame_word(before):
        return False
    return (before[-1:].isalpha() and longest < 3) or (
        _word(before.rstrip("_-")) in _OTHER_WORDS and longest < 4
    )


def _word(text: str) -> str:
    """Return the word that a text ends in, in small letters."""
    match = _WORD.search(text)
    return match[0].lower() if match else ""


def _follows_frame_word(before: str) -> bool:
    return _word(before.rstrip("._-")) in _FRAME_WORDS


def _likelihood(
    between: tuple[str, ...], place: int, digits: Sequence[str]
) -> tuple[bool, bool, bool, bool, int]:
    """Order the numbers of a name by how likely each is the frame's: the last of those that look alike."""
    before, after = between[place], between[place + 1]
    return (
        _follows_frame_word(before),
        before.endswith(".") and after.startswith("."),
        not before[-1:].isalpha(),
        min(map(len, digits)) >= 4,
        place,
    )


def _joined(between: Sequence[str], numbers: Sequence[str]) -> str:
    return "".join(text + number for text, number in zip(between, (*numbers, ""), strict=True))


def _common(before: str, after: str) -> str:
    rest = after.rpartition(".")[0]
    return f"{before}#{rest}" if rest or not before else before


def _one_width(numbers: Iterable[str]) -> bool:
    lengths: dict[bool, set[int]] = {True: set(), False: set()}
    for number in numbers:
        lengths[len(number.lstrip("-")) > 1 and number.lstrip("-").startswith("0")].add(len(number))
    padded, full = lengths[True], lengths[False]
    return not padded or (len(padded) == 1 and min(full, default=99) >= max(padded))


def _findings(sequence: FrameSequence, rule: Frames) -> Iterator[Finding]:
    frames, name = sequence.frames, sequence.name
    step = rule.step or sequence.step
    first, last = frames[0], frames[-1]
    steps = f" by {step}" if step > 1 else ""
    span = _span(range(first, last + 1))
    said = f"{name}: {span}{steps}, {len(frames)} frames" if first < last else f"{name}: {first} alone"
    # Shots and the like are numbered by tens.
    by_tens = all(frame % 10 == 0 for frame in frames)
    doubtful = rule.step is None and rule.frame is None and (sequence.doubtful or by_tens)
    missing = list(_missing(frames, step))
    count = sum(len(run) for run in missing)
    if count:
        why = f"{name}: {count} of {span}{steps} missing: {_ranges(missing)}"
        if doubtful:
            yield Finding("sequence", "warn", why, "if these are frames, render or copy them")
        else:
            yield broken(rule, "sequence", why, "render or copy them")
    if not sequence.equally_padded:
        shortest, longest = min(sequence.digits, key=len), max(sequence.digits, key=len)
        why = f"{name}: numbers of different lengths ({shortest}, {longest})"
        yield broken(rule, "sequence", why, "pad them")
    elif not count and step > 1 and rule.step is None:
        yield Finding("sequence", "warn", said, "meant so, with none between?")
    elif not count:
        yield Finding("sequence", "pass", said)


def _missing(frames: Sequence[int], step: int) -> Iterator[range]:
    """Give the gaps between frames; those that the step does not meet count from the one before."""
    for before, after in pairwise(frames):
        if gap := range(before + step, after, step):
            yield gap


def _ranges(gaps: Sequence[range]) -> str:
    """Return gaps in words: 3-5, 9."""
    said = [_span(gap) if len(gap) > 1 else str(gap[0]) for gap in gaps[:_RANGES_SAID]]
    if left := len(gaps) - len(said):
        said.append(f"and {left} more gaps")
    return ", ".join(said)


def _span(frames: range) -> str:
    return f"{frames[0]} to {frames[-1]}" if frames[0] < 0 else f"{frames[0]}-{frames[-1]}"


def _unequal_views(sequences: Sequence[FrameSequence]) -> Iterator[Finding]:
    """Compare the ends of a stereo pair; gaps are found in each alone."""
    pairs: dict[str, list[FrameSequence]] = defaultdict(list)
    for sequence in sequences:
        if _VIEW.search(sequence.name):
            pairs[_VIEW.sub("%V", sequence.name)].append(sequence)
    for pair in pairs.values():
        ends = {(sequence.frames[0], sequence.frames[-1]) for sequence in pair}
        if len(ends) > 1:
            why = ", ".join(f"{s.name}: {_span(range(s.frames[0], s.frames[-1] + 1))}" for s in pair)
            yield Finding("sequence", "warn", f"views of different lengths: {why}", "render or copy the rest")
