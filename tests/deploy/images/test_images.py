"""Images without Python that have the bundle: Node on Debian, Go on nothing, and the image for ``Runtime: custom``.

buildah builds them from the Dockerfiles of the repository and its docs. They run with ``chroot`` isolation, which needs
root and no container engine; the Node image's Debian is made by debootstrap, once.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.images.conftest import BUILD_SECONDS, CACHE, REPOSITORY
from tests.deploy.images.test_layer import NODE_APP, pieces, script
from tests.e2e.official_emulator import emulated
from tests.events import function_url
from tests.samples import rie_binary
from tests.scripted_app import PATIENCE
from tests.toolchains.build import go_app
from tests.unused_port import unused_port

pytestmark = pytest.mark.timeout(BUILD_SECONDS)

SUITE = "bookworm"
DEBIAN_WITH_NODE = CACHE / f"{SUITE}-node"
# In a PID namespace, so that nothing in a container outlives its test, and with mounts of its own. unshare
# ignores SIGTERM while its child runs, so it is killed.
ALONE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
PATH = "/usr/bin:/bin"
GO_DOCKERFILE = """
FROM scratch
COPY --from=localhost/web-adapter /opt/adapter /opt/adapter
COPY go-app /app
ENTRYPOINT ["/opt/adapter/bin/adapter", "run", "--", "/app"]
"""
# What each image's app answers, and at which path.
ANSWERS = {"node": ("/", b"one {"), "go": ("/stream", b"one two")}


def node_dockerfile() -> str:
    """Return the Dockerfile that docs/deploy/bundle.md shows, with images that are at hand, which have no npm."""
    page = (REPOSITORY / "docs/deploy/bundle.md").read_text("utf-8")
    [text] = re.findall(r"^```dockerfile\n(FROM node:.*?)^```$", page, re.DOTALL | re.MULTILINE)
    text = re.sub(r"^(COPY package|RUN npm).*\n", "", text, flags=re.MULTILINE)
    return re.sub(r"(?<=FROM )\S+", "localhost/debian-node", text).replace("web-adapter", "localhost/web-adapter", 1)


def debian_with_node() -> Path:
    """Return the root of a small Debian with Node, which has no Python."""
    if not DEBIAN_WITH_NODE.exists():
        fresh = CACHE / f"{SUITE}-node-fresh"
        shutil.rmtree(fresh, ignore_errors=True)
        command = ["debootstrap", "--variant=minbase", "--include=nodejs", SUITE, str(fresh)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-1000:]
        shutil.rmtree(fresh / "var/cache/apt")
        fresh.rename(DEBIAN_WITH_NODE)
    return DEBIAN_WITH_NODE


class Images:
    """Images in a store of their own, and containers of them."""

    def __init__(self, folder: Path) -> None:
        # vfs works on any file system.
        store = ("--root", str(folder / "images"), "--runroot", str(folder / "run"), "--storage-driver", "vfs")
        self._buildah = ("buildah", *store)

    def build(self, name: str, context: Path, *options: str) -> None:
        flags = ("--quiet", "--isolation", "chroot", "--pull-never", "--tag", f"localhost/{name}")
        self._run("build", *flags, *options, str(context))

    def settings(self, name: str) -> dict[str, Any]:
        """Return the image's settings as Docker has them: ``Entrypoint``, ``Cmd``, ``Labels`` …"""
        image = json.loads(self._run("inspect", "--type", "image", f"localhost/{name}"))
        settings: dict[str, Any] = image["Docker"]["config"]
        return settings

    def entrypoint(self, name: str) -> list[str]:
        return [*(self.settings(name)["Entrypoint"] or []), *(self.settings(name)["Cmd"] or [])]

    @contextmanager
    def container(self, name: str, *mounts: tuple[Path, str], **environ: str) -> Iterator[list[str]]:
        """Make a container. What it returns comes before a command that is to run in it."""
        identity = self._run("from", "--pull-never", f"localhost/{name}").strip()
        volumes = [word for source, target in mounts for word in ("--volume", f"{source}:{target}:ro")]
        pairs = [word for item in {"PATH": PATH, **environ}.items() for word in ("--env", "=".join(item))]
        try:
            yield [*ALONE, *self._buildah, "run", "--isolation", "chroot", *volumes, *pairs, identity, "--"]
        finally:
            self._run("rm", identity)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([*self._buildah, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"buildah {' '.join(arguments)}:\n{done.stderr[-2000:]}"
        return done.stdout


@pytest.fixture(scope="session")
def images(opt: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """Yield the images ``node``, ``go`` and ``runtime``."""
    missing = [tool for tool in ("buildah", "debootstrap") if shutil.which(tool, path=f"/usr/sbin:{PATH}") is None]
    if missing or os.geteuid() != 0:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"NOT TESTED: needs root, and apt-get install {' '.join(missing)}"
        )
    folder = tmp_path_factory.mktemp("images")
    context = folder / "context"
    context.mkdir()
    script(context / "server.js", NODE_APP)
    shutil.copy(go_app(), context)
    dockerfiles = {
        "web-adapter": "FROM scratch\nCOPY adapter /opt/adapter\n",
        "debian-node": "FROM scratch\nCOPY . /\n",
        "node": node_dockerfile(),
        "go": GO_DOCKERFILE,
    }
    for name, text in dockerfiles.items():
        (folder / name).write_text(text)
    images = Images(folder)
    contexts = {"web-adapter": opt, "debian-node": debian_with_node()}
    for name in dockerfiles:
        images.build(name, contexts.get(name, context), "--file", str(folder / name))
    build_arguments = ("BASE=localhost/debian-node", "ADAPTER=localhost/web-adapter")
    arguments = [word for pair in build_arguments for word in ("--build-arg", pair)]
    deploy = REPOSITORY / "deploy"
    images.build("runtime", deploy, "--file", str(deploy / "runtime/Dockerfile"), *arguments)
    yield images
    shutil.rmtree(folder)


def status_and_body(payload: bytes, mode: str) -> tuple[int, bytes]:
    """What a payload of that mode says."""
    if mode == "response_stream":
        return pieces(payload)
    answer = json.loads(payload)
    return answer["statusCode"], answer["body"].encode()


@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
@pytest.mark.parametrize("name", ["node", "go"])
def test_an_image_of_another_language_answers_on_lambda(images: Images, name: str, mode: str) -> None:
    path, start = ANSWERS[name]
    rie = rie_binary()
    variables = {"AWS_LWA_INVOKE_MODE": mode, "AWS_LWA_PORT": str(unused_port())}
    with (
        images.container(name, (rie, str(rie)), **variables) as run_in,
        emulated(*images.entrypoint(name), directory=REPOSITORY, wrapped_in=run_in, end_signal="SIGKILL") as emulator,
    ):
        status, body = status_and_body(emulator.invoke(function_url(path)).payload, mode)
    assert status == 200
    assert body.startswith(start)


@pytest.mark.parametrize(
    ("mode", "framing"), [("buffered", "content-length"), ("response_stream", "transfer-encoding")]
)
@pytest.mark.parametrize("name", ["node", "go"])
def test_the_same_image_answers_as_a_container(images: Images, name: str, mode: str, framing: str) -> None:
    path, start = ANSWERS[name]
    port = unused_port()
    variables = {"AWS_LWA_INVOKE_MODE": mode, "AWS_LWA_PORT": str(unused_port()), "ADAPTER_LISTEN": f"127.0.0.1:{port}"}
    with (
        images.container(name, **variables) as run_in,
        subprocess.Popen([*run_in, *images.entrypoint(name)], stderr=subprocess.PIPE, text=True) as process,
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection,
    ):
        try:
            assert process.stderr is not None
            assert any("the app is ready" in line for line in process.stderr)
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        finally:
            process.kill()
    assert response.status == 200
    assert body.startswith(start)
    assert response.getheader(framing)


@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
@pytest.mark.parametrize("handler", ["app.js", "run.sh"])
def test_a_zip_function_runs_in_the_runtime_image(images: Images, tmp_path: Path, handler: str, mode: str) -> None:
    script(tmp_path / "app.js", NODE_APP)
    script(tmp_path / "run.sh", "#!/bin/sh\nexec node app.js\n")
    rie = rie_binary()
    variables = {"AWS_LWA_INVOKE_MODE": mode, "AWS_LWA_PORT": str(unused_port())}
    bootstrap = images.entrypoint("runtime")
    with (
        images.container("runtime", (rie, str(rie)), (tmp_path, "/var/task"), **variables) as run_in,
        emulated(*bootstrap, handler, directory=REPOSITORY, wrapped_in=run_in, end_signal="SIGKILL") as emulator,
    ):
        status, body = status_and_body(emulator.invoke(function_url("/")).payload, mode)
    assert status == 200
    assert json.loads(body.removeprefix(b"one "))["LAMBDA_TASK_ROOT"] == "/var/task"


def test_lambda_may_take_snapshots_of_the_runtime_image(images: Images) -> None:
    assert images.settings("runtime")["Labels"] == {
        **(images.settings("debian-node")["Labels"] or {}),
        "com.amazonaws.lambda.feature.snapstart": "Allow",
    }


def test_the_images_have_no_python_but_that_of_the_bundle(images: Images) -> None:
    root = debian_with_node()
    assert (root / "usr/bin/node").exists()
    found = [path for folder in ("usr/bin", "usr/lib", "usr/local") for path in (root / folder).rglob("*python3*")]
    assert [path for path in found if os.access(path, os.X_OK) or path.suffix == ".so"] == []
