"""The settings that ``adapter dev --template`` reads from a template: options, variables and the app's command.

Function URLs and APIs in the template become front doors. Notes for the user name the properties that the emulator does
not simulate, and the values that exist only in a deployed stack. These values are left unset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from adapter.aws.limits import DEFAULT_FUNCTION_MEMORY, DEFAULT_FUNCTION_TIMEOUT
from adapter.config.parsers import nearest
from adapter.emulator.access.access_settings import AWS_IAM
from adapter.emulator.access.cors import read_cors
from adapter.emulator.template.app_command import app_command
from adapter.emulator.template.cors_property import cors_fields
from adapter.emulator.template.document import Document, Path_, read_document
from adapter.emulator.template.intrinsics import NO_VALUE, Intrinsics, Unresolved, function_name
from adapter.errors import ConfigurationError

_FUNCTION_TYPES = ("AWS::Serverless::Function", "AWS::Lambda::Function")
# SAM's event types → the front doors for them.
_EVENT_DOORS = {"Api": "rest-api", "HttpApi": "http-api"}
# Properties that have no effect in the emulator → their names in the note for the user.
_NOT_SIMULATED = {
    "Layers": "layers",
    "FileSystemConfigs": "file systems",
    "DurableConfig": "durable functions",
    "ReservedConcurrentExecutions": "reserved concurrency limits (set a limit with --environments)",
}


@dataclass(slots=True, kw_only=True)
class Template:
    """The settings in a template.

    - ``options`` maps the name of each option to the option's value, as text, and the value's place in the file.
    - ``variables`` are the Lambda function's environment variables.
    - ``command`` is the command that starts the app. It is empty if no command is known.
    - ``notes`` are lines for the user.
    """

    options: dict[str, tuple[str, str]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def load_template(file: str, function: str | None, region: str, command: list[str]) -> Template:
    """Return the settings of one Lambda function in the template ``file``.

    ``function`` is the logical id or the name of the Lambda function, or None if the template contains only one. A
    ``command`` that is not empty replaces the command in the template. Raises ConfigurationError, with all mistakes, if
    the template or ``function`` is not valid.
    """
    document = read_document(file)
    return _Reader(document, Intrinsics(document.content, region), command).read(function)


class _Reader:
    def __init__(self, document: Document, intrinsics: Intrinsics, command: list[str]) -> None:
        self._document = document
        self._intrinsics = intrinsics
        self._template = Template(command=command)
        self._mistakes: list[str] = []
        self._cors: dict[str, Any] = {}
        resources = document.content.get("Resources")
        self._resources: dict[str, Any] = resources if isinstance(resources, dict) else {}

    def read(self, function: str | None) -> Template:
        name = self._choose(function)
        path: Path_ = ("Resources", name, "Properties")
        own = self._resources[name].get("Properties")
        properties = self._with_globals(own if isinstance(own, dict) else {})
        self._read_limits(path, properties)
        self._read_variables(path, properties)
        self._read_command(path, properties, self._resources[name].get("Metadata"))
        self._read_concurrency(path, properties)
        doors = [*self._doors_of_function(path, properties), *self._doors_of_resources(name)]
        if doors:
            self._set("front_doors", ",".join(dict.fromkeys(doors)), path)
        else:
            self._note(path, "the function has no URL and no API, so adapter dev adds a function URL")
        self._set("dev_function_name", self._text((*path, "FunctionName"), properties) or name, path)
        # On Lambda, the adapter buffers responses unless AWS_LWA_INVOKE_MODE is set. It also overrides this option.
        self._set("invoke_mode", "buffered", path)
        if "url_invoke_mode" not in self._template.options:
            self._set("url_invoke_mode", "buffered", path)
        for key, words in _NOT_SIMULATED.items():
            if key in properties:
                self._note((*path, key), f"{words} are not simulated")
        if self._mistakes:
            raise ConfigurationError(self._mistakes)
        return self._template

    # --- the function ------------------------------------------------------------------------------------------------

    def _choose(self, function: str | None) -> str:
        """Return the logical id of the Lambda function with the logical id or name ``function``.

        If ``function`` is None, return the id of the only Lambda function. Raises ConfigurationError if there is no
        such function, or if ``function`` is None and there are several.
        """
        found = [name for name, each in self._resources.items() if _type(each) in _FUNCTION_TYPES]
        if not found:
            raise ConfigurationError([f"--template: {self._document.file!r} contains no Lambda function"])
        if function is None:
            if len(found) == 1:
                return found[0]
            raise ConfigurationError(
                [f"--template-function: is missing; {self._document.file!r} contains the functions {', '.join(found)}"]
            )
        for name in found:
            properties = self._resources[name].get("Properties")
            if function == name or (isinstance(properties, dict) and properties.get("FunctionName") == function):
                return name
        hint = nearest(function, found) or f"; the functions are {', '.join(found)}"
        raise ConfigurationError(
            [f"--template-function: {function!r} is not a function in {self._document.file!r}{hint}"]
        )

    def _with_globals(self, properties: dict[str, Any]) -> dict[str, Any]:
        """Return the Lambda function's own ``properties``, together with the properties in SAM's Globals.

        If a property is in both, the function's own value is returned.
        """
        shared = self._document.content.get("Globals")
        function = shared.get("Function") if isinstance(shared, dict) else None
        if not isinstance(function, dict):
            return properties
        merged = {**function, **properties}
        for key in ("Environment", "FunctionUrlConfig"):
            if isinstance(function.get(key), dict) and isinstance(properties.get(key), dict):
                merged[key] = {**function[key], **properties[key]}
                both = [each[key].get("Variables") for each in (function, properties)]
                if all(isinstance(each, dict) for each in both):
                    merged[key]["Variables"] = {**both[0], **both[1]}
        return merged

    def _read_limits(self, path: Path_, properties: dict[str, Any]) -> None:
        for option, key, default in (
            ("timeout", "Timeout", f"{DEFAULT_FUNCTION_TIMEOUT:g}"),
            ("memory", "MemorySize", f"{DEFAULT_FUNCTION_MEMORY}"),
        ):
            self._set(option, self._text((*path, key), properties) or default, (*path, key))

    def _read_variables(self, path: Path_, properties: dict[str, Any]) -> None:
        variables = self._map((*path, "Environment"), properties).get("Variables", {})
        if function_name(variables) or not isinstance(variables, dict):
            self._mistake((*path, "Environment", "Variables"), "is not a map of variables")
            return
        for name in variables:
            text = self._text((*path, "Environment", "Variables", name), variables)
            if text is not None:
                self._template.variables[name] = text

    def _read_command(self, path: Path_, properties: dict[str, Any], metadata: Any) -> None:
        found = app_command(self._document, self._plain(properties), metadata)
        # Lambda's own runtimes start this wrapper script. The emulator does not contain these runtimes.
        self._template.variables.pop("AWS_LAMBDA_EXEC_WRAPPER", None)
        if handler := self._text((*path, "Handler"), properties):
            self._template.variables["_HANDLER"] = handler
        if not self._template.command:
            self._template.command = found.words
            if found.directory is not None:
                self._set("app_dir", found.directory, path)

    def _read_concurrency(self, path: Path_, properties: dict[str, Any]) -> None:
        provisioned = self._map((*path, "ProvisionedConcurrencyConfig"), properties)
        key = "ProvisionedConcurrentExecutions"
        place: Path_ = (*path, "ProvisionedConcurrencyConfig", key)
        if text := self._text(place, provisioned):
            if not any("{port}" in word for word in self._template.command):
                self._note(place, "only one environment is started, because the app's command does not contain {port}")
                text = "1"
            self._set("provisioned", text, place)
        snapstart = self._map((*path, "SnapStart"), properties)
        if self._text((*path, "SnapStart", "ApplyOn"), snapstart) == "PublishedVersions":
            self._set("snapstart", "true", (*path, "SnapStart"))
        provider = self._map((*path, "CapacityProviderConfig"), properties)
        instances = self._map(
            (*path, "CapacityProviderConfig", "LambdaManagedInstancesCapacityProviderConfig"), provider
        )
        key = "PerExecutionEnvironmentMaxConcurrency"
        place = (*path, "CapacityProviderConfig", "LambdaManagedInstancesCapacityProviderConfig", key)
        if text := self._text(place, instances or provider):
            self._set("concurrency", text, place)

    # --- front doors -------------------------------------------------------------------------------------------------

    def _doors_of_function(self, path: Path_, properties: dict[str, Any]) -> Iterator[str]:
        """Yield the names of the front doors that the SAM properties of the Lambda function describe."""
        if url := self._map((*path, "FunctionUrlConfig"), properties):
            self._read_url((*path, "FunctionUrlConfig"), url)
            yield "function-url"
        events = self._map((*path, "Events"), properties)
        for name, event in events.items():
            place = (*path, "Events", name)
            kind = _type(event)
            if kind in _EVENT_DOORS:
                own = self._map((*place, "Properties"), event)
                self._read_api((*place, "Properties"), own)
                read = self._read_http_api if kind == "HttpApi" else self._read_rest_api
                read((*place, "Properties"), own)
                yield _EVENT_DOORS[kind]
            elif kind:
                self._note(
                    place, f"{kind} events are not simulated; send one with: adapter event KIND | adapter invoke -"
                )
            else:
                self._mistake(place, "has no Type, which every event needs")

    def _read_url(self, path: Path_, url: dict[str, Any]) -> None:
        mode = self._text((*path, "InvokeMode"), url) or "buffered"
        self._set("url_invoke_mode", mode, (*path, "InvokeMode"))
        if self._text((*path, "AuthType"), url) == "AWS_IAM":
            self._set("auth", AWS_IAM, (*path, "AuthType"))
        self._read_cors("function-url", (*path, "Cors"), url)

    def _read_http_api(self, path: Path_, properties: dict[str, Any]) -> None:
        """Read the CORS configuration of the function's HTTP API. Add a note about an authorizer.

        The configuration is in the API that ``properties`` refer to, or else in SAM's Globals.
        """
        for place, api in self._api_settings(properties.get("ApiId"), "HttpApi"):
            if "CorsConfiguration" in api:
                self._read_cors("http-api", (*place, "CorsConfiguration"), api)
                break
        self._note_authorizer(path, properties)

    def _read_rest_api(self, path: Path_, properties: dict[str, Any]) -> None:
        """Add notes about settings of the function's REST API that are not simulated.

        The settings are in the API that ``properties`` refer to, or else in SAM's Globals.
        """
        for place, api in self._api_settings(properties.get("RestApiId"), "Api"):
            if "Cors" in api:
                self._note((*place, "Cors"), "CORS of a REST API is not simulated, so preflight requests reach the app")
                break
        self._note_authorizer(path, properties)

    def _note_authorizer(self, path: Path_, properties: dict[str, Any]) -> None:
        if "Auth" in properties:
            self._note(
                (*path, "Auth"), "authorizers are not simulated; set the authorizer's context with --authorizer-context"
            )

    def _api_settings(self, reference: Any, kind: str) -> Iterator[tuple[Path_, dict[str, Any]]]:
        """Yield the settings of the API that ``reference`` names, then those in Globals for all APIs of ``kind``."""
        name = reference.get("Ref") if isinstance(reference, dict) else None
        resource = self._resources.get(name) if isinstance(name, str) else None
        shared = self._document.content.get("Globals")
        candidates = (
            (("Resources", str(name), "Properties"), resource, "Properties"),
            (("Globals", kind), shared, kind),
        )
        for place, parent, key in candidates:
            found = parent.get(key) if isinstance(parent, dict) else None
            if isinstance(found, dict):
                yield place, found

    def _read_cors(self, door: str, path: Path_, properties: dict[str, Any]) -> None:
        """Read the CORS configuration of the front door ``door`` from the property that ``path`` ends with."""
        fields = cors_fields(properties.get(path[-1]), path, self._intrinsics, self._note)
        if fields is None:
            return
        text = orjson.dumps({door: fields}).decode()
        try:
            read_cors(text, f"--template: {self._document.place(path)}", [door])
        except ConfigurationError as error:
            self._mistakes += error.mistakes
            return
        self._cors[door] = fields
        self._set("cors", orjson.dumps(self._cors).decode(), path)

    def _read_api(self, path: Path_, event: dict[str, Any]) -> None:
        if self._text((*path, "ResponseTransferMode"), event) == "STREAM":
            self._set("url_invoke_mode", "response_stream", path)

    def _doors_of_resources(self, function: str) -> Iterator[str]:
        """Yield the names of the front doors for the CloudFormation resources that refer to the Lambda function."""
        for name, resource in self._resources.items():
            properties = resource.get("Properties") if isinstance(resource, dict) else None
            if not isinstance(properties, dict) or not _refers_to(properties, function):
                continue
            path: Path_ = ("Resources", name, "Properties")
            match _type(resource):
                case "AWS::Lambda::Url":
                    self._read_url(path, properties)
                    yield "function-url"
                case "AWS::ApiGatewayV2::Integration":
                    self._read_http_api(path, properties)
                    yield "http-api"
                case "AWS::ApiGatewayV2::Api":
                    self._read_cors("http-api", (*path, "CorsConfiguration"), properties)
                    yield "http-api"
                case "AWS::ApiGateway::Method" | "AWS::ApiGateway::RestApi":
                    self._read_api(path, self._map((*path, "Integration"), properties))
                    yield "rest-api"
                case "AWS::ElasticLoadBalancingV2::TargetGroup":
                    yield "alb-multi-value" if _has_multi_value(properties) else "alb"
                case "AWS::VpcLattice::TargetGroup":
                    config = self._map((*path, "Config"), properties)
                    is_v1 = self._text((*path, "Config", "LambdaEventStructureVersion"), config) == "V1"
                    yield "lattice-v1" if is_v1 else "lattice"

    # --- values ------------------------------------------------------------------------------------------------------

    def _plain(self, properties: dict[str, Any]) -> dict[str, Any]:
        """Return the resolved properties that determine the app's command, together with the environment variables.

        A property that cannot be resolved is left out.
        """
        found = {}
        for key in ("PackageType", "ImageConfig", "ImageUri", "Handler", "CodeUri", "Code"):
            try:
                value = self._intrinsics.resolve(properties.get(key))
            except Unresolved:
                continue
            if value is not None and value is not NO_VALUE:
                found[key] = value
        found["Variables"] = self._template.variables
        return found

    def _text(self, path: Path_, properties: dict[str, Any]) -> str | None:
        """Return the value of the property that ``path`` ends with, as a string.

        Return None if the property is absent, cannot be resolved, or has a value of another type, which is a mistake.
        """
        value = properties.get(path[-1])
        try:
            value = self._intrinsics.resolve(value)
        except Unresolved as reason:
            self._note(path, f"{reason}, so the value is left unset")
            return None
        if value is None or value is NO_VALUE:
            return None
        if not isinstance(value, str):
            self._mistake(path, "is neither a string nor a number")
            return None
        return value

    def _map(self, path: Path_, properties: dict[str, Any]) -> dict[str, Any]:
        """Return the value of the property that ``path`` ends with, which must be a map.

        Return an empty map if the property is absent, cannot be resolved, or has a value of another type.
        """
        value = properties.get(path[-1])
        try:
            value = self._intrinsics.resolve(value)
        except Unresolved as reason:
            self._note(path, f"{reason}, so the value is left unset")
            return {}
        if value is None or value is NO_VALUE:
            return {}
        if not isinstance(value, dict):
            self._mistake(path, "is not a map")
            return {}
        return value

    def _set(self, option: str, text: str, path: Path_) -> None:
        self._template.options[option] = (text, f"--template: {self._document.place(path)}")

    def _note(self, path: Path_, text: str) -> None:
        self._template.notes.append(f"{self._document.place(path)}: {text}")

    def _mistake(self, path: Path_, text: str) -> None:
        self._mistakes.append(f"--template: {self._document.place(path)}: {text}")


def _type(resource: Any) -> str:
    return str(resource.get("Type", "")) if isinstance(resource, dict) else ""


def _refers_to(value: Any, function: str) -> bool:
    """Return whether ``value`` refers to the Lambda function with the logical id ``function``, for example by Ref."""
    if isinstance(value, list):
        return any(_refers_to(each, function) for each in value)
    if not isinstance(value, dict):
        return False
    if value.get("Ref") == function:
        return True
    attribute = value.get("Fn::GetAtt")
    if isinstance(attribute, list) and attribute[:1] == [function]:
        return True
    text = value.get("Fn::Sub")
    if isinstance(text, list):
        text = text[0] if text else None
    if isinstance(text, str) and (f"${{{function}}}" in text or f"${{{function}." in text):
        return True
    return any(_refers_to(each, function) for each in value.values())


def _has_multi_value(properties: dict[str, Any]) -> bool:
    attributes = properties.get("TargetGroupAttributes")
    wanted = {"Key": "lambda.multi_value_headers.enabled", "Value": "true"}
    return isinstance(attributes, list) and wanted in attributes
