"""Reads a template file, YAML or JSON, into plain maps, lists and strings.

Scalars become strings, because option values are strings: ``30`` becomes "30", and a YAML ``yes`` becomes "true". A
null becomes None. ``!Ref x`` becomes ``{"Ref": "x"}``, and ``!Sub x`` becomes ``{"Fn::Sub": "x"}``, as in JSON.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter.aws.limits import MIB
from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    import yaml

# CloudFormation accepts templates up to 1 MB (CloudFormation, "Quotas").
_MAX_BYTES = MIB
# Limits of a template: a few YAML aliases could expand to billions of values, and deep nesting could exhaust the stack.
_MAX_VALUES = 100_000
_MAX_DEPTH = 100

#: The path of a value in the template: its keys, and the indexes of lists.
Path_ = tuple[str, ...]


class Document:
    """A template: its content, and the line of each value, counted from 1."""

    def __init__(self, file: str, content: Any, lines: dict[Path_, int]) -> None:
        self.file = file
        self.content = content
        self._lines = lines

    def place(self, path: Path_) -> str:
        """Return the place of the value at ``path``, for messages: the file, the line and the keys."""
        while path and path not in self._lines:
            path = path[:-1]
        return f"{self.file}, line {self._lines.get(path, 1)}: {'.'.join(path) or 'the template'}"


def read_document(file: str) -> Document:
    """Read the template ``file``. Raises ConfigurationError if it cannot be read or is not a map."""
    try:
        import yaml  # an extra
    except ImportError as error:
        raise ConfigurationError(
            ["--template: needs PyYAML; install it with: pip install 'web-adapter[template]'"]
        ) from error
    try:
        with Path(file).open("rb") as stream:
            text = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError([f"--template: {file!r} cannot be read: {error.strerror}"]) from error
    if len(text) > _MAX_BYTES:
        raise ConfigurationError([f"--template: {file!r} has more than {_MAX_BYTES} bytes, CloudFormation's limit"])
    try:
        # Tabs are legal in JSON, but not in YAML's indentation.
        root = yaml.compose(text.replace(b"\t", b" ") if text.lstrip()[:1] == b"{" else text, Loader=yaml.SafeLoader)
        reader = _Reader()
        content = reader.read(root, ()) if root is not None else None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            [f"--template: {file!r} cannot be read as YAML or JSON: {_one_line(error)}"]
        ) from error
    if not isinstance(content, dict):
        raise ConfigurationError([f"--template: {file!r} is not a template: it is not a map with Resources"])
    return Document(file, content, reader.lines)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class _Reader:
    """Converts YAML nodes to plain values, and records the line of each value."""

    def __init__(self) -> None:
        self.lines: dict[Path_, int] = {}
        self._values = 0

    def read(self, node: yaml.Node, path: Path_) -> Any:
        """Return the value of ``node``. Raises ValueError if the template is too large, too deep or malformed."""
        import yaml

        self._values += 1
        if self._values > _MAX_VALUES or len(path) > _MAX_DEPTH:
            raise ValueError(f"the template has more than {_MAX_VALUES} values or {_MAX_DEPTH} levels")
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        value: Any
        if isinstance(node, yaml.MappingNode):
            value = {}
            for key_node, value_node in node.value:
                key = key_node.value
                if not isinstance(key, str):
                    raise ValueError(f"line {key_node.start_mark.line + 1}: a key is not a string")
                if key in value:
                    raise ValueError(f"line {key_node.start_mark.line + 1}: the key {key!r} occurs twice")
                value[key] = self.read(value_node, (*path, key))
        elif isinstance(node, yaml.SequenceNode):
            value = [self.read(each, (*path, str(index))) for index, each in enumerate(node.value)]
        else:
            value = _scalar(node.tag, node.value)
        return _expand_tag(node.tag, value)


def _scalar(tag: str, text: str) -> str | None:
    if tag == "tag:yaml.org,2002:null":
        return None
    if tag == "tag:yaml.org,2002:bool":
        return "true" if text.lower() in ("true", "yes", "on") else "false"
    return text


def _expand_tag(tag: str, value: Any) -> Any:
    """If ``tag`` is the short form of an intrinsic function, return the long form with ``value``, else ``value``."""
    if not tag.startswith("!") or tag == "!":
        return value
    name = tag[1:]
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}
