// The curve of a stream: its bytes over time, with each piece as a mark, Lambda's cap, and where it held the stream back.

import { h, onWidth, s } from "../dom.js";
import { byteTicks, duration, rate, size, timeTicks } from "../format.js";

// The waterfall below has the same margins on the left and the right, so that both have one axis.
const LEFT = 64;
const RIGHT = 20;
const TOP = 22;
const BOTTOM = 30;
// If a curve has at least this number of points, the server has left some out, so straight lines fit better than steps.
const THINNED = 200;

/** Return the largest time and number of bytes of the chart. The knee of the cap is visible if the stream comes near it. */
function bounds({ lines, until, cap }) {
	const points = lines.flatMap((line) => line.points);
	const time = Math.max(until ?? 0, 1, ...points.map(([ms]) => ms));
	const bytes = Math.max(1, ...points.map(([, total]) => total));
	return { time, bytes: (cap && bytes >= cap.burst / 2 ? Math.max(bytes, cap.burst) : bytes) * 1.1 };
}

/**
 * Return the path of a line. The total jumps when a piece arrives, so it is a staircase, unless pieces were left out.
 * `until` extends it to the stream's end.
 */
function staircase(points, x, y, until) {
	if (!points.length) return "";
	let path = `M${x(points[0][0])} ${y(0)}`;
	for (const [ms, total] of points) path += points.length < THINNED ? `H${x(ms)}V${y(total)}` : `L${x(ms)} ${y(total)}`;
	return until === null ? path : `${path}H${x(until)}`;
}

/**
 * A chart of {lines: [{name, kind, points, isFilled, until}], cap: {burst, rate, from}|null, held: [[from, to]…], until},
 * as wide as its parent. Times are in ms, sizes in bytes.
 */
export class CurveChart {
	constructor(height, label) {
		this.height = height;
		this.svg = s("svg.curve", { role: "img", height, width: 0, "aria-label": label });
		this.tip = h("div.tip", { hidden: true });
		this.element = h("div.chart", this.svg, this.tip);
		onWidth(this.element, (width) => ((this.width = width), this._draw()));
		this.svg.addEventListener("pointermove", (event) => this._tell(event.offsetX));
		this.svg.addEventListener("pointerleave", () => this._hide());
	}

	show(data) {
		this.data = data;
		this._draw();
	}

	_draw() {
		const { data, width } = this;
		if (!data || !width) return;
		this.most = bounds(data);
		const [right, bottom] = [width - RIGHT, this.height - BOTTOM];
		const round = (value) => Math.round(value * 100) / 100;
		this.x = (ms) => round(LEFT + (ms / this.most.time) * (right - LEFT));
		this.y = (bytes) => round(bottom - (bytes / this.most.bytes) * (bottom - TOP));
		this.svg.setAttribute("width", width);
		this.cross = s("line.cross.off", { y1: TOP, y2: bottom });
		this.svg.replaceChildren(
			this._axes(right, bottom),
			...(data.held ?? []).map((held) => this._band(held, bottom)),
			...data.lines.map((line) => this._line(line)),
			...(data.cap ? this._cap(data.cap) : []),
			this.cross,
		);
	}

	_axes(right, bottom) {
		const bytes = byteTicks(this.most.bytes, Math.max(2, (bottom - TOP) / 44));
		const times = timeTicks(this.most.time, Math.max(2, (right - LEFT) / 90));
		return s(
			"g",
			bytes.values.map((value) => [
				s("line.grid", { x1: LEFT, x2: right, y1: this.y(value), y2: this.y(value) }),
				s("text.tick-y", { x: LEFT - 8, y: this.y(value), "text-anchor": "end", "dominant-baseline": "middle", "data-value": value }, bytes.label(value)),
			]),
			times.values.map((value) => [
				s("line.axis", { x1: this.x(value), x2: this.x(value), y1: bottom, y2: bottom + 4 }),
				s("text.tick-x", { x: this.x(value), y: bottom + 17, "text-anchor": "middle", "data-value": value }, times.label(value)),
			]),
			s("line.axis", { x1: LEFT, x2: right, y1: bottom, y2: bottom }),
		);
	}

	_band([from, to], bottom) {
		const across = { x: this.x(from), y: TOP, width: Math.max(1, this.x(to) - this.x(from)) };
		return s("g", s("rect.held-tint", { ...across, height: bottom - TOP }), s("rect.held", { ...across, height: 5 }));
	}

	_line({ kind, points, isFilled, until }) {
		const { x, y } = this;
		const path = staircase(points, x, y, until ?? null);
		// A mark is a stroke of length 0. Its round ends make it visible.
		const marks = new Set(points.map(([ms, total]) => `M${x(ms)} ${y(total)}h0`));
		return s(
			`g.${kind}`,
			isFilled ? s("path.area", { d: path && `${path}V${y(0)}Z` }) : null,
			s("path.stroke", { d: path }),
			isFilled ? null : s("path.marks", { d: [...marks].join("") }),
		);
	}

	_cap({ burst, rate: perSecond, from }) {
		const { x, y, most } = this;
		const at = (ms) => burst + (perSecond * (ms - from)) / 1000;
		if (burst > most.bytes) return [];
		// The time at which the line leaves the plot, and the middle of the line.
		const end = Math.min(most.time, from + ((most.bytes - burst) / perSecond) * 1000);
		const middle = (from + end) / 2;
		const [left, top] = [x(from), y(burst)];
		return [
			s("path.cap", { d: `M${left} ${y(0)}V${top}L${x(end)} ${y(at(end))}` }),
			s("circle.knee", { cx: left, cy: top, r: 4 }),
			s("text.cap", left > LEFT + 84 ? { x: left - 9, y: top + 4, "text-anchor": "end" } : { x: left + 22, y: top + 18 }, `${size(burst)} at once`),
			x(end) - left > 150 ? s("text.cap", { x: x(middle) + 8, y: y(at(middle)) + 18 }, `then ${rate(perSecond)}`) : null,
		].filter(Boolean);
	}

	_tell(position) {
		const { lines, held } = this.data;
		const share = (position - LEFT) / (this.width - LEFT - RIGHT);
		const ms = Math.min(Math.max(share, 0), 1) * this.most.time;
		const total = (points, time) => points.findLast(([each]) => each <= time)?.[1] ?? 0;
		const x = this.x(ms);
		this.cross.setAttribute("class", "cross");
		for (const end of ["x1", "x2"]) this.cross.setAttribute(end, x);
		this.tip.replaceChildren(
			h("div.tip-row", h("b", duration(ms)), h("span", held?.some(([from, to]) => from <= ms && ms <= to) ? "held back" : "")),
			...lines.map((line) => h("div.tip-row", h(`span.key.${line.kind}`), line.name, h("b", size(total(line.points, ms))))),
		);
		this.tip.hidden = false;
		const width = this.tip.offsetWidth;
		this.tip.style.left = `${this.width - x > width + 24 ? x + 12 : x - width - 12}px`;
	}

	_hide() {
		this.tip.hidden = true;
		this.cross?.setAttribute("class", "cross off");
	}
}

export function legend(items) {
	return h("ul.legend", items.map(([kind, text]) => h("li", h(`span.key.${kind}`), text)));
}

export function sparkline({ curve, totalMs }, width, height) {
	if (!curve.length) return "";
	const until = Math.max(totalMs ?? 0, curve.at(-1)[0], 1);
	const most = Math.max(curve.at(-1)[1], 1);
	const round = (value) => Math.round(value * 10) / 10;
	return staircase(curve, (ms) => round((ms / until) * width), (bytes) => round(height - 1.5 - (bytes / most) * (height - 3)), until);
}
