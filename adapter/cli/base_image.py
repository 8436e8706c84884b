"""Chooses the base image for an app's Dockerfile, and the lines that install the app's packages."""

from __future__ import annotations

import re
from os.path import basename

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PYTHON = "python:3.13-slim"
NODE = "node:24-slim"
# For a program of the app's own, which may need nothing but a C library.
_PLAIN = "debian:13-slim"
_NODE_PROGRAMS = frozenset({"node", "nodejs", "npm", "npx", "pnpm", "yarn"})
_OTHERS = {
    **dict.fromkeys(("bundle", "puma", "rackup", "rails", "ruby"), "ruby:3.4-slim"),
    "php": "php:8.4-cli",
    "java": "eclipse-temurin:21-jre",
    "dotnet": "mcr.microsoft.com/dotnet/aspnet:9.0",
    "go": "golang:1.25",
    "bun": "oven/bun:1-slim",
}
# Programs and modules of Python, and the package that contains each.
_PYTHON_PACKAGES = {
    **{name: name for name in ("daphne", "fastapi", "flask", "granian", "gunicorn", "hypercorn", "uvicorn", "uwsgi")},
    **dict.fromkeys(("django", "django-admin"), "django"),
    **dict.fromkeys(("waitress", "waitress-serve"), "waitress"),
}
# These lines of a requirements file install packages that the file does not name.
_UNNAMED = r"-r|--requirement|-e|--editable|\."
_UVICORN_TOO = r"[a-z-]+\[(?:all|standard)"


class BaseImage:
    """The base image for an app. ``folder`` contains the app, and ``command`` starts it."""

    __slots__ = ("_folder", "_words", "name", "program")

    def __init__(self, folder: Path, command: list[str]) -> None:
        self._folder = folder
        is_prefixed = command[0] == "env"
        self._words = [word for word in command[1:] if "=" not in word] if is_prefixed else command
        self.program = self._words[0] if self._words else command[0]
        self.name = self._choose()

    def _choose(self) -> str:
        name = basename(self.program)
        if name in _NODE_PROGRAMS:
            return NODE
        if name in _OTHERS:
            return _OTHERS[name]
        if name in _PYTHON_PACKAGES or self._is_python or self._has("requirements.txt"):
            return PYTHON
        if self._has("package.json"):
            return NODE
        return PYTHON if self._has("pyproject.toml") else _PLAIN

    @property
    def is_known(self) -> bool:
        """Whether the Dockerfile can install the app's packages in this image. If not, the user must set ARG BASE."""
        return self.name in (PYTHON, NODE)

    @property
    def installation(self) -> str:
        """The Dockerfile's lines that install the app's packages, or an empty string."""
        if self.name == PYTHON and self._has("requirements.txt"):
            return "COPY requirements.txt ./\nRUN pip install --no-cache-dir --requirement requirements.txt\n"
        if self.name == NODE and self._has("package.json"):
            install = "ci" if self._has("package-lock.json") else "install"
            return f"COPY package*.json ./\nRUN npm {install} --omit=dev\n"
        return ""

    def advice(self) -> Iterator[str]:
        """Yield what the user must do before the image can start the app."""
        if not self.is_known:
            yield (
                f"Set BASE in Dockerfile to an image that can run {self.program!r} (now {self.name}), "
                "and add the commands that install the app's packages"
            )
        elif self.name == PYTHON:
            yield from self._missing_packages()

    def _missing_packages(self) -> Iterator[str]:
        package = self._python_package()
        if self._has("requirements.txt"):
            if package is not None and not self._requires(package):
                yield f"Warning: requirements.txt does not list {package}, which CMD starts; add {package} to this file"
        elif package is not None or self._has("pyproject.toml"):
            lack = "no package of pyproject.toml" if package is None else f"no {package}"
            yield (
                f"Warning: requirements.txt is missing, so the image has {lack}; "
                "write requirements.txt, delete Dockerfile and repeat this command"
            )

    def _python_package(self) -> str | None:
        """Return the Python package of the server that CMD starts. Return None if the package is not known."""
        name = basename(self.program)
        if self._is_python:
            name = next(
                (module for flag, module in zip(self._words, self._words[1:], strict=False) if flag == "-m"), ""
            )
        return _PYTHON_PACKAGES.get(name)

    @property
    def _is_python(self) -> bool:
        return basename(self.program).rstrip("0123456789.") == "python"

    def _requires(self, package: str) -> bool:
        content = (self._folder / "requirements.txt").read_bytes()
        # PowerShell writes `pip freeze > requirements.txt` in UTF-16.
        text = content.replace(b"\0", b"").decode("utf-8-sig", "ignore")
        names = [rf"{package}(?![a-z0-9._-])", _UNNAMED, *([_UVICORN_TOO] if package == "uvicorn" else [])]
        return re.search(rf"^[ \t]*(?:{'|'.join(names)})", text, re.IGNORECASE | re.MULTILINE) is not None

    def _has(self, name: str) -> bool:
        return (self._folder / name).is_file()
