"""``hdrgen serve``: the page in a browser."""

import os
from pathlib import Path
from typing import Annotated

import typer

from hdrgen.cli.options import BackendOption, DeviceOption, ModelsOption, examples, threads
from hdrgen.runtime.errors import HdrgenError


def serve(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the pictures and their history.")
    ] = Path("pictures"),
    models: ModelsOption = Path("data"),
    host: Annotated[
        str, typer.Option(help="Where to listen; beyond this machine, a token is asked for.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes one that is free.")] = 8474,
    device: DeviceOption = "auto",
    backend: BackendOption = "auto",
    browser: Annotated[bool, typer.Option("--browser", help="Open the page in the browser.")] = False,
) -> None:
    """Generate, recover, expand, merge and look at pictures in a browser.

    The page shows float pictures at any exposure, with pixel values in scene-linear light, and hands out EXRs. Jobs
    are worked on one at a time; pictures and their history are there again after a restart. The server listens on
    this machine alone. With --host it listens beyond, and asks for a token: that in $HDRGEN_TOKEN, or one that it
    makes up and prints. Control-C ends it.
    """
    try:
        from hdrgen.web.server import serve as serve_page
    except ModuleNotFoundError as error:
        raise HdrgenError(f"the page needs {error.name}: pip install 'hdrgen[serve]'") from None

    def on_listening(address: str) -> None:
        typer.echo(f"hdrgen is at {address} (Control-C ends it)")
        if browser:
            typer.launch(address)

    try:
        serve_page(
            output,
            models,
            host=host,
            port=port,
            token=os.environ.get("HDRGEN_TOKEN") or None,
            device=device,
            backend=backend,
            threads=threads(),
            on_listening=on_listening,
        )
    except KeyboardInterrupt:  # the usual end
        return


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "hdrgen serve",
            "hdrgen serve --browser -o /shows/test/pictures --models /models/hdrgen",
            "HDRGEN_TOKEN=... hdrgen serve --host 0.0.0.0",
        )
    )(serve)
