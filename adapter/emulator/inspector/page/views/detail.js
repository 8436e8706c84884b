// Everything about one invocation: its figures, and a tab each for the stream, the requests, the response, the output and
// the other front doors.

import * as api from "../api.js";
import { button, h, menu } from "../dom.js";
import { clock, count, duration, money, size, visible } from "../format.js";
import { bodyView, jsonView } from "./body.js";
import { CurveChart, legend } from "./curve.js";
import { badge, badges, statusKind } from "./list.js";
import { waterfall } from "./waterfall.js";

export const TABS = [
	["stream", "Stream"],
	["request", "Request"],
	["response", "Response"],
	["output", "Output"],
	["doors", "Would it work behind …?"],
];
// The time between two requests for the details of a running stream, in ms.
const REFRESH = 500;

export const isBuffered = (record) => record.mode === "buffered";
export const otherMode = (record) => (isBuffered(record) ? "streaming" : "buffered");

const section = (title, ...children) => h("section.card", h("h3", title), ...children);

export function curveData(detail) {
	const pieces = detail.pieces;
	// Each entry has the bytes of both sides. Keep those at which the bytes of this side increase.
	const steps = (side) => pieces.filter((piece, at) => piece[side] > (pieces[at - 1]?.[side] ?? 0)).map((piece) => [piece[0], piece[side]]);
	const [app, client] = [steps(1), steps(2)];
	const until = detail.ended ? detail.totalMs : null;
	// The cap begins with the first write to the client. Until then, the whole burst is available.
	const first = client[0];
	return {
		lines: [
			{ name: "from the app", kind: "app", points: app, isFilled: true },
			{ name: "to the client", kind: "client", points: client, until },
		],
		cap: detail.cap && first ? { ...detail.cap, from: first[0] } : null,
		held: detail.held,
		until,
	};
}

function facts(pairs) {
	const known = pairs.filter(([, value]) => value != null && value !== "" && value !== "–");
	return h("dl.facts", known.map(([name, value]) => h("div", h("dt", name), h("dd", value))));
}

function headerTable(headers, marks = new Map()) {
	if (!headers?.length) return h("p.note", "No headers.");
	return h(
		"table.headers",
		h("tbody", headers.map(([name, value]) =>
			h(`tr${marks.has(name.toLowerCase()) ? `.${marks.get(name.toLowerCase())}` : ""}`, h("th", visible(name)), h("td", visible(value))),
		)),
	);
}

/** Return which headers of `headers` are not in `others` with the same value: name → `kind`. */
function differences(headers, others, kind) {
	const known = new Set((others ?? []).map(([name, value]) => `${name.toLowerCase()}:${value}`));
	return new Map((headers ?? []).filter(([name, value]) => !known.has(`${name.toLowerCase()}:${value}`)).map(([name]) => [name.toLowerCase(), kind]));
}

function message(title, request, marks, detail, state) {
	if (!request) return section(title, h("p.note", "None."));
	return section(
		title,
		h("p.request-line", h("b", visible(request.method)), " ", visible(request.target)),
		headerTable(request.headers, marks),
		request.bodyBytes ? bodyView(request, detail, state) : null,
	);
}

export class Detail {
	constructor(store, actions) {
		Object.assign(this, { store, actions });
		this.id = this.detail = null;
		this.tab = "stream";
		this.unmasked = false;
		this.bodyStates = {};
		this.chart = new CurveChart(260, "Bytes over time");
		this.title = h("div.detail-title");
		this.tools = h("div.tools");
		this.figures = h("dl.figures");
		this.tabs = h("div.tabs", { role: "tablist", "aria-label": "Details" }, TABS.map(([name, text], at) => this._tabButton(name, text, at)));
		this.panel = h("div.panel", { role: "tabpanel", id: "panel", tabindex: 0 });
		this.element = h("section.detail", { "aria-label": "Details of the selected request" }, h("header.detail-head", this.title, this.tools, this.figures, this.tabs), this.panel);
	}

	_tabButton(name, text, at) {
		return h("button.tab", { role: "tab", id: `tab-${name}`, "aria-controls": "panel", title: `${text} (${at + 1})`, onclick: () => this.actions.open(this.id, name) }, text);
	}

	show(id, tab) {
		const isNew = id !== this.id;
		this.tab = TABS.some(([name]) => name === tab) ? tab : "stream";
		for (const each of this.tabs.children) each.setAttribute("aria-selected", each.id === `tab-${this.tab}`);
		if (isNew) {
			this.id = id;
			this.detail = null;
			this.unmasked = false;
			this.bodyStates = {};
			this.panel.scrollTop = 0;
			this.panel.replaceChildren(h("p.note.wait", "Loading …"));
			this._showHead();
		}
		// The loaded details of a running stream may have no bodies, but other tabs show them.
		if (isNew || !this.detail?.ended) this._load();
		else this._showPanel();
	}

	update(changes) {
		if (this.id === null) return;
		if (changes.members && !this.store.records.has(this.id)) return this.actions.close();
		if (!changes.records.has(this.id)) return;
		this._showHead();
		if (this.store.records.get(this.id).ended) this._load();
		else this._timer ??= setTimeout(() => ((this._timer = null), this._load()), REFRESH);
	}

	leave() {
		this.id = null;
	}

	async _load() {
		const id = this.id;
		const number = (this._number = (this._number ?? 0) + 1);
		try {
			// While a stream runs, load the bodies only for a tab that shows them.
			const bodies = this.store.records.get(id)?.ended || this.tab !== "stream" || !this.detail;
			const detail = await api.detail(id, { unmask: this.unmasked, bodies });
			if (id !== this.id || number !== this._number) return;
			this.detail = detail;
			this._showHead();
			this._showPanel();
		} catch (error) {
			if (id === this.id) this.actions.fail(error);
		}
	}

	_showHead() {
		const record = this.store.records.get(this.id) ?? this.detail;
		if (!record) return;
		this.title.replaceChildren(
			h("div.line", h(`span.status.large.${statusKind(record)}`, record.status || (record.ended ? "–" : "running")), h("h2", h("span.method", visible(record.method)), " ", visible(record.target)), button("✕", () => this.actions.close(), { key: "Esc", title: "Close", kind: "icon", "aria-label": "Close the details" })),
			h("div.line.meta", badges(record).map(badge), h("span", visible(record.door)), h("span", clock(record.began)), record.environment ? h("span", `environment ${visible(record.environment)}`) : null, h("code.id", { title: "Request id" }, visible(record.requestId ?? record.id))),
		);
		this._showTools(record);
		this._showFigures(record);
	}

	_showTools(record) {
		const key = `${record.id} ${record.mode} ${this.unmasked}`;
		if (key === this._toolsShown) return;
		this._toolsShown = key;
		const { actions } = this;
		const copies = [["as curl", "curl"], ["as adapter invoke", "invoke"], ["as boto3", "boto3"]].map(([text, as]) => [text, () => actions.copy(this.id, as, this.unmasked)]);
		const save = (text, id, as) => h("a", { href: api.exportPath(id, as, this.unmasked), download: true }, text);
		this.tools.replaceChildren(
			button("Replay", () => actions.replay(this.id), { key: "r", kind: "primary" }),
			button("Edit & send", () => actions.edit(this.detail), { key: "e" }),
			button(isBuffered(record) ? "Run it streamed" : "Run it buffered", () => actions.runOtherWay(this.id), { key: "o", title: "Run it the other way, and compare" }),
			button("Compare", () => actions.mark(this.id), { key: "m", title: "Compare with another request" }),
			menu("Copy", copies, { title: "Copy this request" }),
			menu("Save", [save("the event", this.id, "event"), save("as HAR", this.id, "har"), save("as a recording", this.id, "recording"), save("all requests as HAR", null, "har")], { title: "Save as a file" }),
			h("label.toggle", { title: "Masked values are shown, copied and saved as they are" }, h("input", { type: "checkbox", checked: this.unmasked, onchange: (event) => ((this.unmasked = event.target.checked), this._load()) }), "Show secrets"),
		);
	}

	_showFigures(record) {
		const { cost } = this.detail ?? {};
		const figures = [
			["First byte", duration(record.firstByteMs)],
			["Total", record.ended ? duration(record.totalMs) : "running"],
			["Bytes", size(record.bytes ?? 0)],
			["Held back", record.heldMs ? duration(record.heldMs) : "–", record.heldNow || record.heldMs ? "held" : ""],
			["Billed", duration(record.billedMs)],
			["Cost", cost ? money(cost.total, cost.currency) : "–"],
		];
		this.figures.replaceChildren(...figures.map(([name, value, kind]) => h("div", h("dt", name), h("dd", { class: kind }, value))));
	}

	_showPanel() {
		if (!this.detail) return;
		const { scrollTop } = this.panel;
		const content = { stream: streamTab, request: requestTab, response: responseTab, output: outputTab, doors: doorsTab }[this.tab](this);
		this.panel.setAttribute("aria-labelledby", `tab-${this.tab}`);
		this.panel.replaceChildren(...content.filter(Boolean));
		this.panel.scrollTop = scrollTop;
	}
}

function streamTab({ detail, chart }) {
	const keys = [["client", "what the client took, a mark for each piece"], ["app", "what the app sent"]];
	if (detail.cap) keys.push(["cap", `cap: ${size(detail.cap.burst)} at once, then ${size(detail.cap.rate)}/s${detail.bytes < detail.cap.burst / 2 ? " (above this scale)" : ""}`]);
	if (detail.held?.length) keys.push(["held", `held back ${duration(detail.heldMs)}`]);
	chart.show(curveData(detail));
	return [
		detail.error ? h("p.alert", { role: "alert" }, h("b", visible(detail.error)), detail.errorMessage ? ` ${visible(detail.errorMessage)}` : null) : null,
		section("Bytes over time", legend(keys), chart.element),
		detail.phases?.length ? section("Where the time went", waterfall(detail.phases, detail.ended ? detail.totalMs : null)) : null,
		h("div.pair", costCard(detail), reportCard(detail)),
	];
}

function costCard({ cost }) {
	if (!cost) return section("Cost", h("p.note", "Unknown until the invocation is over."));
	const row = ([name, value]) =>
		h(`tr${name === "Total" ? ".sum" : ""}`, h("th", name), [value, value == null ? value : value * 1000].map((each) => h("td.number", money(each, cost.currency))));
	const rows = [["Duration", cost.duration], ["Request", cost.request], ["Streamed bytes", cost.streaming], ["Total", cost.total]];
	return section(
		"Cost",
		h("table.amounts", h("thead", h("tr", h("td"), h("th.number", "once"), h("th.number", "per 1,000"))), h("tbody", rows.map(row))),
		h("p.source", [cost.region, cost.source].filter(Boolean).map(visible).join(", ")),
	);
}

function reportCard({ report, client, traceId, mode, replayOf }) {
	const memory = report?.maxMemoryMb ? `${count(report.maxMemoryMb)} of ${count(report.memoryMb)} MB` : null;
	return section(
		"Invocation",
		facts([
			["Duration", duration(report?.durationMs)],
			["Billed", duration(report?.billedMs)],
			["Init", duration(report?.initMs)],
			["Restore", duration(report?.restoreMs)],
			["Memory used", memory],
			["Mode", visible(mode)],
			["Client", visible(client)],
			["Trace id", h("code", visible(traceId))],
			["Replay of", replayOf ? h("code", visible(replayOf)) : null],
		]),
	);
}

function requestTab({ detail, bodyStates }) {
	const { event, clientRequest, appRequest } = detail;
	const added = differences(appRequest?.headers, clientRequest?.headers, "added");
	const removed = differences(clientRequest?.headers, appRequest?.headers, "removed");
	bodyStates.client ??= {};
	bodyStates.app ??= {};
	return [
		h(
			"div.pair.requests",
			section("The event", event ? jsonView(event) : h("p.note", "Not recorded.")),
			h(
				"div.stack",
				message("What the client sent", clientRequest, removed, detail, bodyStates.client),
				message("What the app got", appRequest, added, detail, bodyStates.app),
			),
		),
	];
}

function responseTab({ detail, bodyStates }) {
	const { response } = detail;
	if (!response) return [h("p.note", detail.ended ? "There was no response." : "No response yet.")];
	bodyStates.response ??= {};
	const head = (status, headers) => [h("p.request-line", h("b", status ?? "–")), headerTable(headers)];
	const { prelude } = response;
	return [
		section("Body", bodyView(response, detail, bodyStates.response)),
		h(
			"div.pair",
			section("What the client got", head(response.status, response.headers)),
			section(prelude ? `The function's prelude, ${size(prelude.bytes)}` : "Prelude", prelude ? head(prelude.statusCode, prelude.headers) : h("p.note", "None: the function answered with one payload.")),
		),
	];
}

function outputTab({ detail }) {
	const lines = detail.output;
	const row = ({ ms, stream, text }) => h(`tr${stream === "stderr" ? ".stderr" : ""}`, h("td.number.dim", duration(ms)), h("td.mono", visible(text)));
	return [
		section("What the app wrote during this invocation", lines.length ? h("table.output", h("tbody", lines.map(row))) : h("p.note", "Nothing.")),
		section("CloudWatch", detail.cloudwatch ? h("pre.code", detail.cloudwatch) : h("p.note", "Nothing yet.")),
	];
}

function doorsTab({ detail }) {
	const verdicts = detail.verdicts;
	if (!verdicts.length) return [h("p.note", detail.ended ? "Only for requests through a front door." : "Known once the invocation is over.")];
	const slowest = Math.max(...verdicts.map((each) => each.totalMs ?? 0), 1);
	const row = (each) => {
		const [kind, text] = each.fits === null ? ["unknown", "? not known"] : each.fits ? ["yes", "✓ fits"] : ["no", "✕ breaks"];
		const reasons = [...(each.breaks), ...(each.notes ?? [])].map((reason) => h("div", visible(reason)));
		return [
			h(
				`tr.${kind}`,
				h("th", { title: each.title && visible(each.title) }, visible(each.door), h("span.dim", ` ${visible(each.mode)}`)),
				h("td", h("span.verdict", text)),
				h("td.number", duration(each.firstByteMs)),
				h("td.number", duration(each.totalMs), timeBar(each, slowest)),
				h("td.number", typeof each.cost === "number" ? money(each.cost * 1000) : "–"),
			),
			reasons.length ? h(`tr.reasons.${kind}`, h("td", { colspan: 5 }, reasons)) : null,
		];
	};
	const heads = ["Front door", "", "First byte", "Total", "Per 1,000"];
	return [
		section(
			"Would it work behind …?",
			h("p.note", "Computed from what was recorded; the app does not run again."),
			h("table.verdicts", h("thead", h("tr", heads.map((text, at) => h(`th${at > 1 ? ".number" : ""}`, text)))), h("tbody", verdicts.map(row))),
		),
	];
}

function timeBar({ firstByteMs, totalMs }, slowest) {
	const bar = h("div.time-bar", { "aria-hidden": "true" }, h("span.wait"), h("span.rest"));
	bar.children[0].style.width = `${((firstByteMs ?? 0) / slowest) * 100}%`;
	bar.children[1].style.width = `${(Math.max(0, (totalMs ?? 0) - (firstByteMs ?? 0)) / slowest) * 100}%`;
	return bar;
}
