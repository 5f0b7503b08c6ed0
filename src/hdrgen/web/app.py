"""The server's answers: a page, jobs in, pictures out. Nothing of it waits for a model."""

import asyncio
import errno
import logging
import re
import unicodedata
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from hdrgen import __version__
from hdrgen.routes.requests import file_name
from hdrgen.runtime.choices import ROUTES
from hdrgen.runtime.errors import HdrgenError
from hdrgen.web.guard import COOKIE, LOOPBACK_NAMES, Guard, same_token
from hdrgen.web.history import BEFORE, PICTURE, PIXELS, THUMBNAIL, History
from hdrgen.web.job_queue import JobQueue, Maker, Phase, QueueFullError
from hdrgen.web.jobs import ACTIVE, GenerateJob, Limits, Record, Source, read_job
from hdrgen.web.uploads import keep_uploads
from hdrgen.web.view_cube import HIGHEST_STOPS, LOWEST_STOPS, SIDE, ViewCube, view_cube

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
WATCH_S = 20.0
"""How long a page is kept waiting for something new."""
PAGE_OF_HISTORY = 60
_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}
_NEVER = {"Cache-Control": "no-store"}


class Page:
    """The answers, and what they share.

    Parameters
    ----------
    history, queue
        Pictures, and jobs that are not over.
    models
        Folder of what was trained.
    limits
        What a request may cost.
    token
        What everybody has to give, see `Guard`; None where it is not asked for.
    """

    def __init__(
        self, history: History, queue: JobQueue, models: Path, limits: Limits, token: str | None
    ) -> None:
        self._history, self._queue, self._models = history, queue, models
        self._limits, self._token = limits, token
        self._bodies = asyncio.Semaphore(limits.bodies_at_once)
        # Previews are made one at a time: each takes the memory of a picture.
        self._previews = CapacityLimiter(1)
        self._view: Callable[[], ViewCube] = cache(view_cube)

    @property
    def routes(self) -> list[Route | Mount]:
        """What is answered where."""
        return [
            Route("/", self.index),
            Route("/login", self.login, methods=["GET", "POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
            Route("/api/config", self.config),
            Route("/api/view", self.view),
            Route("/api/state", self.state),
            Route("/api/jobs", self.submit, methods=["POST"]),
            Route("/api/jobs/{id}/cancel", self.cancel, methods=["POST"]),
            Route("/api/jobs/{id}/again", self.again, methods=["POST"]),
            Route("/api/pictures", self.pictures),
            Route("/api/pictures/{id}", self.picture),
            Route("/api/pictures/{id}", self.remove, methods=["DELETE"]),
            Route("/api/pictures/{id}/exr", self.exr),
            Route("/api/pictures/{id}/preview", self.preview),
            Route("/api/pictures/{id}/{file:str}", self.file),
        ]

    async def index(self, _: Request) -> Response:
        """Return the page."""
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    async def login(self, request: Request) -> Response:
        """Take the token, from the form or from a link, and keep it in a cookie."""
        given = request.query_params.get("token")
        if request.method == "POST":
            async with request.form(max_files=0, max_fields=1, max_part_size=1024) as form:
                given = str(form.get("token", ""))
        if given is None:
            return FileResponse(STATIC / "login.html", headers=_NEVER)
        if not same_token(given, self._token or ""):
            return FileResponse(STATIC / "login.html", 401, headers=_NEVER)
        response = RedirectResponse("/", 303, headers=_NEVER)
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, given, httponly=True, samesite="lax", secure=secure, max_age=30 * 86400)
        return response

    async def config(self, _: Request) -> Response:
        """Return what the forms need to know: which routes there are, with which sizes, and the limits."""
        limits = self._limits
        return JSONResponse(
            {
                "version": __version__,
                "routes": {route: await run_sync(_about_route, self._models, route) for route in ROUTES},
                "body_bytes": limits.body_bytes,
                "megapixels": limits.megapixels,
                "generated_megapixels": limits.generated_megapixels,
            },
            headers=_NEVER,
        )

    async def view(self, _: Request) -> Response:
        """Return the view's cube as half floats; the header has what they mean."""
        cube = await run_sync(self._view)
        headers = {
            "X-Hdrgen-Side": str(SIDE),
            "X-Hdrgen-Stops": f"{LOWEST_STOPS:g} {HIGHEST_STOPS:g}",
            "X-Hdrgen-View": f"{cube.view} / {cube.display}".encode("ascii", "replace").decode(),
            "Cache-Control": "no-cache",
        }
        return Response(cube.code.astype("<f2").tobytes(), headers=headers, media_type=_BYTES)

    async def state(self, request: Request) -> Response:
        """Return the jobs that are not over, as soon as that is news to the page."""
        known = request.query_params.get("after", "")
        if known.isdecimal():
            await self._queue.changed_after(int(known), WATCH_S)
        jobs = [_active(record, phase) for record, phase in self._queue.active]
        return JSONResponse({"revision": self._queue.revision, "jobs": jobs}, headers=_NEVER)

    async def submit(self, request: Request) -> Response:
        """Take a job, with its pictures where it has some."""
        self._check_room()
        async with self._bodies:
            try:
                async with (
                    asyncio.timeout(self._limits.body_seconds),
                    request.form(max_files=9, max_fields=16, max_part_size=16 * 1024) as form,
                ):
                    fields = {name: text for name, text in form.items() if isinstance(text, str)}
                    files = [
                        (one.filename or "", one.file)
                        for one in form.getlist("files")
                        if isinstance(one, UploadFile)
                    ]
                    record = await self._kept(fields, files)
            except TimeoutError:
                raise HTTPException(408, "the upload took too long") from None
        return JSONResponse(_active(record, Phase("Waiting")), 201)

    async def _kept(self, fields: dict[str, str], files: list[tuple[str, BinaryIO]]) -> Record:
        job = read_job(fields, self._limits)
        name = self._history.new_id()
        try:
            folder = self._history.folder(name)
            sources: tuple[Source, ...] = await run_sync(keep_uploads, job.kind, files, folder, self._limits)
            self._check_room()
            record = self._history.add(name, job, sources)
        except BaseException:
            self._history.remove(name)
            raise
        self._queue.submit(record)
        return record

    def _check_room(self) -> None:
        self._queue.check_room()
        if self._history.free_bytes() < self._limits.free_disk_bytes + self._limits.body_bytes:
            raise HTTPException(507, "the disk is nearly full")

    async def cancel(self, request: Request) -> Response:
        """End a job."""
        if not self._queue.cancel(self._record(request).id):
            raise HTTPException(409, "the job is over")
        return JSONResponse({})

    async def again(self, request: Request) -> Response:
        """Let a job that came to no picture have another try."""
        record = self._record(request)
        if record.state in ACTIVE or record.picture:
            raise HTTPException(409, "the job has its picture, or is still waiting for it")
        self._check_room()
        record = record.model_copy(update={"state": "queued", "message": None})
        self._history.save(record)
        self._queue.submit(record)
        return JSONResponse(_active(record, Phase("Waiting")))

    async def pictures(self, request: Request) -> Response:
        """Return jobs that are over, newest first."""
        records = self._history.newest(PAGE_OF_HISTORY, request.query_params.get("before"))
        return JSONResponse({"pictures": [_summary(record) for record in records]}, headers=_NEVER)

    async def picture(self, request: Request) -> Response:
        """Return all that is known of one."""
        record = self._record(request)
        document = record.model_dump(mode="json") | {"title": record.title, "file_name": _file_name(record)}
        return JSONResponse(document, headers=_NEVER)

    async def remove(self, request: Request) -> Response:
        """Delete a job that is over, with its files."""
        record = self._record(request)
        if record.state in ACTIVE:
            raise HTTPException(409, "cancel the job first")
        self._history.remove(record.id)
        self._queue.tell()
        return JSONResponse({})

    async def exr(self, request: Request) -> Response:
        """Return the EXR, named after what was asked for."""
        record = self._finished(request)
        path = self._history.folder(record.id) / PICTURE
        _check_there(path)
        return FileResponse(path, media_type="image/x-exr", filename=_file_name(record), headers=_FOR_EVER)

    async def preview(self, request: Request) -> Response:
        """Return what a display shows at an exposure, as PNG."""
        record = self._finished(request)
        exposure = request.query_params.get("exposure", "0")
        if not re.fullmatch(r"[+-]?\d{1,2}(\.\d{1,3})?", exposure):
            raise HTTPException(422, "exposure: must be stops such as -4")
        # In steps of the page's slider, because OpenColorIO's processor of each exposure is kept.
        stops = round(max(-16.0, min(16.0, float(exposure))), 1)
        source = self._history.folder(record.id) / PICTURE
        data = await run_sync(_preview, source, stops, limiter=self._previews)
        name = f"{Path(_file_name(record)).stem}_{stops:+g}stops.png"
        disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(data, media_type="image/png", headers=_FOR_EVER | disposition)

    async def file(self, request: Request) -> Response:
        """Return what the viewer needs of a picture: its pixels, those before, its thumbnail."""
        known = {
            "pixels": (PIXELS, _BYTES),
            "before": (BEFORE, _BYTES),
            "thumbnail": (THUMBNAIL, "image/png"),
        }
        record = self._finished(request)
        name, media_type = known.get(request.path_params["file"], (None, ""))
        if name is None or (name == BEFORE and record.picture and record.picture.before is None):
            raise HTTPException(404)
        path = self._history.folder(record.id) / name
        _check_there(path)
        return FileResponse(path, media_type=media_type, headers=_FOR_EVER)

    def _record(self, request: Request) -> Record:
        record = self._history.find(request.path_params["id"])
        if record is None:
            raise HTTPException(404, "no such picture")
        return record

    def _finished(self, request: Request) -> Record:
        record = self._record(request)
        if record.picture is None:
            raise HTTPException(404, "no picture came of it")
        return record


_BYTES = "application/octet-stream"


def _check_there(path: Path) -> None:
    """Answer as for a picture that never was, where somebody has deleted its files."""
    if not path.is_file():
        raise HTTPException(404, "its files are gone")


def _summary(record: Record) -> dict[str, Any]:
    """Return what the history shows of a job."""
    return {
        "id": record.id,
        "kind": record.job.kind,
        "title": record.title,
        "state": record.state,
        "created": record.created,
        "message": record.message,
        "width": record.picture and record.picture.width,
        "height": record.picture and record.picture.height,
    }


def _active(record: Record, phase: Phase) -> dict[str, Any]:
    return _summary(record) | {"phase": phase.words, "done": phase.done, "total": phase.total}


def _file_name(record: Record) -> str:
    """Return a plain name for a download, of letters that no system minds."""
    if isinstance(record.job, GenerateJob):
        return file_name(1, record.job.prompt, record.job.seed).removeprefix("001_")
    facts = record.picture.facts if record.picture else {}
    # A picture that says it is a plate was expanded, where it was left to the picture.
    done = "expand" if facts.get("hdrgenRoute") == "expand" else record.job.kind
    plain = unicodedata.normalize("NFKD", Path(record.title).stem).encode("ascii", "ignore").decode()
    return f"{re.sub(r'[^A-Za-z0-9_+-]+', '-', plain)[:60].strip('-') or 'picture'}_{done}.exr"


def _about_route(models: Path, route: Any) -> dict[str, Any]:
    from hdrgen.routes.sampling_defaults import sampling_for  # noqa: PLC0415
    from hdrgen.routes.trained_models import find_trained  # noqa: PLC0415 - torch takes seconds

    try:
        trained = find_trained(models, route)
        usual = sampling_for(trained)
    except HdrgenError as error:
        return {"missing": str(error)}
    return {
        "size": trained.size,
        "multiple": trained.pixels_per_token,
        "steps": usual.steps,
        "guidance": usual.guidance,
    }


def _preview(source: Path, exposure_stops: float) -> bytes:
    from hdrgen.qc.preview import write_preview  # noqa: PLC0415

    with TemporaryDirectory() as folder:
        target = Path(folder) / "preview.png"
        write_preview(source, target, exposure_stops=exposure_stops)
        return target.read_bytes()


async def _refused(_: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)
    if isinstance(error, OSError):
        log.warning("%s", error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return JSONResponse({"error": error.strerror or str(error)}, 507 if full else 500)
    return JSONResponse({"error": str(error)}, 429 if isinstance(error, QueueFullError) else 422)


def make_app(
    history: History,
    worker: Maker,
    models: Path,
    *,
    token: str | None = None,
    limits: Limits = Limits(),  # noqa: B008 - immutable
) -> Starlette:
    """Return the application; its ``state.queue`` is the `JobQueue`.

    Parameters
    ----------
    history
        Where pictures are kept.
    worker
        Does the jobs, one at a time.
    models
        Folder of what was trained.
    token
        Asked of everybody; None where the server listens on loopback alone, see `web.guard`.
    limits
        What a request may cost.
    """
    queue = JobQueue(history, worker, limits.queue)
    page = Page(history, queue, models, limits, token)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        working = asyncio.create_task(queue.work())
        try:
            yield
        finally:
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working

    middleware = [Middleware(Guard, token=token, body_bytes=limits.body_bytes)]
    if token is None:
        names = Middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK_NAMES, www_redirect=False)
        middleware.insert(0, names)
    app = Starlette(
        routes=page.routes,
        middleware=middleware,
        lifespan=lifespan,
        exception_handlers={HTTPException: _refused, HdrgenError: _refused, OSError: _refused},
    )
    app.state.queue = queue
    return app
