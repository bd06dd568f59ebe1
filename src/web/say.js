// What the page says and asks: short messages, read out by screen readers, and questions.

import { element } from './format.js';

const SHOWN_FOR = 6000; // ms; an error stays until it is closed
const place = document.getElementById('say');

/** Shows a message for a while. */
export function say(text) {
  const message = show(text, 'message');
  setTimeout(() => message.remove(), SHOWN_FOR);
}

/** Shows what went wrong. */
export function sayError(error) {
  show(error.message, 'message bad');
}

function show(text, className) {
  const close = element('button', { type: 'button', textContent: '×', ariaLabel: 'Close this message' });
  const message = element('p', { className }, element('span', { textContent: text }), close);
  close.onclick = () => message.remove();
  place.append(message);
  while (place.children.length > 4) place.firstChild.remove();
  return message;
}

/** Asks a question. Resolves to whether the answer was `verb`. */
export function ask(question, details, verb) {
  const dialog = document.getElementById('ask');
  dialog.querySelector('h2').textContent = question;
  dialog.querySelector('p').textContent = details;
  const [no, yes] = dialog.querySelectorAll('button');
  yes.textContent = verb;
  no.onclick = () => dialog.close('');
  yes.onclick = () => dialog.close('yes');
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise(resolve => {
    dialog.onclose = () => resolve(dialog.returnValue === 'yes');
  });
}

/** Tells the page that a view has something new. */
export function news(view) {
  document.dispatchEvent(new CustomEvent('news', { detail: view }));
}
