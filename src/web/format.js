// What people read, and helpers for elements.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(count) {
	let unit = 0;
	for (; count >= 1000 && unit < 4; unit++) count /= 1024;
	return `${count.toFixed(unit && count < 100 ? 1 : 0)} ${UNITS[unit]}`;
}

export const grouped = number => number.toLocaleString('en');

export const plural = (count, noun) => `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`;

const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const STEPS = { second: 60, minute: 60, hour: 24, day: 30, month: 12, year: Infinity };

/** Of unix seconds: "2 hours ago". */
export function ago(seconds) {
	let past = Date.now() / 1000 - seconds;
	for (const unit in STEPS) {
		if (Math.abs(past) < STEPS[unit]) return RELATIVE.format(-Math.round(past), unit);
		past /= STEPS[unit];
	}
}

const CLOCK = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short' });
const DATE = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

/** Unix seconds as an element: "14:05", and the date as its title. */
export const clock = seconds =>
	element('time', { title: date(seconds) }, CLOCK.format(seconds * 1000));

export const date = seconds => DATE.format(seconds * 1000);

/** Makes an element. What is in it is text, never HTML: a peer may have written it. */
export function element(tag, properties = {}, ...children) {
	const made = Object.assign(document.createElement(tag), properties);
	made.append(...children);
	return made;
}

/** A name on the screen: marks that would turn it are seen. */
export const plain = name => name.replace(/\p{Cf}/gu, '�');

export const byId = id => document.getElementById(id);

/** A copy of what is in a template. */
export const copy = template => byId(template).content.firstElementChild.cloneNode(true);
