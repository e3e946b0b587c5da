"""Where a cluster is: an address, or a file that says more; all mistakes are told."""

import pytest

from toolkit.cluster.settings import ClusterSettings, Tls, read_cluster
from toolkit.errors import ArgumentError


def test_an_address_is_enough():
    assert read_cluster("tcp://127.0.0.1:8786") == ClusterSettings("tcp://127.0.0.1:8786")


def test_a_file_says_more_and_names_its_certificates_from_where_it_lies(tmp_path):
    for name in ("ca.pem", "me.pem", "key.pem"):
        (tmp_path / name).touch()
    file = tmp_path / "cluster.toml"
    file.write_text(
        'address = "tls://far.example.com:8786"\npatience_seconds = 30\n'
        '[tls]\nca = "ca.pem"\ncert = "me.pem"\nkey = "key.pem"\n'
    )
    tls = Tls(*(str(tmp_path / name) for name in ("ca.pem", "me.pem", "key.pem")))
    settings = ClusterSettings("tls://far.example.com:8786", tls, patience_seconds=30)
    assert read_cluster(str(file)) == settings
    (tmp_path / "key.pem").unlink()
    with pytest.raises(ArgumentError, match=r"there is no file .*key\.pem$"):
        read_cluster(str(file))


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("http://127.0.0.1:8786", "--cluster has to be tcp://HOST:PORT or tls://HOST:PORT, or a"),
        ("tcp://me:secret@127.0.0.1:8786", "--cluster has to be tcp://HOST:PORT"),
        ("tcp://127.0.0.1", "--cluster has to be tcp://HOST:PORT"),
        ("tls://127.0.0.1:8786", "wants certificates: --cluster takes a TOML file"),
        ("nowhere.toml", "nowhere.toml cannot be read: No such file or directory"),
    ],
)
def test_what_leads_nowhere_is_told(place, said):
    with pytest.raises(ArgumentError) as caught:
        read_cluster(place)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('address = "tls://h:1"', "tls is missing, and the address is tls://…"),
        ('address = "tcp://h:1"\n[tls]\nca = "a"\ncert = "b"\nkey = "c"', "is for tls://… only"),
        ('address = "h:1"\ntrys = 3', "  - trys: is unknown; did you mean 'tries'?"),
        ('address = "h:1"', "  - address: has to be tcp://HOST:PORT or tls://HOST:PORT, got 'h:1'"),
        ("tries = 0", "  - tries: has to be a whole number from 1 to 100, got 0"),
        ("tries = 0", "  - address: is missing"),
    ],
)
def test_mistakes_in_a_file_are_listed(tmp_path, text, said):
    file = tmp_path / "cluster.toml"
    file.write_text(text)
    with pytest.raises(ArgumentError) as caught:
        read_cluster(str(file))
    assert said in str(caught.value)
