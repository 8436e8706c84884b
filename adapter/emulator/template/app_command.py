"""Finds the command that starts the app of a template's function.

The command of an image is in the property ImageConfig or in the Dockerfile. The command of a zip package is its handler
script.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapter.emulator.template.document import Document

# The name of the adapter's program in an image. The app's command follows ``adapter run --``.
_ADAPTER = "adapter"


@dataclass(slots=True, kw_only=True)
class AppCommand:
    """The command that starts the app. ``words`` is empty if no command has been found.

    ``directory`` is the folder in which the command must be started, or None for the current folder.
    """

    words: list[str] = field(default_factory=list)
    directory: str | None = None


def app_command(document: Document, properties: dict[str, Any], metadata: Any) -> AppCommand:
    """Return the command that starts the app. ``properties`` and ``metadata`` are those of the function.

    Paths in ``properties`` and ``metadata`` are relative to the template's folder.
    """
    folder = Path(document.file).parent
    if properties.get("PackageType") == "Image" or "ImageUri" in properties:
        return _of_image(folder, properties, metadata if isinstance(metadata, dict) else {})
    return _of_package(folder, properties)


def _of_image(folder: Path, properties: dict[str, Any], metadata: dict[str, Any]) -> AppCommand:
    context = folder / str(metadata.get("DockerContext", "."))
    entry_point, command = _of_dockerfile(context / str(metadata.get("Dockerfile", "Dockerfile")))
    config = properties.get("ImageConfig")
    if isinstance(config, dict):
        entry_point = _words(config.get("EntryPoint")) or entry_point
        command = _words(config.get("Command")) or command
    words = _without_adapter([*entry_point, *command])
    return AppCommand(words=words, directory=str(context) if words and context.is_dir() else None)


def _of_dockerfile(file: Path) -> tuple[list[str], list[str]]:
    """Return the words of ENTRYPOINT and CMD in the last stage of a Dockerfile; empty lists if it cannot be read."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return [], []
    entry_point: list[str] = []
    command: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        match word.upper():
            case "FROM":
                entry_point, command = [], []
            case "ENTRYPOINT":
                entry_point, command = _parse_instruction(rest), []
            case "CMD":
                command = _parse_instruction(rest)
    return entry_point, command


def _parse_instruction(text: str) -> list[str]:
    """Return the command in ``text``, which is in the exec form (a JSON list) or the shell form of a Dockerfile."""
    try:
        words = _words(json.loads(text))
    except json.JSONDecodeError:
        words = []
    return words or ["sh", "-c", text.strip()]


def _without_adapter(words: list[str]) -> list[str]:
    """Return the app's command: the words after ``adapter run --``, or all words if they do not begin with it."""
    if words and Path(words[0]).name == _ADAPTER and words[1:2] == ["run"]:
        words = words[2:]
        return words[1:] if words[:1] == ["--"] else words
    return words


def _of_package(folder: Path, properties: dict[str, Any]) -> AppCommand:
    """Return the command of a zip package: its handler script if AWS_LAMBDA_EXEC_WRAPPER is set, else no command."""
    handler, code = properties.get("Handler"), properties.get("CodeUri", properties.get("Code", "."))
    is_wrapped = "AWS_LAMBDA_EXEC_WRAPPER" in properties["Variables"]
    if not is_wrapped or not isinstance(handler, str) or not isinstance(code, str):
        return AppCommand()
    directory = folder / code
    script = directory / handler
    return AppCommand(words=[str(script.resolve())], directory=str(directory)) if script.is_file() else AppCommand()


def _words(value: Any) -> list[str]:
    is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return list(value) if is_list else []
