// What the page says and asks.

import { byId, element, plain } from './format.js';

const SHOWN_FOR = 6000; // ms; an error stays until it is closed
const place = byId('say');
const dialog = byId('ask');

/** A message for a while. A screen reader reads it out. */
export function say(text) {
	const message = show(text, 'message');
	setTimeout(() => message.remove(), SHOWN_FOR);
}

export function sayError({ message }) {
	show(message, 'message bad');
}

function show(text, className) {
	const close = element('button', { ariaLabel: 'Close this message' }, '×');
	const message = element('p', { className }, plain(text), close);
	close.onclick = () => message.remove();
	place.append(message);
	return message;
}

let last = Promise.resolve();

/** Asks a question, after those that are open. Resolves to whether the answer was `verb`, or to the
 *  secret that it asks for. */
export function ask(question, details, verb, forSecret = false) {
	last = last.then(() => new Promise(resolve => {
		const form = dialog.firstElementChild;
		const [heading, why, secret] = form.children;
		const [no, yes] = form.querySelectorAll('button');
		const field = form.querySelector('input');
		heading.textContent = plain(question);
		why.textContent = plain(details);
		yes.textContent = verb;
		secret.hidden = !forSecret;
		field.value = dialog.returnValue = '';
		no.onclick = () => dialog.close();
		form.onsubmit = event => {
			event.preventDefault();
			dialog.close(forSecret ? field.value.trim() : 'yes');
		};
		dialog.onclose = () => resolve(dialog.returnValue);
		dialog.showModal();
	}));
	return last;
}
