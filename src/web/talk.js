// The Talk view: the two windows of the textbook, the operator's and the client's.

import { clock, date, element, plural } from './format.js';
import { Stream } from './events.js';
import { Log, missed, onEntry } from './chat.js';
import { askToken } from './request.js';
import { ask, news, sayError } from './say.js';

const ROWS = 200; // clients in the table; the commands of the entry reach the others

// The operator's window

const operator = document.getElementById('operator');
const operatorLog = new Log(operator);
const operatorStream = new Stream('operator');
const table = operator.querySelector('table');
const receiver = operator.querySelector('select');
const clients = new Map(); // number → {id, address, since}

operatorStream
  .on('operator', ({ line, at, gap }) => {
    if (gap !== undefined) return operatorLog.add(missed(gap), { kind: 'event' });
    operatorLog.add(line, { at, kind: /^Client \d+: /.test(line) ? '' : 'event' });
    news('talk');
  })
  .on('roster', change => {
    for (const client of change.clients ?? [change.joined ?? []].flat()) clients.set(client.id, client);
    if (change.left) clients.delete(change.left);
    showClients();
  })
  .on('hello', () => {
    clients.clear();
    showClients();
  })
  .on('state', ({ state, text, status }) => {
    operator.querySelector('.state').textContent = text;
    operator.querySelector('.entry fieldset').disabled = state !== 'open';
    operator.querySelector('.token').hidden = status !== 401;
  });

operator.querySelector('.token').onclick = async () => {
  if (await askToken('The operator’s window needs the token that the server printed at its start.')) {
    operatorStream.open();
  }
};

onEntry(operator.querySelector('form'), line => {
  const to = Number(receiver.value);
  return operatorStream.post('/-/operator', to ? { to, line } : { line });
});

table.onclick = async ({ target }) => {
  const id = Number(target.closest('tr')?.dataset.id);
  if (target.matches('.write')) {
    receiver.value = id;
    operator.querySelector('form').elements.line.focus();
  } else if (target.matches('.kick')) {
    const { address } = clients.get(id);
    if (!await ask(`Disconnect client ${id}?`, `It is connected from ${address}.`, 'Disconnect')) return;
    operatorStream.post('/-/operator', { kick: id }).catch(sayError);
  }
};

/** Brings the table and the choice of receivers up to date, and leaves what has not changed. */
function showClients() {
  const rows = table.tBodies[0];
  const shown = new Set();
  for (const row of [...rows.rows]) {
    const id = Number(row.dataset.id);
    if (clients.has(id)) shown.add(id);
    else {
      row.remove();
      receiver.querySelector(`[value="${id}"]`).remove();
    }
  }
  for (const { id, address, since } of clients.values()) {
    if (shown.size >= ROWS) break;
    if (shown.has(id)) continue;
    shown.add(id);
    const row = document.getElementById('client-row').content.cloneNode(true).firstElementChild;
    row.dataset.id = id;
    const [number, from, when, actions] = row.cells;
    number.textContent = id;
    from.textContent = address;
    when.append(element('time', { textContent: clock(since), title: date(since) }));
    actions.querySelector('.write').ariaLabel = `Write to client ${id}`;
    actions.querySelector('.kick').ariaLabel = `Disconnect client ${id}`;
    rows.append(row);
    receiver.append(element('option', { value: id, textContent: `Client ${id}` }));
  }
  const more = clients.size - shown.size;
  table.caption.textContent = plural(clients.size, 'client') + (more > 0 ? `, ${more} of them not shown` : '');
}

// The client's window. Its stream is the client: it connects and disconnects with it.

const client = document.getElementById('client');
const clientLog = new Log(client);
const clientStream = new Stream('client');
const connect = client.querySelector('.connect');

clientStream
  .on('talk', ({ you, line, closed, gap }) => {
    if (you) {
      client.querySelector('.state').textContent = `you are client ${you}`;
      clientLog.add(`Connected as client ${you}`, { kind: 'event' });
    } else if (closed) {
      clientLog.add(`Disconnected: ${closed}`, { kind: 'event' });
      clientStream.close();
    } else if (gap !== undefined) {
      clientLog.add(missed(gap), { kind: 'event' });
    } else {
      clientLog.add(line, { name: 'Operator' });
      news('talk');
    }
  })
  .on('state', ({ state, text }) => {
    if (state !== 'open') client.querySelector('.state').textContent = text;
    const on = state !== 'closed' && state !== 'refused';
    connect.textContent = on ? 'Disconnect' : 'Connect';
    client.querySelector('.entry fieldset').disabled = state !== 'open';
    if (state === 'open') client.querySelector('form').elements.line.focus();
  });

connect.onclick = () => {
  if (clientStream.state === 'closed' || clientStream.state === 'refused') return clientStream.open();
  clientStream.close();
  clientLog.add('Disconnected', { kind: 'event' });
};

onEntry(client.querySelector('form'), async line => {
  await clientStream.post('/-/talk', { line });
  clientLog.add(line, { name: 'You', kind: 'own' });
});

/** Shows the view. The operator's stream stays open from then on. */
export function show() {
  operatorStream.open();
}

export function hide() {}
