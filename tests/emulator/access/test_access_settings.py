"""The options of access: valid values, and every kind of mistake in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapter.config.load import load
from adapter.emulator.access.access_settings import AccessSettings, access_settings
from adapter.emulator.access.key_pair import make_key_pair
from adapter.emulator.front_doors.door_settings import UrlSettings
from adapter.errors import ConfigurationError

ALL = ["function-url", "http-api", "rest-api", "alb"]


def settings(doors: list[str] = ALL, **flags: str) -> AccessSettings:
    return access_settings(load({}, flags), doors)


def mistakes(doors: list[str] = ALL, **flags: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        settings(doors, **flags)
    return caught.value.mistakes


def test_by_default_every_request_is_accepted_and_nothing_is_added() -> None:
    assert settings() == AccessSettings(key=None, cors={}, authorizers={})


def test_each_start_makes_a_new_key_pair_of_awss_form_which_repr_does_not_show() -> None:
    first, second = settings(auth="aws-iam").key, settings(auth="aws-iam").key
    assert first is not None
    assert second is not None
    assert first.access_key_id.startswith("AKIALOCAL")
    assert (len(first.access_key_id), len(first.secret_access_key)) == (20, 40)
    assert first.access_key_id != second.access_key_id
    assert first.secret_access_key != second.secret_access_key
    assert first.secret_access_key not in repr(first)


def test_keys_of_the_shell_and_of_the_home_folder_are_never_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = AKIAHOME\naws_secret_access_key = h\n"
    )
    environ = {"AWS_ACCESS_KEY_ID": "AKIASHELL", "AWS_SECRET_ACCESS_KEY": "s", "HOME": str(tmp_path)}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    key = access_settings(load(environ, {"auth": "aws-iam"}), ALL).key
    assert key is not None
    assert key.access_key_id.startswith("AKIALOCAL")


def test_a_key_file_has_the_json_of_a_credential_process(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    pair = make_key_pair()
    content = {"Version": 1, "AccessKeyId": pair.access_key_id, "SecretAccessKey": pair.secret_access_key}
    file.write_text(json.dumps(content))
    key = settings(auth="aws-iam", auth_key_file=str(file)).key
    assert key is not None
    assert (key.access_key_id, key.secret_access_key) == (pair.access_key_id, pair.secret_access_key)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"AccessKeyId": "a", "SecretAccessKey": "hidden"', "is not JSON: unexpected end of data at character 48"),
        ('["hidden"]', "is not a JSON object"),
        ('{"AccessKeyId": "hidden"}', "must contain AccessKeyId and SecretAccessKey as strings"),
        ('{"AccessKeyId": "hidden", "SecretAccessKey": 1}', "must contain AccessKeyId and SecretAccessKey as strings"),
        (
            '{"AccessKeyId": "a", "SecretAccessKey": "hidden", "SessionToken": "t"}',
            "has a SessionToken, so its key pair seems to belong to a real account; make a key pair that only the "
            "emulator uses",
        ),
        ('"' + "hidden" * 11000 + '"', "has more than 65536 bytes, the maximum"),
    ],
)
def test_a_bad_key_file_is_refused_without_a_word_of_its_content(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "key.json"
    file.write_text(content)
    assert mistakes(auth="aws-iam", auth_key_file=str(file)) == [f"--auth-key-file: {str(file)!r} {message}"]


def test_options_without_effect_and_files_that_are_absent_are_mistakes() -> None:
    assert mistakes(["alb"], auth="aws-iam", cors='{"AllowOrigins": ["*"]}', authorizer_context="none.json") == [
        "--auth: 'aws-iam' has no effect without a function URL; add --front-door function-url",
        "--cors: has no effect, since none of the front doors is function-url or http-api",
        "--authorizer-context: has no effect, since none of the front doors is http-api or rest-api",
        "--authorizer-context: 'none.json' cannot be read: No such file or directory; name a file with a JSON object",
    ]
    assert mistakes(auth_key_file="none.json") == ["--auth-key-file: has no effect without --auth aws-iam"]
    assert mistakes(auth="aws-iam", log_format="json") == [
        "--auth: 'aws-iam' with a JSON log needs --auth-key-file, because a JSON log does not show a generated key pair"
    ]


def test_an_authorizers_context_is_for_all_apis_or_for_each_its_own(tmp_path: Path) -> None:
    file = tmp_path / "context.json"
    file.write_text('{"jwt": {"claims": {"sub": "1"}}}')
    jwt = {"jwt": {"claims": {"sub": "1"}}}
    assert settings(authorizer_context=str(file)).authorizers == {"http-api": jwt, "rest-api": jwt}
    file.write_text('{"http-api": {"lambda": {"a": 1}}, "rest-api": {"principalId": "p"}}')
    own = {"http-api": {"lambda": {"a": 1}}, "rest-api": {"principalId": "p"}}
    assert settings(authorizer_context=str(file)).authorizers == own
    file.write_text('{"http-api": 1}')
    assert mistakes(authorizer_context=str(file)) == [
        "--authorizer-context: the value of 'http-api' is not a JSON object"
    ]


def test_a_cors_configuration_is_json_or_a_file_and_for_all_or_for_each_its_own(tmp_path: Path) -> None:
    file = tmp_path / "cors.json"
    file.write_text('{"allowOrigins": ["https://a.example"], "maxAge": 5}')
    cors = settings(cors=str(file)).cors
    assert {door: (each.origins, each.max_age) for door, each in cors.items()} == {
        "function-url": (("https://a.example",), 5),
        "http-api": (("https://a.example",), 5),
    }
    own = settings(cors='{"http-api": {"AllowMethods": ["OPTIONS"]}}').cors
    assert {door: each.methods for door, each in own.items()} == {"http-api": ("OPTIONS",)}


@pytest.mark.parametrize(
    ("doors", "cors", "problems"),
    [
        pytest.param(
            ["function-url"],
            {"AllowMethods": ["OPTIONS", "get"]},
            [
                "AllowMethods: 'OPTIONS' is not a method that function-url accepts; use GET, PUT, HEAD, POST, PATCH, "
                "DELETE, *",
                "AllowMethods: 'get' is not a method that function-url accepts; use GET, PUT, HEAD, POST, PATCH, "
                "DELETE, *",
            ],
            id="a-function-url-has-no-options",
        ),
        pytest.param(
            ["http-api"],
            {"AllowCredentials": True, "AllowOrigins": ["*"], "MaxAge": -1},
            ["AllowCredentials: is not possible with the origin * in an HTTP API; name the origins"],
            id="credentials-for-all",
        ),
        pytest.param(
            ["function-url"],
            {"AlowOrigins": ["*"], "MaxAge": -1, "AllowCredentials": "yes"},
            [
                "'AlowOrigins' is not a field; did you mean AllowOrigins?; use AllowCredentials, AllowHeaders, "
                "AllowMethods, AllowOrigins, ExposeHeaders, MaxAge",
                "AllowCredentials: 'yes' is not true or false",
                "MaxAge: -1 is not a number of seconds from 0 to 86400",
            ],
            id="fields",
        ),
        pytest.param(
            ["function-url", "http-api"],
            {"AllowOrigins": ["example.com", "https://a\r\nx: 1"], "AllowHeaders": "x", "ExposeHeaders": ["a b", 1]},
            [
                "AllowOrigins: 'example.com' is not an origin; use one such as https://www.example.com",
                "AllowOrigins: 'https://a\\r\\nx: 1' is not an origin; use one such as https://www.example.com",
                "AllowHeaders: 'x' is not a list of strings",
                "ExposeHeaders: ['a b', 1] is not a list of strings",
            ],
            id="lists",
        ),
        pytest.param(
            ["function-url"],
            {"AllowHeaders": ["x"] * 101, "ExposeHeaders": ["a b"], "AllowOrigins": 5},
            [
                "AllowHeaders: has 101 items; AWS accepts at most 100",
                "ExposeHeaders: 'a b' is not a header name",
                "AllowOrigins: 5 is not a list of strings",
            ],
            id="bounds",
        ),
        pytest.param(["http-api"], {"http-api": []}, ["the value of 'http-api' is not a JSON object"], id="part"),
    ],
)
def test_what_aws_refuses_is_a_mistake(doors: list[str], cors: dict[str, object], problems: list[str]) -> None:
    assert mistakes(doors, cors=json.dumps(cors)) == [f"--cors: {problem}" for problem in problems]


@pytest.mark.parametrize(
    "name", ["abc.lambda-url.us-east-1.on.aws", "localhost", "A.example", "xn--bcher-kva.example", "a_b.example"]
)
def test_a_domain_is_a_name(name: str) -> None:
    assert load({}, {"domain": name}).domain == name.lower()


@pytest.mark.parametrize(
    "name",
    ["https://a.example", "a.example:443", "a..example", "-a.example", "a b", "é.example", "a\r\n", "a/b", "[::1]"],
)
def test_other_texts_are_not_domains(name: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a domain name"):
        load({}, {"domain": name})


def test_only_adapter_dev_reads_the_files() -> None:
    """``adapter invoke`` and ``adapter dev --wait`` need the ports alone."""
    config = load({"ADAPTER_CORS": "none.json", "ADAPTER_AUTH_KEY_FILE": "none.json"})
    assert UrlSettings(config, with_access=False).invoke_port == 3001
    with pytest.raises(ConfigurationError):
        UrlSettings(config)
