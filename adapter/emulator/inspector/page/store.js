// What the page knows, and the server-sent events that it learns this from. Views are called once per frame with all
// changes since the last one, however many events arrived.

/** The changes since the last frame. `members` means that records were added or removed. */
class Changes {
	constructor() {
		this.hello = this.connection = this.members = this.environments = false;
		this.records = new Set();
	}
}

export class Store {
	constructor() {
		this.hello = null;
		this.connection = "connecting";
		this.records = new Map();
		this.environments = new Map();
		this._views = [];
		this._changes = new Changes();
		this._isScheduled = false;
	}

	/** Call `view(changes)` once per frame in which something has changed. */
	subscribe(view) {
		this._views.push(view);
	}

	listen() {
		const source = new EventSource("events");
		const on = (name, act) => source.addEventListener(name, (event) => act(JSON.parse(event.data)));
		on("hello", (hello) => this._greet(hello));
		on("record", (record) => this._put(record));
		on("environment", (environment) => this._putEnvironment(environment));
		on("removed", ({ id }) => this._remove(id));
		on("cleared", () => this._clear());
		on("faults", ({ faults }) => this._setFaults(faults));
		source.onerror = () => {
			// A source that is closed got another answer than events, as from a server with another token.
			const isEnded = source.readyState === EventSource.CLOSED;
			source.close();
			this._connect(isEnded ? "ended" : "reconnecting");
			setTimeout(() => this.listen(), isEnded ? 3000 : 1000);
		};
	}

	_greet(hello) {
		this.hello = hello;
		this.records = new Map((hello.records).map((record) => [record.id, record]));
		this.environments = new Map((hello.environments).map((each) => [each.id, each]));
		this._changes.records.clear();
		Object.assign(this._changes, { hello: true, members: true, environments: true });
		for (const id of this.records.keys()) this._changes.records.add(id);
		this._connect("live");
	}

	_put(record) {
		if (!this.records.has(record.id)) this._changes.members = true;
		this.records.set(record.id, record);
		this._changes.records.add(record.id);
		this._schedule();
	}

	_remove(id) {
		this.records.delete(id);
		this._changes.records.delete(id);
		this._changes.members = true;
		this._schedule();
	}

	_clear() {
		for (const id of [...this.records.keys()]) this._remove(id);
	}

	_putEnvironment(environment) {
		this.environments.set(environment.id, environment);
		this._changes.environments = true;
		this._schedule();
	}

	_setFaults(faults) {
		this.hello.faults = faults;
		this._changes.hello = true;
		this._schedule();
	}

	_connect(connection) {
		this.connection = connection;
		this._changes.connection = true;
		this._schedule();
	}

	_schedule() {
		if (this._isScheduled) return;
		this._isScheduled = true;
		requestAnimationFrame(() => {
			this._isScheduled = false;
			const changes = this._changes;
			this._changes = new Changes();
			for (const view of this._views) view(changes);
		});
	}
}
