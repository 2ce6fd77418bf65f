"""Write what a container image of a model is made of: a Dockerfile and the model's folder."""

from __future__ import annotations

import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from interlock.core.errors import Conflict, NotFound
from interlock.ports.model_store import ModelVersion
from interlock.server.contracts.environments import MODEL_DIR, SAGEMAKER_MODEL
from interlock.server.contracts.model_folders import RECORD

SIGNED = b"interlock signed"
"""How files begin that run code when they are read."""
_DOCKERFILE = """\
# {ref}, served to SageMaker, Vertex AI, Azure ML, KServe, and anybody who speaks their protocols.
# docker build -t {tag} . && docker run --rm -p 8080:8080 {tag}
FROM python:{python}-slim
RUN useradd --create-home --uid 1000 interlock
WORKDIR /opt/ml
COPY {copied} ./
RUN pip install --no-cache-dir {installed} -r requirements.txt
COPY model {model}
ENV {variable}={model} \\
    PYTHONUNBUFFERED=1
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true \\
      com.amazonaws.sagemaker.capabilities.multi-models=true
EXPOSE 8080
USER interlock
ENTRYPOINT ["interlock"]
CMD ["serve"]
"""


def write_container(made: ModelVersion, package: Path, output: Path, *, wheel: Path | None = None) -> list[str]:
    """Write a folder from which an image can be built; return the paths in it.

    Args:
        made: The version.
        package: Its `MLmodel` folder.
        output: The folder to write; it must be empty, or not exist.
        wheel: A wheel of Interlock to install, in place of the published version.

    Raises:
        Conflict: There is something in the folder.
        NotFound: There is no such wheel.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise Conflict(
            f"{output} is not empty", why="the files of an image would mix with others", fix=f"rm -r {output}"
        )
    if wheel is not None and not wheel.is_file():
        raise NotFound(f"there is no wheel {wheel}", why="expected a file", fix="make wheel")
    shutil.copytree(package, output / "model")
    (output / "model" / RECORD).write_bytes(msgspec.json.encode(made))
    listed = package / "requirements.txt"
    (output / "requirements.txt").write_bytes(listed.read_bytes() if listed.is_file() else b"")
    if wheel is not None:
        shutil.copy(wheel, output / wheel.name)
    major, minor, _ = platform.python_version_tuple()
    text = _DOCKERFILE.format(
        ref=made.ref,
        tag=made.model.lower().replace(" ", "-"),
        python=f"{major}.{minor}",
        copied="requirements.txt" if wheel is None else f"requirements.txt {wheel.name}",
        installed=_installed() if wheel is None else f"./{wheel.name}",
        model=SAGEMAKER_MODEL,
        variable=MODEL_DIR,
    )
    (output / "Dockerfile").write_text(text)
    return sorted(str(path.relative_to(output)) for path in output.rglob("*") if path.is_file())


def brings_code(package: Path) -> bool:
    """Say whether a package brings Python code, which is loaded only where its signature fits."""
    for path in package.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                if file.read(len(SIGNED)) == SIGNED:
                    return True
    return False


def _installed() -> str:
    try:
        return f"interlock=={version('interlock')}"
    except PackageNotFoundError:
        return "interlock"
