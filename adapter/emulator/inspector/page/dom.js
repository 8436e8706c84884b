// The only module that makes elements. Children become text nodes, and attributes are checked against a list, so that
// nothing in a request or a response can become markup, a link, a style or a script.

const SVG = "http://www.w3.org/2000/svg";
const FORBIDDEN = new Set("base embed frame iframe link meta object script style template foreignobject use animate set".split(" "));
const ATTRIBUTES = new Set(
	("class id title role type name value placeholder tabindex colspan rows alt d x y x1 x2 y1 y2 cx cy r width height " +
		"viewBox preserveAspectRatio text-anchor dominant-baseline").split(" "),
);
const FLAGS = new Set(["disabled", "checked", "selected", "hidden"]);
const PREFIXED = /^(aria|data)-[a-z-]+$/;
const IMAGE = /^data:image\/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+$/;
// Only paths below the path of this page are allowed as addresses.
const OWN_PATH = /^(records\/[A-Za-z0-9_-]+\/export|export)\?[a-z0-9=&]+$/;

function setAttribute(element, name, value) {
	if (value == null || value === false) return;
	if (name.startsWith("on") && typeof value === "function") element.addEventListener(name.slice(2), value);
	else if (FLAGS.has(name)) element.toggleAttribute(name, Boolean(value));
	else if (ATTRIBUTES.has(name) || PREFIXED.test(name)) element.setAttribute(name, String(value));
	else if (name === "src" && element.localName === "img" && IMAGE.test(value)) element.setAttribute("src", value);
	else if (name === "href" && element.localName === "a" && OWN_PATH.test(value)) element.setAttribute("href", value);
	else if (name === "download" && element.localName === "a") element.setAttribute("download", "");
	else throw new TypeError(`the attribute ${name} is not allowed here`);
}

function create(space, name, classes) {
	if (FORBIDDEN.has(name.toLowerCase())) throw new TypeError(`the element ${name} is not allowed`);
	const element = space ? document.createElementNS(space, name) : document.createElement(name);
	if (classes.length) element.setAttribute("class", classes.join(" "));
	return element;
}

function make(element, content) {
	const hasAttributes = content[0]?.constructor === Object;
	if (hasAttributes) for (const [name, value] of Object.entries(content[0])) setAttribute(element, name, value);
	append(element, hasAttributes ? content.slice(1) : content);
	return element;
}

function append(element, children) {
	for (const child of children) {
		if (Array.isArray(child)) append(element, child);
		else if (child instanceof Node) element.appendChild(child);
		else if (child != null && child !== false) element.append(String(child));
	}
}

/** Return a new HTML element. `tag` may have classes: "div.row.wide"; `content` may begin with an object of attributes. */
export function h(tag, ...content) {
	const [name, ...classes] = tag.split(".");
	const element = create(null, name, classes);
	if (name === "button") element.type = "button";
	if (name === "input" || name === "textarea") element.spellcheck = false;
	return make(element, content);
}

export function s(tag, ...content) {
	const [name, ...classes] = tag.split(".");
	return make(create(SVG, name, classes), content);
}

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
	return h(`button${kind ? `.${kind}` : ""}`, { onclick, title: hint || null, ...rest }, text);
}

/** Return a menu: a button that shows `items`, which are [text, onclick] or elements. */
export function menu(text, items, { title = "" } = {}) {
	const close = () => details.removeAttribute("open");
	const list = h("div.menu-items");
	for (const item of items) {
		list.append(
			item instanceof Node
				? item
				: h("button", { onclick: () => (close(), item[1]()) }, item[0]),
		);
	}
	const details = h("details.menu", h("summary", { title: title || null }, text), list);
	return details;
}

document.addEventListener("click", (event) => {
	for (const open of document.querySelectorAll("details.menu[open]")) {
		if (!open.contains(event.target)) open.removeAttribute("open");
	}
});
