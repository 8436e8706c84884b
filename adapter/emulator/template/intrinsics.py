"""Resolves CloudFormation's intrinsic functions, if their results depend on nothing but the template.

Parameters have their default values. A value that exists only in a deployed stack (attributes of resources, exports,
secrets) raises ``Unresolved`` with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from adapter.aws.identity import ACCOUNT_ID

_STACK_NAME = "local"
# The placeholders that ``Fn::Sub`` replaces. ``${!name}`` stands for the text ``${name}``.
_SUBSTITUTE = re.compile(r"\$\{(!?)([^}]*)\}")


class Unresolved(Exception):
    """The template alone does not determine a value. The message is the reason."""


class _NoValue:
    """The value of ``AWS::NoValue``. A property with this value counts as absent."""


NO_VALUE = _NoValue()


class Intrinsics:
    """Resolves the intrinsic functions of a template. ``region`` is the value of ``AWS::Region``."""

    def __init__(self, template: dict[str, Any], region: str) -> None:
        self._parameters = _map(template.get("Parameters"))
        self._mappings = _map(template.get("Mappings"))
        self._conditions = _map(template.get("Conditions"))
        self._pending: set[str] = set()
        self._pseudo: dict[str, Any] = {
            "AWS::Region": region,
            "AWS::AccountId": ACCOUNT_ID,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": _STACK_NAME,
            "AWS::StackId": f"arn:aws:cloudformation:{region}:{ACCOUNT_ID}:stack/{_STACK_NAME}/local",
            "AWS::NoValue": NO_VALUE,
        }
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Condition": self._condition,
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::FindInMap": self._find_in_map,
            "Fn::If": self._if,
            "Fn::Equals": self._equals,
            "Fn::And": lambda values: _flag(all(_is_true(self.resolve(each)) for each in values)),
            "Fn::Or": lambda values: _flag(any(_is_true(self.resolve(each)) for each in values)),
            "Fn::Not": lambda values: _flag(not _is_true(self.resolve(values[0]))),
        }

    def resolve(self, value: Any) -> Any:
        """If ``value`` is an intrinsic function, return its result, else ``value`` unchanged.

        Functions inside a plain map or list are not resolved. Raises Unresolved if the template alone does not
        determine the result.
        """
        name = function_name(value)
        if name is None:
            if isinstance(value, str) and "{{resolve:" in value:
                raise Unresolved(f"{value} is a dynamic reference, which can be resolved only in a deployed stack")
            return value
        function = self._functions.get(name)
        if function is None:
            raise Unresolved(f"{name} can be resolved only in a deployed stack")
        try:
            return function(value[name])
        except (TypeError, ValueError, IndexError, KeyError, AttributeError, RecursionError) as error:
            raise Unresolved(f"{name} is malformed") from error

    def _text(self, value: Any) -> str:
        resolved = self.resolve(value)
        if not isinstance(resolved, str):
            raise Unresolved("a part of the value is not a string")
        return resolved

    def _list(self, value: Any) -> list[Any]:
        resolved = self.resolve(value)
        if not isinstance(resolved, list):
            raise Unresolved("a part of the value is not a list")
        return resolved

    def _ref(self, name: str) -> Any:
        if name in self._pseudo:
            return self._pseudo[name]
        if name not in self._parameters:
            raise Unresolved(f"{name} is a resource, which can be resolved only in a deployed stack")
        parameter = _map(self._parameters[name])
        default = parameter.get("Default")
        kind = str(parameter.get("Type", "String"))
        if default is None:
            raise Unresolved(f"the parameter {name} has no default")
        if kind.startswith("AWS::SSM::"):
            raise Unresolved(f"the parameter {name} is in Systems Manager; its value is known only in a deployed stack")
        if kind == "CommaDelimitedList" or kind.startswith("List<"):
            return [each.strip() for each in str(default).split(",")]
        return self.resolve(default)

    def _sub(self, argument: Any) -> str:
        text, names = (argument, {}) if isinstance(argument, str) else argument

        def replace(found: re.Match[str]) -> str:
            is_literal, name = found[1], found[2].strip()
            if is_literal:
                return f"${{{found[2]}}}"
            if name in names:
                return self._text(names[name])
            if "." in name:
                raise Unresolved(f"${{{name}}} can be resolved only in a deployed stack")
            return self._text({"Ref": name})

        return self._text(_SUBSTITUTE.sub(replace, text))

    def _join(self, argument: Any) -> str:
        separator, values = argument
        return str(separator).join([self._text(each) for each in self._list(values)])

    def _select(self, argument: Any) -> Any:
        index, values = argument
        return self.resolve(self._list(values)[int(self._text(index))])

    def _split(self, argument: Any) -> list[str]:
        separator, text = argument
        return self._text(text).split(separator)

    def _find_in_map(self, argument: Any) -> Any:
        name, first, second = [self._text(each) for each in argument[:3]]
        return self._mappings[name][first][second]

    def _if(self, argument: Any) -> Any:
        condition, yes, no = argument
        return self.resolve(yes if _is_true(self._condition(condition)) else no)

    def _equals(self, argument: Any) -> str:
        one, other = argument
        return _flag(self.resolve(one) == self.resolve(other))

    def _condition(self, name: str) -> Any:
        if name in self._pending:
            raise Unresolved(f"the condition {name} depends on itself")
        self._pending.add(name)
        try:
            return self.resolve(self._conditions[name])
        finally:
            self._pending.discard(name)


def function_name(value: Any) -> str | None:
    """If ``value`` is an intrinsic function, return the name of the function, else None."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    name = next(iter(value))
    return name if name in ("Ref", "Condition") or name.startswith("Fn::") else None


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _is_true(value: Any) -> bool:
    if value not in ("true", "false"):
        raise Unresolved("a condition is neither true nor false")
    return bool(value == "true")
