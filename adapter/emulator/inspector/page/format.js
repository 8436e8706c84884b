// Numbers, times and foreign texts as the page shows them. AWS counts 1 MB as 1,024 KB.

export const KB = 1024;
export const MB = KB * KB;

const plain = new Intl.NumberFormat("en-US");

function digits(value) {
	return value >= 100 || Number.isInteger(value) ? 0 : value >= 10 ? 1 : 2;
}

export function size(bytes) {
	if (bytes == null) return "–";
	if (bytes < KB) return `${plain.format(Math.round(bytes))} B`;
	const [value, unit] = bytes < MB ? [bytes / KB, "KB"] : bytes < KB * MB ? [bytes / MB, "MB"] : [bytes / KB / MB, "GB"];
	return `${trimmed(value)} ${unit}`;
}

function trimmed(value) {
	return String(Number(value.toFixed(digits(value))));
}

export function count(value) {
	return value == null ? "–" : plain.format(value);
}

export function duration(ms) {
	if (ms == null) return "–";
	if (ms < 999.5) return `${ms < 10 && ms > 0 ? Number(ms.toFixed(1)) : Math.round(ms)} ms`;
	if (ms < 59_995) return `${(ms / 1000).toFixed(2)} s`;
	const seconds = Math.round(ms / 1000);
	return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Return an amount of money with two significant digits or more; unknown stays unknown. */
export function money(amount, currency = "USD") {
	if (amount == null) return "unknown";
	const sign = currency === "USD" ? "$" : `${currency} `;
	if (amount === 0) return `${sign}0`;
	const places = amount >= 0.1 ? 2 : Math.min(12, 2 - Math.floor(Math.log10(Math.abs(amount))));
	return `${sign}${amount.toFixed(places)}`;
}

export function rate(bytesPerSecond) {
	return `${size(bytesPerSecond)}/s`;
}

export function clock(epochMs, withMs = true) {
	const at = new Date(epochMs);
	const two = (value) => String(value).padStart(2, "0");
	const text = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
	return withMs ? `${text}.${String(at.getMilliseconds()).padStart(3, "0")}` : text;
}

/** Return a foreign text for one line. Characters that change its direction or hide parts of it become escapes. */
export function visible(text) {
	return String(text ?? "").replace(
		/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
		(found) => {
			const code = found.charCodeAt(0);
			return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
		},
	);
}

export function fromBase64(text) {
	const binary = atob(text ?? "");
	const bytes = new Uint8Array(binary.length);
	for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
	return bytes;
}

export function toBase64(bytes) {
	let binary = "";
	for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
	return btoa(binary);
}

/** Return round values from 0 to `most`, about `wanted` of them, and their unit: {step, values, label}. */
export function byteTicks(most, wanted) {
	const [unit, name] = most >= MB ? [MB, "MB"] : most >= 2 * KB ? [KB, "KB"] : [1, "B"];
	return ticks(most, wanted, unit, name, [1, 2, 4, 5, 8, 10]);
}

export function timeTicks(most, wanted) {
	const [unit, name] = most >= 1500 ? [1000, "s"] : [1, "ms"];
	return ticks(most, wanted, unit, name, [1, 2, 5, 10]);
}

function ticks(most, wanted, unit, name, steps) {
	const rough = Math.max(most / unit / wanted, Number.EPSILON);
	const power = 10 ** Math.floor(Math.log10(rough));
	const step = steps.map((each) => each * power).find((each) => each >= rough * 0.999) ?? 10 * power;
	const values = [];
	for (let at = 0; at * step * unit <= most * 1.0001; at++) values.push(at * step * unit);
	return { values, label: (value) => (value === 0 ? "0" : `${Number((value / unit).toPrecision(6))} ${name}`) };
}
