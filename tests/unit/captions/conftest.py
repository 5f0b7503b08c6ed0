"""Small frames, and an endpoint that behaves as badly as it is told to."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from hdrgen.captions.frames import Frame
from hdrgen.colour.primaries import AWG4
from hdrgen.images.exr import write_exr

ANSWER = {
    "subject": "a lamp",
    "place": "a room",
    "time_of_day": "night",
    "light_sources": ["hard warm lamp from above"],
    "tags": ["interior", "lamp"],
    "caption": "A lamp in a room at night, hard warm light from above.",
}


def completion(answer=ANSWER, finish_reason="stop"):
    return {
        "choices": [{"message": {"content": json.dumps(answer)}, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20},
    }


class Endpoint:
    """A served model. `behave(times)` says how it takes a frame it was asked about `times` times before."""

    def __init__(self, *, latency_s=0.0, slots=64, version="0.32.0"):
        self.asked = {}  # by picture
        self.bodies = []
        self.behave = lambda _times: "well"
        self.keep_bodies = True
        self.version = version
        stub, lock, free = self, threading.Lock(), threading.BoundedSemaphore(slots)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if self.path == "/version" and stub.version:
                    self.say(200, {"version": stub.version})
                elif self.path == "/v1/models":
                    self.say(200, {"data": [{"id": "stub"}]})
                else:
                    self.say(404, {"detail": "Not Found"})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                picture = body["messages"][0]["content"][0]["image_url"]["url"]
                with lock:
                    times = stub.asked.get(hash(picture), 0)
                    stub.asked[hash(picture)] = times + 1
                    if stub.keep_bodies:
                        stub.bodies.append(body)
                with free:
                    time.sleep(latency_s)
                match stub.behave(times):
                    case "well":
                        self.say(200, completion())
                    case "drop":
                        self.close_connection = True
                        self.connection.close()
                    case "half a body":
                        self.say(200, completion(), part=0.5)
                    case "half an answer":
                        half = completion()
                        half["choices"][0]["message"]["content"] = json.dumps(ANSWER)[:40]
                        self.say(200, half)
                    case "cut off":
                        self.say(200, completion(finish_reason="length"))
                    case "slow":
                        time.sleep(0.6)
                        self.say(200, completion())
                    case int(status):
                        headers = {"Retry-After": "0.05"} if status == 429 else {}
                        self.say(status, {"error": {"message": f"as told: {status}"}}, headers=headers)

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

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):  # a client that left is no news
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def requests(self):
        return sum(self.asked.values())

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def endpoint():
    stub = Endpoint()
    yield stub
    stub.close()


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
