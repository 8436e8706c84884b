"""``adapter init``: writes the files that deploy the app of the current folder.

The written files are copies of files in ``deploy/`` and ``examples/``, with the app's own values. The wheel contains
the originals.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import adapter
from adapter.cli.base_image import BaseImage
from adapter.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_PLACEHOLDER = "{port}"
# The port of an app that runs in a container of its own, as deploy/helm/values.yaml has it.
_SIDECAR_PORT = "8080"
_IGNORED = """\
.git
.venv
**/__pycache__
**/node_modules
!.next/standalone/node_modules
.env*
*.pem
*.key
Dockerfile
template.yaml
.aws-sam
cdk.out
chart
"""

# For each kind: the command that builds the adapter's image in the adapter's repository, and the next command, which is
# to be run in the app's folder.
_NEXT = {
    "docker": (
        "docker build -t web-adapter .",
        "docker build -t {name} . && docker run --rm -p 8000:8000 {name}",
    ),
    "sam": (
        "docker build --platform linux/amd64 -t web-adapter .",
        "adapter dev --template template.yaml    then: sam build && sam deploy --guided --resolve-image-repos",
    ),
    "helm": (
        "docker build -t web-adapter .",
        "helm install {name} ./chart    images: app.image and adapter.image in chart/values.yaml",
    ),
}
KINDS = tuple(_NEXT)


def run(kind: str, command: list[str]) -> list[str]:
    """Write the files of ``kind`` into the current folder. ``command`` starts the app. Return the lines to print.

    Raises ConfigurationError and writes nothing if ``command`` is empty or a file would be overwritten. Also raises
    ConfigurationError if a file cannot be written.
    """
    if not command:
        raise ConfigurationError([f"CMD is missing; give the app's command: adapter init {kind} -- CMD"])
    folder = Path.cwd()
    name = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-") or "web"
    files = {"docker": _docker, "sam": _sam, "helm": _helm}[kind](folder, name, command)
    image, command_here = _NEXT[kind]
    missing = {path: text for path, text in files.items() if not _is_there(folder / path, text)}
    _write(folder, missing)
    return [
        *(f"{path} is written" if path in missing else f"{path} is kept" for path in files),
        *(BaseImage(folder, command).advice() if "Dockerfile" in missing else ()),
        *_port_advice(kind, command),
        f"Once, in the adapter's repository: {image}",
        f"Next: {command_here.format(name=name)}",
        "Guide: docs/deploy/init.md",
    ]


def _port_advice(kind: str, command: list[str]) -> Iterator[str]:
    if not any(_PLACEHOLDER in word for word in command):
        yield (
            f"Warning: CMD does not contain {_PLACEHOLDER}, so the app must listen on port {_SIDECAR_PORT}, which its "
            f"variable PORT has; or give it the port, as in: adapter init {kind} -- uvicorn main:app --port "
            f"'{_PLACEHOLDER}'"
        )


def _is_there(path: Path, text: str) -> bool:
    """Return True if the file exists and is to be kept: it contains exactly ``text``, or is a .dockerignore."""
    try:
        return path.read_text("utf-8") == text or path.name == ".dockerignore"
    except (OSError, UnicodeDecodeError):
        return False


def _write(folder: Path, files: Mapping[str, str]) -> None:
    taken = [path for path in files if (folder / path).exists() or (folder / path).is_symlink()]
    if taken:
        raise ConfigurationError(
            [f"{path} exists and is not overwritten; rename it, or use another folder" for path in taken]
        )
    path = ""
    try:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            with (folder / path).open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise ConfigurationError([f"{path} cannot be written: {error.strerror}"]) from error


def _docker(folder: Path, name: str, command: list[str]) -> dict[str, str]:
    template = "examples/flask_app/Dockerfile"
    base = BaseImage(folder, command)
    changes: dict[str, str | Callable[[re.Match[str]], str]] = {
        r"From the repository's root:": "Run the first command in the adapter's repository, the second here:",
        r" && docker build -t flask-app examples/flask_app": f"\\n#     docker build -t {name} .",
        r"BASE=\S+": f"BASE={base.name}",
        r"COPY requirements\.txt \./\nRUN pip install .*\n": base.installation,
        r"COPY main\.py \./": "COPY . ./",
        r"CMD \[\"gunicorn\".*": lambda _: f"CMD {json.dumps(command)}",
    }
    if not base.is_known:
        changes[r"BASE may be any image that can run CMD:"] = lambda _: (
            f"Set BASE to an image that can run {base.program!r};"
        )
    return {"Dockerfile": _filled_in(template, _read(template), changes), ".dockerignore": _IGNORED}


def _sam(folder: Path, name: str, command: list[str]) -> dict[str, str]:
    template = "deploy/sam/image-url.yaml"
    text = _filled_in(template, _read(template), {r"DockerContext: \S+": "DockerContext: ."})
    return {"template.yaml": text, **_docker(folder, name, command)}


def _helm(folder: Path, name: str, command: list[str]) -> dict[str, str]:
    chart = _root() / "deploy/helm"
    files = {
        f"chart/{path.relative_to(chart).as_posix()}": path.read_text("utf-8")
        for path in sorted(chart.rglob("*"))
        if path.is_file()
    }
    words = [word.replace(_PLACEHOLDER, _SIDECAR_PORT) for word in command]
    changes: dict[str, str | Callable[[re.Match[str]], str]] = {
        r"image: flask-app:latest": f"image: {name}:latest",
        r"command: \[.*\]": lambda _: f"command: {json.dumps(words)}",
    }
    files["chart/values.yaml"] = _filled_in("deploy/helm/values.yaml", files["chart/values.yaml"], changes)
    return files


def _root() -> Path:
    """Return the folder that contains ``deploy`` and ``examples``: in the installed package, or the clone's root."""
    package = Path(adapter.__file__).parent
    shipped = package / "shipped"
    return shipped if shipped.is_dir() else package.parent


def _read(name: str) -> str:
    return (_root() / name).read_text("utf-8")


def _filled_in(name: str, text: str, changes: Mapping[str, str | Callable[[re.Match[str]], str]]) -> str:
    """Return ``text`` with each pattern of ``changes`` replaced. ``text`` is the content of the file ``name``.

    Raises LookupError if a pattern does not occur exactly once.
    """
    for pattern, replacement in changes.items():
        text, count = re.subn(pattern, replacement, text)
        if count != 1:
            raise LookupError(f"{name} contains {pattern!r} {count} times instead of once")
    return text
