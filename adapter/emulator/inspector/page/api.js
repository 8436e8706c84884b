// The requests of the page to its server. Every address is below the page's own, which has the token.

async function ask(path, options) {
	let response;
	try {
		response = await fetch(path, { cache: "no-store", ...options });
	} catch {
		throw new Error("adapter dev does not answer");
	}
	const text = await response.text();
	let answer = text;
	try {
		answer = JSON.parse(text);
	} catch {}
	if (!response.ok) throw new Error(answer?.error ?? `adapter dev answered ${response.status}`);
	return answer;
}

function post(path, body = {}) {
	return ask(path, {
		method: "POST",
		headers: { "Content-Type": "application/json" },
		body: JSON.stringify(body),
	});
}

const record = (id) => `records/${encodeURIComponent(id)}`;

export const detail = (id, { unmask = false, bodies = true } = {}) =>
	ask(`${record(id)}?unmask=${unmask ? 1 : 0}&bodies=${bodies ? 1 : 0}`);
export const replay = (id, mode) => post(`${record(id)}/replay`, mode ? { mode } : {});
export const send = (request) => post("send", request);
export const clear = () => post("clear");
export const setFault = (fault) => post("faults", { fault });
export const age = (seconds) => post("idle", { seconds });
export const exportPath = (id, as, unmask = false) =>
	`${id === null ? "" : `${record(id)}/`}export?as=${as}${unmask ? "&unmask=1" : ""}`;
export async function exportText(id, as, unmask) {
	const response = await fetch(exportPath(id, as, unmask), { cache: "no-store" });
	if (!response.ok) throw new Error(`adapter dev answered ${response.status}`);
	return response.text();
}
