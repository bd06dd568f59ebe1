// The parts of a chat window: the log area and the entry.

import { clock, element } from './format.js';
import { sayError } from './say.js';

const KEPT = 500; // lines; more would make the page slow
const PAUSE = 50; // ms between two drawings

/** The log area: lines with their time, the newest at the bottom. It stays at its end, unless the
 *  user scrolls up (`column-reverse` in style.css). */
export class Log {
	#new = [];
	#lines = element('div');
	#view;

	/** The window tells the state of its stream, too. */
	constructor(window, label, stream) {
		const log = window.querySelector('.log');
		this.#view = document.querySelector(`[href="#${log.closest('section').id}"]`);
		Object.assign(log, { role: 'log', tabIndex: 0, ariaLabel: label }).append(this.#lines);
		stream.on('state', ({ state, text }) => {
			window.querySelector('.state').textContent = text;
			window.querySelector('fieldset').disabled = state !== 'open';
		});
	}

	/** Adds a line. `name` is written before it in bold; `kind` is a class: `own`, `event`. */
	add(text, { name, kind = '', at = Date.now() / 1000 } = {}) {
		if (this.#new.push({ text, name, kind, at }) === 1) setTimeout(() => this.#draw(), PAUSE);
		if (this.#new.length > KEPT) this.#new.shift();
	}

	event(text) {
		this.add(text, { kind: 'event' });
	}

	gap(count) {
		this.event(count ? `${count} lines are missing here` : 'Lines may be missing here');
	}

	#draw() {
		for (const { text, name, kind, at } of this.#new.splice(0)) {
			const line = element('p', { className: kind }, clock(at));
			if (name) line.append(element('b', {}, name), ' ');
			line.append(text);
			this.#lines.append(line);
		}
		// A view that is not shown is marked in the bar.
		if (!this.#lines.checkVisibility()) this.#view.classList.add('new');
		while (this.#lines.childElementCount > KEPT) this.#lines.firstChild.remove();
	}
}

/** Sends the text of a window's entry when the form is submitted, and keeps it if that fails. */
export function onEntry(window, send) {
	const form = window.querySelector('form');
	const field = form.elements.line;
	form.onsubmit = async event => {
		event.preventDefault();
		const line = field.value;
		if (!line.trim()) return;
		field.value = '';
		try {
			await send(line);
		} catch (error) {
			field.value ||= line;
			sayError(error);
		}
	};
	return field;
}
