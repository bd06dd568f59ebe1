// The parts of a chat window: the log area and the entry.

import { clock, date, element, plural } from './format.js';
import { sayError } from './say.js';

const KEPT = 1000; // lines; more would make the page slow

/** The log area: lines with their time, the newest at the bottom. */
export class Log {
  #waiting = [];

  /** `box` contains the log and, after it, the button that leads to its end. */
  constructor(box) {
    this.log = box.querySelector('.log');
    this.toEnd = box.querySelector('.to-end');
    this.toEnd.onclick = () => this.#scroll();
    this.log.onscroll = () => { if (this.#isAtEnd()) this.toEnd.hidden = true; };
  }

  /** Adds a line. `name` is written before it in bold; `kind` is a class: `own`, `event`. */
  add(text, { name = '', kind = '', at = Date.now() / 1000 } = {}) {
    const time = element('time', { textContent: clock(at), title: date(at) });
    const line = element('p', { className: kind }, time);
    if (name) line.append(element('b', { textContent: name }), ' ');
    line.append(text);
    this.#waiting.push(line);
    // One layout a frame, however many lines come.
    if (this.#waiting.length === 1) requestAnimationFrame(() => this.#flush());
    if (this.#waiting.length > KEPT) this.#waiting.splice(1, 1);
  }

  clear() {
    this.#waiting.length = 0;
    this.log.replaceChildren();
  }

  #flush() {
    const follows = this.#isAtEnd();
    this.log.append(...this.#waiting.splice(0));
    while (this.log.childElementCount > KEPT) this.log.firstChild.remove();
    if (follows) this.#scroll();
    else this.toEnd.hidden = false;
  }

  #isAtEnd() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 30;
  }

  #scroll() {
    this.log.scrollTop = this.log.scrollHeight;
    this.toEnd.hidden = true;
  }
}

/** Sends the text of a form when it is submitted, and keeps it if that fails. */
export function onEntry(form, send) {
  form.onsubmit = async event => {
    event.preventDefault();
    const field = form.elements.line;
    const line = field.value;
    if (!line.trim()) return;
    field.value = '';
    try {
      await send(line);
    } catch (error) {
      field.value ||= line;
      sayError(error);
    }
    field.focus();
  };
}

/** The line that stands for events that this page has not received. */
export function missed(gap) {
  return gap ? `${plural(gap, 'line')} missed` : 'lines may be missing here';
}
