// The Loop view: the slab, the queues and the rounds of the server's loop, as its frames tell them.
// Pause, step and slow motion replay what was received; the loop itself is never slowed.
//
//   live --pause, step--> held --play--> slow --pause, step--> held --play--> live

import { Stream } from './events.js';
import { bytes, element, grouped, plural } from './format.js';
import { Replay } from './replay.js';
import { askToken } from './request.js';
import { sayError } from './say.js';
import { Slab, colour, drawCell, fit, isShape, kindOf } from './slab.js';

const CALM = 10_000; // ms between two texts for a screen reader
const NAMED = 6; // connections named for a state
const TRACED = 200; // lines of a trace
const COLUMN = 3, HEIGHT = 96, MIDDLE = 56; // pixels of the strip chart

const part = name => document.getElementById(`loop-${name}`);
const put = (name, text) => { part(name).textContent = text; };
const view = document.getElementById('loop');
const replay = new Replay();
const slab = new Slab(part('slab'));
const calmly = matchMedia('(prefers-reduced-motion: reduce)');
let shown = false;
let asked = 0; // the next drawing
let drawn = 0, said = -CALM; // times
let slow = 0, quiet = 0; // the timers of slow motion and of a pause of the server
let traced = 0; // the serial of the connection whose trace is shown

/** The rows of the table by state, with their symbols. */
const rows = {};
for (const row of view.querySelectorAll('[data-of]')) {
	const [head] = row.cells, kind = row.dataset.of, number = element('td'), list = element('ul');
	head.after(number, element('td', {}, list));
	rows[kind] = { name: head.textContent.toLowerCase(), number, list };
	if (!isShape(kind)) continue;
	head.prepend(element('canvas'));
	head.firstChild.dataset.kind = kind;
}

// Words

const whole = number => grouped(Math.round(number));
const many = (number, noun) => plural(Math.round(number), noun);
const time = micros => micros < 1000 ? `${whole(micros)} µs` : `${(micros / 1000).toFixed(1)} ms`;
const behind = () => ((replay.frames.at(-1).at - replay.frame.at) / 1000).toFixed(1);

function inWords(slot) {
	const conn = replay.slab[slot], at = replay.frame?.at;
	if (slot < 0) return 'Point at a cell, or use the arrow keys; a click or Enter begins or ends its trace.';
	if (!conn) return `Slot ${slot}: free`;
	const turns = conn.at ? ` Last frame: ${many(conn.turns, 'turn')}, ${bytes(conn.bytes)} moved, ${conn.budget} % of a budget.` : '';
	return `Slot ${slot}: ${replay.services[conn.service]}, connection ${conn.serial}, ${rows[kindOf(conn, at)].name}. `
		+ `Owes ${bytes(conn.owed)}.${turns}`;
}

/** Shows what `lastSecond` returns: each number with its words. */
const NUMBERS = [
	['rounds/s', 'rounds', whole], ['events/s', 'events', whole], ['turns/s', 'turns', whole], ['in/s', 'in', bytes],
	['out/s', 'out', bytes], ['longest turn', 'longest', time], ['lag', 'lag', time], ['frames missed', 'missed', whole],
].map(([label, name, words]) => {
	const number = element('dd');
	view.querySelector('dl').append(element('div', {}, element('dt', { className: 'muted' }, label), number));
	return sum => { number.textContent = words(sum[name]); };
});

/** What happened in the second before the frame shown, as rates, and the longest turn in it. */
function lastSecond() {
	const sum = { rounds: 0, events: 0, turns: 0, in: 0, out: 0, missed: 0, longest: 0, lag: replay.frame.lag };
	let span = 0;
	for (let at = replay.at; at > 0 && span < 1000; at--) {
		const frame = replay.frames[at - 1];
		span += frame.span;
		for (const name of ['rounds', 'events', 'in', 'out', 'missed']) sum[name] += frame[name];
		for (const name in frame.turns) sum.turns += frame.turns[name];
		sum.longest = Math.max(sum.longest, frame.longest);
	}
	for (const name of ['rounds', 'events', 'turns', 'in', 'out']) sum[name] *= 1000 / span;
	return sum;
}

// Drawing: with the screen; with reduced motion once a second

function redraw() {
	if (calmly.matches && performance.now() < drawn + 1000) return;
	asked ||= requestAnimationFrame(() => {
		asked = 0;
		draw();
	});
}

function draw(fresh = false) {
	if (!shown) return;
	const { frame, slab: conns, frames, at, live } = replay;
	drawn = performance.now();
	slab.draw(conns, frame?.at, fresh);
	put('words', inWords(slab.marked));
	if (!frame) return;
	drawRows(frame, conns);
	const sum = lastSecond();
	for (const show of NUMBERS) show(sum);
	drawStrip(frames.slice(0, at).slice(-Math.floor(part('strip').clientWidth / COLUMN)));
	put('where', live ? 'live' : `frame ${at} of ${frames.length}, ${behind()} s behind`);
	Object.assign(part('position'), { max: frames.length, value: at, ariaValueText: part('where').value });
	put('pause', live || slow ? 'Pause' : 'Play');
	if (drawn < said + CALM) return;
	said = drawn;
	put('summary', `${whole(frame.connections)} of ${many(frame.limit, 'connection')}, ${whole(frame.bulk)} in the bulk queue, `
		+ `${whole(frame.await_disk)} waiting for the disk. ${many(sum.turns, 'turn')} a second, the longest ${time(sum.longest)}. `
		+ `The accept gate is ${frame.accepting ? 'open' : 'shut'}.`);
}

function drawRows(frame, conns) {
	const of = {};
	for (const kind in rows) of[kind] = [];
	conns.forEach(conn => of[kindOf(conn, frame.at)].push(conn));
	of.owing.sort((a, b) => b.owed - a.owed);
	for (const kind of ['turn', 'bulk', 'disk', 'owing', 'linger']) {
		const names = of[kind].slice(0, NAMED).map(conn => `#${conn.slot} ${replay.services[conn.service]}`
			+ (conn.at === frame.at ? ` ×${conn.turns}` : '') + (conn.owed ? ` ${bytes(conn.owed)}` : ''));
		if (of[kind].length > NAMED) names.push(`and ${whole(of[kind].length - NAMED)} more`);
		fill(kind, of[kind].length, names);
	}
	fill('bulk', frame.bulk);
	fill('disk', frame.await_disk);
	fill('parked', of.parked.length);
	fill('free', slab.slots - Object.values(of).flat().length);
	const { parked = 0, requeue = 0 } = frame.turns;
	fill('short', frame.short, [`up to ${whole(frame.most[0])} in a round; ${many(parked, 'turn')} ended parked, ${whole(requeue)} requeued`]);
	fill('gate', frame.accepting ? 'open' : 'shut', [`${whole(frame.connections)} of ${many(frame.limit, 'connection')}`]);
}

function fill(kind, count, names) {
	const { number, list } = rows[kind];
	number.textContent = count.toLocaleString('en');
	if (names) list.replaceChildren(...names.map(name => element('li', {}, name)));
}

function drawStrip(frames) {
	const canvas = part('strip'), ctx = fit(canvas, canvas.clientWidth, HEIGHT);
	const [up, down, line] = ['turn', 'owing', 'text'].map(name => colour(canvas, name));
	const most = Math.max(0.01, ...frames.map(frame => frame.rounds / frame.span));
	const bar = (fill, at, y, height, width = COLUMN - 1) => {
		ctx.fillStyle = fill;
		ctx.fillRect(at * COLUMN, y, width, height);
	};
	frames.forEach(({ rounds, span, longest, accepting }, at) => {
		const height = rounds / span / most * MIDDLE;
		bar(up, at, MIDDLE - height, height);
		bar(down, at, MIDDLE + 4, Math.max(0, Math.min(4, Math.log10(longest) - 1)) / 4 * (HEIGHT - MIDDLE - 4));
		if (!accepting) bar(line, at, MIDDLE, 4, COLUMN);
	});
	put('most', whole(most * 1000));
}

function drawAll() {
	if (!shown) return;
	for (const canvas of view.querySelectorAll('[data-kind]')) {
		const { kind } = canvas.dataset, ctx = fit(canvas, 16, 16);
		ctx.fillStyle = colour(canvas, kind);
		drawCell(ctx, kind, 0, 0, 16, 0.6);
	}
	draw(true);
}
matchMedia('(prefers-color-scheme: dark)').onchange = drawAll;
addEventListener('resize', drawAll);

// Pause, step, slow motion

function seek(at) {
	clearTimeout(slow);
	slow = 0;
	said = -CALM;
	replay.seek(at);
	draw();
}

function play() {
	const factor = Number(part('speed').value);
	clearTimeout(slow);
	slow = 0;
	if (factor === 1) replay.follow();
	else {
		replay.seek(replay.at + 1);
		slow = setTimeout(play, Math.min(1000, replay.frame?.span ?? 100) * factor);
	}
	draw();
}

part('pause').onclick = () => replay.live || slow ? seek(replay.at) : play();
part('step').onclick = () => seek(replay.at + 1);
part('position').oninput = ({ target }) => seek(Number(target.value));
part('speed').onchange = play;

// The slab by pointer and keyboard, and the trace of a connection

function mark(slot) {
	slab.marked = slot;
	Object.assign(slab.canvas, {
		ariaValueMax: replay.slab.length - 1, ariaValueNow: Math.max(0, slot), ariaValueText: inWords(slot),
	});
	draw();
}

/** Begins the trace of a connection, or ends it. */
async function trace(conn) {
	const { slot, serial, service } = conn;
	const ends = serial === traced;
	try {
		await stream.post('/-/operator', { trace: ends ? null : { slot, serial } });
	} catch (error) {
		return sayError(error);
	}
	traced = ends ? 0 : serial;
	part('trace').hidden = ends;
	part('lines').replaceChildren();
	put('traced', `Trace of slot ${slot}, ${replay.services[service]}`);
}

function addLines({ serial, lines }) {
	if (serial !== traced) return;
	const list = part('lines');
	list.append(...lines.map(line => element('li', {}, line)));
	while (list.children.length > TRACED) list.firstChild.remove();
	list.scrollTop = list.scrollHeight;
}

slab.canvas.onpointermove = event => mark(slab.slotAt(event));
slab.canvas.onfocus = () => mark(Math.max(0, slab.marked));
slab.canvas.onclick = () => {
	const conn = replay.slab[slab.marked];
	if (conn) trace(conn);
};
slab.canvas.onkeydown = event => {
	const { columns, marked } = slab, last = replay.slab.length - 1;
	const to = {
		ArrowRight: marked + 1, ArrowLeft: marked - 1, ArrowDown: marked + columns, ArrowUp: marked - columns, Home: 0, End: last,
	}[event.key];
	if (event.key === 'Enter') slab.canvas.onclick();
	else if (to !== undefined) mark(Math.max(0, Math.min(last, to)));
	else return;
	event.preventDefault();
};

/** Adds a frame. The server sends none while nothing happens: after a second, one that says so. */
function receive(frame) {
	clearTimeout(quiet);
	replay.add(frame);
	redraw();
	const nothing = { rounds: 0, events: 0, turns: {}, in: 0, out: 0, longest: 0, lag: 0, conns: [], gone: [], missed: 0 };
	if (frame.conns.length) quiet = setTimeout(receive, 1000, { ...frame, ...nothing, at: frame.at + 1000, span: 1000 });
}

// The server observes its loop only as long as the view is seen.
const stream = new Stream('loop')
	.on('slab', piece => {
		replay.snapshot(piece);
		redraw();
	})
	.on('loop', receive)
	.on('trace', addLines)
	.on('state', async ({ state, text, status }) => {
		put('state', text);
		if (state === 'open') {
			traced = 0; // the server traces for one stream only
			part('trace').hidden = true;
			part('speed').value = 1;
			play();
		}
		if (status === 401 && await askToken()) stream.open();
	});

export function show() {
	stream.open();
	shown = true;
	said = -CALM;
	drawAll();
}

export function hide() {
	shown = false;
	stream.close();
}
