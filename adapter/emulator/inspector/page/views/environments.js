// The execution environments, a lane each.

import { button, h, setText } from "../dom.js";
import { clock, count, duration, visible } from "../format.js";
import { legend } from "./curve.js";
import { Lane, LaneAxis, stateClass } from "./waterfall.js";

const SPANS = [["1 min", 60_000], ["5 min", 300_000], ["1 h", 3_600_000], ["all", Infinity]];
const KEYS = ["init", "busy", "idle", "frozen", "restored"].map((state) => [state, state]);
// Ended environments that are still shown.
const ENDED_LIMIT = 20;

class LaneRow {
	constructor() {
		this.name = h("b");
		this.state = h("span");
		this.since = h("span.dim");
		this.memory = h("span.number");
		this.lane = new Lane();
		this.element = h("div.lane-row", { role: "listitem" }, h("div.lane-name", {}, this.name, this.state), h("div.lane-facts", {}, this.memory, this.since), this.lane.element);
	}

	show(environment, from, now, started) {
		setText(this.name, visible(environment.id));
		setText(this.state, visible(environment.state));
		this.state.className = `state ${stateClass(environment.state)}`;
		this.element.classList.toggle("gone", environment.state === "ended");
		const lane = environment.lane ?? [];
		const since = lane.at(-1)?.[0];
		setText(this.since, since === undefined ? "" : environment.state === "ended" ? `at ${clock(started + since, false)}` : `for ${duration(now - since)}`);
		setText(this.memory, environment.memoryMb ? `${count(environment.memoryMb)} MB` : "");
		this.lane.show(lane, from, now, `Environment ${environment.id}: ${environment.state}`);
	}
}

export class Environments {
	constructor(store, actions) {
		this.store = store;
		this.span = 60_000;
		this.rows = new Map();
		this.list = h("div.lanes", { role: "list" });
		this.axis = new LaneAxis();
		this.empty = h("p.note", {}, "No environment yet: the first request makes one, which is a cold start.");
		this.spans = h("div.segments", { role: "group", "aria-label": "Time span" }, SPANS.map(([text, span]) => button(text, () => this._zoom(span))));
		this.element = h(
			"section.environments",
			{ "aria-label": "Execution environments", hidden: true },
			h("header.bar", {}, h("h2", {}, "Execution environments"), legend(KEYS), this.spans, button("Age idle ones by an hour", () => actions.age(3600), { title: "Idle environments become an hour older, as if nothing had been sent for that time" })),
			h("div.lanes-scroll", {}, this.empty, this.list, h("div.lane-row.lane-foot", {}, h("div"), h("div"), this.axis.element)),
		);
		this._zoom(this.span);
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
		if (changes.environments && !this.element.hidden) this.draw();
	}

	draw() {
		const started = this.store.hello?.started;
		if (this.element.hidden || started === undefined) return;
		const now = Date.now() - started;
		const all = [...this.store.environments.values()];
		const ended = all.filter((each) => each.state === "ended").slice(-ENDED_LIMIT);
		const shown = all.filter((each) => each.state !== "ended" || ended.includes(each));
		const earliest = Math.min(now - 10_000, ...shown.map((each) => each.lane?.[0]?.[0] ?? now));
		const from = Math.max(0, this.span === Infinity ? earliest : now - this.span);
		this.empty.hidden = shown.length > 0;
		const ids = new Set(shown.map((each) => each.id));
		for (const [id, row] of this.rows) if (!ids.has(id)) (row.element.remove(), this.rows.delete(id));
		for (const environment of shown) {
			let row = this.rows.get(environment.id);
			if (!row) {
				this.rows.set(environment.id, (row = new LaneRow()));
				this.list.append(row.element);
			}
			row.show(environment, from, now, started);
		}
		this.axis.show(from, now, started);
	}
}
