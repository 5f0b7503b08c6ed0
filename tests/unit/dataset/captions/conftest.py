"""Small frames, and an endpoint that behaves as badly as it is told to."""

import json
import threading
from collections import Counter
from contextlib import ExitStack, closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from hdrgen.colour.primaries import AWG4
from hdrgen.dataset.captions.frames import Frame
from hdrgen.images.exr import write_exr

ANSWER = {
    "subject": "a lamp",
    "place": "a room",
    "time_of_day": "night",
    "light_sources": ["hard warm lamp from above"],
    "tags": ["interior", "lamp"],
    "caption": "A lamp in a room at night, hard warm light from above.",
}


def a_completion(said=None, finish_reason="stop"):
    return {
        "choices": [{"message": {"content": said or json.dumps(ANSWER)}, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20},
    }


class Endpoint(ThreadingHTTPServer):
    """A served model.

    `behave(times)` says how it takes a frame that it was asked about `times` times before. The first `together`
    questions wait for each other, up to a minute, so that how many are asked at once is no matter of speed.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *, behave=lambda _times: "well", together=1):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behave = behave
        self.version = "0.32.0"
        self.asked = Counter()  # by picture
        self.at_once = self.most_at_once = 0
        self.together = threading.Barrier(together)
        self.last_body = None
        self.counting = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def requests(self):
        return self.asked.total()

    def handle_error(self, *_):
        pass  # a client that left is no news

    def close(self):
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        pages = {
            "/version": {"version": self.server.version},
            "/v1/models": {"data": [{"id": "stub"}]},
            "/v1/most_at_once": {"requests": self.server.most_at_once},
        }
        self.say(200 if self.path in pages else 404, pages.get(self.path, {"detail": "Not Found"}))

    def do_POST(self):
        stub, body = self.server, json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        picture = hash(body["messages"][0]["content"][0]["image_url"]["url"])
        with stub.counting:
            times = stub.asked[picture]
            stub.asked[picture] += 1
            stub.last_body = body
            stub.at_once += 1
            stub.most_at_once = max(stub.most_at_once, stub.at_once)
            among_first = stub.requests <= stub.together.parties
        if among_first:
            with suppress(threading.BrokenBarrierError):
                stub.together.wait(60)
        with stub.counting:
            stub.at_once -= 1
        match stub.behave(times):
            case "drop":
                self.close_connection = True
                self.connection.close()
            case "half a body":
                self.say(200, a_completion(), part=0.5)
            case "half an answer":
                self.say(200, a_completion(json.dumps(ANSWER)[:40]))
            case "odd":
                self.say(503, "overloaded")
            case "no usage":
                self.say(200, a_completion() | {"usage": {"prompt_tokens": None}})
            case "cut off":
                self.say(200, a_completion(finish_reason="length"))
            case int(status):
                headers = {"Retry-After": "0.05"} if status == 429 else {}
                self.say(status, {"error": {"message": f"as told: {status}"}}, headers=headers)
            case _:
                self.say(200, a_completion())

    def say(self, status, document, *, part=1.0, headers=None):
        said = json.dumps(document).encode()
        said = said[: int(len(said) * part)]
        self.send_response(status)
        for name, value in {"Content-Length": str(len(said)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    """Return a function that starts an endpoint."""
    with ExitStack() as stack:

        def start(**behaviour):
            return stack.enter_context(closing(Endpoint(**behaviour)))

        yield start


@pytest.fixture
def endpoint(serve):
    return serve()


@pytest.fixture
def completion():
    """Return what makes a completion."""
    return a_completion


@pytest.fixture
def frames(tmp_path):
    """Return eight frames of different light."""
    return [frame(tmp_path, number) for number in range(8)]


def frame(folder, number):
    linear = np.full((18, 32, 3), 0.18 * 2.0 ** (number - 4), np.float32)
    linear[4:6, 4:6] = 20 + number
    path = folder / f"frame_{number}.exr"
    write_exr(path, linear, chromaticities=AWG4)
    return Frame(path.stem, path, f"content {number}")
