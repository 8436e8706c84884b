// A body as text, JSON, image, hex or server-sent events. It is data: none of these views lets it be markup.

import { button, h, imageType, picture } from "../dom.js";
import { KB, clock, count, duration, fromBase64, size, toBase64, visible } from "../format.js";

const TEXT_LIMIT = 256 * KB;
const COLOR_LIMIT = 24 * KB;
const HEX_STEP = 4 * KB;
const EVENTS_STEP = 200;

const value = (headers, name) => (headers ?? []).find(([each]) => each.toLowerCase() === name)?.[1] ?? "";

function asText(bytes) {
	try {
		const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
		return /[\u0000-\u0008\u000e-\u001a]/.test(text) ? null : text;
	} catch {
		return null;
	}
}

function asJson(text) {
	try {
		return text === null ? undefined : JSON.parse(text);
	} catch {
		return undefined;
	}
}

/** Return `bytes` decoded from gzip or deflate, or unchanged if that is not possible. */
async function decoded(bytes, coding) {
	const format = { gzip: "gzip", "x-gzip": "gzip", deflate: "deflate" }[coding.trim().toLowerCase()];
	if (!format) return bytes;
	const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format));
	const parts = [];
	try {
		for await (const part of stream) parts.push(part);
	} catch {
		// Only the beginning of the body was recorded. Show its decoded part.
	}
	return parts.length ? new Uint8Array(await new Blob(parts).arrayBuffer()) : bytes;
}

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Return a <pre> of JSON with colors; a long one has none, since each color is an element. */
export function jsonView(json) {
	const text = typeof json === "string" ? json : JSON.stringify(json, null, 2) ?? "";
	if (text.length > COLOR_LIMIT) return textView(text);
	const pre = h("pre.code.json");
	let last = 0;
	for (const found of text.matchAll(TOKEN)) {
		const [whole, string, colon] = found;
		const kind = colon ? "name" : string ? "string" : "value";
		const token = colon ? string : whole;
		pre.append(text.slice(last, found.index), h(`span.${kind}`, token));
		last = found.index + token.length;
	}
	pre.append(text.slice(last));
	return pre;
}

function textView(text) {
	const shown = text.slice(0, TEXT_LIMIT);
	return h(
		"div",
		h("pre.code", shown),
		shown.length < text.length ? h("p.note", `The first ${count(shown.length)} of ${count(text.length)} characters are shown.`) : null,
	);
}

function hexLines(bytes, from, to) {
	const lines = [];
	for (let at = from; at < to; at += 16) {
		const row = bytes.subarray(at, Math.min(at + 16, to));
		const hex = Array.from(row, (byte, i) => (i === 8 ? " " : "") + byte.toString(16).padStart(2, "0")).join(" ");
		const ascii = Array.from(row, (byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
		lines.push(`${at.toString(16).padStart(8, "0")}  ${hex.padEnd(49)}  ${ascii}\n`);
	}
	return lines.join("");
}

/** Call `add(from, to)` for the first `step` of `total` parts. Return a button that adds the next ones. */
function paged(total, step, add) {
	let shown = 0;
	const next = () => {
		add(shown, (shown = Math.min(shown + step, total)));
		more.hidden = shown >= total;
	};
	const more = button("Show more", next, { kind: "quiet" });
	next();
	return more;
}

function hexView(bytes) {
	const pre = h("pre.code.hex");
	return h("div", pre, paged(bytes.length, HEX_STEP, (from, to) => pre.append(hexLines(bytes, from, to))));
}

/** Return the server-sent events in `bytes`: {type, id, data, retry, end}, `end` being the offset after the event. */
export function serverSentEvents(bytes) {
	const events = [];
	const decoder = new TextDecoder();
	let event = { type: "message", id: "", data: [], comments: [] };
	let start = 0;
	for (let at = 0; at < bytes.length; at++) {
		if (bytes[at] !== 10 && bytes[at] !== 13) continue;
		const line = decoder.decode(bytes.subarray(start, at));
		if (bytes[at] === 13 && bytes[at + 1] === 10) at++;
		start = at + 1;
		if (line) {
			readField(event, line);
		} else {
			if (event.data.length || event.comments.length) events.push({ ...event, data: event.data.join("\n"), end: start });
			event = { type: "message", id: event.id, data: [], comments: [] };
		}
	}
	return events;
}

function readField(event, line) {
	const colon = line.indexOf(":");
	const name = colon < 0 ? line : line.slice(0, colon);
	const text = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
	if (name === "") event.comments.push(text);
	else if (name === "data") event.data.push(text);
	else if (name === "event") event.type = text || "message";
	else if (name === "id") event.id = text;
	else if (name === "retry") event.retry = text;
}

/** Return when the byte before `offset` arrived, by the pieces [[ms, bytes…]…]. */
function timeOf(pieces, offset) {
	return pieces.find(([, total]) => total >= offset)?.[0] ?? null;
}

function eventsView(bytes, detail) {
	const events = serverSentEvents(bytes);
	const body = h("tbody");
	let before = null;
	const row = (event) => {
		const at = timeOf(detail.pieces, event.end);
		const gap = at === null || before === null ? "" : `+${duration(at - before)}`;
		before = at ?? before;
		return h(
			"tr",
			h("td.number", { title: at === null ? null : clock(detail.began + at) }, duration(at)),
			h("td.number.dim", gap),
			h("td.mono", visible(event.id)),
			h("td.mono", event.data ? visible(event.type) : "comment"),
			h("td", h("pre.code.event", event.data || event.comments.join("\n"))),
		);
	};
	const more = paged(events.length, EVENTS_STEP, (from, to) => body.append(...events.slice(from, to).map(row)));
	const head = h("tr", ["Arrived", "After", "Id", "Event", "Data"].map((name, at) => h(`th${at < 2 ? ".number" : ""}`, name)));
	if (!events.length) return h("p.note", "No complete event yet.");
	return h("div", h("table.events", h("thead", head), body), more);
}

/** Return the views that suit a body: [[name, () => element]…], the best first. */
function viewsOf(bytes, type, detail) {
	const text = asText(bytes);
	const json = asJson(text);
	const image = imageType(bytes);
	const views = [];
	if (type.startsWith("text/event-stream")) views.push(["Events", () => eventsView(bytes, detail)]);
	if (json !== undefined && typeof json === "object") views.push(["JSON", () => jsonView(json)]);
	if (image) views.push(["Image", () => h("div.image-box", picture(image, toBase64(bytes), "The body as an image"))]);
	if (text !== null) views.push(["Text", () => textView(text)]);
	views.push(["Hex", () => hexView(bytes)]);
	return views;
}

/**
 * Return the view of a body: {bodyBase64, bodyText, bodyBytes, cut, headers}. `state` keeps the chosen view while the
 * body grows.
 */
export function bodyView(message, detail, state) {
	const box = h("div.body");
	if (!message.bodyBytes) return h("p.note", "No body.");
	const isText = typeof message.bodyText === "string";
	if (!isText && typeof message.bodyBase64 !== "string") return h("p.note", `${size(message.bodyBytes)}, which were not recorded.`);
	const raw = isText ? new TextEncoder().encode(message.bodyText) : fromBase64(message.bodyBase64);
	const coding = value(message.headers, "content-encoding");
	decoded(raw, coding).then((bytes) => fill(box, bytes, message, detail, state, { raw, coding })).catch((error) => box.append(error.message));
	return box;
}

function fill(box, bytes, message, detail, state, { raw, coding }) {
	// The pieces have offsets in the original body. They do not fit a decoded body or a body with masks.
	const timed = bytes === raw && (message.cut || raw.length === message.bodyBytes) ? detail : { ...detail, pieces: [] };
	const views = viewsOf(bytes, value(message.headers, "content-type"), timed);
	const content = h("div.body-content");
	const choose = (name) => {
		const chosen = views.find(([each]) => each === name) ?? views[0];
		content.replaceChildren(chosen[1]());
		for (const each of tabs.children) each.setAttribute("aria-pressed", each.textContent === chosen[0]);
	};
	const tabs = h(
		"div.segments",
		{ role: "group", "aria-label": "View the body as" },
		views.map(([name]) => button(name, () => choose((state.view = name)))),
	);
	const notes = [size(message.bodyBytes)];
	if (bytes !== raw) notes.push(`${visible(coding)} decoded: ${size(bytes.length)}`);
	if (message.cut) notes.push(`the first ${size(raw.length)} were recorded`);
	box.replaceChildren(h("div.body-bar", tabs, h("span.dim", notes.join("  ·  "))), content);
	choose(state.view);
}
