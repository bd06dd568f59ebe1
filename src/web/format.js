// Numbers and times as people read them, and a helper that makes elements.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** 1536 → "1.5 KiB" */
export function bytes(count) {
  let unit = 0;
  while (count >= 999.5 && unit < UNITS.length - 1) {
    count /= 1024;
    unit++;
  }
  return `${unit && count < 99.5 ? count.toFixed(1) : Math.round(count)} ${UNITS[unit]}`;
}

const NUMBER = new Intl.NumberFormat('en');

/** 12345 → "12,345" */
export const grouped = number => NUMBER.format(number);

/** (2, "file") → "2 files" */
export const plural = (count, noun) => `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`;

const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const STEPS = [[60, 'second'], [60, 'minute'], [24, 'hour'], [30, 'day'], [12, 'month'], [Infinity, 'year']];

/** How long ago a time in unix seconds is: "2 hours ago". */
export function ago(seconds, now = Date.now() / 1000) {
  let past = now - seconds;
  if (Math.abs(past) < 10) return 'now';
  for (const [next, unit] of STEPS) {
    if (Math.abs(past) < next) return RELATIVE.format(-Math.round(past), unit);
    past /= next;
  }
}

const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const DATE = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

/** The time of day: "14:05". */
export const clock = seconds => CLOCK.format(seconds * 1000);

/** "26 Nov 2026, 14:05:09" */
export const date = seconds => DATE.format(seconds * 1000);

/** A duration: "48 s", "3 min". */
export const duration = seconds =>
  seconds < 90 ? `${Math.ceil(seconds)} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;

/** Makes an element. What is in it is text, never HTML: a peer may have written it. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
