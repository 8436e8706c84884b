"""The defaults of the front doors' settings, and the options that change them."""

from __future__ import annotations

import pytest

from adapter.aws.limits import LAMBDA_BANDWIDTH, MIB, Bandwidth
from adapter.config.load import load
from adapter.emulator.front_doors.door_settings import UrlSettings


def test_by_default_everything_is_as_on_lambda_and_streams() -> None:
    settings = UrlSettings(load({}))
    assert (settings.invoke_mode, settings.url_invoke_mode) == ("response_stream", "response_stream")
    assert (settings.bandwidth, settings.stream_limit, settings.config.timeout) == (LAMBDA_BANDWIDTH, 200 * MIB, 900)


@pytest.mark.parametrize(
    ("text", "limit"), [("none", None), ("20mb", 20 * MIB), ("1000", 1000)], ids=["none", "preset", "size"]
)
def test_a_limit_that_was_given_counts(text: str, limit: int | None) -> None:
    assert UrlSettings(load({}, {"stream_limit": text})).stream_limit == limit


@pytest.mark.parametrize(
    ("flags", "modes"),
    [
        pytest.param({"invoke_mode": "buffered"}, ("buffered", "buffered"), id="the-url-follows"),
        pytest.param({"url_invoke_mode": "buffered"}, ("response_stream", "buffered"), id="the-function-does-not"),
    ],
)
def test_the_url_has_the_functions_mode_unless_it_is_given_another(
    flags: dict[str, str], modes: tuple[str, str]
) -> None:
    settings = UrlSettings(load({}, flags))
    assert (settings.invoke_mode, settings.url_invoke_mode) == modes


def test_without_a_word_there_is_a_function_url_and_the_invoke_apis_beside_it() -> None:
    settings = UrlSettings(load({}))
    assert [(door.rules.name, door.port, door.streaming) for door in settings.doors] == [("function-url", 3000, True)]
    assert settings.invoke_port == 3001


@pytest.mark.parametrize(
    ("flags", "ports", "invoke_port"),
    [
        pytest.param({"front_doors": "alb,rest-api,http-api"}, [3000, 3002, 3003], 3001, id="one-after-the-other"),
        pytest.param({"front_doors": "alb,rest-api:3000"}, [3002, 3000], 3001, id="around-what-was-asked-for"),
        pytest.param({"front_doors": "alb,rest-api", "dev_port": "8000"}, [8000, 8002], 8001, id="from-another-port"),
        pytest.param({"front_doors": "alb,rest-api", "dev_port": "0"}, [0, 0], 0, id="any"),
        pytest.param({"front_doors": "alb,rest-api", "invoke_port": "9000"}, [3000, 3001], 9000, id="invoke-elsewhere"),
        pytest.param({"front_doors": "alb:80"}, [80], 3001, id="its-own"),
        pytest.param({"dev_port": "65535"}, [65535], 1, id="after-the-last"),
        pytest.param({"front_doors": "alb,http-api", "dev_port": "65535"}, [65535, 2], 1, id="two-after-the-last"),
    ],
)
def test_each_front_door_gets_a_port(flags: dict[str, str], ports: list[int], invoke_port: int) -> None:
    settings = UrlSettings(load({}, flags))
    assert [door.port for door in settings.doors] == ports
    assert settings.invoke_port == invoke_port


@pytest.mark.parametrize(
    ("doors", "mode"),
    [
        pytest.param("alb", "buffered", id="none-streams"),
        pytest.param("alb,rest-api", "response_stream", id="one-streams"),
    ],
)
def test_a_function_streams_if_any_of_its_front_doors_can(doors: str, mode: str) -> None:
    settings = UrlSettings(load({}, {"front_doors": doors}))
    assert settings.invoke_mode == mode
    assert not settings.doors[0].streaming


@pytest.mark.parametrize(
    ("flags", "bandwidth"),
    [
        pytest.param({}, Bandwidth(burst=10 * MIB, rate=2 * MIB), id="its-own"),
        pytest.param({"bandwidth": "lambda"}, LAMBDA_BANDWIDTH, id="the-one-that-was-given"),
        pytest.param({"bandwidth": "unlimited"}, None, id="none"),
    ],
)
def test_a_rest_api_has_a_bandwidth_of_its_own_unless_one_is_given(
    flags: dict[str, str], bandwidth: Bandwidth | None
) -> None:
    (door,) = UrlSettings(load({}, {"front_doors": "rest-api"} | flags)).doors
    assert door.bandwidth == bandwidth


def test_only_a_rest_api_has_a_stage_a_resource_and_an_idle_timeout() -> None:
    url, rest = UrlSettings(load({}, {"front_doors": "function-url,rest-api", "stage": "beta"})).doors
    assert (url.stage, url.resource, url.idle_timeout) == ("$default", "", None)
    assert (rest.stage, rest.resource, rest.idle_timeout) == ("beta", "/{proxy+}", 300.0)
