"""One file of footage becomes its frames: decoded, converted and written, in a worker process."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdrgen.colour.encodings import Encoding
from hdrgen.colour.half_floats import NEGATIVE, all_finite, to_single
from hdrgen.colour.primaries import AWG4, rgb_to_rgb
from hdrgen.dataset.frame_index import file_stem, is_whole, short_digest
from hdrgen.dataset.ingest_settings import IngestParams, Source
from hdrgen.dataset.panorama import rectilinear_view, view_directions, view_size, wraps_around
from hdrgen.dataset.scene_description import SCENE_ATTRIBUTE
from hdrgen.dataset.source_encoding import decide_encoding, to_linear_awg4
from hdrgen.dataset.source_exposure import decide_exposure, sampled_luminance
from hdrgen.dataset.source_scene import description_and_scene, is_footage, scene_name
from hdrgen.images.exr import LOSES_NONFINITE, write_exr
from hdrgen.images.geometry import Geometry, described, overlap
from hdrgen.images.light_statistics import awg4_luminance, fingerprint, luminance_percentiles
from hdrgen.images.scene_image import cut_to_display, read_scene_header, read_scene_image, refuse_data
from hdrgen.images.stored_image import InaccessibleImage, SceneImage, StoredHeader, UnreadableImage
from hdrgen.runtime.documents import file_sha256
from hdrgen.runtime.errors import MachineError

FRAMES = "frames"
CONVERSION_VERSION = 2
"""Raised when a change in the code changes the pixels made from the same file and settings."""

Row = dict[str, Any]


@dataclass(frozen=True)
class IngestTask:
    """A file of a source, and the frames that earlier runs made of it."""

    root: Path
    path: str
    source_name: str
    source: Source
    params: IngestParams
    frames_dir: Path
    earlier_rows: tuple[Row, ...]

    def scene(self, scene_in_file: str) -> str:
        """Return the name of the file's scene among those of all sources."""
        return f"{self.source_name}/{scene_name(self.path, scene_in_file, self.source.scene)}"


@dataclass(frozen=True)
class IngestedFile:
    """The rows of a file's frames, or the one row that says why there are none.

    `notes` say what the frames leave behind of the file. `content_hash` is None where the file was not read.
    """

    rows: list[Row]
    notes: tuple[str, ...] = ()
    content_hash: str | None = None


def ingest_file(task: IngestTask) -> IngestedFile:
    """Make a file's frames, or the row that says why there are none.

    Raises
    ------
    MachineError
        The file cannot be read, or a frame cannot be written.
    """
    file = task.root / task.path
    hashed = _hashed(file)
    try:
        if _in_utf8(task.path) != task.path:
            raise UnreadableImage(file, "has a name that is no UTF-8; rename it")  # noqa: TRY301
        header = read_scene_header(file, layer=task.source.layer, part=task.source.part)
        refuse_data(file, header)
        dropped = ("alpha was dropped",) if header.alpha else ()
        rows = _frames(task, file, hashed, header) or [quarantined(task, "holds no picture")]
        return IngestedFile(rows, (*header.notes, *dropped), hashed)
    except MachineError:
        raise
    except UnreadableImage as error:
        _hashed(file)  # decoders take for damage what the machine does not give
        return IngestedFile([quarantined(task, error.reason)], content_hash=hashed)


def _hashed(file: Path) -> str:
    try:
        return file_sha256(file)
    except OSError as error:
        raise InaccessibleImage.because(file, error) from None


def _frames(task: IngestTask, file: Path, hashed: str, header: StoredHeader) -> list[Row]:
    megapixels = header.width * header.height / 1e6
    if megapixels > task.params.max_megapixels:
        raise UnreadableImage(
            file, f"has {megapixels:.3g} megapixels, more than {task.params.max_megapixels:g}"
        )
    digest = _digest(task, hashed, header)
    reusable = [row for row in task.earlier_rows if row["digest"] == digest]
    if reusable and all(
        is_whole(task.frames_dir / Path(row["file"]).name, row["file_bytes"]) for row in reusable
    ):
        return [{**row, "scene": task.scene(row["scene_in_file"])} for row in reusable]

    # What was never rendered is no darkness, so nothing is filled in; what nobody sees is no light to learn from.
    stored = read_scene_image(
        file, layer=task.source.layer, part=task.source.part, decode=task.source.encoding == "auto"
    )
    image = cut_to_display(file, stored)
    description, scene_in_file = description_and_scene(image.attributes)
    description, scene_in_file = description and _in_utf8(description), _in_utf8(scene_in_file)
    encoding_name, encoding, decided_by = decide_encoding(image, task.source)
    try:
        rgb_to_rgb(encoding.chromaticities, AWG4)
    except (ValueError, np.linalg.LinAlgError):
        raise UnreadableImage(file, "states chromaticities that span no colour space") from None

    panorama = _is_panorama(image, task.source)
    exposure_scale, exposure_decided_by = decide_exposure(
        sampled_luminance(image.rgb, encoding, panorama=panorama),
        task.source,
        task.params.anchor,
        camera=is_footage(image.attributes),
    )
    common = {
        "source": task.source_name,
        "path": task.path,
        "digest": digest,
        "content_hash": hashed,
        "scene": task.scene(scene_in_file),
        "scene_in_file": scene_in_file,
        "description": description,
        "encoding": encoding_name,
        "encoding_decided_by": decided_by + _part_taken(header),
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


def _part_taken(header: StoredHeader) -> str:
    """Return in words what of a file became its frame; nothing where it is all of it."""
    words = [f"part {header.part}"] if header.part else []
    if header.layer:
        words.append(f"layer {'.'.join(filter(None, (header.layer, header.view)))}")
    data, display = header.geometry.data_window, header.geometry.display_window
    if overlap([data, display]) != data:
        words.append(f"cut to the display window {described(display)}")
    return "".join(f"; {word}" for word in words)


def _is_stated(geometry: Geometry) -> bool:
    """Tell whether a frame must say where its pixels lie; one that is whole starts at 0, wherever its file did."""
    return not geometry.is_whole or geometry.pixel_aspect_ratio != 1.0


def _frame(
    task: IngestTask,
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
        attributes[SCENE_ATTRIBUTE] = common["description"]
    clamped = write_exr(
        file,
        linear_awg4,
        chromaticities=AWG4,
        attributes=attributes,
        geometry=geometry if geometry and _is_stated(geometry) else None,
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


def quarantined(task: IngestTask, reason: str) -> Row:
    """Return the row of a file that cannot be used."""
    return {
        "source": task.source_name,
        "path": _in_utf8(task.path),
        "view": 0,
        "quarantine_reason": _in_utf8(reason).replace(f"{task.root}/", ""),
    }


def _in_utf8(text: str) -> str:
    """Return what an index can hold: half a character, or a byte that is none, becomes its number."""
    return text.encode("utf-8", "backslashreplace").decode()


def _digest(task: IngestTask, hashed: str, header: StoredHeader) -> str:
    """Return what the frames of a file are named by: its bytes, its place, and all that changes the pixels."""
    # What came later is named only where it is so, or every frame there is would get another name.
    later: dict[str, Any] = {}
    if task.source.layer is not None or header.part or header.layer:
        later["layer"] = [task.source.layer, header.part, header.layer, header.view]
    if task.source.part is not None:
        later["part"] = task.source.part
    if _is_stated(header.geometry):
        later["geometry"] = asdict(header.geometry)
    if task.params.compression in LOSES_NONFINITE:
        later["keeps"] = "nonfinite"
    return short_digest(
        CONVERSION_VERSION,
        hashed,
        task.source_name,
        task.path,
        task.source.model_dump(mode="json", include={"encoding", "exposure", "panoramas"}),
        task.params.model_dump(mode="json", include={"anchor", "panorama", "compression"}),
        *([later] if later else []),
    )


def _is_panorama(image: SceneImage, source: Source) -> bool:
    if source.panoramas != "auto":
        return source.panoramas == "always" and image.width == 2 * image.height
    if image.attributes.get("envmap") == "ENVMAP_LATLONG":
        return image.width == 2 * image.height
    return wraps_around(image.rgb)


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
