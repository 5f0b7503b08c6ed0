"""A small file that is missing, of other bytes or of another format is named, with the way out."""

import hashlib

import pytest

from hdrgen.runtime.documents import file_sha256, read_json_object, read_text, read_yaml
from hdrgen.runtime.errors import HdrgenError


def test_a_missing_file_is_named_with_the_way_out(tmp_path):
    with pytest.raises(HdrgenError, match=r"no\.yaml: cannot be read \(No such file or directory\); run it$"):
        read_yaml(tmp_path / "no.yaml", "run it")
    with pytest.raises(HdrgenError, match=r"no\.yaml: cannot be read \(No such file or directory\)$"):
        read_text(tmp_path / "no.yaml")


def test_what_is_no_text_and_no_yaml_is_said(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"name: caf\xe9")
    with pytest.raises(HdrgenError, match=r"a\.yaml: is no UTF-8 text"):
        read_yaml(path)
    path.write_text("[1,\n2")
    with pytest.raises(HdrgenError, match=r"a\.yaml: not valid YAML: .*expected") as raised:
        read_yaml(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "reason"), [('{"a": 1', r"cannot be read \(.*\)"), ("[1]", "not an object of JSON")]
)
def test_what_is_no_object_of_json_is_said_with_the_way_out(tmp_path, text, reason):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(HdrgenError, match=rf"a\.json: {reason}; run it$"):
        read_json_object(path, "run it")


def test_texts_yaml_json_and_digests_are_those_of_the_file(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("name: café", encoding="utf-8")
    assert read_text(path) == "name: café"
    assert read_yaml(path) == {"name": "café"}
    (tmp_path / "a.json").write_text('{"name": "café"}', encoding="utf-8")
    assert read_json_object(tmp_path / "a.json") == {"name": "café"}
    assert file_sha256(path) == hashlib.sha256("name: café".encode()).hexdigest()
