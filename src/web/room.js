// The Room view: join, members, messages, leave. The stream is open as long as this tab is a member.

import { element, plural } from './format.js';
import { Stream } from './events.js';
import { Log, missed, onEntry } from './chat.js';
import { news, sayError } from './say.js';

const room = document.getElementById('room');
const form = room.querySelector('.join');
const problem = form.querySelector('.problem');
const chat = room.querySelector('.chat');
const log = new Log(chat);
const stream = new Stream('room');
const members = new Set();
let wanted = null; // {name, password} from Join to Leave: to join again after a break
let me = '';

stream
  .on('state', ({ state, text }) => {
    chat.querySelector('.state').textContent = text;
    chat.querySelector('.entry fieldset').disabled = state !== 'open';
    if (state === 'open') join();
    if (state === 'refused') end(text);
    if (state === 'waiting' && chat.hidden) end('The server does not answer.');
  })
  .on('room', event => {
    if (event.joined) joined(event);
    else if (event.out) end(event.out);
    else if (event.entered) {
      if (event.entered !== me) log.add(`${event.entered} joined`, { kind: 'event' });
      members.add(event.entered);
    } else if (event.left) {
      log.add(`${event.left} left`, { kind: 'event' });
      members.delete(event.left);
    } else if (event.gap !== undefined) log.add(missed(event.gap), { kind: 'event' });
    else message(event);
    showMembers();
  });

form.onsubmit = event => {
  event.preventDefault();
  wanted = { name: form.elements.name.value.trim(), password: form.elements.password.value };
  problem.textContent = '';
  if (stream.state === 'open') join();
  else stream.open();
};

async function join() {
  try {
    await stream.post('/-/room', { join: wanted });
  } catch (error) {
    end(error.message);
  }
}

function joined(event) {
  me = event.joined;
  members.clear();
  for (const name of event.members) members.add(name);
  if (chat.hidden) log.clear();
  log.add(`You joined as ${me}`, { kind: 'event' });
  form.hidden = true;
  chat.hidden = false;
  if (!room.hidden) chat.querySelector('form').elements.line.focus();
}

function message({ line, from }) {
  const prefix = `${from}: `;
  const text = line.startsWith(prefix) ? line.slice(prefix.length) : line;
  log.add(text, { name: from, kind: from === me ? 'own' : '' });
  if (from !== me) news('room');
}

/** Shows the form again, with the reason. */
function end(reason) {
  stream.close();
  wanted = null;
  me = '';
  members.clear();
  chat.hidden = true;
  form.hidden = false;
  problem.textContent = reason;
  if (!room.hidden) form.elements.name.focus();
}

function showMembers() {
  const names = [...members].sort((a, b) => a.localeCompare(b));
  chat.querySelector('.members h3').textContent = plural(names.length, 'member');
  chat.querySelector('.members ul').replaceChildren(...names.map(name =>
    element('li', { textContent: name, className: name === me ? 'own' : '' })));
}

chat.querySelector('.leave').onclick = async () => {
  await stream.post('/-/room', { leave: true }).catch(sayError);
  end('');
};

onEntry(chat.querySelector('form'), line => stream.post('/-/room', { line }));

export function show() {}
export function hide() {}
