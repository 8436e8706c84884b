"""The resource of a REST API: the paths that it covers, and its fields in an event."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.emulator.front_doors.rest_api import add_resource


@pytest.mark.parametrize(
    ("resource", "path", "parameters"),
    [
        pytest.param("/{proxy+}", "/a/b", {"proxy": "a/b"}, id="greedy"),
        pytest.param("/{proxy+}", "/a%20b", {"proxy": "a%20b"}, id="encoded"),
        pytest.param("/{proxy+}", "/a/b/", {"proxy": "a/b"}, id="slash-at-the-end"),
        pytest.param("/orders/{id}", "/orders/7/", {"id": "7"}, id="slash-after-a-segment"),
        pytest.param("/orders/{id}", "/orders/7", {"id": "7"}, id="one-segment"),
        pytest.param("/orders/{id}/{rest+}", "/orders/7/a/b", {"id": "7", "rest": "a/b"}, id="both"),
        pytest.param("/a.b", "/a.b", None, id="no-parameters"),
    ],
)
def test_a_resource_covers_its_paths(resource: str, path: str, parameters: dict[str, str] | None) -> None:
    event: dict[str, Any] = {"path": path, "requestContext": {}}
    assert add_resource(event, resource)
    assert event == {
        "path": path,
        "resource": resource,
        "pathParameters": parameters,
        "requestContext": {"resourcePath": resource},
    }


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        pytest.param("/orders/{id}", "/orders/7/8", id="too-deep"),
        pytest.param("/orders/{id}", "/orders/", id="empty-segment"),
        pytest.param("/a.b", "/axb", id="a-dot-is-a-dot"),
        pytest.param("/orders/{proxy+}", "/", id="root"),
    ],
)
def test_a_path_that_it_does_not_cover_is_refused(resource: str, path: str) -> None:
    event: dict[str, Any] = {"path": path, "requestContext": {}}
    assert not add_resource(event, resource)
    assert event == {"path": path, "requestContext": {}}


def test_a_greedy_resource_at_the_root_has_the_root_beside_it() -> None:
    event: dict[str, Any] = {"path": "/", "requestContext": {}}
    assert add_resource(event, "/{proxy+}")
    assert (event["resource"], event["pathParameters"]) == ("/", None)
