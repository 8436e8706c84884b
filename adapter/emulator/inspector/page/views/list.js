// The list of requests. Only the rows that can be seen are in the document; they are reused, and each of them changes only
// if its record does.

import { h, s, setText } from "../dom.js";
import { sparkline } from "./curve.js";
import { clock, count, duration, size, visible } from "../format.js";

const ROW = 34;
const SPARK = { width: 92, height: 20 };
// Rows beyond the edges, so that a short scroll shows no gap.
const SPARE = 4;

/** Return the badges of a summary: [[kind, text, further text that a narrow list leaves out]…]. */
export function badges(record) {
	const found = [];
	if (record.cold) found.push(["cold", "cold"]);
	if (record.restored) found.push(["restored", "restored"]);
	if (record.replayOf) found.push(["replay", "replay"]);
	if (record.mismatch) found.push(["warn", "mismatch"]);
	if (record.throttled) found.push(["error", "throttled"]);
	if (record.error && !record.throttled) found.push(["error", visible(record.error)]);
	if (record.heldMs) found.push(["held", "held", ` ${duration(record.heldMs)}`]);
	return found;
}

export const badge = ([kind, text, more]) => h(`span.badge.${kind}`, { title: text }, text, more ? h("span.more", more) : null);

/** Return the class of a status: "ok", "redirect", "warn", "error", or "running" before it is known. */
export function statusKind(record) {
	if (record.error && !record.throttled) return "error";
	if (!record.status) return record.ended ? "error" : "running";
	return { 1: "ok", 2: "ok", 3: "redirect", 4: "warn" }[Math.floor(record.status / 100)] ?? "error";
}

const statusClass = (record) => (record.status ? `${Math.floor(record.status / 100)}xx` : "");

const textOf = (record) =>
	[record.method, record.target, record.requestId, record.error, record.door, record.client, record.traceId].join(" ").toLowerCase();

export class Filter {
	constructor() {
		this.text = "";
		this.status = "";
		this.door = "";
		this.only = new Set();
	}

	matches(record) {
		if (this.status && statusClass(record) !== this.status) return false;
		if (this.door && record.door !== this.door) return false;
		if (this.only.has("cold") && !record.cold) return false;
		if (this.only.has("errors") && statusKind(record) !== "error" && !record.throttled) return false;
		if (this.only.has("held") && !record.heldMs) return false;
		return !this.text || this.text.split(" ").every((word) => textOf(record).includes(word));
	}
}

class Row {
	constructor(list) {
		this.record = null;
		this.status = h("span.status");
		this.method = h("span.method");
		this.target = h("span.target");
		this.badges = h("span.badges");
		this.time = h("span.cell.time");
		this.door = h("span.cell.door");
		this.first = h("span.cell.number.first");
		this.total = h("span.cell.number.total");
		this.size = h("span.cell.number.size");
		this.area = s("path.area");
		this.stroke = s("path.stroke");
		this.spark = s("svg.spark", { viewBox: `0 0 ${SPARK.width} ${SPARK.height}`, preserveAspectRatio: "none", "aria-hidden": "true" }, this.area, this.stroke);
		this.element = h(
			"div.row",
			{ role: "option", onclick: (event) => list.pick(this.record.id, event.ctrlKey || event.metaKey) },
			this.time, this.status, h("span.what", this.method, this.target, this.badges), this.door, this.first, this.total,
			this.size, this.spark,
		);
	}

	show(record) {
		if (this.record === record) return;
		const isNew = this.record?.id !== record.id;
		this.record = record;
		if (isNew) {
			this.element.id = `row-${record.id}`;
			setText(this.time, clock(record.began, false));
			setText(this.method, visible(record.method));
			setText(this.target, visible(record.target));
			setText(this.door, visible(record.door));
			this.target.title = visible(record.target);
		}
		const kind = statusKind(record);
		setText(this.status, record.status ? String(record.status) : record.ended ? "–" : "···");
		this.status.className = `status ${kind}`;
		this.element.classList.toggle("running", !record.ended);
		setText(this.first, record.firstByteMs === null ? "" : duration(record.firstByteMs));
		setText(this.total, record.ended ? duration(record.totalMs) : "");
		setText(this.size, size(record.bytes ?? 0));
		this._showBadges(badges(record));
		this._showSpark(record);
	}

	_showBadges(found) {
		const key = found.join("|");
		if (key === this.badgesShown) return;
		this.badgesShown = key;
		this.badges.replaceChildren(...found.map(badge));
	}

	_showSpark(record) {
		const path = sparkline(record, SPARK.width, SPARK.height);
		if (path === this.path) return;
		this.path = path;
		this.stroke.setAttribute("d", path);
		this.area.setAttribute("d", path && `${path}V${SPARK.height}H0Z`);
		this.spark.setAttribute("class", record.heldMs ? "spark held" : "spark");
	}
}

export class List {
	/** `onSelect(id)` and `onMark(id)` are called for a click and for a click with Ctrl. */
	constructor(store, { onSelect, onMark }) {
		Object.assign(this, { store, onSelect, onMark });
		this.filter = new Filter();
		this.selected = this.marked = null;
		this.shown = [];
		this._rows = new Map();
		this._free = [];
		this.rows = h("div.rows");
		this.scroller = h("div.scroller", { role: "listbox", tabindex: 0, "aria-label": "Requests", id: "requests" }, this.rows);
		this.empty = h("div.empty");
		this.footer = h("div.list-footer", { "aria-live": "off" });
		const heading = ["Time", "Status", "Request", "Door", "First byte", "Total", "Size", "Stream"];
		const names = ["time", "status-head", "what", "door", "number.first", "number.total", "number.size", "spark-head"];
		this.element = h(
			"div.list",
			h("div.row.head", { "aria-hidden": "true" }, heading.map((text, at) => h(`span.cell.${names[at]}`, text))),
			this.scroller,
			this.empty,
			this.footer,
		);
		this.scroller.addEventListener("scroll", () => this._place(), { passive: true });
		new ResizeObserver(() => this._place()).observe(this.scroller);
	}

	pick(id, isMark) {
		(isMark ? this.onMark : this.onSelect)(id);
	}

	select(id) {
		this.selected = id;
		this._place();
	}

	mark(id) {
		this.marked = id;
		this._place();
	}

	step(by) {
		const at = this.shown.findIndex((record) => record.id === this.selected);
		const next = this.shown[at < 0 ? 0 : Math.min(Math.max(at + by, 0), this.shown.length - 1)];
		if (!next) return;
		this.onSelect(next.id);
		this.reveal(next.id);
	}

	reveal(id) {
		const at = this.shown.findIndex((record) => record.id === id);
		if (at < 0) return;
		const { scrollTop, clientHeight } = this.scroller;
		if (at * ROW < scrollTop) this.scroller.scrollTop = at * ROW;
		else if ((at + 1) * ROW > scrollTop + clientHeight) this.scroller.scrollTop = (at + 1) * ROW - clientHeight;
	}

	update(changes) {
		if (changes.members || changes.records.size) this.refilter();
	}

	refilter() {
		const before = this.shown[0];
		this.shown = [...this.store.records.values()].filter((record) => this.filter.matches(record)).reverse();
		// New rows are added at the top. The rows that the user has scrolled to stay in place.
		const added = before && this.scroller.scrollTop > 0 ? this.shown.findIndex((record) => record.id === before.id) : 0;
		this.rows.style.height = `${this.shown.length * ROW}px`;
		if (added > 0) this.scroller.scrollTop += added * ROW;
		this._place();
		this._tellCounts();
	}

	_place() {
		const { scrollTop, clientHeight } = this.scroller;
		const from = Math.max(0, Math.floor(scrollTop / ROW) - SPARE);
		const to = Math.min(this.shown.length, Math.ceil((scrollTop + clientHeight) / ROW) + SPARE);
		const wanted = new Set();
		for (let at = from; at < to; at++) wanted.add(this.shown[at].id);
		for (const [id, row] of this._rows) {
			if (wanted.has(id)) continue;
			this._rows.delete(id);
			this._free.push(row);
		}
		for (let at = from; at < to; at++) this._placeRow(this.shown[at], at);
		for (const row of this._free) row.element.style.transform = "translateY(-100px)";
		const active = this._rows.get(this.selected)?.element.id ?? "";
		if (this.scroller.getAttribute("aria-activedescendant") !== active) this.scroller.setAttribute("aria-activedescendant", active);
	}

	_placeRow(record, at) {
		let row = this._rows.get(record.id);
		if (!row) {
			row = this._free.pop() ?? new Row(this);
			this._rows.set(record.id, row);
			if (!row.element.isConnected) this.rows.append(row.element);
		}
		row.show(record);
		const transform = `translateY(${at * ROW}px)`;
		if (row.element.style.transform !== transform) row.element.style.transform = transform;
		row.element.classList.toggle("selected", record.id === this.selected);
		row.element.classList.toggle("marked", record.id === this.marked);
		row.element.setAttribute("aria-selected", record.id === this.selected);
	}

	_tellCounts() {
		const [total, shown] = [this.store.records.size, this.shown.length];
		const running = this.shown.filter((record) => !record.ended).length;
		const text = shown === total ? `${count(total)} request${total === 1 ? "" : "s"}` : `${count(shown)} of ${count(total)}`;
		setText(this.footer, running ? `${text}  ·  ${running} running` : text);
		this.empty.hidden = shown > 0;
		if (shown) return;
		const door = this.store.hello?.function.doors[0];
		this.empty.replaceChildren(
			total ? "No request matches the filter." : "Nothing here yet. Send a request:",
			total || !door ? "" : h("code", `curl -N ${visible(door.address)}`),
		);
	}
}
