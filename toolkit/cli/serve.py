"""``toolkit serve``; imports what it needs when it runs."""

import os
from typing import Annotated

import typer

from toolkit.cli.export import DEFAULT_REDIS
from toolkit.cli.options import REDIS_VARIABLE

Redis = Annotated[
    str | None,
    typer.Option("--redis", help=f"Where from. Default {REDIS_VARIABLE}, else {DEFAULT_REDIS}."),
]
Port = Annotated[int, typer.Option(help="Where to listen; 0 takes a free port.")]
Host = Annotated[str, typer.Option(help="Other than loopback only with --keys or --oidc-issuer.")]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(serve)


def serve(
    redis: Redis = None,
    port: Port = 8000,
    host: Host = "127.0.0.1",
    workers: Workers = 1,
) -> None:
    """Serve the current release over HTTP, until Ctrl-C or SIGTERM."""
    import logging

    from toolkit.service.server import serve as run
    from toolkit.service.settings import ServiceSettings

    logging.getLogger("toolkit.service").setLevel(logging.INFO)
    logging.getLogger("toolkit.cache.records").setLevel(logging.INFO)
    settings = ServiceSettings(redis or os.environ.get(REDIS_VARIABLE) or DEFAULT_REDIS)
    run(settings, host, port, workers, lambda url: typer.echo(f"Serving at {url}"))
