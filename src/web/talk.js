// The Talk view: the two windows of the textbook, the operator's and the client's.

import { Log, onEntry } from './chat.js';
import { Stream } from './events.js';
import { byId, clock, copy, element, plural } from './format.js';
import { askToken } from './request.js';
import { ask, sayError } from './say.js';

// The operator's window

const operator = byId('operator');
const stream = new Stream('operator');
const log = new Log(operator, 'What the operator sees', stream);
const table = operator.querySelector('table');
const receiver = operator.querySelector('select');
const token = operator.querySelector('.token');
const clients = new Map(); // id → its row and option

stream
	.on('operator', ({ line, at, gap }) => {
		if (gap !== undefined) return log.gap(gap);
		log.add(line, { at, kind: /^(Client )?\S+: |^\S*> /.test(line) ? '' : 'event' });
	})
	.on('roster', ({ clients: known = [], joined = [], left }) => {
		known.concat(joined).forEach(add);
		remove(left);
		table.caption.textContent = plural(clients.size, 'client');
	})
	.on('state', ({ state, status }) => {
		token.hidden = status !== 401;
		if (state === 'open') [...clients.keys()].forEach(remove);
	});

onEntry(operator, line => {
	const { to } = receiver.selectedOptions[0];
	return stream.post('/-/operator', to ? { to, line } : { line });
});

token.onclick = async () => {
	if (await askToken()) stream.open();
};

async function kick({ id, address }) {
	if (!await ask(`Kick client ${id}?`, `It is connected from ${address}.`, 'Kick')) return;
	stream.post('/-/operator', { kick: id }).catch(sayError);
}

function add(client) {
	const { id, address, since } = client;
	remove(id);
	const row = copy('client-row');
	const [number, from, when, { firstChild: button }] = row.cells;
	number.textContent = id;
	from.textContent = address;
	when.append(clock(since));
	button.ariaLabel = `Kick client ${id}`;
	button.onclick = () => kick(client);
	const option = element('option', { value: id, to: id }, `To client ${id}`);
	table.tBodies[0].append(row);
	receiver.append(option);
	clients.set(id, [row, option]);
}

function remove(id) {
	for (const part of clients.get(id) ?? []) part.remove();
	clients.delete(id);
}

/** Shows the view. The operator's stream stays open from then on. */
export const show = () => stream.open();

// The client's window. Its stream is the client: it connects and disconnects with it.

const client = byId('client');
const clientStream = new Stream('client');
const clientLog = new Log(client, 'What the client sees', clientStream);
const connect = client.querySelector('.connect');

clientStream
	.on('talk', ({ you, line, closed }) => {
		if (you) clientLog.event(`You are client ${you}`);
		else if (closed) end(`Disconnected: ${closed}`);
		else clientLog.add(line, { name: 'Operator' });
	})
	.on('state', ({ state }) => {
		connect.textContent = clientStream.isOn ? 'Disconnect' : 'Connect';
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
