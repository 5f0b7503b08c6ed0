"""Training frames without footage: Mitsuba 3 scenes through a simulated ALEXA 35.

A frame is decided by the seed, its index and its kind of scene alone, so more frames never change the earlier
ones. Its file name carries a digest of everything that decides its pixels; what is there already is not rendered
again, and an interrupted run goes on where it stopped.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field, field_validator

from hdrgen.dataset.scene_description import SCENE_ATTRIBUTE, Description
from hdrgen.dataset.simulate.camera import CameraParams, shoot
from hdrgen.dataset.simulate.scene import Scene
from hdrgen.dataset.simulate.scenes import KINDS
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section
from hdrgen.runtime.progress import OnProgress
from hdrgen.runtime.scheduling import MapFrames, Workers, map_frames

SCENES_VERSION = 3
"""Raise it whenever a scene, the renderer or the camera changes what a frame looks like."""
FRAME_MEMORY_BYTES = 4 * 2**30


class SimulateParams(Section):
    """What to render, how large and how carefully."""

    count: int = Field(48, ge=0)
    """Frames to render, each different; frames of one kind share a composition."""
    width: int = Field(320, ge=16)
    """Frame width in pixels."""
    height: int = Field(180, ge=16)
    """Frame height in pixels."""
    samples_per_pixel: int = Field(16, ge=8)
    """Light paths per pixel; what noise they leave is filtered out with the help of normals and depth."""
    seed: int = Field(35, ge=0)
    """Decides every scene and all noise."""
    kinds: Annotated[tuple[str, ...], Field(min_length=1)] = tuple(KINDS)
    """Kinds of scene, dealt out in shuffled rounds; a kind named twice comes twice as often."""
    workers: Workers = "auto"
    """Processes that render at the same time, `auto` for one per core; pictures do not depend on it."""
    timeout_s: float = Field(600.0, gt=0)
    """Time for one frame in seconds."""
    camera: CameraParams = CameraParams()
    """The simulated ALEXA 35."""

    @field_validator("kinds")
    @classmethod
    def _known(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(kinds) - set(KINDS))
        if unknown:
            raise ValueError(f"unknown kind {unknown[0]!r}; known are {', '.join(KINDS)}")
        return kinds


@dataclass(frozen=True)
class FrameSpec:
    """Everything that decides one frame."""

    index: int
    kind: str
    seed: int
    width: int
    height: int
    samples_per_pixel: int
    camera: CameraParams

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits of all the above and of the scenes' version."""
        fields = [
            SCENES_VERSION,
            self.index,
            self.kind,
            self.seed,
            self.width,
            self.height,
            self.samples_per_pixel,
            self.camera.model_dump(),
        ]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def file_name(self) -> str:
        """Name of the frame's EXR."""
        return f"{self.kind}_{self.index:04d}_{self.digest}.exr"

    @property
    def scene_id(self) -> str:
        """Name of the composition: frames of one scene_id share it, and `split` holds out whole ones."""
        return f"sim_{self.kind}"

    @property
    def frame_id(self) -> str:
        """Name that the frame shares with no other of any seed; resolution and camera do not matter."""
        return f"sim_{self.seed}_{self.kind}_{self.index:04d}"


class Summary(NamedTuple):
    """What a run did: files in plan order, and how many were rendered, kept and removed."""

    files: list[Path]
    rendered: int
    kept: int
    removed: int


def plan(params: SimulateParams) -> list[FrameSpec]:
    """Return the frames in order; the first ones stay the same when ``params.count`` grows."""
    specs = []
    for index in range(params.count):
        turn, place = divmod(index, len(params.kinds))
        order = np.random.default_rng([params.seed, turn]).permutation(len(params.kinds))
        specs.append(
            FrameSpec(
                index=index,
                kind=params.kinds[order[place]],
                seed=params.seed,
                width=params.width,
                height=params.height,
                samples_per_pixel=params.samples_per_pixel,
                camera=params.camera,
            )
        )
    return specs


def build_scene(spec: FrameSpec) -> Scene:
    """Return a frame's scene with its ``scene_id`` and ``frame_id`` filled in."""
    scene = KINDS[spec.kind](np.random.default_rng([spec.seed, spec.index, 1]))
    scene.description["scene_id"] = spec.scene_id
    scene.description["frame_id"] = spec.frame_id
    return scene


def render_frame(spec: FrameSpec, path: Path) -> None:
    """Render one frame into an EXR.

    Raises
    ------
    HdrgenError
        The file cannot be written.
    """
    from hdrgen.colour.primaries import AWG4  # noqa: PLC0415 - a worker starts with as little as it can
    from hdrgen.dataset.simulate.render import render  # noqa: PLC0415
    from hdrgen.dataset.simulate.sky import confirm_sun  # noqa: PLC0415
    from hdrgen.images.exr import write_exr  # noqa: PLC0415

    scene = build_scene(spec)
    light_seed = int(np.random.default_rng([spec.seed, spec.index, 2]).integers(2**31))
    linear_rec709 = render(scene, spec.width, spec.height, spec.samples_per_pixel, light_seed)
    linear_awg4 = shoot(
        linear_rec709,
        spec.camera,
        np.random.default_rng([spec.seed, spec.index, 3]),
        exposure_stops=scene.shot.exposure_stops,
        white_balance_kelvin=scene.shot.white_balance_kelvin,
    )
    confirm_sun(scene, linear_awg4, spec.camera.highlight_ceiling_linear)
    write_exr(path, linear_awg4, chromaticities=AWG4, attributes=header_attributes(spec, scene))


def header_attributes(spec: FrameSpec, scene: Scene) -> dict[str, str | int | float]:
    """Return a frame's header: the camera in OpenEXR's attributes, and the scene's description as JSON."""
    description: Description = scene.description
    return {
        "owner": "hdrgen simulate",
        "cameraMake": "ARRI",
        "cameraModel": "ALEXA 35 (simulated)",
        "cameraSerialNumber": "simulated",
        "cameraFirmwareVersion": f"scenes {SCENES_VERSION}",
        "lensModel": f"simulated {scene.shot.focal_length_mm:.0f} mm",
        "nominalFocalLength": float(scene.shot.focal_length_mm),
        "aperture": float(scene.shot.f_number),
        "focus": float(_focus_metres(scene)),
        "isoSpeed": float(spec.camera.exposure_index),
        "expTime": 1 / 48,
        "shutterAngle": 180.0,
        "captureRate": 24.0,
        "cameraCCTSetting": float(scene.shot.white_balance_kelvin),
        "cameraTintSetting": 0.0,
        "cameraUuid": "00000000-0000-0000-0000-000000000000",
        "imageCounter": spec.index,
        "reelName": f"S{spec.seed % 1000:03d}C{spec.index:04d}",
        "comments": f"Rendered, not photographed. {description['caption']}",
        "hdrgenTransfer": "scene-linear",
        SCENE_ATTRIBUTE: json.dumps(description, sort_keys=True),
        "hdrgenSeed": spec.seed,
    }


def _focus_metres(scene: Scene) -> float:
    shot = scene.shot
    return shot.focus_distance_m or float(np.linalg.norm(np.subtract(shot.target, shot.origin)))


def simulate(
    params: SimulateParams,
    out_dir: Path,
    *,
    on_progress: OnProgress | None = None,
    schedule: MapFrames = map_frames,
) -> Summary:
    """Bring a folder in line with the plan: render what is missing, remove what is not planned.

    Parameters
    ----------
    params
        What to render.
    out_dir
        Folder of the frames, made when missing. Every ``.exr`` in it belongs to this function.
    on_progress
        Called with (frames done, frames in all).
    schedule
        Where frames are rendered.

    Returns
    -------
    Summary
        Files in plan order and what was done.

    Raises
    ------
    HdrgenError
        Frames could not be rendered; names the first. The others are there and will not be rendered again.
    """
    specs = plan(params)
    jobs = [_Job(spec, out_dir / spec.file_name) for spec in specs]
    out_dir.mkdir(parents=True, exist_ok=True)
    removed = _clear(out_dir, keep={job.path for job in jobs})
    missing = [job for job in jobs if not job.path.exists()]
    kept = len(jobs) - len(missing)

    def report(done: int, _: int) -> None:
        if on_progress is not None:
            on_progress(kept + done, len(jobs))

    report(0, len(missing))
    outcomes = schedule(
        _render_job,
        missing,
        workers=params.workers,
        timeout_s=params.timeout_s,
        memory_bytes=FRAME_MEMORY_BYTES,
        on_progress=report,
    )
    failures = [
        f"{job.path.name}: {outcome.failure}"
        for job, outcome in zip(missing, outcomes, strict=True)
        if outcome.failure is not None
    ]
    if failures:
        raise HdrgenError(f"{len(failures)} of {len(missing)} frames were not rendered, first {failures[0]}")
    return Summary([job.path for job in jobs], rendered=len(missing), kept=kept, removed=removed)


def remove_frames(out_dir: Path) -> int:
    """Leave the folder there but without frames; returns how many were removed."""
    out_dir.mkdir(parents=True, exist_ok=True)
    return _clear(out_dir, keep=set())


class _Job(NamedTuple):
    """One frame and where it goes."""

    spec: FrameSpec
    path: Path


def _render_job(job: _Job) -> None:
    """Render a frame in a worker process, which is given one thread: the processes are the parallelism."""
    import drjit  # noqa: PLC0415 - comes with Mitsuba

    drjit.set_thread_count(1)
    render_frame(job.spec, job.path)


def _clear(folder: Path, keep: set[Path]) -> int:
    strays = sorted(set(folder.glob("*.exr")) - keep)
    for stray in strays:
        stray.unlink()
    return len(strays)
