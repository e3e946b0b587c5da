"""What a service cannot begin with: one sentence; exit code 1 for a cache, 2 for a wrong call."""

import socket

import pytest

from tests.cache.servers import something_else
from toolkit.cache import envelope
from toolkit.cli.app import run
from toolkit.service.keys import make_key

LOOPBACK = "127.0.0.1"


@pytest.fixture
def refused(capsys):
    def command(*arguments, code=2):
        assert run(["serve", *map(str, arguments)]) == code
        said = capsys.readouterr().err
        assert said.startswith("Error: ")
        assert said.count("\n") == 1
        return said

    return command


def test_the_port_is_taken(server, refused):
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        said = refused("--redis", server.url, "--port", port)
        assert (
            said
            == f"Error: the service cannot listen at {LOOPBACK}:{port}: Address already in use\n"
        )
        said = refused("--redis", server.url, "--port", 0, "--metrics-port", port)
        assert f"metrics cannot be served at {LOOPBACK}:{port}: " in said
    assert "cannot listen at 127.0.0.1:70000" in refused("--redis", server.url, "--port", 70000)


def test_the_host_is_none(server, refused, tmp_path):
    make_key(tmp_path / "keys", "shop")
    for host in ("a..b", "x" * 300, "no.such.host.invalid"):
        said = refused(
            "--redis", server.url, "--port", 0, "--keys", tmp_path / "keys", "--host", host
        )
        assert f"the service cannot listen at {host}:0: " in said


def test_the_cache_is_none(own_server, refused):
    assert "a cache URL starts with redis://" in refused("--redis", "http://localhost")
    said = refused("--redis", "unix:///no/such/socket", code=1)
    assert "the cache at /no/such/socket cannot be reached" in said
    with something_else() as port:
        assert "does not speak the Redis protocol" in refused(
            "--redis", f"redis://{LOOPBACK}:{port}", code=1
        )
    own_server.client().config_set("requirepass", "right")
    said = refused("--redis", own_server.url.replace("unix://", "unix://me:mistaken@"), code=1)
    assert "refused the user or password" in said
    assert "mistaken" not in said


def test_the_release_has_a_newer_format(server, publish, refused, monkeypatch):
    monkeypatch.setattr(envelope, "FORMAT", 99)
    release = publish()
    monkeypatch.undo()
    said = refused("--redis", server.url, "--port", 0, code=1)
    assert f"release {release.release_id} has format 99, newer than the 2 that this" in said


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com"])
def test_without_keys_nobody_else_is_served(server, refused, host):
    said = refused("--redis", server.url, "--host", host)
    assert "without --keys or --oidc-issuer a service listens on loopback only" in said


def test_keys_that_cannot_be_read(server, refused, tmp_path):
    said = refused("--redis", server.url, "--keys", tmp_path / "none")
    assert (
        said
        == f"Error: the keys in {tmp_path / 'none'} cannot be read: No such file or directory\n"
    )
    wrong = tmp_path / "wrong"
    wrong.write_text("# comment\n\nme abc\nyou 0\n")
    assert "is wanted, as `toolkit key` writes it, in line 3, 4" in refused(
        "--redis", server.url, "--keys", wrong
    )


def test_orders_that_cannot_be_read(server, refused, tmp_path):
    given = ("--redis", server.url, "--port", 0)
    assert f"there is no database {tmp_path / 'none'}" in refused(*given, "--db", tmp_path / "none")
    assert "one of --db and --mssql has to be given, got both" in refused(
        *given, "--db", tmp_path / "none", "--mssql"
    )
    assert "--version: with --db or --mssql only" in refused(*given, "--version", "champion")


def test_keys_of_nobody(server, refused, tmp_path):
    for text in ("", "# taken out\n"):
        (tmp_path / "keys").write_text(text)
        said = refused("--redis", server.url, "--keys", tmp_path / "keys")
        assert f"{tmp_path / 'keys'} has no key, so that nobody could ask: `toolkit key" in said


def test_an_issuer_that_does_not_answer(server, refused):
    with socket.create_server((LOOPBACK, 0)) as listener:
        issuer = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
    given = ("--redis", server.url, "--oidc-issuer", issuer)
    assert "are given together" in refused(*given)
    said = refused(*given, "--oidc-audience", "us")
    assert f"the OIDC issuer {issuer} does not answer as one: " in said


def test_a_key_is_made_once(tmp_path, capsys):
    file = tmp_path / "keys"
    assert run(["key", "shop", "--keys", str(file)]) == 0
    key = capsys.readouterr().out.strip()
    assert len(key) > 40
    assert key not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert run(["key", "shop", "--keys", str(file)]) == 2
    assert "has a key of shop already" in capsys.readouterr().err
    assert run(["key", "two words", "--keys", str(file)]) == 2
