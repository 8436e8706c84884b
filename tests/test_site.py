"""The site: mkdocs builds it strictly, so that every link and anchor leads somewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("script", ["generate.py", "pictures.py"])
def test_what_is_generated_is_up_to_date(script: str) -> None:
    command = [sys.executable, str(REPOSITORY / "docs" / script), "--check"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.timeout(300)
def test_the_site_builds_and_has_what_its_pages_link_to(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=REPOSITORY,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert 'href="../source/deploy/sam/cloudfront.yaml.txt"' in (tmp_path / "deploy/templates.html").read_text("utf-8")
    assert (tmp_path / "source/deploy/sam/cloudfront.yaml.txt").is_file()
    assert (tmp_path / "search/search_index.json").is_file()
