"""A job becomes a picture: the route writes the EXR, and what the viewer shows is made of that file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.half_floats import to_half
from hdrgen.images.code_image import read_code
from hdrgen.images.conversion import from_chromaticities
from hdrgen.images.encoded import CODE_ENCODINGS, encoding_of
from hdrgen.images.exr import HALF_MAX, read_exr
from hdrgen.qc.preview import write_preview
from hdrgen.qc.statistics import statistics, stops_histogram
from hdrgen.routes.write_exr import ExrWriter
from hdrgen.runtime.atomic import replacing
from hdrgen.runtime.errors import HdrgenError
from hdrgen.web.history import BEFORE, PICTURE, PIXELS, THUMBNAIL
from hdrgen.web.jobs import ExpandJob, GenerateJob, Histogram, MergeJob, Picture, Record, RecoverJob

OnPhase = Callable[[str, int, int], None]
"""Called with (what is being done, steps done, steps in all); what it raises ends the job."""

# What a half float cannot hold is clamped and noted: an artist gets a picture, and is told.
_WRITER = ExrWriter(overflow="clamp")
_THUMBNAIL_PIXELS = 320


class JobRunner:
    """The models, loaded when first needed and kept for the next job; of generators, the last one alone.

    Parameters
    ----------
    models, device, backend
        See `load_generator`.
    threads
        Threads to work with.
    """

    def __init__(
        self, models: Path, *, device: Any = "auto", backend: Any = "auto", threads: int = 2
    ) -> None:
        self._models, self._device, self._backend, self._threads = models, device, backend, threads
        self._generator: Any = None

    def make(self, record: Record, folder: Path, on_phase: OnPhase) -> Picture:
        """Do a job in its folder.

        Raises
        ------
        HdrgenError
            As the routes; files are called by the names that people know.
        """
        try:
            match record.job:
                case GenerateJob() as job:
                    before, notes = None, self._generate(job, folder / PICTURE, on_phase)
                case ExpandJob() as job:
                    before, notes = self._expand(job, record, folder, on_phase)
                case RecoverJob() as job:
                    before, notes = self._recover(job, record, folder, on_phase)
                case MergeJob() as job:
                    before, notes = self._merge(job, record, folder, on_phase)
        except HdrgenError as error:
            raise HdrgenError(_in_names(str(error), record, folder)) from None
        on_phase("Preparing the view", 0, 0)
        return _shown(folder, before, tuple(_in_names(note, record, folder) for note in notes))

    def _generate(self, job: GenerateJob, target: Path, on_phase: OnPhase) -> tuple[str, ...]:
        from hdrgen.routes.requests import GenerationRequest  # noqa: PLC0415
        from hdrgen.routes.sampling_defaults import sampling_for  # noqa: PLC0415
        from hdrgen.routes.trained_models import find_trained  # noqa: PLC0415
        from hdrgen.routes.write_generated import write_generated  # noqa: PLC0415 - torch, which expanding may not need

        sampling = sampling_for(
            find_trained(self._models, job.route),
            width=job.width,
            height=job.height,
            steps=job.steps,
            guidance=job.guidance,
            negative=job.negative,
        )
        on_phase("Loading the model", 0, 0)
        generator = self._loaded(job.route)
        on_phase("Denoising", 0, sampling.steps)

        def on_step(done: int, steps: int) -> None:
            on_phase("Denoising" if done < steps else "Developing", done, steps)

        (generated,) = generator.generate(
            [GenerationRequest(job.prompt, job.seed)], sampling, on_step=on_step, threads=self._threads
        )
        return write_generated(generated, target, job.route, writer=_WRITER, threads=self._threads).notes

    def _loaded(self, route: Any) -> Any:
        if self._generator is None or self._generator.route != route:
            from hdrgen.routes.load_generator import load_generator  # noqa: PLC0415

            self._generator = None  # its memory first
            self._generator = load_generator(self._models, route, device=self._device, backend=self._backend)
        return self._generator

    def _network(self, model: Any) -> Any:
        from hdrgen.inference.backends import load_network  # noqa: PLC0415

        return load_network(model, backend=self._backend)

    def _expand(
        self, job: ExpandJob, record: Record, folder: Path, on_phase: OnPhase
    ) -> tuple[str, tuple[str, ...]]:
        from hdrgen.routes.expand import expand_file  # noqa: PLC0415

        on_phase("Expanding", 0, 0)
        source = folder / record.sources[0].file
        done = expand_file(
            source,
            folder / PICTURE,
            lambda: self._network("bit_depth"),
            encoding=job.encoding,
            strength=job.strength,
            writer=_WRITER,
            threads=self._threads,
        )
        _write_plain(source, folder / BEFORE, done.encoding, 0.0)
        return f"as it came, {done.bits} bits", done.notes

    def _recover(
        self, job: RecoverJob, record: Record, folder: Path, on_phase: OnPhase
    ) -> tuple[str, tuple[str, ...]]:
        from hdrgen.routes.recover import Recovery, SceneReferredError, recover_file  # noqa: PLC0415

        on_phase("Recovering", 0, 0)
        source = folder / record.sources[0].file
        try:
            done = recover_file(
                source,
                folder / PICTURE,
                lambda: self._network("highlights"),
                lambda: self._network("bit_depth"),
                recovery=Recovery(job.curve, job.exposure, job.anchor, job.strength, job.peak),
                encoding=job.encoding,
                writer=_WRITER,
                threads=self._threads,
            )
        except SceneReferredError:
            before, notes = self._expand(ExpandJob(encoding=job.encoding), record, folder, on_phase)
            return before, ("a plate, which holds its light already: expanded, nothing is invented", *notes)
        _write_plain(source, folder / BEFORE, done.encoding, -done.exposure_stops)
        said = f"curve {done.curve}, white at {done.white_linear:.3g}, {100 * done.invented_fraction:.1f} % invented"
        return f"as it came, {done.bits} bits", (said, *done.notes)

    def _merge(
        self, job: MergeJob, record: Record, folder: Path, on_phase: OnPhase
    ) -> tuple[str, tuple[str, ...]]:
        from hdrgen.routes.merge import merge_files  # noqa: PLC0415

        on_phase("Merging", 0, 0)
        done = merge_files(
            [folder / source.file for source in record.sources],
            folder / PICTURE,
            lambda: self._network("exposure_fusion"),
            evs=job.evs,
            encoding=job.encoding,
            align=job.align,
            writer=_WRITER,
            threads=self._threads,
        )
        source, ev = min(zip(done.sources, done.evs, strict=True), key=lambda one: abs(one[1]))
        _write_plain(folder / Path(source).name, folder / BEFORE, done.encoding, ev)
        return f"EV {ev:+g} alone", (*done.warnings, *done.notes)


def _in_names(text: str, record: Record, folder: Path) -> str:
    """Return a message with the names that pictures came with in place of our paths."""
    for source in record.sources:
        text = text.replace(str(folder / source.file), source.name)
    return text.replace(f"{folder}/", "")


def _write_plain(source: Path, target: Path, encoding: str, ev: float) -> None:
    """Write a picture of codes as it is, without any model: each code the middle of its interval, light at EV 0."""
    picture = read_code(source)
    key = encoding if encoding in CODE_ENCODINGS else None  # another is what the picture itself says
    curve = encoding_of([source], [picture], key).encoding
    code = picture.code / np.float32(np.iinfo(picture.code.dtype).max)
    linear = np.asarray(curve.decode(code) * np.float32(2.0**-ev), np.float32)
    _write_pixels(target, from_chromaticities(linear, curve.chromaticities, _WRITER.space, in_place=True))


def _write_pixels(target: Path, linear: NDArray[np.floating]) -> None:
    """Write RGB as half floats, little-endian, row by row: what a texture is filled with."""
    half = to_half(np.clip(linear, -HALF_MAX, HALF_MAX))
    with replacing(target) as temporary:
        half.astype("<f2", copy=False).tofile(temporary)


def _shown(folder: Path, before: str | None, notes: tuple[str, ...]) -> Picture:
    """Make what the viewer needs out of the EXR itself, so that the page never shows another picture."""
    image = read_exr(folder / PICTURE)
    _write_pixels(folder / PIXELS, image.rgb)
    write_preview(folder / PICTURE, folder / THUMBNAIL, longest_side=_THUMBNAIL_PIXELS)
    light, histogram = statistics(image), stops_histogram(image)
    return Picture(
        width=image.width,
        height=image.height,
        space="ACEScg",
        minimum_linear=light.minimum_linear,
        maximum_linear=light.maximum_linear,
        stops=light.stops,
        above_one_share=light.above_one_share,
        ceiling_share=light.ceiling_share,
        histogram=Histogram(
            edges_stops=histogram.edges_stops, shares=histogram.shares, dark_share=histogram.dark_share
        ),
        before=before,
        notes=notes,
        facts={name: value for name, value in image.attributes.items() if name.startswith("hdrgen")},
    )
