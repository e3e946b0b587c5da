"""``toolkit serve`` and ``toolkit key``; imports what it needs when it runs."""

import os
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.export import DEFAULT_REDIS
from toolkit.cli.options import REDIS_VARIABLE

Redis = Annotated[
    str | None,
    typer.Option("--redis", help=f"Where from. Default {REDIS_VARIABLE}, else {DEFAULT_REDIS}."),
]
Port = Annotated[int, typer.Option(help="Where to listen; 0 takes a free port.")]
Host = Annotated[str, typer.Option(help="Anything but loopback needs --keys or --oidc-issuer.")]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")]
Keys = Annotated[Path | None, typer.Option(help="The file of API keys; `toolkit key` adds one.")]
KeyFile = Annotated[Path, typer.Option("--keys", help="The file that the key is added to.")]
Name = Annotated[str, typer.Argument(help="Whose key: it stands in the access log.")]
Issuer = Annotated[
    str | None, typer.Option(help="URL of the OpenID provider whose tokens are taken, too.")
]
Audience = Annotated[str | None, typer.Option(help="The audience that its tokens have to be for.")]
Rate = Annotated[
    int | None,
    typer.Option(min=1, help="Forecasts a minute of each key, by every worker. Default any."),
]
MaxAge = Annotated[
    int, typer.Option(min=0, help="Seconds that a client may use an answer again, unasked.")
]
Patience = Annotated[
    float, typer.Option(min=0.01, help="Seconds that a request waits for the cache.")
]
Oldest = Annotated[
    float | None,
    typer.Option(min=0, help="Hours from which on a release is too old to be ready."),
]
MetricsPort = Annotated[
    int | None, typer.Option(help="Where Prometheus reads /metrics; 0 takes a free port.")
]
MetricsHost = Annotated[str, typer.Option(help="The address of that port.")]
AccessLog = Annotated[bool, typer.Option(help="A line for each request, on stderr.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command()(serve)
    app.command()(key)


def serve(
    redis: Redis = None,
    port: Port = 8000,
    host: Host = "127.0.0.1",
    workers: Workers = 1,
    keys: Keys = None,
    oidc_issuer: Issuer = None,
    oidc_audience: Audience = None,
    rate: Rate = None,
    max_age: MaxAge = 60,
    patience: Patience = 0.5,
    oldest: Oldest = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    access_log: AccessLog = True,
) -> None:
    """Serve the current release over HTTP, until Ctrl-C or SIGTERM.

    Exit code 1: the cache cannot be read; 2: something was wrong with the call.
    """
    from toolkit.service.places import Places, check, metrics_folder
    from toolkit.service.settings import ServiceSettings, oidc_of

    settings = ServiceSettings(
        redis_url=redis or os.environ.get(REDIS_VARIABLE) or DEFAULT_REDIS,
        keys=keys,
        oidc=oidc_of(oidc_issuer, oidc_audience),
        rate=rate,
        max_age_s=max_age,
        patience_s=patience,
        oldest_s=None if oldest is None else 3600 * oldest,
        access_log=access_log,
    )
    places = Places(host, port, metrics_host, metrics_port)
    check(places, settings)
    with metrics_folder():
        from toolkit.service.server import serve as run

        run(settings, places, workers, typer.echo)


def key(name: Name, keys: KeyFile) -> None:
    """Make an API key for a service, and print it, this once.

    The file holds its hash, and takes the key out again when its line goes.
    """
    from toolkit.service.keys import make_key

    typer.echo(make_key(keys, name))
    typer.echo(f"Added to {keys}, as a hash: keep the key, nobody can show it again.", err=True)
