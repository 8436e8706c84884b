"""The examples in Python in ``adapter dev``, with the clients that they are for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.answer import Answer, read_answer
from tests.e2e.local_lambda import LocalLambda, local_lambda
from tests.emulator.aws_clients import lambda_client

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
UVICORN = (sys.executable, "-m", "uvicorn", "main:app", "--port", "{port}", "--log-level", "warning")
GUNICORN = (sys.executable, "-m", "gunicorn", "main:app", "--bind", "127.0.0.1:{port}", "--threads", "8")


def test_django_keeps_its_session_and_its_csrf_protection() -> None:
    with local_lambda(*GUNICORN, directory=EXAMPLES / "django_app") as running:
        form = running.ask("/")
        assert b"Hello nobody" in form.body
        cookie = form.header("set-cookie") or ""
        found = re.search(rb'csrfmiddlewaretoken" value="(\w+)"', form.body)
        assert found
        refused = post_form(running, {"name": "Ada"}, cookie)
        assert refused.status == 403
        saved = post_form(running, {"name": "Ada", "csrfmiddlewaretoken": found[1].decode()}, cookie)
        assert (saved.status, saved.body) == (200, b"saved\n")
        session = saved.header("set-cookie") or ""
        with running.connect() as connection:
            connection.request("GET", "/", headers={"cookie": session.partition(";")[0]})
            assert b"Hello Ada" in connection.getresponse().read()


def post_form(running: LocalLambda, fields: dict[str, str], cookie: str) -> Answer:
    headers = {"cookie": cookie.partition(";")[0], "content-type": "application/x-www-form-urlencoded"}
    with running.connect() as connection:
        connection.request("POST", "/name", urlencode(fields), headers)
        return read_answer(connection.getresponse())


def test_django_streams() -> None:
    with local_lambda(*GUNICORN, directory=EXAMPLES / "django_app") as running, running.connect() as connection:
        connection.request("GET", "/stream")
        response = connection.getresponse()
        assert response.read1() == b"line 1\n"
        assert response.read() == b"line 2\nline 3\nline 4\nline 5\n"


@pytest.fixture(scope="module")
def worker() -> Iterator[LocalLambda]:
    with local_lambda(*UVICORN, directory=EXAMPLES / "sqs_worker", flags=("--invoke-mode", "buffered")) as running:
        yield running


def test_only_the_messages_that_fail_are_named(worker: LocalLambda) -> None:
    records = [
        {"messageId": "good", "eventSource": "aws:sqs", "body": '{"amount": 3}'},
        {"messageId": "no-json", "eventSource": "aws:sqs", "body": "3 apples"},
        {"messageId": "no-amount", "eventSource": "aws:sqs", "body": "{}"},
    ]

    answer = lambda_client(worker.invoke_port).invoke(FunctionName="any", Payload=json.dumps({"Records": records}))

    assert "FunctionError" not in answer
    failed = [each["itemIdentifier"] for each in json.load(answer["Payload"])["batchItemFailures"]]
    assert failed == ["no-json", "no-amount"]


@pytest.mark.parametrize(("body", "failures"), [('{"amount": 3}', 0), ("not an order", 1)])
def test_the_commands_of_its_readme_work(worker: LocalLambda, body: str, failures: int) -> None:
    adapter = (sys.executable, "-I", "-m", "adapter")
    made = subprocess.run([*adapter, "event", "sqs", "--body", body], capture_output=True, check=True)
    endpoint = f"http://127.0.0.1:{worker.invoke_port}"
    done = subprocess.run(
        [*adapter, "invoke", "--endpoint", endpoint, "-"], input=made.stdout, capture_output=True, check=True
    )

    assert len(json.loads(done.stdout)["batchItemFailures"]) == failures


def test_a_client_cannot_pretend_to_be_the_queue(worker: LocalLambda) -> None:
    reply = worker.ask("/events", method="POST", body=b'{"Records": []}')

    assert reply.status == 403
