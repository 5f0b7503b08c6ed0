"""The page's server with real work, done in a thread of the test's own process: no stand-in for a route."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from anyio import to_thread
from starlette.testclient import TestClient

from hdrgen.images.code_image import write_code
from hdrgen.web.app import make_app
from hdrgen.web.history import History
from hdrgen.web.jobs import Limits
from hdrgen.web.run_job import JobRunner
from hdrgen.web.worker import Cancelled

HERE = "http://127.0.0.1:8474"


@pytest.fixture(autouse=True)
def _temporary_files_as_before(monkeypatch):
    """Undo what `hdrgen serve` says, in the tests' own process, of where temporary files go."""
    monkeypatch.setattr(tempfile, "tempdir", tempfile.tempdir)


class ThreadWorker:
    """A `Maker` whose jobs wait at their next step while `go_on` is not set."""

    def __init__(self, models):
        self._runner = JobRunner(models, device="cpu", threads=1)
        self._cancelled = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    async def make(self, record, folder, on_phase):
        loop = asyncio.get_running_loop()
        self._cancelled.clear()

        def told(*phase):
            while not (self.go_on.wait(0.01) or self._cancelled.is_set()):
                pass
            if self._cancelled.is_set():
                raise Cancelled
            loop.call_soon_threadsafe(on_phase, *phase)

        return await to_thread.run_sync(self._runner.make, record, folder, told)

    def cancel(self):
        self._cancelled.set()


def watch_jobs(client, wanted):
    """Ask a server for its jobs, each time until there is news, until they are as wanted."""
    end, state = time.monotonic() + 60, client.get("/api/state").json()
    while not wanted(state["jobs"]):
        assert time.monotonic() < end, state
        state = client.get("/api/state", params={"after": state["revision"]}).json()


class Site:
    """A server in a folder, and what a browser says to it."""

    def __init__(self, folder, models, **how):
        self.folder, self.worker, self.history = folder, ThreadWorker(models), History(folder)
        how.setdefault("limits", Limits(free_disk_bytes=0))
        self.client = TestClient(make_app(self.history, self.worker, models, **how), base_url=HERE)

    def __enter__(self):
        self.client.__enter__()
        return self

    def __exit__(self, *error):
        self.worker.go_on.set()
        self.client.__exit__(*error)
        self.history.close()

    def post(self, *paths, **fields):
        """Send a form, with a file for each path or pair of name and content."""
        files = [("files", (p.name, p.read_bytes()) if isinstance(p, Path) else p) for p in paths]
        return self.client.post("/api/jobs", data=fields, files=files or None)

    def watch(self, wanted):
        """Watch the jobs that are not over, as the page does, until they are as wanted."""
        watch_jobs(self.client, wanted)

    def wait(self, name):
        """Return a job when it is over."""
        self.watch(lambda jobs: name not in [job["id"] for job in jobs])
        return self.client.get(f"/api/pictures/{name}").json()

    def made(self, *paths, **fields):
        answer = self.post(*paths, **fields)
        assert answer.status_code == 201, answer.text
        return self.wait(answer.json()["id"])

    def pixels(self, record, which="pixels"):
        data = self.client.get(f"/api/pictures/{record['id']}/{which}").content
        picture = record["picture"]
        return np.frombuffer(data, "<f2").reshape(picture["height"], picture["width"], 3)


class Server:
    """The command itself in a process, on one port across restarts."""

    def __init__(self, folder, models):
        self.folder, self._models, self._port = folder, models, "0"
        self.start()

    def start(self):
        command = [
            Path(sys.executable).parent / "hdrgen",
            "serve",
            "-o",
            self.folder,
            "--models",
            self._models,
        ]
        self._process = subprocess.Popen(
            [*command, "--device", "cpu", "--port", self._port],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        self.address = re.search(r"http://\S+", self._process.stdout.readline())[0]
        self.pid = self._process.pid
        self._port = self.address.rstrip("/").rpartition(":")[2]

    def end(self, how):
        self._process.send_signal(how)
        code = self._process.wait(120)
        self._process.stdout.close()
        return code


@pytest.fixture(scope="module")
def start_server(tmp_path_factory):
    """Return what starts the real server; Control-C ends it well."""
    folder, started = tmp_path_factory.mktemp("server"), []

    def start(models=folder / "no-models"):
        started.append(Server(folder / "pictures", models))
        return started[-1]

    yield start
    for server in started:
        assert server.end(signal.SIGINT) == 0


@pytest.fixture
def open_site(tmp_path):
    """Return what opens a site in the test's folder, the same one each time: `with open_site(...) as site`."""

    def opened(models=tmp_path / "no-models", **how):
        return Site(tmp_path / "pictures", models, **how)

    return opened


@pytest.fixture(name="watch_jobs")
def _watch_jobs():
    """Return what waits for jobs of any server."""
    return watch_jobs


@pytest.fixture
def site(open_site):
    """Serve expansion and merging; there are no models to generate with."""
    with open_site() as served:
        yield served


@pytest.fixture
def png16(tmp_path):
    """Return a 16-bit LogC4 picture, 4 x 3, each code another."""
    codes = np.linspace(7000, 60000, 36).astype(np.uint16).reshape(3, 4, 3)
    path = tmp_path / "plate.png"
    write_code(path, codes, text={"hdrgen:encoding": "logc4"})
    return path
