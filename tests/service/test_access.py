"""Keys, tokens, limits, the access log and the metrics, of a service of two processes."""

import asyncio
import json
import os
import re
import signal
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import jwt
import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.cache.conftest import until
from tests.service.conftest import running
from toolkit.errors import ArgumentError
from toolkit.service.keys import hashed, make_key, read_keys
from toolkit.service.replies import ProblemError
from toolkit.service.settings import Oidc
from toolkit.service.tokens import Tokens, keys_url

AUDIENCE = "forecasts"
RATE = 40


class Issuer:
    """An OpenID provider, as far as a service that checks tokens sees of one."""

    def __init__(self, server) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def documents(self):
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
            },
            "/keys": {"keys": [{**public, "kid": "one", "use": "sig", "alg": "RS256"}]},
        }

    def token(self, key=None, kid="one", **claims):
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "erp", "exp": time.time() + 60}
        return jwt.encode(said | claims, key or self.private, "RS256", {"kid": kid})


@contextmanager
def issuing():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            said = issuer.documents()[self.path]
            self.wfile.write((said if isinstance(said, str) else json.dumps(said)).encode())

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer = Issuer(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield issuer
        server.shutdown()


@pytest.fixture(scope="module")
def issuer():
    with issuing() as found:
        yield found


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    return tmp_path_factory.mktemp("keys") / "keys"


@pytest.fixture(scope="module")
def keys(key_file):
    return {name: make_key(key_file, name) for name in ("shop", "busy", "gone", "batches")}


@pytest.fixture(scope="module")
def guarded(shared_server, key_file, keys, issuer):
    options = ("--keys", key_file, "--oidc-issuer", issuer.url, "--oidc-audience", AUDIENCE)
    more = ("--workers", 2, "--rate", RATE, "--metrics-port", 0)
    rights = "on >pw ~forecast:* +@read +@connection"
    shared_server.client().execute_command(f"ACL SETUSER reader {rights}")
    reader = shared_server.url.replace("unix://", "unix://reader:pw@")
    with running(reader, *options, *more) as found:
        yield found


@pytest.fixture
def http(server, guarded, publish):
    publish()
    assert until(guarded.all_ready, 20)
    with guarded.client() as client:
        yield client


def ask(http, credential, path="/v1/forecasts/1"):
    return http.get(path, headers={"authorization": f"Bearer {credential}"})


def test_a_key_opens_and_anything_else_does_not(http, keys):
    assert ask(http, keys["shop"]).status_code == 200
    assert http.get("/v1/forecasts/1", headers={"x-api-key": keys["shop"]}).status_code == 200
    for path in ("/v1/forecasts/1", "/v1/at-risk", "/v1/releases/current", "/nothing"):
        refused = http.get(path)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.json()["detail"].startswith("A key is wanted")
    for wrong in ("x", keys["shop"][:-1], keys["shop"] + "x", "é" * 20, "a.b.c", "x" * 9000):
        refused = http.get("/v1/forecasts/1", headers={"authorization": f"Bearer {wrong}".encode()})
        assert refused.status_code == 401, wrong
        assert refused.json()["status"] == 401
    assert http.get("/livez").status_code == 200
    assert http.get("/openapi.json").status_code == 200


def test_a_browser_asks_its_user_for_the_key(http, keys):
    for path in ("/", "/products/1", "/at-risk"):
        refused = http.get(path)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == 'Basic realm="Forecasts", charset="UTF-8"'
        assert "2025-11-11" not in refused.text  # nothing of the release
    assert http.get("/at-risk", auth=("anybody", keys["shop"])).status_code == 200
    assert http.get("/v1/forecasts/1", auth=("", keys["shop"])).status_code == 200
    for wrong in (("shop", "x"), (keys["shop"], ""), ("", "")):
        assert http.get("/at-risk", auth=wrong).status_code == 401
    for broken in ("Basic", "Basic ?", "Basic YQ==", "Basic 4pyT:"):
        assert http.get("/at-risk", headers={"authorization": broken}).status_code == 401
    assert http.get("/assets/page.css").status_code == 200


def test_a_key_that_is_taken_out_opens_nothing(http, keys, key_file):
    assert ask(http, keys["gone"]).status_code == 200
    lines = key_file.read_text().splitlines(keepends=True)
    key_file.write_text("".join(line for line in lines if not line.startswith("gone ")))
    assert until(lambda: ask(http, keys["gone"]).status_code == 401, 5)
    assert ask(http, keys["shop"]).status_code == 200


def test_tokens_of_the_issuer_open(http, issuer):
    good = issuer.token()
    assert ask(http, good).status_code == 200
    assert ask(http, issuer.token(iat=time.time() + 5)).status_code == 200  # its clock is ahead
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    wrong = {
        "expired": issuer.token(exp=time.time() - 60),
        "not yet valid": issuer.token(iat=time.time() + 60),
        "audience": issuer.token(aud="others"),
        "issuer": issuer.token(iss="http://elsewhere"),
        "signature": issuer.token(key=stranger),
        "its key": issuer.token(kid="two"),
        "alg": jwt.encode(
            {"iss": issuer.url, "aud": AUDIENCE}, "secret" * 8, "HS256", {"kid": "one"}
        ),
    }
    for why, token in wrong.items():
        refused = ask(http, token)
        assert refused.status_code == 401, why
        assert re.search(why, refused.json()["detail"], re.IGNORECASE), refused.json()


def test_an_issuer_that_tells_no_keys_is_a_problem_of_its_own(issuer, monkeypatch):
    tokens = Tokens(Oidc(issuer.url, AUDIENCE))
    documents = issuer.documents()
    for keys in ("<html>", {"keys": []}, {"keys": [{"kty": "x"}]}, []):
        said = documents | {"/keys": keys}
        monkeypatch.setattr(issuer, "documents", lambda said=said: said)
        with pytest.raises(ProblemError, match="issuer of tokens does not answer") as problem:
            asyncio.run(tokens.name_of(issuer.token()))
        assert problem.value.status == 503
    elsewhere = documents["/.well-known/openid-configuration"] | {"jwks_uri": "file:///etc/passwd"}
    said = documents | {"/.well-known/openid-configuration": elsewhere}
    monkeypatch.setattr(issuer, "documents", lambda: said)
    with pytest.raises(ArgumentError, match="does not answer as one: its keys are at 'file:"):
        keys_url(issuer.url)


def test_an_issuer_that_is_away_when_a_worker_begins(issuer):
    """As one that replaces a dead worker: keys open all the same, and tokens once it is back."""
    tokens = Tokens(Oidc("http://127.0.0.1:9", AUDIENCE))
    with pytest.raises(ProblemError, match="issuer of tokens does not answer"):
        asyncio.run(tokens.name_of(issuer.token()))
    tokens._oidc = Oidc(issuer.url, AUDIENCE)
    assert asyncio.run(tokens.name_of(issuer.token())) == "oidc:erp"


def test_a_key_is_added_on_a_line_of_its_own(tmp_path):
    """Whoever edits the file may leave its last line without an end."""
    file = tmp_path / "keys"
    first = make_key(file, "first")
    file.write_text(file.read_text().rstrip("\n"))
    second = make_key(file, "second")
    assert read_keys(file) == {hashed(first): "first", hashed(second): "second"}


def test_too_many_a_minute(http, keys):
    answers = [ask(http, keys["busy"]) for _ in range(2 * RATE + 1)]  # by one worker, or by two
    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, 429}
    late = next(answer for answer in answers if answer.status_code == 429)
    assert 1 <= int(late.headers["retry-after"]) <= 60
    assert late.json()["detail"].startswith(f"More than {RATE} forecasts a minute")
    assert ask(http, keys["shop"]).status_code == 200


def test_a_batch_larger_than_a_minute_allows_is_told_so(http, keys):
    """Else it would be told to wait, for ever."""
    headers = {"x-api-key": keys["batches"]}
    many = {"products": [*range(1, RATE + 2)]}
    refused = http.post("/v1/forecasts:batch", json=many, headers=headers)
    assert (refused.status_code, "retry-after" in refused.headers) == (422, False)
    said = f"A batch of {RATE + 1} is more than the {RATE} forecasts a minute"
    assert refused.json()["detail"].startswith(said)
    most = {"products": [*range(1, RATE)]}  # the one before was counted as a request
    assert http.post("/v1/forecasts:batch", json=most, headers=headers).status_code == 200


def test_the_log_says_who_and_holds_no_secret(http, keys, guarded, issuer):
    token = issuer.token(sub="erp\n2025 x")
    ask(http, token, "/v1/forecasts/1?key=secret")
    ask(http, keys["shop"], "/v1/forecasts/%0aforged")
    assert until(
        lambda: any('shop "GET /v1/forecasts/%0aforged" 404' in s for s in guarded.log), 10
    )
    assert any('oidc:erp_2025_x "GET /v1/forecasts/1" 200' in line for line in guarded.log)
    said = "".join(guarded.log)
    for secret in (*keys.values(), token, "secret"):
        assert secret not in said


def count(metrics, name):
    return sum(
        float(line.rpartition(" ")[2]) for line in metrics.splitlines() if line.startswith(name)
    )


def test_metrics_add_up_over_workers_and_one_that_was_killed(http, guarded, keys):
    def metrics():
        return httpx.get(guarded.metrics_url, trust_env=False).text

    route = 'toolkit_requests_total{route="/v1/forecasts/{product}",status="401"}'
    before = count(metrics(), route)
    for _ in range(20):
        with guarded.client() as client:  # a connection each: some for either worker
            assert client.get("/v1/forecasts/1").status_code == 401
    assert count(metrics(), route) == before + 20
    assert until(lambda: count(metrics(), "toolkit_ready") == 1)
    workers = {
        child.pid
        for child in psutil.Process(guarded.process.pid).children()
        if "spawn_main" in " ".join(child.cmdline())
    }
    assert len(workers) == 2
    os.kill(min(workers), signal.SIGKILL)
    with guarded.client() as client:
        assert until(lambda: len(psutil.Process(guarded.process.pid).children()) >= 3)
        assert client.get("/livez").status_code == 200
    assert count(metrics(), route) == before + 20
    assert until(lambda: "toolkit_ready 1.0" in metrics(), 20)
    assert http.get("/metrics").status_code == 401  # on its own port alone
