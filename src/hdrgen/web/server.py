"""The page's server: where it listens, who may come in, and its end."""

import os
import secrets
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from urllib.parse import quote

import uvicorn

from hdrgen.runtime.errors import HdrgenError
from hdrgen.web.app import make_app
from hdrgen.web.guard import LOOPBACK_NAMES
from hdrgen.web.history import History
from hdrgen.web.job_queue import JobQueue
from hdrgen.web.worker import Worker

_AT_ONCE = 512
"""Connections; what comes beyond is told to come later."""
TOKEN_LETTERS = 16


def serve(
    output: Path,
    models: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8474,
    token: str | None = None,
    device: str = "auto",
    backend: str = "auto",
    threads: int = 2,
    on_listening: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve the page until interrupted.

    Parameters
    ----------
    output
        Folder of the pictures and their history.
    models, device, backend, threads
        See `JobRunner`.
    host, port
        Where to listen; port 0 takes any that is free.
    token
        What everybody has to give. Beyond loopback there always is one, made up where none is given.
    on_listening
        Called with the address to open.

    Raises
    ------
    HdrgenError
        The address cannot be listened on, the token is too short, or the folder is in use.
    """
    if token is not None and len(token) < TOKEN_LETTERS:
        raise HdrgenError(f"the token is too short; take {TOKEN_LETTERS} letters or more")
    if token is not None and not token.isascii():
        raise HdrgenError("$HDRGEN_TOKEN: must be ASCII, as it travels in headers")
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(24)
    with _listening(host, port) as listener:
        history = History(output)
        worker = Worker(models, device=device, backend=backend, threads=threads)
        tempfile.tempdir = str(history.incoming())  # large uploads; elsewhere may be memory
        app = make_app(history, worker, models, token=token)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_AT_ONCE,
            timeout_graceful_shutdown=1,
            ws="none",
        )
        on_listening(_address(listener, host, token))
        try:
            _Server(config, app.state.queue).run(sockets=[listener])
        finally:
            worker.close()
            history.close()


class _Server(uvicorn.Server):
    """A server that its pages, which wait for news, do not keep from ending."""

    def __init__(self, config: uvicorn.Config, queue: JobQueue) -> None:
        super().__init__(config)
        self._queue = queue

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Answer a signal."""
        super().handle_exit(sig, frame)
        self._queue.close()


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine alone, by a name that the server answers to without a token."""
    return host in LOOPBACK_NAMES


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=256)
    except (OSError, OverflowError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise HdrgenError(f"cannot listen on {host} port {port} ({reason}); give another --port") from None


def _address(listener: socket.socket, host: str, token: str | None) -> str:
    name = f"[{host}]" if ":" in host else host
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not listened on
        name = socket.gethostname()
    address = f"http://{name}:{listener.getsockname()[1]}/"
    return f"{address}login?token={quote(token, safe='')}" if token else address
