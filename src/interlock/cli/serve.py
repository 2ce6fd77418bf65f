"""Serve the endpoints of a workspace, one of them or one model over HTTP, and nothing else."""

from __future__ import annotations

import os

from interlock.cli.noun import Here
from interlock.cli.output import announce
from interlock.core.sizes import read_size
from interlock.server.contracts.environments import NOWHERE, read_environment
from interlock.server.serve_container import run_container
from interlock.server.serve_endpoint import PORT, run_serve
from interlock.server.serve_workers import ServeProcess

HOST = "127.0.0.1"


def serve(
    ref: str | None = None,
    /,
    *,
    port: int = PORT,
    host: str = HOST,
    access_log: str | None = None,
    grpc_port: int | None = None,
    workers: int = 1,
    timeout_s: float | None = None,
    memory: str | None = None,
    max_memory: str | None = None,
    session: Here,
) -> None:
    """Answer predictions over HTTP until interrupted, in every protocol that is spoken.

    Endpoints are followed as their routing changes; a model version is served as it is. Without an argument, in a
    container of SageMaker, Vertex AI, Azure ML or KServe, the container's model is served as its platform asks for it.

    Args:
        ref: An endpoint (`endpoint:delay`) or a model (`model:delay@champion`); every endpoint if not given.
        port: Port to listen on; 0 for any free one.
        host: Address to listen on; one beyond this machine needs INTERLOCK_TOKEN.
        access_log: Where a line of JSON for each request is written: a path, - for standard output, or on for a file
            that `interlock endpoint logs --requests` reads. Off if not given.
        grpc_port: Port on which gRPC is answered too (Triton's is 8001); 0 for any free one.
        workers: How many processes answer. They are watched: one that dies or hangs is reported and replaced. 0 serves
            from this process, unwatched.
        timeout_s: How long an answer may take, 60 s if not given; 0 for as long as it does.
        memory: How much memory the loaded models of a worker may take (`2GB`); those that were not asked for longest
            are unloaded until somebody asks for them. As much as there is if not given.
        max_memory: How much memory a worker may have (`4GB`) before another one takes its place.
    """
    environment = NOWHERE if ref or session.uri or "INTERLOCK_URI" in os.environ else read_environment(os.environ)
    served = ref or ("every endpoint" if environment is NOWHERE else f"{environment.model or environment.entry_script}")

    grpc: dict[str, str] = {}

    def ready(url: str) -> None:
        places = url + "".join(f", gRPC at {place}" for place in grpc.values())
        announce({"url": url, "ref": ref, **grpc}, f"{served} answers at {places}", as_json=session.as_json)

    process = ServeProcess(
        workers=workers,
        timeout_s=timeout_s,
        memory_bytes=None if memory is None else read_size(memory),
        max_memory_bytes=None if max_memory is None else read_size(max_memory),
        grpc_port=grpc_port,
    )
    if environment is not NOWHERE:
        address = {} if host == HOST else {"host": host}
        own_port = None if port == PORT else port
        run_container(
            environment,
            port=own_port,
            process=process,
            access_log=access_log,
            environ=os.environ,
            on_ready=ready,
            **address,
        )
        return
    run_serve(
        ref,
        session.uri,
        host=host,
        port=port,
        access_log=access_log,
        process=process,
        on_ready=ready,
        on_grpc=lambda place: grpc.update(grpc=place),
    )
