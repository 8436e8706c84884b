// The data of the page, and the server-sent events that update it. Each view is called at most once per frame, with all
// changes since the previous call.

/** The changes since the last frame. `members` means that records were added or removed. */
class Changes {
	hello = false;
	connection = false;
	members = false;
	environments = false;
	records = new Set();
}

export class Store {
	hello = null;
	connection = "connecting";
	records = new Map();
	environments = new Map();
	_changes = new Changes();
	_isScheduled = false;

	/** `view(changes)` is called once per frame in which something has changed. */
	constructor(view) {
		this._view = view;
	}

	listen() {
		const source = new EventSource("events");
		const on = (name, act) =>
			source.addEventListener(name, (event) => {
				act(JSON.parse(event.data), this._changes);
				this._schedule();
			});
		on("hello", (hello, changes) => this._greet(hello, changes));
		on("record", (record, changes) => {
			changes.members ||= !this.records.has(record.id);
			this.records.set(record.id, record);
			changes.records.add(record.id);
		});
		on("environment", (environment, changes) => {
			this.environments.set(environment.id, environment);
			changes.environments = true;
		});
		on("removed", ({ id }) => this._remove(id));
		on("cleared", () => [...this.records.keys()].forEach((id) => this._remove(id)));
		on("faults", ({ faults }, changes) => {
			this.hello.faults = faults;
			changes.hello = true;
		});
		source.onerror = () => {
			// The source is closed if the answer was not a stream of events: the server now has another token.
			const isEnded = source.readyState === EventSource.CLOSED;
			source.close();
			this._connect(isEnded ? "ended" : "reconnecting");
			setTimeout(() => this.listen(), isEnded ? 3000 : 1000);
		};
	}

	_greet(hello, changes) {
		this.hello = hello;
		this.records = new Map(hello.records.map((record) => [record.id, record]));
		this.environments = new Map(hello.environments.map((each) => [each.id, each]));
		Object.assign(changes, { hello: true, members: true, environments: true, records: new Set(this.records.keys()) });
		this._connect("live");
	}

	_remove(id) {
		this.records.delete(id);
		this._changes.records.delete(id);
		this._changes.members = true;
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
			this._view(changes);
		});
	}
}
