"""Folders and files that come and go, on local disks, in memory and in S3."""

import os

import pytest

from evergraph.errors import StoreError
from evergraph.stores import commit, exists, list_folder
from evergraph.stores.folders import list_folders, make_folder, remove_file, remove_folder
from tests.stores.test_remote import bucket  # noqa: F401 - a fixture


@pytest.fixture(params=["local", "memory", "s3"])
def place(request, tmp_path):
    if request.param == "s3":
        return request.getfixturevalue("bucket") + "/folders"
    return str(tmp_path / "folders") if request.param == "local" else f"memory://folders/{os.getpid()}"


def write(uri):
    with commit(uri) as sink:
        sink.write(b"data")


def test_folders_are_made_listed_and_removed(place):
    assert list_folders(place) == []
    for name in ("b", "a"):
        make_folder(f"{place}/{name}")
        make_folder(f"{place}/{name}")
        write(f"{place}/{name}/file")
    write(f"{place}/beside")
    assert list_folders(place) == ["a", "b"]
    remove_folder(f"{place}/a")
    assert list_folder(f"{place}/a") == ["file"]
    for _ in range(2):
        remove_file(f"{place}/a/file")
        remove_folder(f"{place}/a")
    assert list_folders(place) == ["b"]
    assert not exists(f"{place}/a/file")
    assert exists(f"{place}/b/file")
    assert exists(f"{place}/beside")


def test_says_what_stands_in_the_way(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made"):
        make_folder(str(tmp_path / "file" / "folder"))
    with pytest.raises(StoreError, match="cannot be listed"):
        list_folders(str(tmp_path / "file"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="cannot be removed"):
        remove_file(str(tmp_path / "folder"))
