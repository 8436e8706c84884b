// The dialog for a new request, or for one that is edited and sent again.

import * as api from "../api.js";
import { button, h } from "../dom.js";
import { fromBase64, toBase64, visible } from "../format.js";

// Headers that are not sent again, because they depend on the client's connection.
const HOP_BY_HOP = new Set(["connection", "content-length", "transfer-encoding", "keep-alive", "host"]);

const field = (label, control) => h("label.field", h("span", label), control);

/** Return [[name, value]…] of lines "Name: value". Throws an Error with the first line that has another form. */
export function parseHeaders(text) {
	return text
		.split("\n")
		.filter((line) => line.trim())
		.map((line) => {
			const colon = line.indexOf(":");
			if (colon < 1) throw new Error(`a header line has no name and colon: ${visible(line.slice(0, 60))}`);
			return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
		});
}

function bodyText(request) {
	if (!request?.bodyBytes) return "";
	if (request.cut) return null;
	if (typeof request.bodyText === "string") return request.bodyText;
	if (typeof request.bodyBase64 !== "string") return null;
	try {
		return new TextDecoder("utf-8", { fatal: true }).decode(fromBase64(request.bodyBase64));
	} catch {
		return null;
	}
}

export class Editor {
	constructor(store, onSent) {
		Object.assign(this, { store, onSent });
		this.door = h("select", { name: "door" });
		this.method = h("input", { name: "method" });
		this.target = h("input", { name: "target" });
		this.headers = h("textarea", { name: "headers", rows: 7, placeholder: "Accept: text/event-stream" });
		this.body = h("textarea", { name: "body", rows: 8 });
		this.event = h("textarea", { name: "event", rows: 24 });
		this.note = h("p.note");
		this.error = h("p.alert", { role: "alert", hidden: true });
		this.heading = h("h2");
		this.asRequest = h("div.fields", h("div.field-row", field("Front door", this.door), field("Method", this.method), field("Path and query", this.target)), field("Headers, one a line", this.headers), field("Body", this.body));
		this.asEvent = h("div.fields", field("The whole event, as JSON; it is sent unchanged", this.event));
		this.modes = h("div.segments", { role: "group", "aria-label": "What to edit" }, button("Request", () => this._choose("request")), button("Event", () => this._choose("event")));
		this.form = h(
			"form",
			{ onsubmit: (event) => (event.preventDefault(), this._send()) },
			h("header.dialog-head", this.heading, this.modes, button("✕", () => this.element.close(), { kind: "icon", "aria-label": "Close" })),
			this.asRequest,
			this.asEvent,
			this.note,
			this.error,
			h("footer.dialog-foot", h("kbd", "Ctrl Enter"), h("button.primary", { type: "submit" }, "Send")),
		);
		this.element = h("dialog.editor", { "aria-label": "Send a request" }, this.form);
		this.form.addEventListener("keydown", (event) => {
			if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this._send();
		});
	}

	open(detail = null) {
		const request = detail?.clientRequest;
		this.basedOn = detail?.id ?? null;
		this.originalBody = request ?? null;
		const doors = this.store.hello.function.doors.map((each) => each.door);
		this.door.replaceChildren(...doors.map((door) => h("option", { value: door, selected: door === detail?.door }, door)));
		this.heading.textContent = detail ? "Edit and send" : "New request";
		this.method.value = visible(request?.method ?? "GET");
		this.target.value = request?.target ?? "/";
		this.headers.value = (request?.headers ?? []).filter(([name]) => !HOP_BY_HOP.has(name.toLowerCase())).map(([name, value]) => `${name}: ${value}`).join("\n");
		const text = bodyText(request);
		this.body.value = text ?? "";
		this.body.disabled = text === null;
		this.note.textContent = text === null ? "The body is binary, or only a part of it was recorded. It is sent unchanged if all of it is known." : detail ? "•••• stands for a masked value; the original is sent." : "";
		this.event.value = detail?.event ? JSON.stringify(detail.event, null, 2) : '{\n  "hello": "Lambda"\n}';
		this.error.hidden = true;
		this._choose(detail && !request ? "event" : "request");
		this.element.showModal();
		this.target.focus();
	}

	_choose(mode) {
		this.mode = mode;
		this.asRequest.hidden = mode !== "request";
		this.asEvent.hidden = mode !== "event";
		for (const each of this.modes.children) each.setAttribute("aria-pressed", each.textContent.toLowerCase() === mode);
	}

	_request() {
		if (this.mode === "event") return { event: JSON.parse(this.event.value) };
		const bytes = this.body.disabled ? null : new TextEncoder().encode(this.body.value);
		return {
			door: this.door.value,
			method: this.method.value.trim() || "GET",
			target: this.target.value.trim() || "/",
			headers: parseHeaders(this.headers.value),
			bodyBase64: bytes ? toBase64(bytes) : (this.originalBody?.bodyBase64 ?? ""),
		};
	}

	async _send() {
		try {
			const request = this._request();
			if (this.basedOn) request.basedOn = this.basedOn;
			const { id } = await api.send(request);
			this.element.close();
			this.onSent(id);
		} catch (error) {
			this.error.textContent = this.mode === "event" && error instanceof SyntaxError ? `The event is not JSON: ${error.message}` : error.message;
			this.error.hidden = false;
		}
	}
}
