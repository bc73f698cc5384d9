"""`bench worker`: lend this machine to runs of a cluster."""

import os
import socket
from pathlib import Path
from typing import Annotated

import typer

from harness.cli._options import ClusterTls, Commands, EnginePaths

# what dask-jobqueue writes into a job, in Dask's own words; some of it means nothing here
Unseen = Annotated[str, typer.Option(hidden=True)]


def register(app: typer.Typer) -> None:
    """Add `bench worker`."""
    app.command("worker")(worker)


def worker(
    scheduler: Annotated[str, typer.Argument(help="Its address: tcp://host:8786 or tls://.")],
    command: Commands = None,
    engine_path: EnginePaths = None,
    name: Annotated[
        str | None, typer.Option(help="What runs call this worker (default: host and process).")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where it works (default: in the cache folder).")
    ] = None,
    cluster_tls: ClusterTls = None,
    death_timeout: Annotated[
        float | None,
        typer.Option(min=1, help="End if no scheduler answers for so many seconds."),
    ] = None,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
    interface: Unseen = "",
    tls_ca_file: Unseen = "",
    tls_cert: Unseen = "",
    tls_key: Unseen = "",
    nthreads: Unseen = "",
    memory_limit: Unseen = "",
    local_directory: Unseen = "",
    protocol: Unseen = "",
) -> int:
    """Wait at a scheduler for blocks of `bench run --cluster`, and measure them one at a time.

    It runs engines that it finds here or that --command gives, and nothing that it is sent.
    """
    from harness.cluster.needs import needs
    from harness.cluster.site import ADDRESS, read_security, security_of
    from harness.errors import UsageError

    needs("distributed")
    if not ADDRESS.fullmatch(scheduler):
        raise UsageError(f"'{scheduler}': expected a scheduler such as tcp://host:8786.")
    from harness.cluster import tasks
    from harness.cluster.worker import end_with_parent, serve
    from harness.trial.engines import parse_command

    for text in command or ():
        parse_command(text)
    me = tasks.Worker(
        name=name or f"{socket.gethostname()}-{os.getpid()}",
        commands=tuple(command or ()),
        engine_paths=tuple(engine_path or ()),
    )
    if folder is not None:
        me.folder = folder
    if with_parent:
        end_with_parent()
    security = read_security(cluster_tls)
    if tls_ca_file:
        security = security_of({"ca_file": tls_ca_file, "cert": tls_cert, "key": tls_key})
    return serve(
        scheduler,
        me,
        security=security,
        death_timeout_s=death_timeout,
        interface=interface or None,
    )
