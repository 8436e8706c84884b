"""Installs the peers from their registries into the cache. The adapter itself does not use them.

If a peer cannot be installed, the report names it with the reason, and has no figures for it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from compare.builds import installed_version, program, virtual_environment
from compare.places import CACHE, REPOSITORY

RUST_CRATE = "lambda_web_adapter"
# The newest release and the newest pre-release. Only the pre-release supports Managed Instances.
RUST_VERSIONS = {"rust": "0.9.1", "rust-rc": "1.0.0-rc1"}
_FASTAPI_REQUIREMENTS = (
    f"--constraint={REPOSITORY / 'constraints.txt'}",
    f"--requirement={REPOSITORY / 'examples' / 'fastapi_app' / 'requirements.txt'}",
)


class MissingPeer(Exception):
    """A peer cannot be installed. The text is the reason."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """An installed program: its command and its version."""

    path: Path
    version: str


def _or_missing(get: Callable[[], Peer]) -> Callable[[], Peer]:
    """Return ``get`` with MissingPeer raised instead of the errors of installers and of missing programs."""

    @cache
    def checked() -> Peer:
        try:
            return get()
        except (OSError, subprocess.CalledProcessError) as error:
            raise MissingPeer(str(error)) from error

    return checked


def rust_adapter(name: str) -> Peer:
    """Return the Rust adapter of version ``RUST_VERSIONS[name]``. Build it with cargo if it does not exist yet."""
    version = RUST_VERSIONS[name]
    root = CACHE / f"{RUST_CRATE}-{version}"
    binary = root / "bin" / "lambda-adapter"
    if not binary.exists():
        cargo = [
            "nice",
            "cargo",
            "install",
            "--quiet",
            "--locked",
            "--root",
            str(root),
            "--version",
            version,
            RUST_CRATE,
        ]
        subprocess.run(cargo, check=True)
    return Peer(path=binary, version=version)


# The binary of --rust, and its version.
_NAMED: list[Peer] = []


def name_rust_binary(named: str) -> None:
    """Set the binary of ``rust-given`` to ``PATH`` or ``PATH=VERSION``. Without VERSION, read that of its project."""
    path, _, version = named.partition("=")
    binary = Path(path).resolve()
    if not version:
        manifests = [folder / "Cargo.toml" for folder in binary.parents]
        found = next((each for each in manifests if each.exists()), None)
        version = "unknown version" if found is None else tomllib.loads(found.read_text())["package"]["version"]
    _NAMED[:] = [Peer(path=binary, version=version)]


def _rust_given() -> Peer:
    if not _NAMED:
        raise MissingPeer("no binary is named (--rust PATH)")
    return _NAMED[0]


def _in_venv(name: str, package: str, executable: str, *requirements: str) -> Callable[[], Peer]:
    def get() -> Peer:
        binaries = virtual_environment(name, *(requirements or (package,)))
        return Peer(path=binaries / executable, version=installed_version(binaries, package))

    return _or_missing(get)


def _of_debian(name: str, package: str, *ask: str) -> Callable[[], Peer]:
    """Return a function that finds the program ``name`` of a Debian package. ``ask`` makes it print its version."""

    def get() -> Peer:
        found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        if found is None:
            raise MissingPeer(f"{name} is not installed; on Debian: apt-get install {package}")
        asked = subprocess.run([found, *ask], check=True, capture_output=True, text=True)
        version = re.search(r"\d+(\.\d+)+", asked.stdout + asked.stderr)
        return Peer(path=Path(found), version=version[0] if version else "unknown")

    return _or_missing(get)


def _emulator() -> Peer:
    from tests.samples import VERSION, rie_binary

    return Peer(path=rie_binary(), version=f"of aws-sam-cli {VERSION}")


def _aiohttp() -> Peer:
    binaries = REPOSITORY / ".venv" / "bin"
    return Peer(path=binaries / "python", version=installed_version(binaries, "aiohttp"))


PEERS: dict[str, Callable[[], Peer]] = {
    "floor": _or_missing(lambda: Peer(path=program("relay"), version="C, substring scanning, no checks")),
    "rust": _or_missing(lambda: rust_adapter("rust")),
    "rust-rc": _or_missing(lambda: rust_adapter("rust-rc")),
    "rust-given": _rust_given,
    "aiohttp": _or_missing(_aiohttp),
    "mangum": _in_venv(
        "mangum", "awslambdaric", "python", "awslambdaric==4.2.2", "mangum==0.22.0", *_FASTAPI_REQUIREMENTS
    ),
    "nginx": _of_debian("nginx", "nginx-light", "-v"),
    "haproxy": _of_debian("haproxy", "haproxy", "-v"),
    "caddy": _of_debian("caddy", "caddy", "version"),
    "mitmproxy": _in_venv("mitmproxy", "mitmproxy", "mitmdump", "mitmproxy>=11"),
    "proxy.py": _in_venv("proxy-py", "proxy.py", "proxy", "proxy.py==2.4.10"),
    "emulator": _or_missing(_emulator),
}
