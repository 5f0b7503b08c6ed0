"""Camera footage and photographs, whatever their format and encoding, as scene-linear AWG4 frames.

Each file is decoded in a worker process with bounded time and memory. One that crashes, hangs or explodes
becomes a row of the index that says why; the others never notice. Frames are named by what they were made
from, so a second run makes only what is new.
"""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field, field_validator

from hdrgen.colour.encodings import ENCODINGS, Encoding
from hdrgen.colour.half_floats import NEGATIVE, all_finite, to_single
from hdrgen.colour.primaries import AWG3, AWG4, REC709, SPACES, rgb_to_rgb
from hdrgen.dataset.frame_index import (
    INDEX_NAME,
    file_stem,
    is_whole,
    read_index,
    remove_stale,
    short_digest,
)
from hdrgen.dataset.journal import Journal, journal_is_about
from hdrgen.dataset.panorama import (
    PanoramaChoice,
    PanoramaParams,
    rectilinear_view,
    view_directions,
    view_size,
    wraps_around,
)
from hdrgen.dataset.source_files import SourceFiles, check_unchanged, content_hash, find_pictures
from hdrgen.images.choices import Compression
from hdrgen.images.exr import LOSES_NONFINITE, write_exr
from hdrgen.images.geometry import Geometry, described, overlap
from hdrgen.images.interop_id import holds_codes
from hdrgen.images.light_statistics import PERCENTILES, awg4_luminance, fingerprint, luminance_percentiles
from hdrgen.images.scene_image import cut_to_display, read_scene_header, read_scene_image, refuse_data
from hdrgen.images.stored_image import InaccessibleImage, SceneImage, StoredHeader, UnreadableImage
from hdrgen.runtime.errors import HdrgenError, MachineError
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress
from hdrgen.runtime.scheduling import FrameWork, MapFrames, map_frames

log = logging.getLogger(__name__)

FRAMES = "frames"
# Raised when a change in this module changes the pixels made from the same file and settings.
_CONVERSION_VERSION = 2
_SPACE_NAMES = {
    "awg3": "ARRI Wide Gamut 3",
    "awg4": "ARRI Wide Gamut 4",
    "ap0": "ACES AP0",
    "ap1": "ACES AP1",
    "rec709": "Rec.709",
    "rec2020": "Rec.2020",
    "p3d65": "P3 D65",
    "xyz": "CIE XYZ",
}
# Where ARRI's and others' tools keep the clip a frame belongs to.
_CLIP_ATTRIBUTES = (
    "interim.clip.cameraClipName",
    "com.arri.camera.CameraClipName",
    "com.arri.camera.ClipName",
    "com.arri.camera.ReelName",
    "reelName",
)
# ALEXA 35 and ALEXA 265 record LogC4 in Wide Gamut 4; every ARRI camera before them, ALEXA 65 too, Wide Gamut 3.
_LOGC4_MODELS = re.compile(r"(?<!\d)(35|265)(?!\d)")
_SCENE_ATTRIBUTE = "hdrgenScene"
_SIMULATED_SCENE_KEY = "scene_id"

INDEX_SCHEMA = pl.Schema(
    {
        "source": pl.String,
        "path": pl.String,
        "view": pl.Int32,
        "frame": pl.String,
        "file": pl.String,
        "file_bytes": pl.Int64,
        "digest": pl.String,
        "content_hash": pl.String,
        "scene": pl.String,
        "scene_in_file": pl.String,
        "description": pl.String,
        "encoding": pl.String,
        "encoding_decided_by": pl.String,
        "yaw_degrees": pl.Float64,
        "pitch_degrees": pl.Float64,
        "width": pl.Int32,
        "height": pl.Int32,
        "exposure_scale": pl.Float64,
        "exposure_decided_by": pl.String,
        **{f"luminance_{name}": pl.Float64 for name in PERCENTILES},
        "stops": pl.Float64,
        "nan_values": pl.Int64,
        "inf_values": pl.Int64,
        "negative_values": pl.Int64,
        "clamped_values": pl.Int64,
        "fingerprint": pl.Binary,
        "quarantine_reason": pl.String,
    }
)

Row = dict[str, Any]
OnNotes = Callable[[tuple[str, ...]], None]


class Source(Section):
    """One folder of frames, and what its files do not say themselves."""

    path: Path
    """Folder, searched with all below it, or one file."""
    encoding: str = "auto"
    """What the values mean; `auto` believes the file, else a name from `colour.encodings`."""
    exposure: Literal["auto", "keep", "grey"] | float = "auto"
    """`keep` leaves values alone, `grey` brings every picture to grey, a number multiplies, `auto` decides."""
    panoramas: PanoramaChoice = "auto"
    """Whether files twice as wide as high are 360-degree panoramas; `auto` looks at their edges."""
    scene: str | None = None
    """Regular expression that finds a file's scene in its path: the first group, else all it matches."""
    layer: str | None = None
    """Layer of its EXRs, or one channel, where it is not the one that is likeliest their picture."""
    part: int | str | None = None
    """Part of its EXRs, by number or name, where it is not the one that holds their picture."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str) -> str:
        if encoding not in ("auto", *ENCODINGS):
            raise ValueError(f"unknown encoding; known are auto, {', '.join(ENCODINGS)}")
        return encoding

    @field_validator("scene")
    @classmethod
    def _pattern(cls, scene: str | None) -> str | None:
        try:
            re.compile(scene or "")
        except re.error as error:
            raise ValueError(f"no regular expression ({error})") from None
        return scene

    @field_validator("exposure")
    @classmethod
    def _positive(cls, exposure: str | float) -> str | float:
        if isinstance(exposure, float) and not 0 < exposure < np.inf:
            raise ValueError("a factor must be positive")
        return exposure


class AnchorParams(Section):
    """When and how a picture in arbitrary units is brought to the exposure of a camera."""

    lowest_key: float = Field(default=0.0225, gt=0)
    """Geometric mean of luminance below which a picture is in arbitrary units; 0.0225 is 3 stops under grey."""
    highest_key: float = Field(default=1.44, gt=0)
    """The same above; 1.44 is 3 stops over grey."""
    brightest: float = Field(default=100.0, gt=0)
    """What a picture's brightest thousandth may be raised to."""


class IngestParams(FrameWork):
    """Where frames come from and how they become ours."""

    sources: dict[str, Source] = Field(min_length=1)
    """Folders of frames by name."""
    anchor: AnchorParams = AnchorParams()
    """When and how exposure is changed."""
    panorama: PanoramaParams = PanoramaParams()
    """How 360-degree panoramas are looked at."""
    compression: Compression = "zip"
    """OpenEXR compression of the frames."""
    max_megapixels: float = Field(default=150.0, gt=0)
    """A file whose header promises more is quarantined undecoded."""

    @field_validator("sources")
    @classmethod
    def _plain_names(cls, sources: dict[str, Source]) -> dict[str, Source]:
        for name in sources:
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
                raise ValueError(f"source name {name!r} may hold letters, digits, - and _")
        return sources


def ingest(
    source_name: str,
    params: IngestParams,
    out_dir: Path,
    *,
    on_progress: OnProgress | None = None,
    on_notes: OnNotes | None = None,
    schedule: MapFrames = map_frames,
) -> pl.DataFrame:
    """Bring a folder of frames in line with a source: convert what is new, remove what is gone.

    Parameters
    ----------
    source_name
        A key of ``params.sources``; scenes carry it, so that two sources may both have a ``shot_01``.
    params
        See `IngestParams`.
    out_dir
        Gets ``frames/*.exr`` and ``index.parquet``. Every file in ``frames`` belongs to this function.
    on_progress
        Called with (files done, files in all).
    on_notes
        Called for each file that was taken in, with what its frames leave behind of it; the index does not hold that.
    schedule
        Where the work is done.

    Returns
    -------
    polars.DataFrame
        The index: a row for each frame, each view of a panorama, and each file that could not be used, whose
        ``quarantine_reason`` says why. Sorted by path and view; the same input makes the same bytes.

    Raises
    ------
    HdrgenError
        The source's folder does not exist, holds no picture at all or holds `out_dir`, or `out_dir` holds
        the frames of another source.
    MachineError
        A file or folder cannot be read or written, or the source changed meanwhile. Nothing was removed, and the
        next run goes on.
    """
    source = params.sources[source_name]
    _check_folder(source, source_name, out_dir)
    files = find_pictures(source.path)
    if not files.stamps:
        raise HdrgenError(f"{source.path}: no OpenEXR or Radiance files found")
    frames_dir = out_dir / FRAMES
    frames_dir.mkdir(parents=True, exist_ok=True)
    about = {"source": source_name, "path": str(source.path.resolve())}
    with Journal(out_dir, INDEX_SCHEMA, about) as journal:
        made_before: dict[str, dict[str, Row]] = {}
        for row in journal.rows:
            if row["quarantine_reason"] is None:
                made_before.setdefault(row["path"], {})[row["frame"]] = row
        _say_left_out(files, made_before)
        tasks = [
            _Task(
                files.root,
                path,
                source_name,
                source,
                params,
                frames_dir,
                tuple(made_before.get(path, {}).values()),
            )
            for path in files.stamps
        ]
        outcomes = params.outcomes(_ingest_file, tasks, on_progress, schedule)
        rows: list[Row] = []
        hashes: dict[str, str] = {}
        for task, outcome in zip(tasks, outcomes, strict=True):
            reason = outcome.failure or "holds no picture"
            if outcome.timed_out:
                reason += (
                    "; raise ingest.timeout_s and run dvc repro --force ingest, or hdrgen ingest --timeout"
                )
            taken = outcome.value or _Taken([_quarantined(task, reason)])
            if taken.content_hash:
                hashes[task.path] = taken.content_hash
            rows.extend(taken.rows)
            if taken.rows[0].get("quarantine_reason") is None:
                journal.add(taken.rows)
                if on_notes:
                    on_notes(taken.notes)
        check_unchanged(files, hashes)
        index = pl.DataFrame(rows, schema=INDEX_SCHEMA).sort("path", "view")
        journal.finish(index)
    remove_stale(frames_dir, (Path(file).name for file in index["file"].drop_nulls()))
    return index


def _say_left_out(files: SourceFiles, made_before: Mapping[str, Any]) -> None:
    for path in sorted(made_before.keys() - files.stamps.keys()):
        # What stands where a folder that it was in, from the outermost on, or the file itself had been.
        for place in (*(parent.as_posix() for parent in reversed(PurePosixPath(path).parents)), path):
            if why := files.why_out_of_reach(place):
                raise MachineError(
                    f"{files.root / place}: {why}, and frames of it were to be removed; bring back what it was, "
                    "or remove it"
                )
    for note in files.notes:
        log.warning("%s", note)


def _check_folder(source: Source, source_name: str, out_dir: Path) -> None:
    """Refuse an output whose frames would become the next run's footage, or would be removed for another's."""
    if source.path.is_dir() and out_dir.resolve().is_relative_to(source.path.resolve()):
        raise HdrgenError(f"{out_dir}: lies in its own source {source.path}; give a folder outside of it")
    unfinished = (journal_is_about(out_dir) or {}).get("source", source_name)
    if not (out_dir / INDEX_NAME).is_file() and unfinished == source_name:
        return
    try:
        indexed = read_index(out_dir)["source"].unique() if (out_dir / INDEX_NAME).is_file() else ()
        names = {*indexed, unfinished} - {source_name}
    except pl.exceptions.ColumnNotFoundError:
        raise HdrgenError(f"{out_dir}: holds an index that no ingest made; give another folder") from None
    if names:
        raise HdrgenError(
            f"{out_dir}: holds the frames of {', '.join(sorted(names))}, which would be removed; "
            "give another folder, or delete this one"
        )


def taken_in(index: pl.DataFrame) -> dict[str, int]:
    """Return what became of a source's files, for a metrics file."""
    good = index.filter(pl.col("quarantine_reason").is_null())
    return {
        "files": index["path"].n_unique(),
        "frames": good.height,
        "panoramas": good.filter(pl.col("view") == 1).height,
        "scenes": good["scene"].n_unique(),
        "quarantined": index.height - good.height,
        **{
            f"frames_with_{kind}": good.filter(pl.col(f"{kind}_values") > 0).height
            for kind in ("nan", "inf", "clamped")
        },
    }


def decide_encoding(image: SceneImage, source: Source) -> tuple[str, Encoding, str]:
    """Decide what a file's values mean.

    In this order: what the source's settings say; the primaries in the header, linear as every EXR is once codes that
    its `colorInteropID` names are decoded; ARRI's
    primaries when only the camera is named; Rec.709, which the OpenEXR standard prescribes where nothing is
    said. ARRI's ``ColorGamma`` attribute is no evidence: it tells what the camera recorded, and stays in files
    that were made linear since.

    Returns
    -------
    tuple
        The encoding's name, the encoding, and how it was decided in plain words.
    """
    if source.encoding != "auto":
        return source.encoding, ENCODINGS[source.encoding], "source override"
    if image.chromaticities is not None:
        names = ("chromaticities", "colorInteropID", "PRIMARIES", "FORMAT")
        attribute = next(name for name in names if name in image.attributes)
        interop_id = str(image.attributes.get("colorInteropID", ""))
        decoded = f", {interop_id} codes decoded" if holds_codes(interop_id) else ""
        for key, space in SPACES.items():
            if np.abs(np.subtract(space, image.chromaticities)).max() < 5e-4:
                return (
                    f"linear_{key}",
                    Encoding(space),
                    f"{attribute} attribute: {_SPACE_NAMES[key]}{decoded}",
                )
        stated = " ".join(f"{value:g}" for value in np.ravel(image.chromaticities))
        return "linear_custom", Encoding(image.chromaticities), f"{attribute} attribute: {stated}{decoded}"
    make, model = (str(image.attributes.get(key, "")) for key in ("cameraMake", "cameraModel"))
    if make.upper().startswith("ARRI"):
        space_key, space = ("awg4", AWG4) if _LOGC4_MODELS.search(model) else ("awg3", AWG3)
        decided = f"camera metadata: {make} {model}, so {_SPACE_NAMES[space_key]}"
        return f"linear_{space_key}", Encoding(space), decided
    if unknown := image.attributes.get("colorInteropID"):
        return (
            "linear_rec709",
            Encoding(REC709),
            f"colorInteropID {unknown} is not known: Rec.709 by convention",
        )
    return "linear_rec709", Encoding(REC709), "none stated: Rec.709 by OpenEXR convention"


def decide_exposure(  # noqa: PLR0911 - a line for each rule
    luminance: NDArray[np.float32], source: Source, anchor: AnchorParams, *, camera: bool
) -> tuple[float, str]:
    """Decide the factor that brings a picture to a camera's exposure, grey at 0.18.

    Footage keeps its exposure: a night is dark on purpose. So does any picture whose key, the geometric mean of
    its middle 98 %, lies within three stops of grey. Others are in arbitrary units: their key is brought to
    0.18, but never so far up that their brightest thousandth exceeds ``anchor.brightest``, because a candle in
    a dark room is exposed for the candle.

    Parameters
    ----------
    luminance
        Any shape; what the eye is drawn to, so of a panorama the band around the horizon.
    source
        Its ``exposure`` may decide by itself.
    anchor
        The limits.
    camera
        Whether the file says that a camera exposed it.

    Returns
    -------
    tuple
        The factor, and how it was decided in plain words.
    """
    if isinstance(source.exposure, float):
        return source.exposure, "source override"
    if source.exposure == "keep":
        return 1.0, "source override: kept"
    if camera and source.exposure == "auto":
        return 1.0, "camera footage: kept"
    positive = luminance[np.isfinite(luminance) & (luminance > 0)]
    if positive.size == 0:
        return 1.0, "no light: kept"
    low, high, top = np.quantile(positive, (0.01, 0.99, 0.999))
    key = float(np.exp(np.log(np.clip(positive, low, high), dtype=np.float64).mean()))
    if source.exposure == "auto" and anchor.lowest_key <= key <= anchor.highest_key:
        return 1.0, f"key {key:.3g} is near grey: kept"
    scale = 0.18 / key
    limited = max(1.0, anchor.brightest / float(top))
    if scale > limited:
        return limited, f"key {key:.3g} raised until the highlights reach {anchor.brightest:g}"
    return scale, f"key {key:.3g} brought to 0.18"


def to_linear_awg4(rgb: NDArray[np.floating], encoding: Encoding, scale: float) -> NDArray[np.floating]:
    """Convert stored RGB to scene-linear AWG4 times ``scale``, shape ``(height, width, 3)``.

    Half floats that already are linear AWG4 come back as they are. A pixel with NaN or Inf in a channel has it
    in all three: the matrix would make NaN of both, and whether a pixel was too bright or no number at all
    matters to its repair.
    """
    unchanged = (
        scale == 1.0
        and encoding.chromaticities == AWG4
        and encoding.decode is ENCODINGS["linear_awg4"].decode
    )
    if unchanged:
        return rgb
    linear = np.asarray(encoding.decode(to_single(rgb)), np.float32)
    matrix = (scale * rgb_to_rgb(encoding.chromaticities, AWG4)).astype(np.float32)
    # Six times faster than a matrix product.
    converted = np.asarray(cv2.transform(linear, matrix), np.float32)
    with np.errstate(invalid="ignore"):
        bad = ~np.isfinite(converted @ np.ones(3, np.float32))
        if bad.any():
            # The sum of NaN is NaN, of Inf is Inf, of both signs of Inf NaN; finite channels do not matter.
            special = np.where(np.isfinite(linear[bad]), 0, linear[bad]).sum(axis=-1, keepdims=True)
            converted[bad] = np.where(special == 0, converted[bad], special)
    return converted


@dataclass(frozen=True)
class _Task:
    root: Path
    path: str
    source_name: str
    source: Source
    params: IngestParams
    frames_dir: Path
    made_before: tuple[Row, ...]


@dataclass(frozen=True)
class _Taken:
    """The rows of a file's frames, or the one that says why there are none; what they leave behind of the file."""

    rows: list[Row]
    notes: tuple[str, ...] = ()
    content_hash: str | None = None


def _ingest_file(task: _Task) -> _Taken:
    """Make a file's frames, in a worker, or the row that says why there are none."""
    file = task.root / task.path
    hashed = _hashed(file)
    try:
        if _in_utf8(task.path) != task.path:
            raise UnreadableImage(file, "has a name that is no UTF-8; rename it")  # noqa: TRY301
        header = read_scene_header(file, layer=task.source.layer, part=task.source.part)
        refuse_data(file, header)
        dropped = ("alpha was dropped",) if header.alpha else ()
        rows = _frames(task, file, hashed, header) or [_quarantined(task, "holds no picture")]
        return _Taken(rows, (*header.notes, *dropped), hashed)
    except MachineError:
        raise
    except UnreadableImage as error:
        _hashed(file)  # decoders take for damage what the machine does not give
        return _Taken([_quarantined(task, error.reason)], content_hash=hashed)


def _hashed(file: Path) -> str:
    try:
        return content_hash(file)
    except OSError as error:
        raise InaccessibleImage(file, f"cannot be read ({error.strerror})") from None


def _frames(task: _Task, file: Path, hashed: str, header: StoredHeader) -> list[Row]:
    megapixels = header.width * header.height / 1e6
    if megapixels > task.params.max_megapixels:
        raise UnreadableImage(
            file, f"has {megapixels:.3g} megapixels, more than {task.params.max_megapixels:g}"
        )
    digest = _digest(task, hashed, header)
    reusable = [row for row in task.made_before if row["digest"] == digest]
    if reusable and all(
        is_whole(task.frames_dir / Path(row["file"]).name, row["file_bytes"]) for row in reusable
    ):
        return [{**row, "scene": _scene(task, row["scene_in_file"])} for row in reusable]

    # What was never rendered is no darkness, so nothing is filled in; what nobody sees is no light to learn from.
    stored = read_scene_image(
        file, layer=task.source.layer, part=task.source.part, decode=task.source.encoding == "auto"
    )
    image = cut_to_display(file, stored)
    description, scene_in_file = _described(image.attributes)
    description, scene_in_file = description and _in_utf8(description), _in_utf8(scene_in_file)
    encoding_name, encoding, decided_by = decide_encoding(image, task.source)
    try:
        rgb_to_rgb(encoding.chromaticities, AWG4)
    except (ValueError, np.linalg.LinAlgError):
        raise UnreadableImage(file, "states chromaticities that span no colour space") from None

    panorama = _is_panorama(image, task.source)
    exposure_scale, exposure_decided_by = decide_exposure(
        _sampled_luminance(image.rgb, encoding, panorama=panorama),
        task.source,
        task.params.anchor,
        camera=_is_footage(image.attributes),
    )
    common = {
        "source": task.source_name,
        "path": task.path,
        "digest": digest,
        "content_hash": hashed,
        "scene": _scene(task, scene_in_file),
        "scene_in_file": scene_in_file,
        "description": description,
        "encoding": encoding_name,
        "encoding_decided_by": decided_by + _what_of(header),
        "exposure_scale": exposure_scale,
        "exposure_decided_by": exposure_decided_by,
    }
    if not panorama:
        return [_frame(task, common, image.rgb, encoding, {"view": 0}, image.geometry)]
    luminance = awg4_luminance(to_linear_awg4(image.rgb, encoding, 1.0))
    params = task.params.panorama
    size = view_size(image.width, params)
    return [
        _frame(
            task,
            common,
            rectilinear_view(image.rgb, direction, size, params.field_of_view_degrees),
            encoding,
            {"view": view, "yaw_degrees": direction[0], "pitch_degrees": direction[1]},
        )
        for view, direction in enumerate(view_directions(luminance, params), start=1)
    ]


def _what_of(header: StoredHeader) -> str:
    """Return in words what of a file became its frame; nothing where it is all of it."""
    said = [f"part {header.part}"] if header.part else []
    if header.layer:
        said.append(f"layer {'.'.join(filter(None, (header.layer, header.view)))}")
    data, display = header.geometry.data_window, header.geometry.display_window
    if overlap([data, display]) != data:
        said.append(f"cut to the display window {described(display)}")
    return "".join(f"; {words}" for words in said)


def _matters(geometry: Geometry) -> bool:
    """Tell whether a frame must say where its pixels lie; one that is whole starts at 0, wherever its file did."""
    return not geometry.is_whole or geometry.pixel_aspect_ratio != 1.0


def _frame(
    task: _Task,
    common: Row,
    rgb: NDArray[np.floating],
    encoding: Encoding,
    view: Row,
    geometry: Geometry | None = None,
) -> Row:
    """Convert and write one picture; returns its row."""
    linear_awg4 = to_linear_awg4(rgb, encoding, common["exposure_scale"])
    stem = f"{file_stem(Path(task.path).stem)}_{common['digest']}"
    frame = f"{stem}_view{view['view']}" if view["view"] else stem
    file = task.frames_dir / f"{frame}.exr"
    attributes: dict[str, str | int | float] = {
        "hdrgenSource": task.path,
        "hdrgenEncoding": f"{common['encoding']} ({common['encoding_decided_by']})",
        "exposureScale": common["exposure_scale"],
    }
    if common["description"]:
        attributes[_SCENE_ATTRIBUTE] = common["description"]
    clamped = write_exr(
        file,
        linear_awg4,
        chromaticities=AWG4,
        attributes=attributes,
        geometry=geometry if geometry and _matters(geometry) else None,
        compression=task.params.compression,
        overflow="clamp",
        allow_nonfinite=True,
    )
    luminance = awg4_luminance(linear_awg4)
    return {
        **common,
        **view,
        **_count_bad_values(rgb),
        **luminance_percentiles(luminance),
        "frame": frame,
        "file": f"{FRAMES}/{file.name}",
        "file_bytes": file.stat().st_size,
        "width": rgb.shape[1],
        "height": rgb.shape[0],
        "clamped_values": clamped,
        "fingerprint": fingerprint(luminance),
    }


def _quarantined(task: _Task, reason: str) -> Row:
    return {
        "source": task.source_name,
        "path": _in_utf8(task.path),
        "view": 0,
        "quarantine_reason": _in_utf8(reason).replace(f"{task.root}/", ""),
    }


def _in_utf8(text: str) -> str:
    """Return what an index can hold: half a character, or a byte that is none, becomes its number."""
    return text.encode("utf-8", "backslashreplace").decode()


def _digest(task: _Task, hashed: str, header: StoredHeader) -> str:
    """Return what the frames of a file are named by: its bytes, its place, and all that changes the pixels."""
    # What came later is named only where it is so, or every frame there is would get another name.
    later: dict[str, Any] = {}
    if task.source.layer is not None or header.part or header.layer:
        later["layer"] = [task.source.layer, header.part, header.layer, header.view]
    if task.source.part is not None:
        later["part"] = task.source.part
    if _matters(header.geometry):
        later["geometry"] = asdict(header.geometry)
    if task.params.compression in LOSES_NONFINITE:
        later["keeps"] = "nonfinite"
    return short_digest(
        _CONVERSION_VERSION,
        hashed,
        task.source_name,
        task.path,
        task.source.model_dump(mode="json", include={"encoding", "exposure", "panoramas"}),
        task.params.model_dump(mode="json", include={"anchor", "panorama", "compression"}),
        *([later] if later else []),
    )


def _scene(task: _Task, scene_in_file: str) -> str:
    """Return the scene: what the file says, else what the source's expression finds, else the file's name."""
    found = re.search(task.source.scene, task.path) if task.source.scene else None
    if scene_in_file:
        scene = scene_in_file
    elif found:
        scene = found.group(1) if found.groups() else found.group()
    else:
        # The frames of a sequence are one scene: shot.0001.exr, shot_00001.exr.
        path = Path(task.path)
        scene = (path.parent / re.sub(r"(?<=.)[._-]\d{4,}$", "", path.stem)).as_posix()
    return f"{task.source_name}/{scene}"


def _described(attributes: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return a simulated frame's description, and the scene or clip the file says it belongs to."""
    description = attributes.get(_SCENE_ATTRIBUTE)
    if isinstance(description, str):
        try:
            scene = json.loads(description).get(_SIMULATED_SCENE_KEY)
        except (ValueError, AttributeError):
            description, scene = None, None
        if scene:
            return description, str(scene)
    clips = (str(attributes.get(name) or "").strip() for name in _CLIP_ATTRIBUTES)
    return description, next((clip for clip in clips if clip), "")


def _is_footage(attributes: Mapping[str, Any]) -> bool:
    """Tell whether a motion picture camera exposed this, by what its software leaves in the header."""
    named = str(attributes.get("cameraMake", "")).upper().startswith(("ARRI", "RED", "SONY CINE"))
    return named or any(name in attributes for name in (*_CLIP_ATTRIBUTES, _SCENE_ATTRIBUTE))


def _is_panorama(image: SceneImage, source: Source) -> bool:
    if source.panoramas != "auto":
        return source.panoramas == "always" and image.width == 2 * image.height
    if image.attributes.get("envmap") == "ENVMAP_LATLONG":
        return image.width == 2 * image.height
    return wraps_around(image.rgb)


def _sampled_luminance(
    rgb: NDArray[np.floating], encoding: Encoding, *, panorama: bool
) -> NDArray[np.float32]:
    """Return luminance of about 100,000 pixels; of a panorama those where a camera looks."""
    if panorama:
        rgb = rgb[len(rgb) // 4 : -len(rgb) // 4]
    step = max(1, int(np.sqrt(rgb.shape[0] * rgb.shape[1] / 100_000)))
    with np.errstate(invalid="ignore", over="ignore"):
        return awg4_luminance(to_linear_awg4(rgb[::step, ::step], encoding, 1.0))


def _count_bad_values(rgb: NDArray[np.floating]) -> Row:
    """Count what is no light: by their bits where the type is half, which is ten times faster."""
    if rgb.dtype != np.float16:
        return {
            "nan_values": int(np.count_nonzero(np.isnan(rgb))),
            "inf_values": int(np.count_nonzero(np.isinf(rgb))),
            "negative_values": int(np.count_nonzero(rgb < 0)),
        }
    if not all_finite(rgb):
        return _count_bad_values(to_single(rgb))
    negative_bits = np.count_nonzero(rgb.view(np.uint16) > NEGATIVE)
    return {"nan_values": 0, "inf_values": 0, "negative_values": int(negative_bits)}
