"""Which files of a folder are frames of one sequence, told by their names alone, and which frames are missing."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import gcd
from pathlib import Path
from typing import Literal

from hdrgen.qc.findings import CheckReport, Finding, broken
from hdrgen.qc.rules import DeliveryRules, Frames

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
_VERSION_WORDS = {"v", "ver", "version", "rev", "ev", "lod"}
_VERSION_WORDS_APART = {"ver", "version", "ev"}  # version_2
_OTHER_WORDS = {
    *("take", "tk", "part", "layer"),
    *("s", "sh", "shot", "sc", "scn", "scene", "sq", "seq", "sequence", "ep", "episode"),
    *("cam", "camera", "reel", "roll", "clip"),
}
_Meaning = Literal["frames", "doubtful", "other"]
_MOST_DIGITS = 9
_VIEW = re.compile(r"(?<![A-Za-z])(?:left|right|l|r)(?![A-Za-z])", re.IGNORECASE)
_RANGES_LISTED = 8
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


def check_sequence(folder: Path, files: Sequence[Path], rules: DeliveryRules | None = None) -> CheckReport:
    """Check the names of a folder's files as sequences: no frame is missing, numbers are padded alike.

    The number may stand anywhere in the name: ``a.1001.exr``, ``a.1001_v02.exr``, ``a.1001.left.exr``,
    ``a_1001_beauty.exr``, ``a-0001.exr``, ``a.-005.exr``. Views, layers, versions and shots are sequences of
    their own. What counts versions (``v002``), shots (``sh010``), sizes (``4k``) or days is no frame, but four
    and more digits that go up by one are frames after any word (``shot1001``). One or two digits, and multiples
    of five, may be either: what they lack is a warning.
    """
    rule = (rules or DeliveryRules()).sequence
    if rule.breach == "ignore":
        return CheckReport(folder, ())
    findings: list[Finding] = []
    sequences: list[FrameSequence] = []
    for numbered in numbered_files([file.name for file in files], rule.frame):
        if isinstance(numbered, OtherNumbers):
            why = f"{numbered.name}: {numbered.count} files by numbers that are not taken for frames"
            findings.append(Finding("sequence", "pass", why))
        else:
            sequences.append(numbered)
            findings.extend(_findings(numbered, rule))
    findings.extend(_unequal_views(sequences))
    return CheckReport(folder, tuple(findings))


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
        alike[*texts, last + dot + suffix.lower()].append(numbers)
    sequences: list[FrameSequence | OtherNumbers] = []
    for between, members in alike.items():
        if len(members) > 1:
            sequences.extend(_numbered_alike(between, members))
    return sorted(sequences, key=lambda sequence: sequence.name)


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
    columns = [[numbers[i] for numbers in members] for i in range(len(between) - 1)]
    varying = [i for i, column in enumerate(columns) if len(set(column)) > 1]
    meanings = {i: _meaning(between, i, columns[i]) for i in varying}
    places = [i for i in varying if meanings[i] != "other"]
    if not varying:  # a.0001.exr and a.0001.EXR
        return
    if not places:
        masked = ["#" if i in varying else number for i, number in enumerate(members[0])]
        yield OtherNumbers(Path(_joined(between, masked)).stem, len(members))
        return
    place = max(places, key=lambda i: _likelihood(between, i, columns[i], meanings[i]))
    certain = _follows_frame_word(between[place])
    digits: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for numbers in members:
        digits[numbers[:place] + numbers[place + 1 :]].append(numbers[place])
    for others, frames in digits.items():
        before = _joined(between[: place + 1], others[:place])
        after = _joined(between[place + 1 :], others[place:])
        doubtful = meanings[place] == "doubtful" or (not certain and _by_fives(frames))
        yield FrameSequence(_common(before, after), tuple(frames), doubtful)


def _meaning(between: tuple[str, ...], place: int, digits: Sequence[str]) -> _Meaning:
    """Tell what the numbers at one place of names count, by the text around them and by how they go on."""
    before, after = between[place], between[place + 1]
    lengths = [len(d.lstrip("-")) for d in digits]
    shortest, longest = min(lengths), max(lengths)
    if longest > _MOST_DIGITS:
        return "other"
    if _follows_frame_word(before):
        return "frames"
    if all(_DATE.fullmatch(d) for d in digits):
        return "other"
    word, word_apart = _word(before), _word(before.rstrip("._-+"))
    inside_a_word = place > 0 and before.isalpha()  # 1920x1080, s01e02, A002C029
    of_version = word in _VERSION_WORDS or word_apart in _VERSION_WORDS_APART
    after_word = of_version or word in _OTHER_WORDS
    if (
        after_word
        or inside_a_word
        or after[:1].isalpha()  # 4k
        or before.endswith(("(", "+"))  # the second copy of a file, an exposure
    ):
        # Programs put the frame right behind the name that they are given: shot + 1001, comp_v2 + 1001.
        by_ones = _by_ones(digits)
        if by_ones and shortest >= (5 if of_version or inside_a_word else 4):
            return "frames"
        fewest = 3 if by_ones and word in _OTHER_WORDS else 4
        doubtful = longest >= fewest and (by_ones or (after_word and not _by_fives(digits)))
        return "doubtful" if doubtful else "other"
    few = longest < (4 if _word(before.rstrip("_-")) in _OTHER_WORDS | _VERSION_WORDS else 3)
    return "doubtful" if few or _by_fives(digits) else "frames"


def _by_ones(digits: Iterable[str]) -> bool:
    """Tell whether most numbers follow right on the one before, as frames do."""
    differences = _differences(digits)
    return 2 * differences.count(1) >= len(differences)


def _by_fives(digits: Iterable[str]) -> bool:
    """Tell whether numbers leave room between them, as those of shots do: 10, 20, 25, 27."""
    numbers = {int(d) for d in digits}
    fives = sum(number % 5 == 0 for number in numbers)
    return 2 * fives > len(numbers) and 1 not in _differences(digits)


def _differences(digits: Iterable[str]) -> list[int]:
    return [b - a for a, b in pairwise(sorted({int(d) for d in digits}))]


def _word(text: str) -> str:
    """Return the word that a text ends in, in small letters."""
    match = _WORD.search(text)
    return match[0].lower() if match else ""


def _follows_frame_word(before: str) -> bool:
    return _word(before.rstrip("._-")) in _FRAME_WORDS


def _likelihood(
    between: tuple[str, ...], place: int, digits: Sequence[str], meaning: _Meaning
) -> tuple[bool, bool, bool, bool, bool, int]:
    """Order the numbers of a name by how likely each is the frame's: the last of those that look alike."""
    before, after = between[place], between[place + 1]
    return (
        _follows_frame_word(before),
        before.endswith(".") and after.startswith("."),
        meaning == "frames",
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
    words = f"{name}: {span}{steps}, {len(frames)} frames" if first < last else f"{name}: {first} alone"
    doubtful = sequence.doubtful and rule.step is None
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
        if doubtful:
            yield Finding("sequence", "warn", why, "if these are frames, pad them")
        else:
            yield broken(rule, "sequence", why, "pad them")
    elif not count and step > 1 and rule.step is None:
        yield Finding("sequence", "warn", words, "meant so, with none between?")
    elif not count:
        yield Finding("sequence", "pass", words)


def _missing(frames: Sequence[int], step: int) -> Iterator[range]:
    """Give the gaps between frames; those that the step does not meet count from the one before."""
    for before, after in pairwise(frames):
        if gap := range(before + step, after, step):
            yield gap


def _ranges(gaps: Sequence[range]) -> str:
    """Return gaps in words: 3-5, 9."""
    spans = [_span(gap) if len(gap) > 1 else str(gap[0]) for gap in gaps[:_RANGES_LISTED]]
    if left := len(gaps) - len(spans):
        spans.append(f"and {left} more gaps")
    return ", ".join(spans)


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
