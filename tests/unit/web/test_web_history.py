"""Jobs wait, are cancelled, and are there again after a restart, whatever was going on."""

import json
import shutil

import pytest

from hdrgen.runtime.errors import HdrgenError
from hdrgen.web.history import RECORD, WITHOUT_PICTURE_KEPT, History
from hdrgen.web.jobs import ExpandJob, Limits, Source


def names(site):
    return [one["id"] for one in site.client.get("/api/pictures").json()["pictures"]]


def test_history_is_there_after_a_restart(open_site, png16):
    with open_site() as site:
        first, second = (site.made(png16, kind="expand") for _ in range(2))
        assert names(site) == [second["id"], first["id"]]
    with open_site() as site:
        assert names(site) == [second["id"], first["id"]]
        assert site.client.get(f"/api/pictures/{first['id']}").json() == first
        older = site.client.get(f"/api/pictures?before={second['id']}").json()["pictures"]
        assert [one["id"] for one in older] == [first["id"]]
        assert site.client.delete(f"/api/pictures/{first['id']}").status_code == 200
        assert names(site) == [second["id"]]
        assert not (site.folder / first["id"]).exists()


def test_a_job_under_way_is_interrupted_by_a_restart_and_can_be_had_again(open_site, png16):
    with open_site() as site:
        name = site.made(png16, kind="expand")["id"]
    record = site.folder / name / RECORD
    # As a server leaves it that is killed in the middle.
    record.write_text(json.dumps(json.loads(record.read_text()) | {"state": "running", "picture": None}))
    with open_site() as site:
        there = site.client.get(f"/api/pictures/{name}").json()
        assert (there["state"], there["message"]) == ("interrupted", "the server was stopped")
        assert site.client.get(f"/api/pictures/{name}/exr").status_code == 404
        assert site.client.post(f"/api/jobs/{name}/again").status_code == 200
        assert site.wait(name)["state"] == "done"
        assert site.client.post(f"/api/jobs/{name}/again").status_code == 409


def test_a_running_job_is_cancelled_between_steps(open_site, models):
    with open_site(models) as site:
        site.worker.go_on.clear()
        name = site.post(kind="generate", prompt="sea", route="dual", steps="1000").json()["id"]
        waiting = site.post(kind="generate", prompt="sea", route="dual", steps="1").json()["id"]
        site.watch(lambda jobs: jobs[0]["state"] == "running")
        assert site.client.delete(f"/api/pictures/{name}").status_code == 409
        assert site.client.post(f"/api/jobs/{waiting}/cancel").status_code == 200
        assert site.wait(waiting)["state"] == "cancelled"
        assert site.client.post(f"/api/jobs/{name}/cancel").status_code == 200
        assert site.wait(name)["state"] == "cancelled"
        assert site.client.post(f"/api/jobs/{name}/cancel").status_code == 409
        # The next one is worked on, the cancelled one that waited never was.
        site.worker.go_on.set()
        record = site.wait(site.post(kind="generate", prompt="sea", route="dual", steps="1").json()["id"])
        assert record["state"] == "done", record["message"]
        assert not (site.folder / waiting / "picture.exr").exists()


def test_so_many_jobs_wait_and_no_more(open_site, png16):
    with open_site(limits=Limits(queue=2, free_disk_bytes=0)) as site:
        site.worker.go_on.clear()
        answers = [site.post(png16, kind="expand") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [201, 201, 201, 429, 429]
        assert "2 jobs are waiting" in answers[-1].json()["error"]
        assert len([*site.folder.glob("2*")]) == 3  # nothing is left of the refused
        site.worker.go_on.set()
        assert [site.wait(answer.json()["id"])["state"] for answer in answers[:3]] == ["done"] * 3


def test_a_record_that_cannot_be_written_ends_its_job_alone(open_site, png16, monkeypatch):
    with open_site() as site:
        save, failing = site.history.save, []

        def save_or_fail(record):
            if record.id in failing:
                raise OSError(28, "No space left on device")
            save(record)

        monkeypatch.setattr(site.history, "save", save_or_fail)
        site.worker.go_on.clear()
        names = [site.post(png16, kind="expand").json()["id"] for _ in range(3)]
        failing.append(names[1])
        site.worker.go_on.set()
        assert site.wait(names[2])["state"] == "done"
        assert site.wait(names[0])["state"] == "done"


def test_nothing_is_left_of_a_job_that_could_not_be_kept(open_site, png16, monkeypatch):
    with open_site() as site:

        def full(_path):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("hdrgen.web.history.replacing", full)
        answer = site.post(png16, kind="expand")
        assert (answer.status_code, answer.json()) == (507, {"error": "No space left on device"})
        assert site.history.newest(10) == []
        # Neither queued nor over, it would be seen nowhere else.
        assert not site.history._records
        assert not [*site.folder.glob("2*")]


def test_a_full_disk_refuses_before_it_fails(open_site, png16):
    with open_site(limits=Limits(free_disk_bytes=2**60)) as site:
        answer = site.post(png16, kind="expand")
        assert (answer.status_code, answer.json()) == (507, {"error": "the disk is nearly full"})


def test_what_cannot_be_read_is_left_out_and_left_there(open_site, png16, caplog):
    with open_site() as site:
        first, second = (site.made(png16, kind="expand")["id"] for _ in range(2))
    (site.folder / first / RECORD).write_text('{"id": "elsewhere"')
    (site.folder / "20260101-000000-00000000").mkdir()  # an upload that did not arrive
    shutil.copytree(site.folder / second, site.folder / "20260101-000000-00000001")
    with open_site() as site:
        assert names(site) == [second]
    assert (site.folder / first).is_dir()
    assert not (site.folder / "20260101-000000-00000000").exists()
    assert "left out of the history" in caplog.text


def test_two_servers_do_not_share_a_folder(open_site):
    with open_site() as site, pytest.raises(HdrgenError, match="another hdrgen serve works there"):
        History(site.folder)


def test_failures_are_forgotten_in_time_and_pictures_never(tmp_path):
    history = History(tmp_path)
    job, source = ExpandJob(), [Source(file="source_1.png", name="a.png")]
    for number in range(WITHOUT_PICTURE_KEPT + 5):
        record = history.add(history.new_id(), job, source)
        history.save(record.model_copy(update={"state": "failed", "message": str(number)}))
    kept = history.newest(1000)
    assert [int(record.message) for record in kept] == [*range(WITHOUT_PICTURE_KEPT + 4, 4, -1)]
    assert len([*tmp_path.glob("2*")]) == WITHOUT_PICTURE_KEPT
