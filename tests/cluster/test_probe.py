"""What client and workers have to have in common, as a worker tells it."""

from dataclasses import replace

import pytest

from toolkit.cluster.probe import ONE_THREAD, Terms, code_digest, differences, file_digest


@pytest.fixture(autouse=True)
def started_with_one_thread(monkeypatch):
    for name in ONE_THREAD:
        monkeypatch.setenv(name, "1")


@pytest.fixture
def terms(tmp_path):
    (tmp_path / "data").write_bytes(b"x" * 100_000)
    (tmp_path / "secret").write_text("a")
    return Terms.here([tmp_path / "data"], tmp_path / "secret")


def test_a_process_agrees_with_itself(terms):
    assert differences(terms) == []
    assert terms.code == code_digest()


def test_each_difference_is_a_clause(terms, tmp_path):
    versions = tuple((n, "0.1" if n == "numpy" else v) for n, v in terms.versions)
    (said,) = differences(replace(terms, versions=versions))
    assert said.startswith("has numpy ")
    assert said.endswith(", not 0.1: start it in an environment like this one")
    (said,) = differences(replace(terms, code="other"))
    assert said == "runs other code than this process: install the same and start it again"
    (said,) = differences(replace(terms, folder=str(tmp_path / "nowhere")))
    assert said == f"may not write to {tmp_path / 'nowhere'}"


def test_a_process_whose_numpy_has_several_threads_is_told(terms, monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    (said,) = differences(terms)
    assert said == "was started without OPENBLAS_NUM_THREADS=1"


def test_a_folder_without_the_secret_is_another_one(terms, tmp_path):
    (tmp_path / "secret").write_text("b")
    (said,) = differences(terms)
    assert said.startswith(f"sees another file at {tmp_path}: ")


def test_a_file_that_is_another_one_or_none_is_told(terms, tmp_path):
    (tmp_path / "data").write_bytes(b"x" * 50_000 + b"y" + b"x" * 49_999)
    (said,) = differences(terms)
    assert said.startswith(f"sees another file at {tmp_path / 'data'}: ")
    (tmp_path / "data").unlink()
    (said,) = differences(terms)
    assert said.startswith(f"does not see {tmp_path / 'data'}: ")


def test_a_model_s_file_that_changed_since_it_was_loaded_is_told(tmp_path):
    file = tmp_path / "model.py"
    file.write_text("ONE = 1\n")
    assert differences(Terms.here([file], file)) == []
    file.write_text("ONE = 2\n")
    (said,) = differences(Terms.here([file], file))
    assert said.startswith(f"runs other code of {file} than this process: ")


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 10_000_000])
def test_a_digest_sees_size_start_and_end(tmp_path, size):
    file = tmp_path / "data"
    file.write_bytes(b"x" * size)
    first = file_digest(file)
    file.write_bytes(b"x" * (size + 1))
    assert file_digest(file) != first
    if size:
        for place in (0, size - 1):
            content = bytearray(b"x" * size)
            content[place] = 121
            file.write_bytes(content)
            assert file_digest(file) != first
    assert file_digest(tmp_path / "none") is None


def test_a_folder_is_known_by_its_files(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.parquet").write_bytes(b"1")
    first = file_digest(tmp_path)
    (tmp_path / "a" / "two.parquet").write_bytes(b"2")
    assert file_digest(tmp_path) != first
