// The waterfall of one invocation: its phases as bars over one time axis, and the environments' lives as lanes.

import { h, onWidth, s } from "../dom.js";
import { MARGINS } from "./curve.js";
import { clock, duration, timeTicks } from "../format.js";

// The names of the phases, and what each of them is.
const PHASES = {
	queued: ["queued", "the invocation waited for an execution environment"],
	init: ["init", "a cold start: the environment was made and the app started"],
	restore: ["restore", "the environment was restored from its snapshot"],
	app: ["app", "until the app's first byte"],
	prelude: ["prelude", "status and headers, before the body"],
	stream: ["body", "from the first byte of the body to its last one"],
	end: ["end", "the response is complete"],
};
const ROW = 26;
const LABEL = MARGINS.left;
// The width that a duration needs beside its bar.
const VALUE = 62;

/** Return the waterfall of `phases`: [{name, from, to}…] in ms; a phase that is not over has `to` null. */
export function waterfall(phases, until) {
	const last = Math.max(until ?? 0, ...phases.map((each) => each.to ?? each.from), 1);
	const height = phases.length * ROW + 24;
	const svg = s("svg.waterfall", { role: "img", height, width: 0, "aria-label": "Phases of the invocation" });
	const element = h("div.chart", {}, svg);
	onWidth(element, (width) => {
		const right = width - MARGINS.right;
		const x = (ms) => LABEL + (ms / last) * (right - LABEL);
		svg.setAttribute("width", width);
		svg.replaceChildren(axis(last, x, right, height), ...phases.map((phase, row) => bar(phase, row, x, last, width)));
	});
	return element;
}

function axis(last, x, right, height) {
	const times = timeTicks(last, Math.max(2, (right - LABEL) / 90));
	return s(
		"g.axes",
		{},
		times.values.map((value) => [
			s("line.grid", { x1: x(value), x2: x(value), y1: 0, y2: height - 20 }),
			s("text.tick-x", { x: x(value), y: height - 6, "text-anchor": "middle" }, times.label(value)),
		]),
	);
}

function bar(phase, row, x, last, width) {
	const [from, to] = [phase.from, phase.to ?? last];
	const y = row * ROW;
	const [name, meaning] = Object.hasOwn(PHASES, phase.name) ? PHASES[phase.name] : [phase.name, ""];
	const text = phase.name === "end" ? duration(from) : duration(to - from);
	const isInside = x(to) + VALUE > width;
	const fits = !isInside || x(to) - x(from) > VALUE;
	const value = isInside && fits
		? { x: x(to) - 7, "text-anchor": "end", class: "value inside" }
		: isInside
			? { x: x(from) - 7, "text-anchor": "end", class: "value" }
			: { x: x(to) + 7, class: "value" };
	return s(
		`g.phase${meaning ? `.${phase.name}` : ""}`,
		{},
		s("text.name", { x: LABEL - 8, y: y + 16, "text-anchor": "end" }, name),
		s("rect", { x: x(from), y: y + 4, width: Math.max(2, x(to) - x(from)), height: ROW - 9, rx: 2 }),
		s("text", { ...value, y: y + 16 }, text),
		s("title", {}, `${name}: ${meaning}, ${duration(from)} – ${duration(to)}`),
	);
}

const STATES = new Set(["init", "idle", "busy", "frozen", "restored", "ended"]);

/** Return the class for an environment's state. */
export function stateClass(state) {
	return STATES.has(state) ? state : "other";
}

/** A lane: the states of one environment between `from` and `to`, in ms since the start of `adapter dev`. */
export class Lane {
	constructor() {
		this.svg = s("svg.lane", { height: 26, width: 0, role: "img" });
		this.element = h("div.lane-box", {}, this.svg);
		this.width = 0;
		onWidth(this.element, (width) => ((this.width = width), this._draw()));
	}

	show(lane, from, to, label) {
		Object.assign(this, { lane, from, to });
		this.svg.setAttribute("aria-label", label);
		if (this.width) this._draw();
	}

	_draw() {
		const { lane, from, to, width } = this;
		if (!lane) return;
		const x = (ms) => Math.round((Math.min(Math.max(ms, from), to) - from) / Math.max(1, to - from) * width * 10) / 10;
		this.svg.setAttribute("width", width);
		const bars = [];
		for (let at = 0; at < lane.length; at++) {
			const [begin, state] = lane[at];
			const end = at + 1 < lane.length ? lane[at + 1][0] : to;
			if (end < from || state === "ended") continue;
			bars.push(s(`rect.${stateClass(state)}`, { x: x(begin), y: state === "busy" ? 2 : 8, width: Math.max(1, x(end) - x(begin)), height: state === "busy" ? 22 : 10, rx: 1.5 }, s("title", {}, `${state}, ${duration(end - begin)}`)));
		}
		this.svg.replaceChildren(...bars);
	}
}

/** The time axis of all lanes; `started` is the epoch time at 0. */
export class LaneAxis {
	constructor() {
		this.svg = s("svg.lane-axis", { height: 20, width: 0 });
		this.element = h("div.lane-box", {}, this.svg);
		onWidth(this.element, (width) => ((this.width = width), this._draw()));
	}

	show(from, to, started) {
		Object.assign(this, { from, to, started });
		if (this.width) this._draw();
	}

	_draw() {
		const { from, to, started, width } = this;
		if (to === undefined) return;
		const span = Math.max(1, to - from);
		const step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600].map((each) => each * 1000).find((each) => (span / each) * 80 <= width) ?? span;
		const texts = [];
		const offset = (started + from) % step;
		for (let at = from + ((step - offset) % step); at <= to; at += step) {
			const x = ((at - from) / span) * width;
			if (x > 28 && x < width - 28) texts.push(s("text.tick-x", { x, y: 14, "text-anchor": "middle" }, clock(started + at, false)));
		}
		this.svg.setAttribute("width", width);
		this.svg.replaceChildren(...texts);
	}
}
