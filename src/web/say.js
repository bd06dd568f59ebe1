// Short messages at the edge of the page. The region is live: a screen reader reads them out.

const place = document.getElementById('say');
const SHOWN_FOR = 6000; // ms; an error stays until it is closed

/** Shows a message. */
export function say(text) {
  show(text, 'message');
}

/** Shows what went wrong. */
export function sayError(error) {
  console.warn(error);
  show(error.message ?? String(error), 'message bad');
}

function show(text, className) {
  const message = document.createElement('p');
  message.className = className;
  message.textContent = text;
  const close = document.createElement('button');
  close.type = 'button';
  close.textContent = '×';
  close.ariaLabel = 'Close this message';
  close.onclick = () => message.remove();
  message.append(close);
  place.append(message);
  while (place.children.length > 4) place.firstChild.remove();
  if (className === 'message') setTimeout(() => message.remove(), SHOWN_FOR);
}
