"""What strangers, other sites and damaged files get."""

import struct
import zlib

import pytest
from starlette.testclient import TestClient

from hdrgen.runtime.errors import HdrgenError
from hdrgen.web.guard import COOKIE
from hdrgen.web.jobs import Limits, read_job
from hdrgen.web.run_job import JobRunner
from hdrgen.web.server import is_loopback, serve

TOKEN = "correct-horse-battery"  # noqa: S105 - a test's


def png_that_claims(width, height):
    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("host", ["127.0.0.1:8474", "localhost", "LOCALHOST:1", "[::1]:8474"])
def test_loopback_answers_to_its_own_names(site, host):
    assert site.client.get("/api/state", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8474", "10.0.0.5", ""]
)
def test_loopback_answers_to_no_other_name(site, host):
    """A name elsewhere that was made to point here (DNS rebinding) is told by its Host header."""
    for path in ("/", "/api/state", "/static/page.js"):
        assert site.client.get(path, headers={"host": host}).status_code == 400


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"sec-fetch-site": "cross-site", "origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:9000"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:9000"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:8474"}, 201),
        ({"sec-fetch-site": "same-origin"}, 201),
        ({}, 201),
    ],
)
def test_another_sites_page_cannot_post(site, png16, headers, code):
    answer = site.client.post(
        "/api/jobs", data={"kind": "expand"}, files={"files": ("a.png", png16.read_bytes())}, headers=headers
    )
    assert answer.status_code == code
    if code == 403:
        assert site.client.get("/api/state").json()["jobs"] == []


def test_another_sites_page_sees_nothing(site):
    answer = site.client.get("/api/state", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_a_token_is_asked_of_everybody(open_site):
    with open_site(token=TOKEN) as site:
        client = site.client
        assert client.get("/", follow_redirects=False).headers["location"] == "/login"
        assert client.get("/api/state").status_code == 401
        assert client.post("/api/jobs", data={"kind": "expand"}).status_code == 401
        assert client.get("/api/state", headers={"authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/api/state", headers={"cookie": f"{COOKIE}=wrong"}).status_code == 401
        assert client.get("/api/state", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert client.get("/login").status_code == 200
        assert client.get("/static/style.css").status_code == 200
        assert client.post("/login", data={"token": "wrong"}).status_code == 401
        assert client.get("/api/state").status_code == 401
        inside = client.post("/login", data={"token": TOKEN}, follow_redirects=False)
        assert (inside.status_code, inside.headers["location"]) == (303, "/")
        assert "httponly" in inside.headers["set-cookie"].lower()
        assert client.get("/api/state").status_code == 200
        # Any name is good now: a cookie belongs to one.
        assert client.get("/login", headers={"host": "grading.example"}).status_code == 200


def test_a_link_with_the_token_opens_the_page(open_site):
    with open_site(token=TOKEN) as site:
        assert "hdrgen" in site.client.get(f"/login?token={TOKEN}").text
        assert site.client.get("/api/state").status_code == 200


def test_nothing_listens_beyond_loopback_without_a_token(tmp_path, monkeypatch):
    made, told = {}, []
    monkeypatch.setattr("hdrgen.web.server.make_app", lambda *_, token: made.update(token=token) or 1 / 0)
    asked = {"127.0.0.1": False, "localhost": False, "127.0.0.2": True, "0.0.0.0": True}  # noqa: S104
    for host, has_token in asked.items():
        with pytest.raises(ZeroDivisionError):
            serve(tmp_path, tmp_path, host=host, port=0, on_listening=told.append)
        assert bool(made["token"]) == has_token
    assert not is_loopback("::")
    assert told == []
    with pytest.raises(HdrgenError, match="ASCII"):
        serve(tmp_path, tmp_path, port=0, token="sésame" * 8)
    with pytest.raises(HdrgenError, match="too short"):
        serve(tmp_path, tmp_path, port=0, token="short")  # noqa: S106


def test_types_are_told_by_content_and_names_are_no_paths(site, tmp_path, png16):
    for content in (
        b"",
        b"GIF89a" + bytes(100),
        b"<svg/>",
        b"\x76\x2f\x31\x01" + bytes(100),
        b"II*\0",
        b"\xff\xd8\xff",
    ):
        answer = site.post(("picture.png", content), kind="expand")
        assert answer.status_code == 422
        assert answer.json()["error"].startswith("picture.png: is ")
    wild = "../../../../etc/cron.d/\u202ea\x00\n/..\\..\\x_ev+2.png"
    record = site.made((wild, png16.read_bytes()), kind="expand")
    assert record["state"] == "done"
    assert (record["title"], record["sources"][0]["file"]) == ("x_ev+2.png", "source_1_ev+2.png")
    outside = [path for path in tmp_path.rglob("*") if site.folder not in path.parents]
    assert set(outside) == {site.folder, png16}


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", ".lock", "20260101-000000-00000000", "%00"]
)
def test_ids_that_are_none_name_nothing(site, name):
    for path in (f"/api/pictures/{name}", f"/api/pictures/{name}/exr", f"/static/{name}"):
        assert site.client.get(path).status_code == 404
    assert site.client.delete(f"/api/pictures/{name}").status_code in (404, 405)


def test_pixels_are_limited_before_they_are_decoded(site, png16):
    answer = site.post(("bomb.png", png_that_claims(60_000, 60_000)), kind="expand")
    assert (answer.status_code, answer.json()["error"]) == (
        422,
        "bomb.png: more than 100 megapixels; make it smaller",
    )
    many = [(f"{i}.png", png_that_claims(7000, 7000)) for i in range(3)]
    assert "2.png: more than 100 megapixels" in site.post(*many, kind="merge").json()["error"]
    assert (
        site.post(png16, kind="merge").json()["error"] == "merge takes 2 to 64 exposures of one scene, not 1"
    )
    assert site.post(png16, png16, kind="expand").status_code == 422
    assert site.post(*[png16] * 10, kind="merge").status_code == 400
    assert [path.name for path in site.folder.glob("2*")] == []


def test_bodies_are_limited_with_and_without_a_stated_length(open_site):
    with open_site(limits=Limits(body_bytes=100_000, free_disk_bytes=0)) as site:
        large = ("large.png", b"\x89PNG\r\n\x1a\n" + bytes(200_000))
        assert site.post(large, kind="expand").status_code == 413

        def unstated():
            head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
            yield head
            for _ in range(20):
                yield bytes(10_000)

        answer = site.client.post(
            "/api/jobs", content=unstated(), headers={"content-type": "multipart/form-data; boundary=x"}
        )
        assert answer.status_code == 413
        assert [*site.folder.glob("2*")] == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"prompt": "sea", "seed": "-1"}, "seed: "),
        ({"prompt": "sea", "seed": "99999999999"}, "seed: "),
        ({"prompt": "sea", "width": "8000", "height": "8000"}, "size: 8000x8000 is more than 4.2 megapixels"),
        ({"prompt": "sea", "width": "64"}, "size: give width and height"),
        ({"prompt": "sea", "steps": "1000000"}, "steps: "),
        ({"prompt": "sea", "guidance": "nan"}, "guidance: "),
        ({"prompt": "sea", "route": "../x"}, "route: "),
        ({"prompt": "sea", "models": "/etc"}, "models: "),
        ({"prompt": " "}, "prompt: "),
        ({"prompt": "a\x00b"}, "prompt: holds characters that cannot be printed"),
        ({"prompt": "x" * 2001}, "prompt: "),
        ({}, "prompt: "),
    ],
)
def test_fields_out_of_range_are_named(fields, said):
    with pytest.raises(HdrgenError, match=rf"^{said}"):
        read_job({"kind": "generate", **fields}, Limits())


@pytest.mark.parametrize("evs", ["1, two", "nan, 1", "inf", "1 99"])
def test_evs_that_are_no_exposures_are_refused(evs):
    with pytest.raises(HdrgenError, match=r"^evs: "):
        read_job({"kind": "merge", "evs": evs}, Limits())


def test_a_bug_is_no_answer_about_the_machine(open_site, monkeypatch, tmp_path):
    with open_site() as site:
        monkeypatch.setattr(site.history, "newest", lambda *_: 1 / 0)
        client = TestClient(site.client.app, base_url="http://localhost", raise_server_exceptions=False)
        answer = client.get("/api/pictures")
        assert (answer.status_code, str(tmp_path) in answer.text, "Traceback" in answer.text) == (
            500,
            False,
            False,
        )


def test_the_backend_of_the_command_line_loads_every_network(tmp_path, monkeypatch, cli):
    """From `serve` to the process that works."""
    asked = []
    workers = []

    def make_app(_history, worker, *_arguments, **_options):
        workers.append(worker)
        raise HdrgenError("that is enough")

    def load(*_arguments, backend, **_options):
        asked.append(backend)

    monkeypatch.setattr("hdrgen.web.server.make_app", make_app)
    for loader in ("inference.backends.load_network", "routes.load_generator.load_generator"):
        monkeypatch.setattr(f"hdrgen.{loader}", load)
    said = cli("serve", "-o", tmp_path, "--models", tmp_path, "--port", 0, "--backend", "onnx")
    assert "that is enough" in said.err
    runner = JobRunner(**workers[0]._settings)
    assert (runner._network("bit_depth"), runner._loaded("dual")) == (None, None)
    assert asked == ["onnx"] * 2
