// Two invocations over one another.

import * as api from "../api.js";
import { button, h } from "../dom.js";
import { count, duration, money, size, visible } from "../format.js";
import { CurveChart, legend } from "./curve.js";
import { isBuffered, otherMode } from "./detail.js";
import { statusKind } from "./list.js";

const mode = (detail) => (isBuffered(detail) ? "buffered" : "streamed");

// Each row: its name, the value of a detail, and how the value is shown.
const ROWS = [
	["Mode", mode, null],
	["Front door", (detail) => detail.door, null],
	["Status", (detail) => String(detail.status ?? "–"), null],
	["First byte", (detail) => detail.firstByteMs, duration],
	["Total", (detail) => detail.totalMs, duration],
	["Bytes", (detail) => detail.bytes, size],
	["Held back", (detail) => detail.heldMs, duration],
	["Init", (detail) => detail.initMs, duration],
	["Billed", (detail) => detail.billedMs, duration],
	["Memory", (detail) => detail.report?.maxMemoryMb, (value) => `${count(value)} MB`],
	["Cost", (detail) => detail.cost?.total, money],
	["Cost per 1,000", (detail) => (typeof detail.cost?.total === "number" ? detail.cost.total * 1000 : null), money],
];

function change(first, second) {
	if (!first || second == null || first === second) return ["", "same"];
	const share = second / first;
	const text = share >= 2 ? `${share.toFixed(1)} ×` : `${share >= 1 ? "+" : "−"}${Math.abs((share - 1) * 100).toFixed(share > 0.9 && share < 1.1 ? 1 : 0)} %`;
	return [text, share > 1 ? "more" : "less"];
}

export class Compare {
	constructor(store, actions) {
		Object.assign(this, { store, actions });
		this.ids = [];
		this.chart = new CurveChart(300, "Both streams, bytes over time");
		this.body = h("div.panel", { tabindex: 0 });
		this.element = h(
			"section.detail.compare",
			{ "aria-label": "Comparison" },
			h("header.detail-head", h("div.detail-title", h("div.line", h("h2", "Compare"), button("✕", () => this.actions.close(), { key: "Esc", title: "Close", kind: "icon", "aria-label": "Close the comparison" })))),
			this.body,
		);
	}

	async show(first, second) {
		this.ids = [first, second];
		const ids = this.ids;
		try {
			const details = await Promise.all(ids.map((id) => api.detail(id, { bodies: false })));
			if (ids === this.ids) this._draw(details);
		} catch (error) {
			this.actions.fail(error);
		}
	}

	update(changes) {
		if (!this.ids.some((id) => changes.records.has(id))) return;
		this._timer ??= setTimeout(() => ((this._timer = null), this.ids.length && this.show(...this.ids)), 400);
	}

	hide() {
		this.ids = [];
	}

	_draw(details) {
		const line = (detail, kind) => ({
			name: `${kind.toUpperCase()}, ${mode(detail)}`,
			kind,
			points: (detail.pieces).map(([ms, , total]) => [ms, total]),
				until: detail.ended ? detail.totalMs : null,
		});
		const [first, second] = details;
		const begin = (detail) => (detail.pieces).find(([, , total]) => total > 0);
		const capped = details.find((detail) => detail.cap && begin(detail));
		this.chart.show({
			lines: [line(first, "a"), line(second, "b")],
			cap: capped ? { ...capped.cap, from: begin(capped)[0] } : null,
		});
		const keys = [["a", `A: ${mode(first)}, ${duration(first.totalMs)}`], ["b", `B: ${mode(second)}, ${duration(second.totalMs)}`]];
		if (capped) keys.push(["cap", "Lambda's cap"]);
		this.body.replaceChildren(
			h("section.card", h("h3", "Bytes over time, to the client"), legend(keys), this.chart.element),
			h("section.card", this._table(details)),
		);
	}

	_table(details) {
		const [first, second] = details;
		const head = (detail, kind) =>
			h(
				"th",
				h("div.compare-head", h(`span.key.${kind}`), kind.toUpperCase(), h(`span.status.${statusKind(detail)}`, detail.status ?? "–"), h("span.target", visible(`${detail.method} ${detail.target}`))),
				h("div.compare-tools", button("Details", () => this.actions.open(detail.id, "stream"), { kind: "quiet" }), button(`Run it ${otherMode(detail) === "buffered" ? "buffered" : "streamed"}`, () => this.actions.runOtherWay(detail.id), { kind: "quiet" })),
			);
		const row = ([name, get, show]) => {
			const values = details.map(get);
			const texts = values.map((value) => (value != null ? (show ? show(value) : visible(value)) : "–"));
			const [text, kind] = show && details.every((each) => each.ended) ? change(...values) : ["", "same"];
			// Less is not better if the response failed.
			const isColored = !details.some((each) => statusKind(each) === "error");
			return h("tr", h("th", name), texts.map((each) => h("td.number", each)), h(`td.number.change.${isColored ? kind : "same"}`, text));
		};
		return h(
			"table.comparison",
			h("thead", h("tr", h("td"), head(first, "a"), head(second, "b"), h("th.number", "B to A"))),
			h("tbody", ROWS.map(row)),
		);
	}
}
