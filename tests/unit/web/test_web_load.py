"""500 damaged files, 100 requests at once: the server goes on, in bounded memory, and writes nowhere else."""

import io
import struct
from concurrent.futures import ThreadPoolExecutor

import httpx2
import numpy as np
import psutil
import pytest
from PIL import Image

from hdrgen.images.code_image import write_code

MORE_MIB = 200
"""Memory that the server's process may take beyond what it took before."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a small PNG, TIFF and JPEG that are not damaged."""
    folder = tmp_path_factory.mktemp("whole")
    code = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    for suffix in ("png", "tif"):
        write_code(folder / f"a.{suffix}", code)
    jpeg = io.BytesIO()
    Image.fromarray(code).save(jpeg, "JPEG")
    return [(folder / "a.png").read_bytes(), (folder / "a.tif").read_bytes(), jpeg.getvalue()]


def damaged(whole, random):
    """Return a file as a broken disk or a hostile person leaves it."""
    data = bytearray(whole[random.integers(len(whole))])
    match random.integers(4):
        case 0:
            return bytes(data[: random.integers(len(data))])
        case 1:
            for place in random.integers(0, len(data), 20):
                data[place] = random.integers(256)
        case 2:  # lengths and sizes stand at the front
            place = int(random.integers(4, 40))
            data[place : place + 4] = struct.pack(">I", int(random.integers(2**32)))
        case _:
            return bytes(data[:8]) + random.bytes(200)
    return bytes(data)


def post(client, content, **fields):
    """Send a file; where the queue is full, come back when there is news of it, as one is told to."""
    revision = None
    while (
        answer := client.post(
            "/api/jobs", data={"kind": "expand", **fields}, files={"files": ("x.png", content)}
        )
    ).status_code == 429:
        after = {} if revision is None else {"after": revision}
        revision = client.get("/api/state", params=after).json()["revision"]
    return answer


def test_500_damaged_files_and_100_requests_at_once(start_server, whole, watch_jobs):
    server = start_server()
    random = np.random.default_rng(1)
    process = psutil.Process(server.pid)
    with httpx2.Client(base_url=server.address, timeout=300) as client:
        assert post(client, whole[0]).status_code == 201
        resident = process.memory_info().rss
        files = [damaged(whole, random) for _ in range(500)]
        with ThreadPoolExecutor(4) as pool:
            codes = [a.status_code for a in pool.map(lambda content: post(client, content), files)]
        assert set(codes) <= {201, 422}
        assert (
            min(codes.count(201), codes.count(422)) > 20
        )  # some are told by their header, some only when decoded

        def ask(number):
            match number % 4:
                case 0:
                    return client.get("/api/state").status_code
                case 1:
                    return client.get("/api/pictures").status_code
                case 2:
                    large = whole[0] + bytes(4 * 2**20)
                    files = {"files": ("x.png", large)}
                    return client.post("/api/jobs", data={"kind": "merge"}, files=files).status_code
                case _:
                    return client.post("/api/jobs", data={"kind": "generate", "prompt": "sea"}).status_code

        with ThreadPoolExecutor(100) as pool:
            assert set(pool.map(ask, range(100))) <= {200, 201, 422, 429}

        assert process.memory_info().rss - resident < MORE_MIB * 2**20
        good = post(client, whole[0], encoding="logc4").json()["id"]
        watch_jobs(client, lambda jobs: good not in [job["id"] for job in jobs])
        record = client.get(f"/api/pictures/{good}").json()
        assert record["state"] == "done", record["message"]
    assert [*server.folder.parent.iterdir()] == [server.folder]
    assert [*(server.folder / ".incoming").iterdir()] == []
