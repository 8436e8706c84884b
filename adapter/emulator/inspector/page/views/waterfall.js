// The waterfall of one invocation: its phases as bars over one time axis, that of the curve above it.

import { h } from "../dom.js";
import { duration, timeTicks } from "../format.js";

const PHASES = {
	queued: "waiting for an environment",
	init: "a cold start",
	restore: "from its snapshot",
	app: "until its first byte",
	prelude: "status and headers, until the first byte to the client",
	stream: "from the first byte of the body to its last one",
	end: "until the environment was done",
};

/** Place `element` at `left`, with the width `width` unless it is null. Both are shares of the parent's width. */
export function place(element, left, width = null) {
	element.style.left = `${left * 100}%`;
	if (width !== null) element.style.width = `${Math.max(0, width) * 100}%`;
	return element;
}

/** Return the waterfall of `phases`: [{name, from, to}…] in ms; a phase that is not over has `to` null. */
export function waterfall(phases, until) {
	const last = Math.max(until ?? 0, ...phases.map((each) => each.to ?? each.from), 1);
	const { values, label } = timeTicks(last, 7);
	return h(
		"div.waterfall",
		{ role: "list", "aria-label": "Phases of the invocation" },
		h("div.track.ticks", values.map((value) => place(h("span", label(value)), value / last))),
		phases.map((phase) => bar(phase, last)),
	);
}

function bar({ name, from, to }, last) {
	const meaning = Object.hasOwn(PHASES, name) ? PHASES[name] : "";
	const [begin, end] = [from / last, (to ?? last) / last];
	const value = h("span", duration((to ?? last) - from));
	// The duration is beside its bar, or in it, if there is no room on the right.
	if (end < 0.88) place(value, end).className = "after";
	else if (end - begin > 0.12) place(value, begin, end - begin).className = "inside";
	else place(value, begin).className = "before";
	return h(
		`div.phase.${meaning ? name : "other"}`,
		{ role: "listitem", title: `${name}: ${meaning}, ${duration(from)} – ${duration(to)}` },
		h("span", name),
		h("div.track", place(h("i"), begin, end - begin), value),
	);
}
