// The only module that makes elements. Children become text nodes, and tags and attributes are checked against lists, so
// that nothing a request or a response contains can become markup, a link, a style or a script.

const SVG = "http://www.w3.org/2000/svg";
const HTML_TAGS = new Set(
	("a aside b button code datalist dd details dialog div dl dt footer form h1 h2 h3 header img input kbd label li nav ol option " +
		"p pre section select span strong summary table tbody td textarea th thead tr ul").split(" "),
);
const SVG_TAGS = new Set("circle clipPath defs g line path pattern rect svg text title".split(" "));
const ATTRIBUTES = new Set(
	("class id title role type name value placeholder for tabindex colspan scope rows cols autocomplete spellcheck min max " +
		"step list alt maxlength d x y x1 x2 y1 y2 cx cy r width height viewBox preserveAspectRatio transform text-anchor dx " +
		"rx dy patternUnits patternTransform dominant-baseline").split(" "),
);
const FLAGS = new Set(["disabled", "checked", "selected", "open", "hidden", "multiple", "readonly"]);
const PREFIXED = /^(aria|data)-[a-z-]+$/;
// References within the page: a clip path or a pattern.
const REFERENCES = new Set(["clip-path", "fill"]);
const REFERENCE = /^url\(#[a-z0-9-]+\)$/;
const IMAGE = /^data:image\/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+$/;
// Addresses of this server alone: a path below the page's own.
const OWN_PATH = /^(records\/[A-Za-z0-9_-]+\/export|export)\?[a-z0-9=&]+$/;

function setAttribute(element, name, value) {
	if (value === null || value === undefined || value === false) return;
	if (name.startsWith("on") && typeof value === "function") element.addEventListener(name.slice(2), value);
	else if (FLAGS.has(name)) element.toggleAttribute(name, Boolean(value));
	else if (ATTRIBUTES.has(name) || PREFIXED.test(name)) element.setAttribute(name, String(value));
	else if (REFERENCES.has(name) && REFERENCE.test(value)) element.setAttribute(name, value);
	else if (name === "src" && element.localName === "img" && IMAGE.test(value)) element.setAttribute("src", value);
	else if (name === "href" && element.localName === "a" && OWN_PATH.test(value)) element.setAttribute("href", value);
	else if (name === "download" && element.localName === "a") element.setAttribute("download", "");
	else throw new TypeError(`the attribute ${name} is not allowed here`);
}

function make(element, attributes, children) {
	for (const [name, value] of Object.entries(attributes ?? {})) setAttribute(element, name, value);
	append(element, children);
	return element;
}

function append(element, children) {
	for (const child of children) {
		if (Array.isArray(child)) append(element, child);
		else if (child instanceof Node) element.appendChild(child);
		else if (child !== null && child !== undefined && child !== false) element.append(String(child));
	}
}

/** Return a new HTML element. `tag` may have classes: "div.row.wide". */
export function h(tag, attributes, ...children) {
	const [name, ...classes] = tag.split(".");
	if (!HTML_TAGS.has(name)) throw new TypeError(`the element ${name} is not allowed`);
	const element = document.createElement(name);
	if (classes.length) element.className = classes.join(" ");
	return make(element, attributes, children);
}

/** Return a new SVG element; `tag` is as for `h`. */
export function s(tag, attributes, ...children) {
	const [name, ...classes] = tag.split(".");
	if (!SVG_TAGS.has(name)) throw new TypeError(`the element ${name} is not allowed`);
	const element = document.createElementNS(SVG, name);
	if (classes.length) element.setAttribute("class", classes.join(" "));
	return make(element, attributes, children);
}

/** Return an <img> of `base64`, whose type is one of those that `imageType` returns. */
export function picture(type, base64, alt) {
	return h("img", { src: `data:${type};base64,${base64}`, alt });
}

const SIGNATURES = [
	["image/png", [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]],
	["image/jpeg", [0xff, 0xd8, 0xff]],
	["image/gif", [0x47, 0x49, 0x46, 0x38]],
];

/** Return the type of an image by its first bytes, whatever its headers say; null if it is not one. SVG is a text. */
export function imageType(bytes) {
	for (const [type, signature] of SIGNATURES) if (signature.every((byte, at) => bytes[at] === byte)) return type;
	const tag = (from) => String.fromCharCode(...bytes.subarray(from, from + 4));
	return tag(0) === "RIFF" && tag(8) === "WEBP" ? "image/webp" : null;
}

/** Set the text of `element`, if it differs: an equal text costs no layout. */
export function setText(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

/** Call `draw(width)` now and whenever the width of `element` changes. */
export function onWidth(element, draw) {
	let last = 0;
	new ResizeObserver(([entry]) => {
		const width = Math.floor(entry.contentRect.width);
		if (width > 0 && width !== last) draw((last = width));
	}).observe(element);
}

/** Return a button; `key` is the shortcut that its title names. */
export function button(text, onclick, { key = "", kind = "", title = "", ...rest } = {}) {
	const hint = key ? `${title || text} (${key})` : title;
	return h(`button${kind ? `.${kind}` : ""}`, { type: "button", onclick, title: hint || null, ...rest }, text);
}

/** Return a menu: a button that shows `items`, which are [text, onclick] or elements. */
export function menu(text, items, { title = "" } = {}) {
	const close = () => details.removeAttribute("open");
	const list = h("div.menu-items", { role: "menu" });
	for (const item of items) {
		list.append(
			item instanceof Node
				? item
				: h("button", { type: "button", role: "menuitem", onclick: () => (close(), item[1]()) }, item[0]),
		);
	}
	const details = h("details.menu", {}, h("summary", { title: title || null }, text), list);
	details.addEventListener("keydown", (event) => {
		if (event.key !== "Escape" || !details.open) return;
		event.stopPropagation();
		close();
		details.firstChild.focus();
	});
	return details;
}

document.addEventListener("click", (event) => {
	for (const open of document.querySelectorAll("details.menu[open]")) {
		if (!open.contains(event.target)) open.removeAttribute("open");
	}
});
