"""What mkdocs needs beside docs/: the files of the repository that pages link to."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, InclusionLevel

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).resolve().parent.parent
# Where the site has the repository's files.
SOURCE = "source"
_LINK = re.compile(r"(\]\()([^)#\s]+)")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the page with its links into the repository turned into links within the site."""
    origin = posixpath.join("docs", page.file.src_uri)

    def within_site(found: re.Match[str]) -> str:
        if "://" in found[2] or found[2].startswith("mailto:"):
            return found[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), found[2]))
        if not (REPOSITORY / target).exists():
            # mkdocs reports it.
            return found[0]
        place = posixpath.relpath(_place(target, config, files), posixpath.dirname(page.file.src_uri) or ".")
        return f"{found[1]}{place}"

    return _LINK.sub(within_site, markdown)


def _place(target: str, config: MkDocsConfig, files: Files) -> str:
    """Return the place of a file of the repository in the site. A folder is its README, or its first file."""
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    path = REPOSITORY / target
    if path.is_dir():
        path = next((each for each in (path / "README.md", *sorted(path.iterdir())) if each.is_file()), path)
    name = path.relative_to(REPOSITORY).as_posix()
    # As text, so that a browser shows it, and no page is made of it.
    place = posixpath.join(SOURCE, f"{name}.txt")
    if files.get_file_from_path(place) is None:
        file = File.generated(config, place, content=path.read_text("utf-8"), inclusion=InclusionLevel.NOT_IN_NAV)
        files.append(file)
    return place
