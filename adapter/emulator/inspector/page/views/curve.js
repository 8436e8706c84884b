// The curve of a stream: its bytes over time, with each piece as a mark, Lambda's cap, and where it held the stream back.

import { h, onWidth, s } from "../dom.js";
import { MB, byteTicks, duration, rate, size, timeTicks } from "../format.js";

const LEFT = 64;
const RIGHT = 20;
const TOP = 22;
const BOTTOM = 30;
/** The margins of every chart over time, so that charts below one another have one axis. */
export const MARGINS = { left: LEFT, right: RIGHT };

let charts = 0;

/** Return the longest time and the most bytes of all lines, with room for the cap's knee if the stream comes near it. */
function bounds(data) {
	let time = data.until ?? 0;
	let bytes = 0;
	for (const line of data.lines) {
		for (const [ms, total] of line.points) {
			time = Math.max(time, ms);
			bytes = Math.max(bytes, total);
		}
	}
	if (data.cap && bytes >= data.cap.burst / 2) bytes = Math.max(bytes, data.cap.burst);
	return { time: Math.max(time, 1), bytes: Math.max(bytes, 1) * 1.1 };
}

// From this number of points on, the server has left some out, so a line between the others is nearer to the truth.
const THINNED = 200;

/**
 * Return the path of a line. The total jumps when a piece arrives, so it is a staircase, unless pieces were left out.
 * `until` extends it to the stream's end.
 */
export function staircase(points, x, y, until = null) {
	if (!points.length) return "";
	let path = `M${x(points[0][0])} ${y(0)}`;
	for (const [ms, total] of points) path += points.length < THINNED ? `H${x(ms)}V${y(total)}` : `L${x(ms)} ${y(total)}`;
	return until === null ? path : `${path}H${x(until)}`;
}

/** Return the path of one dot per piece, as strokes without a length, which round ends make visible. */
function dots(points, x, y) {
	let path = "";
	let last = "";
	for (const [ms, total] of points) {
		const dot = `M${x(ms)} ${y(total)}h0`;
		if (dot !== last) path += last = dot;
	}
	return path;
}

/** Return `intervals`, with those that are less than `gap` ms apart as one. */
export function merged(intervals, gap) {
	const bands = [];
	for (const [from, to] of intervals) {
		const last = bands.at(-1);
		if (last && from - last[1] <= gap) last[1] = Math.max(last[1], to);
		else bands.push([from, to]);
	}
	return bands;
}

/** Return the last total of `points` at `ms`. */
function totalAt(points, ms) {
	let [low, high] = [0, points.length];
	while (low < high) {
		const middle = (low + high) >> 1;
		if (points[middle][0] <= ms) low = middle + 1;
		else high = middle;
	}
	return low ? points[low - 1][1] : 0;
}

/**
 * A chart of `data`: {lines: [{name, kind, points, marks}], cap: {burst, rate, from}|null, held: [[from, to]…],
 * until, moments: [{at, text}]}. Times are in ms, sizes in bytes. It fills the width of its parent.
 */
export class CurveChart {
	constructor({ height = 260, label = "Bytes over time" } = {}) {
		this.height = height;
		this.number = ++charts;
		this.svg = s("svg.curve", { role: "img", height, width: 0, "aria-label": label, tabindex: 0 });
		this.tip = h("div.tip", { hidden: true });
		this.element = h("div.chart", {}, this.svg, this.tip);
		this.data = { lines: [] };
		this.width = 0;
		onWidth(this.element, (width) => ((this.width = width), this._draw()));
		this.svg.addEventListener("pointermove", (event) => this._point(event.offsetX));
		this.svg.addEventListener("pointerleave", () => this._hide());
		this.svg.addEventListener("blur", () => this._hide());
		this.svg.addEventListener("keydown", (event) => this._step(event));
	}

	show(data) {
		this.data = data;
		if (this.width) this._draw();
	}

	_draw() {
		const { data, width, height } = this;
		const most = bounds(data);
		const [right, bottom] = [width - RIGHT, height - BOTTOM];
		const round = (value) => Math.round(value * 100) / 100;
		this.x = (ms) => round(LEFT + (ms / most.time) * (right - LEFT));
		this.y = (bytes) => round(bottom - (bytes / most.bytes) * (bottom - TOP));
		this.time = (x) => ((x - LEFT) / (right - LEFT)) * most.time;
		const plot = { left: LEFT, right, top: TOP, bottom };
		const id = `plot-${this.number}`;
		this.svg.setAttribute("width", width);
		this.cross = s("line.cross", { x1: 0, x2: 0, y1: TOP, y2: bottom });
		this.cross.setAttribute("class", "cross off");
		this.svg.replaceChildren(
			s("defs", {}, s("clipPath", { id }, s("rect", { x: LEFT, y: TOP - 4, width: Math.max(0, right - LEFT + 4), height: bottom - TOP + 4 })), hatch(this.number)),
			this._axes(most, plot),
			s("g", { "clip-path": `url(#${id})` }, this._bands(plot, most), this._lines(), this._cap(most)),
			this._moments(plot),
			this._capLabels(most),
			this.cross,
		);
	}

	_axes(most, { left, right, top, bottom }) {
		const bytes = byteTicks(most.bytes, Math.max(2, (bottom - top) / 44));
		const times = timeTicks(most.time, Math.max(2, (right - left) / 90));
		return s(
			"g.axes",
			{},
			bytes.values.map((value) => [
				s("line.grid", { x1: left, x2: right, y1: this.y(value), y2: this.y(value) }),
				s("text.tick-y", { x: left - 8, y: this.y(value), "text-anchor": "end", "dominant-baseline": "middle", "data-value": value }, bytes.label(value)),
			]),
			times.values.map((value) => [
				s("line.notch", { x1: this.x(value), x2: this.x(value), y1: bottom, y2: bottom + 4 }),
				s("text.tick-x", { x: this.x(value), y: bottom + 17, "text-anchor": "middle", "data-value": value }, times.label(value)),
			]),
			s("line.axis", { x1: left, x2: right, y1: bottom, y2: bottom }),
		);
	}

	_bands({ top, bottom }, most) {
		const gap = (most.time / Math.max(1, this.width)) * 3;
		return merged(this.data.held ?? [], gap).map(([from, to]) => {
			const across = { x: this.x(from), y: top, width: Math.max(1, this.x(to) - this.x(from)) };
			return [s("rect.held-tint", { ...across, height: bottom - top }), s("rect.held", { ...across, height: 7, fill: `url(#hatch-${this.number})` })];
		});
	}

	_cap(most) {
		const { cap } = this.data;
		if (!cap) return null;
		const end = cap.burst + (cap.rate * (most.time - cap.from)) / 1000;
		return s("path.cap", {
			d: `M${this.x(cap.from)} ${this.y(0)}V${this.y(cap.burst)}L${this.x(most.time)} ${this.y(end)}`,
			"data-burst": cap.burst,
			"data-rate": cap.rate,
		});
	}

	_capLabels(most) {
		const { cap } = this.data;
		if (!cap || cap.burst > most.bytes) return null;
		const [x, y] = [this.x(cap.from), this.y(cap.burst)];
		// Where the line leaves the plot, and half of the way to there.
		const leaves = Math.min(most.time, cap.from + ((most.bytes - cap.burst) / cap.rate) * 1000);
		const middle = cap.from + (leaves - cap.from) * 0.5;
		const at = this.y(cap.burst + (cap.rate * (middle - cap.from)) / 1000);
		const isWide = this.x(leaves) - x > 150;
		return s(
			"g.cap-labels",
			{},
			s("circle.knee", { cx: x, cy: y, r: 4 }),
			s("text", x > LEFT + 84 ? { x: x - 9, y: y + 4, "text-anchor": "end" } : { x: x + 22, y: y + 18 }, `${size(cap.burst)} at once`),
			isWide ? s("text", { x: this.x(middle) + 8, y: at + 18 }, `then ${rate(cap.rate)}`) : null,
		);
	}

	_lines() {
		const { x, y } = this;
		return this.data.lines.map((line) =>
			s(
				`g.line.${line.kind}`,
				{ "data-name": line.name },
				line.filled ? s("path.area", { d: `${staircase(line.points, x, y, line.until ?? null)}V${y(0)}Z` }) : null,
				s("path.stroke", { d: staircase(line.points, x, y, line.until ?? null) }),
				line.marks ? s("path.marks", { d: dots(line.points, x, y) }) : null,
			),
		);
	}

	_moments({ top, bottom }) {
		return (this.data.moments ?? []).map(({ at, text }) =>
			s("g.moment", {}, s("line", { x1: this.x(at), x2: this.x(at), y1: top - 6, y2: bottom }), s("text", { x: this.x(at) + 4, y: top - 8 }, text)),
		);
	}

	_point(x) {
		const ms = this.time(Math.min(Math.max(x, LEFT), this.width - RIGHT));
		this._tell(Math.max(0, ms));
	}

	_tell(ms) {
		this.at = ms;
		const x = this.x(ms);
		this.cross.setAttribute("class", "cross");
		this.cross.setAttribute("x1", x);
		this.cross.setAttribute("x2", x);
		const rows = this.data.lines.map((line) =>
			h("div.tip-row", {}, h(`span.key.${line.kind}`), line.name, h("b", {}, size(totalAt(line.points, ms)))),
		);
		const first = this.data.lines.at(-1);
		const window = Math.max(500, this.time(LEFT + 20) / 2);
		const from = Math.max(0, ms - window);
		const moved = first ? totalAt(first.points, ms) - totalAt(first.points, from) : 0;
		const isHeld = (this.data.held ?? []).some(([begin, end]) => begin <= ms && ms <= end);
		this.tip.replaceChildren(
			h("div.tip-head", {}, duration(ms), isHeld ? h("span.badge.held", {}, "held back") : null),
			...rows,
			h("div.tip-row.dim", {}, "rate", h("b", {}, rate((moved / Math.max(1, ms - from)) * 1000))),
		);
		this.tip.hidden = false;
		const room = this.width - x > this.tip.offsetWidth + 24;
		this.tip.style.left = `${room ? x + 12 : x - this.tip.offsetWidth - 12}px`;
	}

	_hide() {
		this.tip.hidden = true;
		this.cross?.setAttribute("class", "cross off");
	}

	/** Move the cross to the next or the last piece with the arrow keys. */
	_step(event) {
		const forward = event.key === "ArrowRight";
		if (!forward && event.key !== "ArrowLeft") return;
		event.preventDefault();
		event.stopPropagation();
		const times = (this.data.lines[0]?.points ?? []).map(([ms]) => ms);
		const now = this.tip.hidden ? -1 : this.at;
		const next = forward ? times.find((ms) => ms > now) : times.findLast((ms) => ms < now);
		if (next !== undefined) this._tell(next);
	}
}

function hatch(number) {
	return s(
		"pattern.hatch",
		{ id: `hatch-${number}`, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
		s("rect", { width: 6, height: 6 }),
		s("line", { x1: 0, x2: 0, y1: 0, y2: 6 }),
	);
}

/** Return the legend of a chart: [[kind, text]…]. */
export function legend(items) {
	return h("ul.legend", {}, items.map(([kind, text]) => h("li", {}, h(`span.key.${kind}`), text)));
}

/** Return what the cap means for a stream of `bytes`. */
export function capNote(cap, bytes) {
	if (!cap) return "no bandwidth cap";
	const note = `cap: ${size(cap.burst)} at once, then ${rate(cap.rate)}`;
	return bytes < cap.burst / 2 && cap.burst >= MB ? `${note} (above this scale)` : note;
}

/** A sparkline: the curve of a summary as a small path. */
export function sparkline(record, width, height) {
	const points = record.curve ?? [];
	if (!points.length) return "";
	const until = Math.max(record.totalMs ?? 0, points.at(-1)[0], 1);
	const most = Math.max(points.at(-1)[1], 1);
	const x = (ms) => Math.round((ms / until) * width * 10) / 10;
	const y = (bytes) => Math.round((height - 1.5 - (bytes / most) * (height - 3)) * 10) / 10;
	return staircase(points, x, y, until);
}
