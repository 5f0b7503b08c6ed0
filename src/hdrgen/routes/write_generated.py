"""Prompts become scene-linear EXRs, with what made them in the header and their intermediate pictures beside them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hdrgen import __version__
from hdrgen.colour.primaries import AWG4
from hdrgen.flux.renditions import Rendition
from hdrgen.images.code_image import write_pngs
from hdrgen.images.encoded import ENCODING, EV, PRIMARIES
from hdrgen.images.provenance import made_by
from hdrgen.routes.bracket import bracket_suffix
from hdrgen.routes.dual import CEILING, TONE_MAP
from hdrgen.routes.generator import LOG_CEILING_LINEAR, Generated, Generator
from hdrgen.routes.requests import GenerationRequest, Sampling
from hdrgen.routes.write_exr import ACESCG, ExrWriter
from hdrgen.runtime.choices import Route
from hdrgen.runtime.progress import OnProgress


@dataclass(frozen=True)
class GeneratedFile:
    """What was generated: the part of the prompt that was read, the brightest value, and the intermediates that were kept."""

    prompt: str
    prompt_used: str
    seed: int
    route: Route
    width: int
    height: int
    maximum_linear: float
    kept: tuple[str, ...]
    notes: tuple[str, ...]


class Batches:
    """The pictures of many requests, made a few at a time when the first of them is taken.

    Parameters
    ----------
    generator
        Gives the route with its models; called when the first picture is taken.
    requests
        Prompts and seeds, a picture each.
    sampling
        Size, steps and guidance of all of them.
    threads
        Threads that the fusion works with.
    """

    def __init__(
        self,
        generator: Callable[[], Generator],
        requests: Sequence[GenerationRequest],
        sampling: Sampling,
        *,
        threads: int = 2,
    ) -> None:
        self._generator, self._requests, self._sampling = generator, requests, sampling
        self._threads = threads
        self._ready: dict[int, Generated] = {}

    def due(self, place: int) -> bool:
        """Tell whether a request's picture has yet to be made."""
        return place not in self._ready

    def take(self, place: int, on_progress: OnProgress | None = None) -> Generated:
        """Return a request's picture, to be taken once and in order.

        Parameters
        ----------
        place
            Number of the request, from 0.
        on_progress
            Called with (denoising steps done, denoising steps in all) over all requests.

        Raises
        ------
        HdrgenError
            As `Generator.generate`.
        """
        if self.due(place):
            generator = self._generator()
            count = generator.at_once(self._sampling)
            before, batches = -(-place // count), -(-len(self._requests) // count)

            def on_step(done: int, steps: int) -> None:
                if on_progress:
                    on_progress(before * steps + done, batches * steps)

            together = self._requests[place : place + count]
            generated = generator.generate(together, self._sampling, on_step=on_step, threads=self._threads)
            self._ready = dict(enumerate(generated, place))
        return self._ready.pop(place)


def write_generated(
    generated: Generated,
    target: Path,
    route: Route,
    *,
    keep_intermediates: bool = False,
    writer: ExrWriter = ACESCG,
    threads: int = 2,
) -> GeneratedFile:
    """Write a generated picture as a scene-linear half-float EXR that says all that made it.

    Parameters
    ----------
    generated
        From a generator; its light's memory is used for the conversion, so it is lost.
    target
        The EXR.
    route
        The generator's route.
    keep_intermediates
        Also write the 8-bit pictures as PNGs, `intermediate_targets` of the target; `hdrgen merge` and
        `hdrgen fuse` understand them.
    writer
        Space, compression and overflow of the EXR.
    threads
        Bands of rows worked on at once.

    Raises
    ------
    HdrgenError
        A file cannot be written, or holds values that half floats cannot.
    """
    writer.check(target, "generated")
    height, width, _ = generated.linear_awg4.shape
    notes: list[str] = []
    kept: dict[Rendition, Path] = {}
    if keep_intermediates:
        kept = intermediate_targets(target, tuple(generated.intermediates))
        if kept:
            write_pngs([(kept[r], code8, _png_text(r)) for r, code8 in generated.intermediates.items()])
        else:
            notes.append(f"the route {route} has no intermediate pictures")
    # Last, so that where there is an EXR, all is there.
    maximum_linear, write_notes = writer.write(
        target, generated.linear_awg4, AWG4, made_by(route, **generated.facts), threads=threads
    )
    return GeneratedFile(
        generated.request.prompt,
        str(generated.facts.get("prompt_used", generated.request.prompt)),
        generated.request.seed,
        route,
        width,
        height,
        maximum_linear,
        tuple(map(str, kept.values())),
        (*generated.notes, *notes, *write_notes),
    )


def intermediate_targets(target: Path, renditions: Sequence[Rendition]) -> dict[Rendition, Path]:
    """Return where the 8-bit pictures go: `shot_ev-2.png`, `shot_reinhard.png` beside `shot.exr`."""
    return {
        r: target.with_name(target.stem + (bracket_suffix(r.ev) if r.curve == "logc4" else f"_{r.curve}.png"))
        for r in renditions
    }


def _png_text(rendition: Rendition) -> dict[str, str]:
    text = {PRIMARIES: "awg4", "hdrgen:version": __version__}
    if rendition.curve == "logc4":
        return text | {ENCODING: "logc4", EV: f"{rendition.ev + 0.0:g}"}
    ceiling = "inf" if rendition.curve == "reinhard" else f"{LOG_CEILING_LINEAR:g}"
    return text | {TONE_MAP: rendition.curve, CEILING: ceiling}
