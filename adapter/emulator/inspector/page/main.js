// The page: its frame, what the address selects, the keyboard, and the actions.

import * as api from "./api.js";
import { button, h, menu, setText } from "./dom.js";
import { count, size, visible } from "./format.js";
import { Store } from "./store.js";
import { Compare } from "./views/compare.js";
import { Detail, TABS, otherMode } from "./views/detail.js";
import { Editor } from "./views/edit.js";
import { Environments } from "./views/environments.js";
import { List } from "./views/list.js";

const FAULTS = [
	["Delay of 2 s", "delay=2"],
	["Throttle one in ten", "throttle:10%"],
	["Kill the app after 64 KB", "kill=64KB"],
	["Cut the response off after 64 KB", "truncate=64KB"],
	["Exceed the response's limit", "fill"],
	["Drop the connection", "drop"],
	["Fail init phases", "init"],
];
const CONNECTIONS = {
	connecting: ["Connecting", "wait"],
	live: ["Live", "live"],
	reconnecting: ["Reconnecting", "wait"],
	ended: ["adapter dev has ended; open the address that its next start prints", "off"],
};
const KEYS =
	"j k  select  ·  1–5  tabs  ·  r  replay  ·  e  edit and send  ·  o  run the other way  ·  m  compare with the next selected  ·  " +
	"n  new request  ·  /  filter  ·  v  environments  ·  t  dark or light  ·  Esc  close";

class Page {
	constructor() {
		this.store = new Store((changes) => this.update(changes));
		this.marked = null;
		// The record that is selected once it is in the list.
		this.awaited = null;
		const actions = {
			open: (id, tab) => this.go(`/${id}/${tab}`),
			close: () => this.go("/"),
			replay: (id) => this.act(() => api.replay(id), (answer) => this.await(answer.id)),
			runOtherWay: (id) => this.runOtherWay(id),
			edit: (detail) => detail && this.editor.open(detail),
			mark: (id) => this.mark(id),
			copy: (id, as, unmask) => this.act(() => this.copy(id, as, unmask)),
			fail: (error) => this.say(error.message, "error"),
			age: (seconds) => this.act(() => api.age(seconds), () => this.say("Idle environments are an hour older.")),
		};
		this.actions = actions;
		this.list = new List(this.store, { onSelect: (id) => this.pick(id), onMark: (id) => this.mark(id) });
		this.detail = new Detail(this.store, actions);
		this.compare = new Compare(this.store, actions);
		this.environments = new Environments(this.store, actions);
		this.editor = new Editor(this.store, (id) => this.await(id));
		this.build();
		addEventListener("hashchange", () => this.route());
		document.addEventListener("keydown", (event) => this.press(event));
		this.route();
		this.store.listen();
	}

	build() {
		this.connection = h("span.connection", { role: "status" });
		this.about = h("span.about");
		this.faults = h("span.badge.warn", { hidden: true });
		this.views = h(
			"nav.segments.views",
			{ "aria-label": "Views" },
			button("Requests", () => this.go("/"), { key: "v" }),
			button("Environments", () => this.go("/environments"), { key: "v" }),
		);
		this.toast = h("div.toast", { role: "status", "aria-live": "polite", hidden: true });
		const header = h(
			"header.top",
			h("h1", h("span.mark", { "aria-hidden": "true" }), "adapter ", h("span", "inspector")),
			this.views,
			this.about,
			this.faults,
			h("span.space"),
			this.connection,
			button("New request", () => this.editor.open(), { key: "n" }),
			this.faultMenu(),
			button("Clear", () => this.act(api.clear), { title: "Forget all requests" }),
			button("◐", () => this.toggleTheme(), { key: "t", title: "Dark or light", kind: "icon", "aria-label": "Dark or light" }),
			button("?", () => this.say(KEYS, "long"), { key: "?", title: "Keys", kind: "icon", "aria-label": "Keys" }),
		);
		this.listPane = h("section.list-pane", { "aria-label": "Requests" }, this.filterBar(), this.list.element);
		this.main = h("div.main", this.listPane, this.detail.element, this.compare.element, this.environments.element);
		document.body.replaceChildren(header, this.main, this.toast, this.editor.element);
	}

	filterBar() {
		const { filter } = this.list;
		const changed = () => this.list.refilter();
		this.search = h("input.search", { type: "search", placeholder: "Filter: path, method, error, id …", "aria-label": "Filter", oninput: (event) => ((filter.text = event.target.value.trim().toLowerCase()), changed()) });
		const options = [["", "All statuses"], ["2xx", "2xx"], ["3xx", "3xx"], ["4xx", "4xx"], ["5xx", "5xx"]];
		const status = h("select", { "aria-label": "Status", onchange: (event) => ((filter.status = event.target.value), changed()) }, options.map(([value, text]) => h("option", { value }, text)));
		this.doors = h("select", { "aria-label": "Front door", onchange: (event) => ((filter.door = event.target.value), changed()) });
		const chip = (name, text) =>
			h("button.chip", { "aria-pressed": "false", onclick: ({ currentTarget }) => {
				if (!filter.only.delete(name)) filter.only.add(name);
				currentTarget.setAttribute("aria-pressed", filter.only.has(name));
				changed();
			} }, text);
		return h("div.filters", { role: "search" }, this.search, status, this.doors, h("span.chips", chip("cold", "cold"), chip("errors", "errors"), chip("held", "held back")));
	}

	faultMenu() {
		const set = (fault) => this.act(() => api.setFault(fault), (answer) => this.showFaults(answer.faults ?? []));
		const own = h("input", { name: "fault", placeholder: "kind=amount:rate@header", "aria-label": "Fault" });
		const form = h("form.fault-form", { onsubmit: (event) => (event.preventDefault(), set(own.value.trim())) }, own, h("button", { type: "submit" }, "Set"));
		const items = [...FAULTS.map(([text, fault]) => [text, () => set(fault)]), form, ["No faults", () => set("")], ["Age idle environments by an hour", () => this.actions.age(3600)]];
		return menu("Faults", items, { title: "Inject a fault" });
	}

	showFaults(faults) {
		this.faults.hidden = faults.length === 0;
		setText(this.faults, `fault: ${faults.map(visible).join(", ")}`);
	}

	toggleTheme() {
		const root = document.documentElement;
		const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
		root.dataset.theme = (root.dataset.theme ?? (isDark ? "dark" : "light")) === "dark" ? "light" : "dark";
	}

	update(changes) {
		if (changes.hello) this.greet();
		if (changes.connection) {
			const [text, kind] = CONNECTIONS[this.store.connection];
			setText(this.connection, text);
			this.connection.className = `connection ${kind}`;
		}
		this.list.update(changes);
		if (this.awaited !== null && this.store.records.has(this.awaited)) {
			const id = this.awaited;
			this.awaited = null;
			this.pick(id);
		}
		this.detail.update(changes);
		this.compare.update(changes);
		this.environments.update(changes);
	}

	greet() {
		const { function: lambda, limits } = this.store.hello;
		const parts = [lambda.name, `${count(lambda.memory)} MB`, lambda.mode, `up to ${size(lambda.mode === "buffered" ? limits.bufferedLimit : limits.streamLimit)}`];
		setText(this.about, parts.filter(Boolean).map(visible).join("  ·  "));
		this.showFaults(this.store.hello.faults ?? []);
		const doors = [["", "All doors"], ...[...lambda.doors.map((each) => each.door), "invoke-api"].map((door) => [door, door])];
		const chosen = this.doors.value;
		this.doors.replaceChildren(...doors.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
		this.route();
	}

	go(path) {
		location.hash = `#${path}`;
	}

	/** Show what the address says: "#/ID/TAB", "#/compare/A/B" or "#/environments". */
	route() {
		const [first, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
		const isEnvironments = first === "environments";
		const compared = first === "compare" ? rest.map(Number) : [];
		const id = /^\d+$/.test(first) ? Number(first) : null;
		this.environments.show(isEnvironments);
		this.listPane.hidden = isEnvironments;
		this.detail.element.hidden = id === null;
		this.compare.element.hidden = compared.length !== 2;
		this.main.classList.toggle("split", id !== null || compared.length === 2);
		[...this.views.children].forEach((each, at) => each.setAttribute("aria-pressed", isEnvironments === (at === 1)));
		if (this.store.hello === null) return;
		if (compared.length === 2) this.compare.show(...compared);
		else this.compare.hide();
		if (id !== null && this.store.records.has(id)) this.detail.show(id, rest[0]);
		else if (id !== null) this.go("/");
		else this.detail.leave();
		this.list.mark(compared.length === 2 ? compared[0] : this.marked);
		this.list.select(compared.length === 2 ? compared[1] : id);
	}

	pick(id) {
		if (this.marked !== null && this.marked !== id) {
			const first = this.marked;
			this.marked = null;
			this.go(`/compare/${first}/${id}`);
		} else this.go(`/${id}/${this.detail.tab}`);
	}

	mark(id) {
		if (this.marked !== null && this.marked !== id) return this.pick(id);
		this.marked = this.marked === id ? null : id;
		this.list.mark(this.marked);
		if (this.marked !== null) this.say("Select the request to compare it with.");
	}

	await(id) {
		if (this.store.records.has(id)) this.pick(id);
		else this.awaited = id;
	}

	runOtherWay(id) {
		const record = this.store.records.get(id);
		if (!record) return;
		this.act(() => api.replay(id, otherMode(record)), (answer) => {
			this.marked = id;
			this.await(answer.id);
		});
	}

	async copy(id, as, unmask) {
		await navigator.clipboard.writeText(await api.exportText(id, as, unmask));
		this.say(unmask ? "Copied, with secrets." : "Copied; secrets are masked.");
	}

	async act(action, done = () => {}) {
		try {
			done(await action());
		} catch (error) {
			this.say(error.message, "error");
		}
	}

	say(text, kind = "") {
		this.toast.className = `toast ${kind}`;
		this.toast.textContent = text;
		this.toast.hidden = false;
		clearTimeout(this.silence);
		this.silence = setTimeout(() => (this.toast.hidden = true), kind ? 8000 : 3000);
	}

	press(event) {
		if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
		const isTyping = event.target.matches("input:not([type=checkbox]), textarea, select");
		if (event.key === "Escape") return this.escape(isTyping, event.target);
		if (isTyping) return;
		const id = this.detail.element.hidden ? null : this.detail.id;
		const [, other] = this.compare.ids;
		const shown = id ?? other ?? null;
		const keys = {
			"/": () => this.search.focus(),
			"?": () => this.say(KEYS, "long"),
			n: () => this.editor.open(),
			t: () => this.toggleTheme(),
			v: () => this.go(this.environments.element.hidden ? "/environments" : "/"),
			j: () => this.list.step(1),
			k: () => this.list.step(-1),
		};
		if (!event.target.closest(".panel")) Object.assign(keys, { ArrowDown: keys.j, ArrowUp: keys.k });
		if (shown !== null) {
			Object.assign(keys, { r: () => this.actions.replay(shown), o: () => this.runOtherWay(shown), m: () => this.mark(shown) });
		}
		if (id !== null) {
			keys.e = () => this.actions.edit(this.detail.detail);
			TABS.forEach(([name], at) => (keys[at + 1] = () => this.go(`/${id}/${name}`)));
		}
		if (!Object.hasOwn(keys, event.key)) return;
		event.preventDefault();
		keys[event.key]();
	}

	escape(isTyping, target) {
		if (isTyping) return target.blur();
		const menu = document.querySelector("details.menu[open]");
		if (menu) return menu.removeAttribute("open");
		if (this.marked !== null) return this.mark(this.marked);
		this.go("/");
		this.list.scroller.focus();
	}
}

new Page();
