// The Talk view: the two windows of the textbook, the operator's and the client's.

import { Log, onEntry } from './chat.js';
import { Stream } from './events.js';
import { clock, copy, element, plural } from './format.js';
import { askToken } from './request.js';
import { ask, news, sayError } from './say.js';

const ROWS = 200; // clients in the table; commands like /to reach the others

// The operator's window

const operator = document.getElementById('operator');
const log = new Log(operator, 'What the operator sees');
const stream = new Stream('operator');
const table = operator.querySelector('table');
const receiver = operator.querySelector('select');
const token = operator.querySelector('.token');
const clients = new Map(); // number → {id, address, since}

stream
  .on('operator', ({ line, at, gap }) => {
    if (gap !== undefined) return log.gap(gap);
    log.add(line, { at, kind: /^Client \d+: /.test(line) ? '' : 'event' });
    news('talk');
  })
  .on('roster', change => {
    for (const client of change.clients ?? []) clients.set(client.id, client);
    if (change.joined) clients.set(change.joined.id, change.joined);
    clients.delete(change.left);
    showClients();
  })
  .on('state', ({ state, text, status }) => {
    operator.querySelector('.state').textContent = text;
    operator.querySelector('fieldset').disabled = state !== 'open';
    token.hidden = status !== 401;
    if (state === 'open') clients.clear();
  });

onEntry(operator, line => {
  const to = Number(receiver.value);
  return stream.post('/-/operator', to ? { to, line } : { line });
});

token.onclick = async () => {
  if (await askToken()) stream.open();
};

async function kick({ id, address }) {
  if (!await ask(`Kick client ${id}?`, `It is connected from ${address}.`, 'Kick')) return;
  stream.post('/-/operator', { kick: id }).catch(sayError);
}

/** Brings the table and the choice of receivers up to date; leaves the rows that are right. */
function showClients() {
  const [rows] = table.tBodies;
  const shown = new Set();
  for (const row of [...rows.rows]) {
    if (clients.has(Number(row.id))) shown.add(row.id);
    else {
      row.remove();
      receiver.querySelector(`[value="${row.id}"]`).remove();
    }
  }
  for (const client of clients.values()) {
    const { id, address, since } = client;
    if (shown.size >= ROWS) break;
    if (shown.has(String(id))) continue;
    shown.add(id);
    const row = copy('client-row');
    row.id = id;
    const [number, from, when, { firstChild: button }] = row.cells;
    number.textContent = id;
    from.textContent = address;
    when.append(clock(since));
    button.ariaLabel = `Kick client ${id}`;
    button.onclick = () => kick(client);
    rows.append(row);
    receiver.append(element('option', { value: id, textContent: `To client ${id}` }));
  }
  const hidden = clients.size - shown.size;
  table.caption.textContent = plural(clients.size, 'client') + (hidden ? `, ${hidden} not shown` : '');
}

/** Shows the view. The operator's stream stays open from then on. */
export const show = () => stream.open();

// The client's window. Its stream is the client: it connects and disconnects with it.

const client = document.getElementById('client');
const clientLog = new Log(client, 'What the client sees');
const clientStream = new Stream('client');
const connect = client.querySelector('.connect');

clientStream
  .on('talk', ({ you, line, closed, gap }) => {
    if (you) clientLog.event(`You are client ${you}`);
    else if (closed) end(`Disconnected: ${closed}`);
    else if (gap !== undefined) clientLog.gap(gap);
    else {
      clientLog.add(line, { name: 'Operator' });
      news('talk');
    }
  })
  .on('state', ({ state, text }) => {
    client.querySelector('.state').textContent = text;
    connect.textContent = clientStream.isOn ? 'Disconnect' : 'Connect';
    client.querySelector('fieldset').disabled = state !== 'open';
    if (state === 'open') clientEntry.focus();
  });

function end(reason) {
  clientStream.close();
  clientLog.event(reason);
}

connect.onclick = () => clientStream.isOn ? end('Disconnected') : clientStream.open();

const clientEntry = onEntry(client, async line => {
  await clientStream.post('/-/talk', { line });
  clientLog.add(line, { name: 'You', kind: 'own' });
});
