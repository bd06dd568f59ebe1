// The Room view: join, members, messages, leave. The stream is open as long as this tab is a member.

import { Log, onEntry } from './chat.js';
import { Stream } from './events.js';
import { byId, element, plural } from './format.js';
import { sayError } from './say.js';

const room = byId('room');
const form = room.querySelector('.join');
const problem = form.querySelector('.problem');
const chat = room.querySelector('.chat');
const stream = new Stream('room');
const log = new Log(chat, 'Messages', stream);
const members = new Set();
let join = null; // {name, password} from Join to Leave: to join again after a break
let me = '';

stream
	.on('state', ({ state, text }) => {
		if (state === 'open') stream.post('/-/room', { join }).catch(error => end(error.message));
		if (state === 'refused' || (state === 'waiting' && chat.hidden)) end(text);
	})
	.on('room', event => {
		const { line, from, entered, left, out, gap } = event;
		if (out) return end(out);
		if (gap !== undefined) {
			log.gap(gap);
			members.clear();
		}
		if (event.joined) start(event);
		for (const name of event.members ?? []) members.add(name);
		if (entered) members.add(entered);
		if (left) members.delete(left);
		if (line) {
			const text = line.startsWith(`${from}: `) ? line.slice(from.length + 2) : line;
			log.add(text, { name: from, kind: from === me ? 'own' : '' });
			return;
		}
		if (entered && entered !== me) log.event(`${entered} joined`);
		if (left) log.event(`${left} left`);
		showMembers();
	});

form.onsubmit = event => {
	event.preventDefault();
	const { name, password } = form.elements;
	join = { name: name.value.trim(), password: password.value };
	problem.textContent = '';
	stream.open();
};

function start(event) {
	me = event.joined;
	members.clear();
	log.event(`You joined as ${me}`);
	show(true);
}

function end(reason) {
	stream.close();
	join = null;
	problem.textContent = reason;
	show(false);
}

/** Shows the chat, or the form. */
function show(isMember) {
	form.hidden = isMember;
	chat.hidden = !isMember;
	(isMember ? entry : form.elements.name).focus();
}

function showMembers() {
	const names = [...members].sort();
	chat.querySelector('h3').textContent = plural(names.length, 'member');
	chat.querySelector('ul').replaceChildren(...names.map(name =>
		element('li', { className: name === me ? 'own' : '' }, name)));
}

chat.querySelector('.leave').onclick = async () => {
	await stream.post('/-/room', { leave: true }).catch(sayError);
	end('');
};

const entry = onEntry(chat, line => stream.post('/-/room', { line }));
