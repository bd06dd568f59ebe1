// The parts of a chat window: the log area and the entry.

import { clock, element, plural } from './format.js';
import { sayError } from './say.js';

const KEPT = 1000; // lines; more would make the page slow

/** The log area of a window: lines with their time, the newest at the bottom. */
export class Log {
  #new = [];

  constructor(window, label) {
    this.log = element('div', { className: 'log', role: 'log', tabIndex: 0, ariaLabel: label });
    window.querySelector('.lines').append(this.log);
  }

  /** Adds a line. `name` is written before it in bold; `kind` is a class: `own`, `event`. */
  add(text, { name, kind = '', at = Date.now() / 1000 } = {}) {
    const line = element('p', { className: kind }, clock(at));
    if (name) line.append(element('b', { textContent: name }), ' ');
    line.append(text);
    // One layout a frame, however many lines come.
    if (this.#new.push(line) === 1) requestAnimationFrame(() => this.#flush());
    if (this.#new.length > KEPT) this.#new.shift();
  }

  /** Adds a line on what happened. */
  event(text) {
    this.add(text, { kind: 'event' });
  }

  /** Adds a line on events that were lost. */
  gap(count) {
    this.event(count ? `${plural(count, 'line')} missed` : 'Lines may be missing here');
  }

  #flush() {
    // It follows the new lines, unless the user has scrolled up.
    const follows = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 30;
    this.log.append(...this.#new.splice(0));
    while (this.log.childElementCount > KEPT) this.log.firstChild.remove();
    if (follows) this.log.scrollTop = this.log.scrollHeight;
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
