"""Templates as users have them, written after AWS's documentation, and the settings that they mean."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from adapter.config.load import read
from adapter.emulator.front_doors.door_settings import UrlSettings
from adapter.emulator.template.template import Template, load_template
from adapter.errors import ConfigurationError

TEMPLATES = Path(__file__).parent / "templates"
DEFAULTS = {"timeout": "3", "memory": "128", "invoke_mode": "buffered", "url_invoke_mode": "buffered"}


def loaded(name: str, function: str | None = None, command: list[str] | None = None) -> Template:
    return load_template(str(TEMPLATES / name), function, "us-east-1", command or [])


def options(template: Template) -> dict[str, str]:
    return {name: text for name, (text, _) in template.options.items()}


@pytest.mark.parametrize(
    ("name", "function", "expected"),
    [
        pytest.param(
            "sam_image_streaming_url.yaml",
            None,
            {
                "timeout": "300",
                "memory": "512",
                "url_invoke_mode": "RESPONSE_STREAM",
                "front_doors": "function-url",
                "dev_function_name": "FastAPIFunction",
            },
            id="image-with-streaming-url",
        ),
        pytest.param(
            "sam_zip_layer_rest_api.yaml",
            None,
            {"timeout": "10", "memory": "256", "front_doors": "rest-api", "dev_function_name": "FlaskFunction"},
            id="zip-with-layer-and-rest-api",
        ),
        pytest.param(
            "sam_http_api_and_queue.yaml",
            None,
            {"timeout": "15", "memory": "1769", "front_doors": "http-api", "dev_function_name": "shop-dev"},
            id="http-api-and-queue",
        ),
        pytest.param(
            "sam_iam_url_with_cors.yaml",
            None,
            {
                "front_doors": "function-url",
                "dev_function_name": "Private",
                "auth": "aws-iam",
                "cors": '{"function-url":{"AllowOrigins":["https://example.com"],"AllowMethods":["GET"]}}',
            },
            id="iam-and-cors",
        ),
        pytest.param(
            "sam_snapstart_provisioned.yaml",
            "Snap",
            {"snapstart": "true", "front_doors": "function-url", "dev_function_name": "Snap"},
            id="snapstart",
        ),
        pytest.param(
            "sam_snapstart_provisioned.yaml",
            "Warm",
            {"provisioned": "1", "front_doors": "function-url", "dev_function_name": "Warm"},
            id="provisioned-with-one-port",
        ),
        pytest.param(
            "sam_managed_instances.yaml",
            None,
            {
                "timeout": "900",
                "memory": "4096",
                "concurrency": "16",
                "url_invoke_mode": "RESPONSE_STREAM",
                "front_doors": "function-url",
                "dev_function_name": "Busy",
            },
            id="managed-instances",
        ),
        pytest.param(
            "cloudformation_load_balancer.yaml",
            None,
            {"timeout": "20", "front_doors": "alb-multi-value", "dev_function_name": "Web"},
            id="load-balancer",
        ),
        pytest.param(
            "cloudformation_lattice_url.yaml",
            None,
            {
                "memory": "2048",
                "url_invoke_mode": "RESPONSE_STREAM",
                "front_doors": "function-url,lattice",
                "dev_function_name": "Web",
            },
            id="url-and-lattice",
        ),
        pytest.param(
            "cdk_rest_api_stream.json",
            None,
            {
                "timeout": "60",
                "memory": "1024",
                "url_invoke_mode": "response_stream",
                "front_doors": "rest-api",
                "dev_function_name": "Handler886CB40B",
            },
            id="cdk-streaming-rest-api",
        ),
        pytest.param(
            "cdk_http_api.json",
            None,
            {"front_doors": "http-api", "dev_function_name": "WebBE81E5A3"},
            id="cdk-http-api",
        ),
    ],
)
def test_the_options_of_a_template(name: str, function: str | None, expected: dict[str, str]) -> None:
    template = loaded(name, function)
    assert options(template) == DEFAULTS | expected
    # All of them are valid.
    assert read({}, {}, template.options)[1] == []


def test_variables_have_the_texts_of_cloudformation_and_what_only_a_stack_knows_is_left_unset() -> None:
    template = loaded("sam_http_api_and_queue.yaml")
    assert template.variables == {"TABLE_NAME": "orders-dev", "HOSTS": "a.example,dev.example"}
    file = TEMPLATES / "sam_http_api_and_queue.yaml"
    variables = f"{file}, line {{}}: Resources.Api.Properties.Environment.Variables"
    assert template.notes == [
        f"{variables.format(23)}.TABLE: Orders is a resource, which can be resolved only in a deployed stack, "
        "so the value is left unset",
        f"{variables.format(26)}.PASSWORD: {{{{resolve:secretsmanager:shop:SecretString:password}}}} is a dynamic "
        "reference, which can be resolved only in a deployed stack, so the value is left unset",
        f"{file}, line 30: Resources.Api.Properties.Events.Jobs: SQS events are not simulated; send one with: "
        "adapter event KIND | adapter invoke -",
    ]
    assert loaded("sam_zip_layer_rest_api.yaml").variables == {"PORT": "8000", "DEBUG": "true", "_HANDLER": "run.sh"}


def test_what_is_not_simulated_is_named() -> None:
    assert loaded("sam_iam_url_with_cors.yaml").notes == []
    notes = "\n".join(loaded("sam_zip_layer_rest_api.yaml").notes)
    assert "Properties.Layers: layers are not simulated" in notes


_FUNCTION = "Type: AWS::Serverless::Function, Properties: {PackageType: Image, Events: {Web: {Type: HttpApi%s}}}"


@pytest.mark.parametrize(
    ("text", "cors"),
    [
        pytest.param(
            "Parameters: {Origin: {Type: String, Default: 'https://a.example'}}\n"
            "Resources: {Web: {"
            + _FUNCTION
            % ", Properties: {ApiId: !Ref Api}"
            + "}, Api: {Type: AWS::Serverless::HttpApi,"
            " Properties: {CorsConfiguration: {AllowOrigins: [!Ref Origin, !GetAtt X.Y], AllowCredentials: true,"
            " MaxAge: 300, ExposeHeaders: !Ref AWS::NoValue}}}}",
            {"http-api": {"AllowOrigins": ["https://a.example"], "AllowCredentials": True, "MaxAge": 300}},
            id="sam-api",
        ),
        pytest.param(
            "Globals: {HttpApi: {CorsConfiguration: true}}\nResources: {Web: {" + _FUNCTION % "" + "}}",
            {"http-api": {"AllowOrigins": ["*"]}},
            id="sam-implicit-api",
        ),
        pytest.param(
            "Resources: {Web: {Type: AWS::Lambda::Function}, Api: {Type: AWS::ApiGatewayV2::Api, Properties: "
            "{CorsConfiguration: {AllowMethods: [GET, OPTIONS]}}}, I: {Type: AWS::ApiGatewayV2::Integration, "
            "Properties: {ApiId: !Ref Api, IntegrationUri: !GetAtt Web.Arn}}}",
            {"http-api": {"AllowMethods": ["GET", "OPTIONS"]}},
            id="cloudformation-api",
        ),
        pytest.param(
            "Resources: {Web: {Type: AWS::Lambda::Function}, Api: {Type: AWS::ApiGatewayV2::Api, Properties: "
            "{Target: !GetAtt Web.Arn, CorsConfiguration: {AllowOrigins: ['*']}}}, Url: {Type: AWS::Lambda::Url, "
            "Properties: {TargetFunctionArn: !GetAtt Web.Arn, Cors: {AllowOrigins: ['https://b.example']}}}}",
            {"http-api": {"AllowOrigins": ["*"]}, "function-url": {"AllowOrigins": ["https://b.example"]}},
            id="each-front-door-its-own",
        ),
    ],
)
def test_the_cors_of_an_api_and_of_a_url(tmp_path: Path, text: str, cors: dict[str, object]) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(text)
    template = load_template(str(file), "Web", "us-east-1", [])
    assert json.loads(options(template)["cors"]) == cors
    config, mistakes = read({}, {}, template.options)
    assert (mistakes, set(UrlSettings(config).access.cors)) == ([], set(cors))


def test_a_cors_configuration_that_aws_refuses_is_a_mistake_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(
        "Resources:\n  Web:\n    Type: AWS::Serverless::Function\n    Properties:\n      FunctionUrlConfig:\n"
        "        AuthType: NONE\n        Cors:\n          AllowMethods: [OPTIONS]\n          MaxAge: soon\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        load_template(str(file), None, "us-east-1", [])
    place = f"--template: {file}, line 8: Resources.Web.Properties.FunctionUrlConfig.Cors"
    assert caught.value.mistakes == [
        f"{place}: AllowMethods: 'OPTIONS' is not a method that function-url accepts; use GET, PUT, HEAD, POST, PATCH, "
        "DELETE, *",
        f"{place}: MaxAge: 'soon' is not a number of seconds from 0 to 86400",
    ]


@pytest.mark.parametrize(
    ("shared", "own", "variables"),
    [
        ("{Variables: {A: 1, B: 1}}", "{Variables: {B: 2}}", {"A": "1", "B": "2"}),
        ("{Variables: {A: 1}}", "{}", {"A": "1"}),
        ("{}", "{Variables: {B: 2}}", {"B": "2"}),
        ("none", "{Variables: {B: 2}}", {"B": "2"}),
    ],
)
def test_a_function_has_the_variables_of_globals_and_its_own(
    tmp_path: Path, shared: str, own: str, variables: dict[str, str]
) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(
        f"Globals: {{Function: {{Environment: {shared}}}}}\nResources: {{Web: {{Type: AWS::Serverless::Function, "
        f"Properties: {{Environment: {own}}}}}}}\n"
    )
    assert load_template(str(file), None, "us-east-1", []).variables == variables


def test_cors_and_authorizers_of_a_rest_api_are_named(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(
        "Globals: {Api: {Cors: \"'*'\"}}\nResources: {Web: {Type: AWS::Serverless::Function, Properties: {PackageType: "
        "Image, Events: {E: {Type: Api, Properties: {Auth: {Authorizer: AWS_IAM}}}}}}}\n"
    )
    assert load_template(str(file), None, "us-east-1", []).notes == [
        f"{file}, line 1: Globals.Api.Cors: CORS of a REST API is not simulated, so preflight requests reach the app",
        f"{file}, line 2: Resources.Web.Properties.Events.E.Properties.Auth: authorizers are not simulated; "
        "set the authorizer's context with --authorizer-context",
    ]


def test_what_a_template_sets_for_a_front_door_that_a_flag_replaces_has_no_effect() -> None:
    template = loaded("sam_iam_url_with_cors.yaml")
    config, mistakes = read({}, {"front_doors": "alb", "log_format": "json"}, template.options)
    (door,) = UrlSettings(config).doors
    assert (mistakes, door.key, door.cors) == ([], None, None)


def test_the_command_given_is_used_and_may_have_several_ports() -> None:
    template = loaded("sam_snapstart_provisioned.yaml", "Warm", ["node", "server.js", "{port}"])
    assert template.command == ["node", "server.js", "{port}"]
    assert options(template)["provisioned"] == "3"


def test_the_command_of_an_image_is_that_of_its_configuration_or_its_dockerfile(tmp_path: Path) -> None:
    assert loaded("sam_image_streaming_url.yaml").command == ["uvicorn", "main:app", "--port", "8080"]
    shutil.copy(TEMPLATES / "sam_iam_url_with_cors.yaml", tmp_path)
    file = str(tmp_path / "sam_iam_url_with_cors.yaml")
    assert load_template(file, None, "us-east-1", []).command == []
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(
        'FROM a\nCMD ["other"]\nFROM b\nENTRYPOINT ["/opt/adapter/bin/adapter", "run", "--"]\nCMD ["x", "1"]'
    )
    found = load_template(file, None, "us-east-1", [])
    assert (found.command, options(found)["app_dir"]) == (["x", "1"], str(tmp_path))
    dockerfile.write_text("FROM b\nCMD python main.py \\\n  --fast\n")
    assert load_template(file, None, "us-east-1", []).command == ["sh", "-c", "python main.py    --fast"]


def test_the_command_of_a_package_with_a_layer_is_its_handler_script(tmp_path: Path) -> None:
    shutil.copy(TEMPLATES / "sam_zip_layer_rest_api.yaml", tmp_path)
    script = tmp_path / "package" / "run.sh"
    script.parent.mkdir()
    script.touch()
    found = load_template(str(tmp_path / "sam_zip_layer_rest_api.yaml"), None, "us-east-1", [])
    assert (found.command, options(found)["app_dir"]) == ([str(script)], str(script.parent))


@pytest.mark.parametrize(
    ("text", "function", "mistake"),
    [
        ("a: [", None, "cannot be read as YAML or JSON: while parsing a flow node"),
        ("- 1", None, "it is not a map with Resources"),
        ("", None, "it is not a map with Resources"),
        ("a: 1\na: 2", None, "line 2: the key 'a' occurs twice"),
        ("? [a]\n: 1", None, "line 1: a key is not a string"),
        ("Resources: {}", None, "contains no Lambda function"),
        ("Resources: 5", None, "contains no Lambda function"),
        ("Resources: {A: {Type: AWS::Lambda::Function}, B: {Type: AWS::Lambda::Function}}", None, "the functions A, B"),
        ("Resources: {Web: {Type: AWS::Lambda::Function}}", "Wep", "did you mean Web?"),
        (
            "Resources: {Web: {Type: AWS::Lambda::Function, Properties: {Timeout: [1]}}}",
            None,
            "line 1: Resources.Web.Properties.Timeout: is neither a string nor a number",
        ),
        (
            "Resources: {Web: {Type: AWS::Lambda::Function, Properties: {Environment: 1}}}",
            None,
            "Resources.Web.Properties.Environment: is not a map",
        ),
        ("a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n" + "".join(
            f"c{i}: &c{i} [{','.join([f'*{previous}'] * 10)}]\n"
            for i, previous in enumerate(["b", "c0", "c1", "c2", "c3"])
        ), None, "the template has more than 100000 values"),
        ("a: &a [*a]", None, "levels"),
        ("a: " + "[" * 200 + "]" * 200, None, "levels"),
        ("a: !!python/object/apply:os.system ['true']", None, "contains no Lambda function"),
    ],
)  # fmt: skip
def test_a_bad_template_is_refused_with_its_place(
    tmp_path: Path, text: str, function: str | None, mistake: str
) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_template(str(file), function, "us-east-1", [])
    assert mistake in str(caught.value)


def test_every_mistake_is_reported_at_once(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(
        "Resources: {A: {Type: AWS::Lambda::Function, Properties: {Timeout: [], Environment: 1, Events: {E: 1}}}}"
    )
    with pytest.raises(ConfigurationError) as caught:
        load_template(str(file), None, "us-east-1", [])
    assert len(caught.value.mistakes) == 3


def test_without_the_extra_its_installation_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    # As if it were not installed.
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'web-adapter\[template\]'"):
        loaded("cdk_http_api.json")


def test_a_template_that_is_absent_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        load_template(str(tmp_path / "none.yaml"), None, "us-east-1", [])
    (tmp_path / "large.yaml").write_text("#" * 1024 * 1024 + "#")
    with pytest.raises(ConfigurationError, match="has more than 1048576 bytes"):
        load_template(str(tmp_path / "large.yaml"), None, "us-east-1", [])


def test_a_value_that_an_option_refuses_is_reported_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("Resources:\n  A:\n    Type: AWS::Lambda::Function\n    Properties:\n      MemorySize: 64\n")
    template = load_template(str(file), None, "us-east-1", [])
    _, mistakes = read({}, {}, template.options)
    assert mistakes == [
        f"--template: {file}, line 5: Resources.A.Properties.MemorySize: '64' is not possible: "
        "Lambda gives a function 128 to 10240 MB; use a whole number in this range"
    ]
