"""Nodes that read and write EXRs."""

import json
import os
import re
from pathlib import Path
from typing import Any, get_args

import folder_paths
import numpy as np
import torch
from comfy.cli_args import args as comfy_args
from comfy_api.latest import io
from torch import Tensor

from hdrgen.images import exr
from hdrgen.images.choices import Compression
from hdrgen.images.code_image import write_png8
from hdrgen.images.conversion import assumed_chromaticities, describe, from_chromaticities, linear_space
from hdrgen.images.geometry import geometry_of, placed, placed_notes
from hdrgen.images.mattes import OBSERVED
from hdrgen.images.provenance import Attributes, carried, header_notes, left_behind, made_by
from hdrgen.images.scene_image import in_display, read_scene_image
from hdrgen.images.stored_image import SceneImage
from hdrgen.qc.preview import linear_ap1, preview_code8
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.scheduling import cores

from .wires import CATEGORY, Metadata, image_of, pictures_of, progress, space_input

_THUMBNAIL_PIXELS = 768
_READ_SUFFIXES = (".exr", ".hdr")
_ASPECT = "pixelAspectRatio"
_FRAME = re.compile(r"(?P<name>.*?)(?P<frame>\d+)(?P<suffix>\.[^.]+)")


class ExrExporter(io.ComfyNode):
    """Light becomes files."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="HdrgenExrExporter",
            display_name="EXR Exporter",
            category=CATEGORY,
            description="Writes scene-linear light as OpenEXR that says its primaries and what made it.",
            is_output_node=True,
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            inputs=[
                io.Image.Input("light", tooltip="Scene-linear light of any range; a batch is a sequence."),
                io.String.Input(
                    "filename_prefix", default="hdrgen/light", tooltip="In ComfyUI's output folder."
                ),
                space_input("light_space", tooltip="What the light is in."),
                space_input("file_space", tooltip="What the file is to be in."),
                io.Combo.Input(
                    "pixel_type",
                    options=["half", "float"],
                    default="half",
                    tooltip="Half is what is delivered.",
                ),
                io.Combo.Input(
                    "compression",
                    options=list(get_args(Compression)),
                    default="zip",
                    tooltip="Of the EXR.",
                ),
                io.Combo.Input(
                    "overflow",
                    options=["raise", "clamp"],
                    default="raise",
                    tooltip="What becomes of values that the pixel type cannot hold: an error, or clamped and said.",
                ),
                io.Combo.Input(
                    "numbering",
                    options=["counter", "frames"],
                    default="counter",
                    tooltip="A new number for each picture (light_00001_.exr), or frames of a sequence (light.1001.exr).",
                ),
                io.Int.Input(
                    "first_frame",
                    default=1001,
                    min=0,
                    max=9999999,
                    tooltip="Of a sequence; others are numbered after it.",
                ),
                io.Boolean.Input(
                    "overwrite",
                    default=False,
                    tooltip="Write over frames that are there, else they are an error.",
                ),
                io.Boolean.Input(
                    "workflow", default=True, tooltip="Put the prompt and the workflow into the header."
                ),
                io.String.Input(
                    "attributes",
                    default="",
                    multiline=True,
                    tooltip="More for the header, a line each, such as: shot = sh010",
                ),
                io.Mask.Input(
                    "alpha", optional=True, tooltip="1 is opaque; the light is multiplied by it already."
                ),
                Metadata.Input("metadata", optional=True, tooltip="From the node that made the light."),
                io.Mask.Input(
                    OBSERVED,
                    optional=True,
                    tooltip="Channel of this name: 1 where the light was seen, 0 where it is invented.",
                ),
            ],
            outputs=[
                io.String.Output("paths", display_name="paths", tooltip="The files, a line each."),
                io.String.Output(
                    "report",
                    display_name="report",
                    tooltip="What was written, and what a person should know of it.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        light: Tensor,
        filename_prefix: str,
        light_space: str,
        file_space: str,
        pixel_type: Any,
        compression: Any,
        overflow: Any,
        numbering: str,
        first_frame: int,
        overwrite: bool,
        workflow: bool,
        attributes: str,
        alpha: Tensor | None = None,
        metadata: Attributes | None = None,
        observed: Tensor | None = None,
    ) -> Any:
        pictures = pictures_of(light)
        alphas, matte = _mask("alpha", alpha, light), _mask(OBSERVED, observed, light)
        header = {**(metadata or made_by("comfyui")), **_attributes(attributes)}
        aspect = header.pop(_ASPECT, None)  # of the structure of a file, not of what it says
        if workflow and not comfy_args.disable_metadata:
            header |= _graph(cls.hidden)
        chromaticities, source = linear_space(file_space), linear_space(light_space)
        height, width, _ = pictures[0].shape
        geometry = geometry_of({_ASPECT: aspect}, width, height)
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory(), width, height
        )
        if numbering == "frames":
            names = [f"{name}.{first_frame + i:04d}.exr" for i in range(len(pictures))]
        else:
            names = [f"{name}_{counter + i:05d}_.exr" for i in range(len(pictures))]
        targets = [Path(folder) / file for file in names]
        for target in targets:
            if target.exists() and not overwrite:
                raise HdrgenError(f"{target}: is there already; choose another prefix, or overwrite")
        move, lines, shown = progress(len(targets)), [], []
        for number, (target, picture) in enumerate(zip(targets, pictures, strict=True)):
            linear = from_chromaticities(picture, source, file_space, threads=cores())
            clamped = exr.write_exr(
                target,
                linear,
                alpha=None if alphas is None else alphas[number],
                mattes={} if matte is None else {OBSERVED: matte[number]},
                chromaticities=chromaticities,
                attributes=header,
                geometry=geometry,
                compression=compression,
                pixel_type=pixel_type,
                overflow=overflow,
            )
            clamped_text = f", {clamped} values clamped" if clamped else ""
            lines.append(f"{target.name}: {file_space}, {pixel_type}, up to {linear.max():g}{clamped_text}")
            shown.append(_thumbnail(scene_image(picture, light_space), target.stem))
            move(number + 1, len(targets))
        files = [{"filename": file, "subfolder": subfolder, "type": "output"} for file in names]
        paths = "\n".join(map(str, targets))
        ui = {"images": shown, "exr": files, "text": ["\n".join(lines)]}
        return io.NodeOutput(paths, "\n".join(lines), ui=ui)


class ExrLoader(io.ComfyNode):
    """Files become light."""

    @classmethod
    def define_schema(cls) -> Any:
        return io.Schema(
            node_id="HdrgenExrLoader",
            display_name="EXR Loader",
            category=CATEGORY,
            description="Reads OpenEXR or Radiance files of ComfyUI's input folder as scene-linear light, nothing clamped, in the display window.",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=_input_files(),
                    tooltip="In the input folder; `name [output]` reads what was exported.",
                ),
                io.String.Input(
                    "frames",
                    default="",
                    tooltip="Empty for this file alone; all for its sequence, or first and last frame, such as 1001-1024.",
                ),
                space_input(tooltip="Scene-linear space of the light; the file's primaries are converted."),
                io.String.Input(
                    "layer",
                    default="",
                    optional=True,
                    tooltip="Layer of an EXR, or one channel. Empty takes its picture; the report names the others.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    "light", display_name="light", tooltip="Scene-linear light, a batch for a sequence."
                ),
                io.Mask.Output(
                    "alpha",
                    display_name="alpha",
                    tooltip="1 is opaque, as the EXR Exporter takes it; 0 where nothing was rendered.",
                ),
                Metadata.Output(
                    "metadata",
                    display_name="metadata",
                    tooltip="What the file's header says of the scene and of what made it.",
                ),
                io.String.Output("report", display_name="report", tooltip="What was read."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, file: str, frames: str, space: str, layer: str = "") -> Any:
        read = [
            (str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in _frames(_path(file), frames)
        ]
        return json.dumps([read, space, layer])

    @classmethod
    def validate_inputs(cls, file: str, frames: str) -> bool | str:
        try:
            _frames(_path(file), frames)
        except HdrgenError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, file: str, frames: str, space: str, layer: str = "") -> Any:
        paths = _frames(_path(file), frames)
        move, light, alphas, lines = progress(len(paths)), [], [], []
        attributes: Attributes = {}
        notes: dict[str, None] = {}
        for number, path in enumerate(paths, 1):
            stored = read_scene_image(path, layer=layer.strip() or None)
            image = in_display(path, stored)
            chromaticities, states_primaries = assumed_chromaticities(image)
            if image.is_data:  # depth and normals are of use in a graph, but not after a matrix
                light.append(image.rgb.astype(np.float32))
            else:
                light.append(from_chromaticities(image.rgb, chromaticities, space, threads=cores()))
            alpha = np.ones(stored.rgb.shape[:2]) if stored.alpha is None else stored.alpha
            alphas.append(placed(alpha, stored.geometry))
            geometry = image.geometry
            if number == 1:
                attributes = carried(image.attributes)
                if geometry.pixel_aspect_ratio != 1.0:
                    attributes[_ASPECT] = geometry.pixel_aspect_ratio
            notes |= dict.fromkeys((*stored.notes, *header_notes(left_behind(image.attributes))))
            primaries = "data, without colour conversion" if image.is_data else describe(chromaticities)
            guess = "" if states_primaries or image.is_data else ", by convention: it states no primaries"
            placed_text = "".join(f"; {note}" for note in placed_notes(stored.geometry))
            lines.append(
                f"{path.name}: {image.width}x{image.height} {image.pixel_type}, {primaries}{guess}{placed_text}"
            )
            if light[-1].shape != light[0].shape:
                raise HdrgenError(
                    f"{path}: is {image.width}x{image.height}, unlike {paths[0].name}; frames must have one size"
                )
            move(number, len(paths))
        if _ASPECT in attributes:
            notes[f"pixels are {attributes[_ASPECT]:g} times as wide as high; the metadata says so"] = None
        mask = torch.from_numpy(np.stack(alphas).astype(np.float32))
        return io.NodeOutput(image_of(light), mask, attributes, "\n".join((*lines, *notes)))


def scene_image(linear: np.ndarray[Any, Any], space: str) -> SceneImage:
    """Return light in a scene-linear space as the library has pictures that were read."""
    return SceneImage(linear, None, linear_space(space), {}, "float", "none", "scanline")


def _thumbnail(image: SceneImage, stem: str) -> dict[str, str]:
    """Write what a display shows into ComfyUI's temporary folder, and return what its page loads it by."""
    return write_temporary(
        preview_code8(linear_ap1(image, longest_side=_THUMBNAIL_PIXELS), threads=cores()), stem
    )


def write_temporary(code8: np.ndarray[Any, Any], stem: str) -> dict[str, str]:
    """Write an 8-bit picture ``(H, W, 3)`` for the page to show; return what the page loads it by."""
    height, width, _ = code8.shape
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
        f"hdrgen_{stem}", folder_paths.get_temp_directory(), width, height
    )
    file = f"{name}_{counter:05d}_.png"
    write_png8(Path(folder) / file, code8)
    return {"filename": file, "subfolder": subfolder, "type": "temp"}


def _mask(name: str, mask: Tensor | None, light: Tensor) -> np.ndarray[Any, Any] | None:
    if mask is None:
        return None
    if mask.shape != light.shape[:-1]:
        raise HdrgenError(
            f"{name} is {tuple(mask.shape)} and the light {tuple(light.shape)}; both must have one size"
        )
    return np.ascontiguousarray(mask.detach().float().cpu().numpy())


def _attributes(text: str) -> Attributes:
    header: Attributes = {}
    for line in filter(None, map(str.strip, text.split("\n"))):
        name, equals, value = (part.strip() for part in line.partition("="))
        if not (equals and name.isidentifier() and value):
            raise HdrgenError(f"an attribute is a line such as shot = sh010, not {line!r}")
        header[name] = value
    return header


def _graph(hidden: Any) -> Attributes:
    """Return what ComfyUI loads a workflow from again, under the names that it has in its PNGs."""
    graph = {"prompt": hidden.prompt, "workflow": (hidden.extra_pnginfo or {}).get("workflow")}
    return {name: json.dumps(value) for name, value in graph.items() if value is not None}


def _input_files() -> list[str]:
    folder = Path(folder_paths.get_input_directory())
    files = (path for path in folder.rglob("*") if path.suffix.lower() in _READ_SUFFIXES)
    return sorted(path.relative_to(folder).as_posix() for path in files)


def _path(file: str) -> Path:
    """Return a file in one of ComfyUI's folders; links that lie there may lead elsewhere."""
    roots = (folder_paths.get_input_directory(), folder_paths.get_output_directory())
    try:
        path = Path(os.path.abspath(folder_paths.get_annotated_filepath(file)))  # noqa: PTH100 - links stay
    except ValueError as error:
        raise HdrgenError(str(error)) from None
    if not any(path.is_relative_to(os.path.abspath(root)) for root in roots):  # noqa: PTH100
        raise HdrgenError(f"{file}: is outside of ComfyUI's folders; put or link it into the input folder")
    if not path.is_file():
        raise HdrgenError(f"{path}: no such file; put it into ComfyUI's input folder")
    return path


def _frames(path: Path, frames: str) -> list[Path]:
    """Return the files of a sequence, all of them there."""
    frames = frames.strip().lower()
    if not frames:
        return [path]
    this = _FRAME.fullmatch(path.name)
    if this is None:
        raise HdrgenError(f"{path.name}: has no frame number, so it is of no sequence; leave frames empty")
    present = {}
    for other in path.parent.iterdir():
        match = _FRAME.fullmatch(other.name)
        if match and (match["name"], match["suffix"]) == (this["name"], this["suffix"]):
            present[int(match["frame"])] = other
    if frames == "all":
        first, last = min(present), max(present)
    else:
        bounds = re.fullmatch(r"(\d+)(?:-(\d+))?", frames)
        if bounds is None:
            raise HdrgenError(f"frames are all, or such as 1001-1024, not {frames!r}")
        first, last = int(bounds[1]), int(bounds[2] or bounds[1])
    if first > last:
        raise HdrgenError(f"frames {first}-{last}: the first must not come after the last")
    missing = next((frame for frame in range(first, last + 1) if frame not in present), None)
    if missing is not None:
        raise HdrgenError(f"{path.name}: its sequence lacks frame {missing}")
    return [present[frame] for frame in range(first, last + 1)]
