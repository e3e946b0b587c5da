"""A cluster that encrypts, and lets only those in who have its certificates."""

import pytest

from tests.cluster import tasks
from tests.cluster.servers import OURS, scheduler, worker
from tests.tds.certificate import self_signed
from toolkit.cluster.workers import open_workers
from toolkit.errors import ClusterError

pytestmark = pytest.mark.slow


def described(folder, address, pem):
    file = folder / "cluster.toml"
    file.write_text(
        f'address = "{address}"\nconnect_timeout_seconds = 20\n'
        f'[tls]\nca = "{pem}"\ncert = "{pem}"\nkey = "{pem}"\n'
    )
    return str(file)


def test_who_has_the_certificate_is_let_in_and_nobody_else(tmp_path):
    for name in ("ours", "others"):
        (tmp_path / name).mkdir()
        self_signed(tmp_path / name)
    pem, other = (tmp_path / name / "server.pem" for name in ("ours", "others"))
    tls = ("--tls-ca-file", pem, "--tls-cert", pem, "--tls-key", pem)
    with (
        scheduler(tmp_path / "s", "--protocol", "tls", *tls) as head,
        worker(tmp_path / "w", head.address, *tls, PYTHONPATH=OURS),
    ):
        assert head.address.startswith("tls://")
        with (
            open_workers(1, described(tmp_path, head.address, pem)) as workers,
            workers.seeing([], tmp_path / "out"),
        ):
            assert [*workers.each(tasks.squared, [3], lambda n: (n,))] == [(3, 9)]
        for place in (
            described(tmp_path, head.address, other),
            head.address.replace("tls", "tcp"),
        ):
            with (
                pytest.raises(ClusterError, match=r"^no scheduler answers at "),
                open_workers(1, place),
            ):
                pass
