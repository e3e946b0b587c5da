"""Files that appear whole or not at all, whoever else writes them."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from toolkit.disk import check_on_disk, whole_file, whole_folder
from toolkit.errors import ArgumentError


def test_of_two_that_write_a_file_at_once_each_writes_its_own(tmp_path):
    path = tmp_path / "page.html"
    with whole_file(path) as one, one.open("w") as open_file:
        open_file.write("first")
        open_file.flush()
        with whole_file(path) as other:
            other.write_text("second, longer")
        assert path.read_text() == "second, longer"
        open_file.write(" half")
        open_file.flush()
        assert path.read_text() == "second, longer"
    assert path.read_text() == "first half"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_goes_on_leading_to_the_file(tmp_path):
    (tmp_path / "real.txt").write_text("before")
    link = tmp_path / "link.txt"
    link.symlink_to("real.txt")
    with whole_file(link) as part:
        part.write_text("after")
    assert link.is_symlink()
    assert (tmp_path / "real.txt").read_text() == "after"


def test_what_is_no_file_is_written_itself(tmp_path):
    """As ``/dev/stdout`` is: root could put a file in its place."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with whole_file(pipe) as part:
        part.write_text("page")
    assert os.read(reader, 10) == b"page"
    os.close(reader)
    assert pipe.is_fifo()


def test_an_error_names_the_file_that_was_asked_for(tmp_path):
    path = tmp_path / "nowhere" / "page.html"
    with pytest.raises(FileNotFoundError) as caught, whole_file(path) as part:
        part.write_text("")
    assert caught.value.filename == str(path)
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "page.html"
    with pytest.raises(NotADirectoryError) as wrong, whole_file(path) as part:
        part.write_text("")
    assert wrong.value.filename == str(path)
    (tmp_path / "file").unlink()
    with suppress(OSError), whole_file(tmp_path / "gone") as part:
        pass  # nothing was written
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_told_before_anything_is_written(tmp_path):
    """Libraries say so without a number of the error, which then reads as a fault of the code."""
    path = tmp_path / "nowhere" / "table.csv"
    with pytest.raises(FileNotFoundError) as caught, whole_file(path):
        raise AssertionError("nothing can be written")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, str(path))


def test_what_a_killed_writer_left_is_removed_an_hour_later(tmp_path):
    """Younger parts may be somebody's at work, and other names are none of ours."""
    kept = {".part-0a1b2c3d-young", ".part-left", ".part-0a1b2c3d", "table.parquet"}
    for name in kept | {".part-0a1b2c3d-file"}:
        (tmp_path / name).touch()
    (tmp_path / ".part-99999999-folder" / "in").mkdir(parents=True)
    for path in tmp_path.iterdir():
        if not path.name.endswith("young"):
            os.utime(path, (0, 0))
    with whole_file(tmp_path / "table.parquet") as part:
        part.touch()
    assert {path.name for path in tmp_path.iterdir()} == kept


@pytest.mark.parametrize("address", ["s3://shop/runs", "gs://shop/a/b", "abfs://shop/x.html"])
def test_an_address_of_an_object_store_is_no_place_for_results(address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for write in (whole_file, whole_folder):
        with (
            pytest.raises(ArgumentError, match=f"got {address}: only orders"),
            write(Path(address)),
        ):
            pass
    assert not list(tmp_path.iterdir())


def test_a_drive_and_a_colon_in_a_name_are_places():
    for path in ("C:/runs", "runs", "/data/a:b/runs", "runs-12:30"):
        check_on_disk(Path(path))
