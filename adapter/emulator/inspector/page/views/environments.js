// The execution environments, a lane each.

import { button, h, setText } from "../dom.js";
import { clock, count, duration, visible } from "../format.js";
import { legend } from "./curve.js";
import { place } from "./waterfall.js";

const SPANS = [["1 min", 60_000], ["5 min", 300_000], ["1 h", 3_600_000], ["all", Infinity]];
const STATES = ["init", "busy", "idle", "frozen", "restored", "ended"];
const ENDED_LIMIT = 20;
const STEPS = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21600].map((seconds) => seconds * 1000);

const kind = (state) => (STATES.includes(state) ? state : "other");

class Row {
	constructor() {
		this.name = h("b");
		this.state = h("span");
		this.memory = h("span");
		this.since = h("span.dim");
		this.lane = h("div.lane", { role: "img" });
		this.element = h("div.lane-row", { role: "listitem" }, h("div.lane-name", this.name, this.state), h("div.lane-facts", this.memory, this.since), this.lane);
	}

	show({ id, state, lane, memoryMb }, from, now, started) {
		setText(this.name, visible(id));
		setText(this.state, visible(state));
		this.state.className = `badge ${kind(state)}`;
		const since = lane.at(-1)?.[0] ?? now;
		setText(this.since, state === "ended" ? `at ${clock(started + since, false)}` : `for ${duration(now - since)}`);
		setText(this.memory, memoryMb ? `${count(memoryMb)} MB` : "");
		this.lane.setAttribute("aria-label", `Environment ${id}: ${state}`);
		const share = (ms) => (Math.max(ms, from) - from) / (now - from);
		const bars = lane.map(([begin, each], at) => {
			const end = lane[at + 1]?.[0] ?? now;
			return end < from || each === "ended" ? null : place(h(`i.${kind(each)}`, { title: `${each}, ${duration(end - begin)}` }), share(begin), share(end) - share(begin));
		});
		this.lane.replaceChildren(...bars.filter(Boolean));
	}
}

export class Environments {
	constructor(store, actions) {
		this.store = store;
		this.rows = new Map();
		this.list = h("div.lanes", { role: "list" });
		this.axis = h("div.lane.ticks");
		this.empty = h("p.note", "No environment yet: the first request makes one, which is a cold start.");
		this.spans = h("div.segments", { role: "group", "aria-label": "Time span" }, SPANS.map(([text, span]) => button(text, () => this._zoom(span))));
		this.element = h(
			"section.environments",
			{ "aria-label": "Execution environments", hidden: true },
			h("header.bar", h("h2", "Execution environments"), legend(STATES.slice(0, -1).map((state) => [state, state])), this.spans, button("Age idle ones by an hour", () => actions.age(3600), { title: "As if nothing had been sent for an hour" })),
			h("div.lanes-scroll", this.empty, this.list, h("div.lane-row", h("i"), h("i"), this.axis)),
		);
		this._zoom(SPANS[0][1]);
	}

	_zoom(span) {
		this.span = span;
		SPANS.forEach(([, each], at) => this.spans.children[at].setAttribute("aria-pressed", each === span));
		this.draw();
	}

	show(isShown) {
		this.element.hidden = !isShown;
		clearInterval(this._ticker);
		if (!isShown) return;
		this.draw();
		this._ticker = setInterval(() => this.draw(), 500);
	}

	update(changes) {
		if (changes.environments) this.draw();
	}

	draw() {
		const started = this.store.hello?.started;
		if (this.element.hidden || started === undefined) return;
		const now = Date.now() - started;
		const all = [...this.store.environments.values()];
		const ended = all.filter((each) => each.state === "ended").slice(-ENDED_LIMIT);
		const shown = all.filter((each) => each.state !== "ended" || ended.includes(each));
		const earliest = Math.min(now - 10_000, ...shown.map((each) => each.lane[0]?.[0] ?? now));
		const from = Math.max(0, this.span === Infinity ? earliest : now - this.span);
		this.empty.hidden = shown.length > 0;
		const ids = new Set(shown.map((each) => each.id));
		for (const [id, row] of this.rows) if (!ids.has(id)) (row.element.remove(), this.rows.delete(id));
		for (const environment of shown) {
			if (!this.rows.has(environment.id)) {
				this.rows.set(environment.id, new Row());
				this.list.append(this.rows.get(environment.id).element);
			}
			this.rows.get(environment.id).show(environment, from, now, started);
		}
		this._drawAxis(from, now, started);
	}

	_drawAxis(from, now, started) {
		const step = STEPS.find((each) => (now - from) / each <= 9) ?? now - from;
		const ticks = [];
		for (let at = step - ((started + from) % step); from + at < now; at += step) ticks.push(place(h("span", clock(started + from + at, false)), at / (now - from)));
		this.axis.replaceChildren(...ticks);
	}
}
