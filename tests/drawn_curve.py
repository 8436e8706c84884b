"""Reads the values of the inspector's curve back from the positions of its lines and of the labels of its axes."""

from __future__ import annotations

from tests.browser import Page

DRAWN = r"""(() => {
  const scale = (kind, at) => {
    const ticks = [...document.querySelectorAll(`.curve ${kind}`)].map((each) => [
      Number(each.getAttribute(at)), Number(each.dataset.value),
    ]);
    const [[p0, v0], [p1, v1]] = [ticks[0], ticks.at(-1)];
    return (position) => v0 + (position - p0) * (v1 - v0) / (p1 - p0);
  };
  const [time, bytes] = [scale(".tick-x", "x"), scale(".tick-y", "y")];
  const drawn = document.querySelector("SELECTOR").getAttribute("d");
  const points = [];
  let [x, y] = [0, 0];
  for (const [, letter, first, second] of drawn.matchAll(/([MLHV])([-\d.]+)(?: ([-\d.]+))?/g)) {
    if (letter === "V") y = Number(first);
    else [x, y] = [Number(first), second === undefined ? y : Number(second)];
    points.push([time(x), bytes(y)]);
  }
  return points;
})()"""


async def drawn(page: Page, selector: str) -> list[tuple[float, float]]:
    """Return the points of a line of the curve, in milliseconds and bytes."""
    points = await page.run(DRAWN.replace("SELECTOR", selector))
    return [(ms, total) for ms, total in points]
