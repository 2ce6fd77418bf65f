"""Who is compared: how each is installed, prepared and started, and in which formats it is asked.

Each is started as its own documentation starts it, with its defaults and one worker; where an access log is the
default it is left on. Telemetry is off everywhere, and everything listens on loopback.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@dataclass(frozen=True)
class Place:
    """Where one server is started: its environment, its folder, the model, its ports."""

    programs: Path
    folder: Path
    models: Path
    model: str
    ports: tuple[int, ...]

    @property
    def python(self) -> str:
        return str(self.programs / "python")

    @property
    def joblib(self) -> str:
        return str(self.models / f"{self.model}.joblib")

    def script(self, name: str, *given: object) -> list[str]:
        return [self.python, str(HERE / name), *map(str, given)]


Command = Callable[[Place], list[str]]


@dataclass(frozen=True)
class Peer:
    """One server of the table.

    Args:
        name: What `--only` calls it.
        title: What the table calls it.
        formats: How it is asked, by name in `wire.FORMATS`; the first is its main one.
        command: How it is started.
        requirements: What its clean environment has; the environment is `serving-NAME` of the folder of peers.
        environment: Name of that environment, where it is shared; empty for the one that runs this.
        prepare: What is run before, its time not counted.
        env: Environment variables, `{joblib}` and `{onnx}` filled in.
        group: Whose ratio and bar it belongs to (`MLflow` has two rows).
        timeout_s: How long it may take to be ready.
    """

    name: str
    title: str
    formats: tuple[str, ...]
    command: Command
    requirements: tuple[str, ...] = ()
    environment: str | None = None
    prepare: Command | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    timeout_s: float = 90

    @property
    def folder(self) -> str:
        return f"serving-{self.environment or self.name}"


def _uvicorn(app: str, *more: str) -> Command:
    def command(place: Place) -> list[str]:
        given = ["--app-dir", str(HERE), "--host", "127.0.0.1", "--port", str(place.ports[0])]
        return [place.python, "-m", "uvicorn", app, *given, *more]

    return command


def _interlock(place: Place) -> list[str]:
    """The command line as it is installed: `interlock serve model:served@1`."""
    run = "import sys; from interlock.cli.main import main; sys.exit(main())"
    given = ["serve", "model:served@1", "--port", str(place.ports[0]), "--dir", str(place.folder / "workspace")]
    return [place.python, "-c", run, *given]


def _copy_workspace(place: Place) -> list[str]:
    """Each server has a log of its own."""
    return ["cp", "-r", str(place.models / f"{place.model}.workspace"), str(place.folder / "workspace")]


def _held(engine: str) -> Command:
    return lambda place: place.script("with_interlock.py", place.folder / "workspace", place.ports[0], engine)


def _mlflow(kind: str) -> tuple[Command, Command]:
    def prepare(place: Place) -> list[str]:
        return place.script("with_mlflow.py", place.joblib, place.models / "rows.npy", place.folder / "model", kind)

    def command(place: Place) -> list[str]:
        given = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(place.ports[0])]
        return [str(place.programs / "mlflow"), "models", "serve", "-m", str(place.folder / "model"), *given]

    return prepare, command


def _mlserver(workers: str) -> tuple[Command, Command]:
    def prepare(place: Place) -> list[str]:
        return place.script("with_mlserver.py", place.joblib, place.folder / "model", *place.ports[:3], workers)

    return prepare, lambda place: [str(place.programs / "mlserver"), "start", str(place.folder / "model")]


_SKLEARN = {"SERVED_MODEL": "{joblib}"}
_NO_MLFLOW_TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
_MLFLOW_INPUTS, _MLFLOW_SPLIT = _mlflow("tensor"), _mlflow("columns")
_MLSERVER, _MLSERVER_0 = _mlserver("default"), _mlserver("0")

INTERLOCK, INTERLOCK_NATIVE, INTERLOCK_COMPILED, INTERLOCK_GRPC = OURS = (
    "interlock",
    "interlock-native",
    "interlock-compiled",
    "interlock-grpc",
)
PEERS = (
    Peer(
        "floor-native",
        "floor: bare ASGI + scikit-learn",
        ("rows",),
        _uvicorn("with_floor:app", "--no-access-log", "--log-level", "warning"),
        environment="",
        env=_SKLEARN,
    ),
    Peer(
        "floor-onnx",
        "floor: bare ASGI + ONNX Runtime",
        ("rows",),
        _uvicorn("with_floor:app", "--no-access-log", "--log-level", "warning"),
        environment="",
        env={"SERVED_MODEL": "{onnx}"},
    ),
    Peer(
        INTERLOCK_NATIVE,
        "Interlock, scikit-learn",
        ("oip",),
        _held("native"),
        environment="",
        prepare=_copy_workspace,
    ),
    Peer(
        INTERLOCK_COMPILED,
        "Interlock, its compiled form alone",
        ("oip",),
        _held("compiled"),
        environment="",
        prepare=_copy_workspace,
    ),
    Peer(
        INTERLOCK,
        "Interlock, as it deploys",
        ("oip", "oip-binary"),
        _interlock,
        requirements=(str(ROOT),),
        environment="",
        prepare=_copy_workspace,
    ),
    Peer(
        INTERLOCK_GRPC,
        "Interlock with --grpc-port",
        ("oip", "oip-grpc"),
        lambda place: [*_interlock(place), "--grpc-port", str(place.ports[1])],
        environment="",
        prepare=_copy_workspace,
    ),
    Peer(
        "fastapi",
        "FastAPI, by hand",
        ("rows",),
        _uvicorn("with_fastapi:app"),
        ("fastapi", "uvicorn[standard]", "scikit-learn"),
        env=_SKLEARN,
        group="FastAPI",
    ),
    Peer(
        "mlflow",
        "MLflow, tensor signature",
        ("mlflow-inputs",),
        _MLFLOW_INPUTS[1],
        ("mlflow",),
        prepare=_MLFLOW_INPUTS[0],
        env=_NO_MLFLOW_TELEMETRY,
        group="MLflow",
    ),
    Peer(
        "mlflow-columns",
        "MLflow, column signature",
        ("mlflow-split",),
        _MLFLOW_SPLIT[1],
        environment="mlflow",
        prepare=_MLFLOW_SPLIT[0],
        env=_NO_MLFLOW_TELEMETRY,
        group="MLflow",
    ),
    Peer(
        "mlserver",
        "MLServer (1 parallel worker)",
        ("oip-mlserver", "oip-grpc-mlserver"),
        _MLSERVER[1],
        # with uvloop 0.22 or newer its default configuration loads no model
        ("mlserver", "mlserver-sklearn", "uvloop<0.22"),
        prepare=_MLSERVER[0],
        group="MLServer",
    ),
    Peer(
        "mlserver-0",
        "MLServer, parallel_workers 0",
        ("oip-mlserver",),
        _MLSERVER_0[1],
        environment="mlserver",
        prepare=_MLSERVER_0[0],
        group="MLServer",
    ),
    Peer(
        "kserve",
        "KServe SDK",
        ("oip", "v1"),
        # gRPC, which is on by default, cannot be kept to loopback: off, which spares it time and memory
        lambda place: place.script("with_kserve.py", "--http_port", place.ports[0], "--enable_grpc", "false"),
        ("kserve", "scikit-learn"),
        env=_SKLEARN,
        group="KServe",
    ),
    Peer(
        "bentoml",
        "BentoML",
        ("array",),
        lambda place: [
            *(str(place.programs / "bentoml"), "serve", "with_bentoml:Served", "--working-dir", str(HERE)),
            *("--host", "127.0.0.1", "--port", str(place.ports[0])),
        ],
        ("bentoml", "scikit-learn"),
        env={**_SKLEARN, "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": "{folder}"},
        group="BentoML",
    ),
    Peer(
        "litserve",
        "LitServe",
        ("rows",),
        lambda place: place.script("with_litserve.py", place.ports[0]),
        ("litserve", "scikit-learn"),
        env=_SKLEARN,
        group="LitServe",
    ),
    Peer(
        "ray",
        "Ray Serve",
        ("rows",),
        lambda place: place.script("with_ray.py", place.ports[0]),
        ("ray[serve]", "scikit-learn"),
        env={**_SKLEARN, "RAY_USAGE_STATS_ENABLED": "0"},
        group="Ray Serve",
        timeout_s=180,
    ),
)
QUICK = ("floor-native", "floor-onnx", INTERLOCK, INTERLOCK_NATIVE, INTERLOCK_COMPILED, "fastapi")
"""What needs no environment but the one of the tests."""


def python_of(peer: Peer, peers: Path | None) -> Path | None:
    """Return the `bin` folder that runs a peer, or None where its environment is not there."""
    here = Path(sys.executable).parent
    if peer.environment == "":
        return here
    if peers is not None and (peers / peer.folder / "bin" / "python").exists():
        return peers / peer.folder / "bin"
    return here if peer.name in QUICK else None
