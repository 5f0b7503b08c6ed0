"""A stack of exposures, generated or photographed, becomes one scene-linear EXR with light at EV 0."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.primaries import AP1
from hdrgen.exposure.alignment import align_stack
from hdrgen.exposure.bracket_tables import BracketTables
from hdrgen.exposure.classical_merge import (
    debevec_merge,
    inverse_variance_merge,
    observed_fraction,
    robertson_merge,
)
from hdrgen.exposure.estimation import exposure_groups
from hdrgen.exposure.ev_list import listed
from hdrgen.images.code_image import write_code
from hdrgen.images.exr import write_exr
from hdrgen.images.geometry import Geometry, placed
from hdrgen.images.provenance import made_by
from hdrgen.routes.stack import ExposureStack, read_stack
from hdrgen.routes.stack_ceiling import ENDING_AT_255, CeilingOption, end_stops, ending_at_255
from hdrgen.routes.stack_evs import EvsFrom
from hdrgen.routes.stack_faults import beyond_share, disagreement, failures
from hdrgen.routes.write_exr import ACESCG, ExrWriter
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.choices import MergeMethod
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.overlap import ReadComputeWrite, overlappable

if TYPE_CHECKING:  # torch, which the classical methods need none of
    from hdrgen.inference.exposure_fusion import StackMerger

REFERENCE_TOLERANCE_STOPS = 0.1

Codes = NDArray[Any]
Masks = Sequence[NDArray[np.bool_]]


@dataclass(frozen=True)
class MergedStack:
    """What came of a stack.

    ``linear`` is scene-linear light at EV 0 in the pictures' primaries ``(H, W, 3)``; ``confidence`` the share of a pixel's
    three components that some exposure shows unclipped ``(H, W)``; ``weights`` the digest of the network's, None where
    there is none; the other two are what `failures` needs.
    """

    linear: NDArray[np.float32]
    confidence: NDArray[np.float32]
    weights: str | None
    beyond_share: float
    disagreement: float


@dataclass(frozen=True)
class MergedFile:
    """What was merged, darkest first, and what a person should know of it.

    ``evs_from`` says where the EVs are from. ``ceilings`` are, of exposures that were cut before their encoding ends, the
    most that red, green and blue hold in the picture's own values, in the primaries that ``encoding`` names; None where no
    end is known. ``unseen_share`` is the
    share of pixels of which no exposure shows all three components, ``disagreement`` that of what the exposure that
    agrees least shows well and the result contradicts, ``maximum_linear`` the brightest value written. ``warnings`` say
    which of these cannot be of a picture that went well.
    """

    width: int
    height: int
    sources: tuple[str, ...]
    evs: tuple[float, ...]
    evs_from: EvsFrom
    encoding: str
    method: MergeMethod
    ceilings: tuple[tuple[float | None, ...] | None, ...]
    unseen_share: float
    disagreement: float
    maximum_linear: float
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


@overlappable
def merge_files(
    sources: Sequence[Path],
    target: Path,
    merger: Callable[[], "StackMerger"],
    *,
    evs: Sequence[float] | Literal["auto"] | None = None,
    encoding: str | None = None,
    ceiling: CeilingOption = "auto",
    method: MergeMethod = "learned",
    align: bool = True,
    reference_ev: float | None = None,
    confidence_target: Path | None = None,
    layer: str | None = None,
    part: int | str | None = None,
    writer: ExrWriter = ACESCG,
    threads: int = 2,
) -> ReadComputeWrite[MergedFile]:
    """Merge exposures into a scene-linear half-float EXR with provenance.

    Parameters
    ----------
    sources, evs, encoding, ceiling, layer, part
        See `read_stack`.
    target
        The EXR, light at EV 0.
    merger
        Gives what `inference.backends.load_network` returns; called only by the method ``learned``.
    method
        The network, or a classical one: inverse variance, OpenCV's Debevec or Robertson.
    align
        Align the exposures with the reference by optical flow; a static stack passes unchanged.
    reference_ev
        EV of the exposure that moving things are taken from; None is the EV nearest 0.
    confidence_target
        A grey EXR or 8-bit PNG of how much of each pixel was seen: 0 where there was nothing but clipping.
    writer
        Space, compression and overflow of the EXR.
    threads
        Threads to work with.

    Raises
    ------
    HdrgenError
        A picture cannot be read, they do not belong together, or the EVs contradict them.
    """
    writer.check(target, "merged")
    _check_method(method)
    if confidence_target is not None and confidence_target.suffix.lower() not in (".exr", ".png"):
        raise HdrgenError(f"{confidence_target}: the confidence is written as .exr or .png")
    if confidence_target is not None and confidence_target.absolute() == target.absolute():
        raise HdrgenError(
            f"{target}: light and confidence must be two files; choose another for --confidence"
        )
    stack = read_stack(
        sources, evs=evs, encoding=encoding, ceiling=ceiling, layer=layer, part=part, threads=threads
    )
    yield
    merged = merge_stack(
        stack, merger, method=method, align=align, reference_ev=reference_ev, threads=threads
    )

    attributes = made_by(
        "brackets",
        source=", ".join(path.name for path in stack.paths),
        source_encoding=stack.name,
        source_evs=listed(stack.evs),
        method=method,
        weights=merged.weights,
    )
    unseen_share = float((merged.confidence < 1).mean())
    height, width, _ = merged.linear.shape
    yield
    with _beside(confidence_target, merged.confidence, stack.geometry, of=target):
        maximum_linear, write_notes = writer.write(
            target,
            merged.linear,
            stack.chromaticities,
            attributes,
            geometry=stack.geometry,
            threads=threads,
        )
    return MergedFile(
        width,
        height,
        tuple(map(str, stack.paths)),
        stack.evs,
        stack.evs_from,
        stack.name,
        method,
        tuple(None if ceiling is None else ceiling.known for ceiling in stack.ceilings),
        unseen_share,
        merged.disagreement,
        maximum_linear,
        (*stack.notes, *write_notes),
        failures(merged.beyond_share, merged.disagreement),
    )


def merge_stack(
    stack: ExposureStack,
    merger: Callable[[], "StackMerger"],
    *,
    method: MergeMethod = "learned",
    align: bool = True,
    reference_ev: float | None = None,
    threads: int = 2,
) -> MergedStack:
    """Merge a stack in memory; see `merge_files` for the options.

    Raises
    ------
    HdrgenError
        The method is unknown, or no exposure has the reference's EV.
    """
    _check_method(method)
    reference = _reference(stack, reference_ev)
    codes, tables = stack.codes, stack.tables(stack.codes)
    occluded: Masks | None = None
    if align:
        aligned = align_stack(codes, tables, reference=reference, threads=threads)
        codes, occluded = aligned.codes, aligned.occluded
        tables = stack.tables(codes)
    if method == "learned":
        model = merger()
        merged = model.merge(
            codes, tables, stack.evs, reference=reference, occluded=occluded, threads=threads
        )
        linear, confidence, digest = merged.linear, merged.confidence, model.digest
    else:
        linear = _classical(method, stack, codes, tables, occluded)
        confidence, digest = observed_fraction(codes, tables, occluded, threads=threads), None
    return MergedStack(
        linear, confidence, digest, beyond_share(codes, tables), disagreement(codes, tables, linear)
    )


def _check_method(method: MergeMethod) -> None:
    if method not in get_args(MergeMethod):
        raise HdrgenError(f"unknown method {method!r}; known are {', '.join(get_args(MergeMethod))}")


def _reference(stack: ExposureStack, reference_ev: float | None) -> int:
    """Return the exposure whose EV is nearest; of several of one exposure the one that ends last."""
    off = [abs(ev - (reference_ev or 0.0)) for ev in stack.evs]
    nearest = off.index(min(off))
    if reference_ev is not None and off[nearest] > REFERENCE_TOLERANCE_STOPS:
        problem = f"no exposure has EV {reference_ev:g} to be the reference; there are {listed(stack.evs)}"
        raise HdrgenError("; ".join((problem, *stack.left_out)))
    if not any(stack.ceilings):
        return nearest
    ends = end_stops(stack.evs, stack.ceilings)
    alike = next(group for group in exposure_groups(stack.evs) if nearest in group)
    return min(alike, key=lambda i: (-ends[i], off[i]))


def _classical(
    method: MergeMethod,
    stack: ExposureStack,
    codes: Sequence[Codes],
    tables: Sequence[BracketTables],
    occluded: Masks | None,
) -> NDArray[np.float32]:
    if method == "closed":
        return inverse_variance_merge(codes, tables, occluded)
    merge = debevec_merge if method == "debevec" else robertson_merge
    if not any(stack.ceilings):
        return merge(codes, stack.encoding, stack.evs)
    # OpenCV knows of one ceiling only, that of the highest code.
    codes8, unit_linear = ending_at_255(codes, stack.encoding, stack.ceilings)
    return merge(codes8, ENDING_AT_255, stack.evs) * np.float32(unit_linear)


@contextmanager
def _beside(
    target: Path | None, confidence: NDArray[np.float32], geometry: Geometry | None, *, of: Path
) -> Iterator[None]:
    """Write the confidence beside what the block writes: both of them or none."""
    if target is None:
        yield
        return
    with replacing(target) as temporary:
        grey = np.repeat(confidence[..., None], 3, axis=-1)
        if target.suffix.lower() == ".exr":
            attributes = made_by("brackets", confidence_of=of.name)
            write_exr(temporary, grey, chromaticities=AP1, attributes=attributes, geometry=geometry)
        else:
            grey = grey if geometry is None else placed(grey, geometry)  # nothing was seen outside
            write_code(temporary, (grey * 255 + 0.5).astype(np.uint8))
        yield
