"""Every order of events, for small functions; and long random ones. More with MODEL_DEPTH and MODEL_WALKS."""

from __future__ import annotations

import os
import random

import pytest

from adapter.emulator.function import execution_environment
from adapter.emulator.function.environment_updates import SlotFreed, Update
from adapter.emulator.function.scheduler import LocalFunction
from tests.emulator.function.scheduler_model import Explorer, Model, ModelSandbox, Violation, settings_of

DEPTH = int(os.environ.get("MODEL_DEPTH", "4"))
WALKS = int(os.environ.get("MODEL_WALKS", "12"))
WALK_LENGTH = 60

FUNCTIONS = [
    pytest.param({}, id="one-environment"),
    pytest.param({"environments": "2"}, id="two-environments"),
    pytest.param({"concurrency": "2"}, id="two-slots"),
    pytest.param({"environments": "2", "concurrency": "2"}, id="two-environments-of-two-slots"),
    pytest.param({"environments": "2", "queue": "false"}, id="without-a-queue"),
    pytest.param({"environments": "2", "provisioned": "1", "idle_reclaim": "1"}, id="provisioned-and-reclaimed"),
    pytest.param({"environments": "2", "snapstart": "true"}, id="snapstart"),
]


@pytest.fixture(autouse=True)
def without_a_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model decides at once whether an environment is started. Its events have no time between them."""
    monkeypatch.setattr("adapter.emulator.function.scheduler.START_DELAY", 0.0)


@pytest.fixture(autouse=True)
def _model_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution_environment, "Sandbox", ModelSandbox)


@pytest.mark.parametrize("flags", FUNCTIONS)
def test_every_order_of_a_few_events(flags: dict[str, str]) -> None:
    settings = settings_of(flags)
    explorer = Explorer(lambda: Model(settings))
    explorer.explore(DEPTH)
    print(f"{flags}: {explorer.states} states, {explorer.steps} steps")  # noqa: T201  # for `make model`
    assert explorer.states >= 60
    assert explorer.steps >= 450


@pytest.mark.parametrize("flags", FUNCTIONS)
def test_long_runs_of_random_events(flags: dict[str, str]) -> None:
    settings = settings_of(flags)
    explorer = Explorer(lambda: Model(settings, arrivals=12, restarts=2))
    for seed in range(WALKS):
        explorer.walk(random.Random(seed).choice, WALK_LENGTH)
    print(f"{flags}: {explorer.states} states, {explorer.steps} steps")  # noqa: T201  # for `make model`
    assert explorer.steps == WALKS * WALK_LENGTH


def ignore_grace(_function: LocalFunction) -> None:
    """A slot was expected to ask, and does not."""


handle = LocalFunction._handle


def ignore_slots(function: LocalFunction, update: Update) -> None:
    """A slot asks some time after its invocation was concluded."""
    if not isinstance(update, SlotFreed):
        handle(function, update)


@pytest.mark.parametrize(
    ("method", "fault", "environments", "wait"),
    [
        pytest.param("_end_grace", ignore_grace, "2", "wait while an environment could be started", id="no-timer"),
        pytest.param("_handle", ignore_slots, "1", "wait while a slot is free", id="no-update"),
    ],
)
def test_the_model_finds_a_wait_without_an_end(
    method: str, fault: object, environments: str, wait: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalFunction, method, fault)
    settings = settings_of({"environments": environments, "concurrency": "2"})
    with pytest.raises(Violation, match=f"{wait}.*, after "):
        Explorer(lambda: Model(settings)).explore(DEPTH)
