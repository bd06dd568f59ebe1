// The Loop view: the slab, the queues and the rounds of the server's loop, as its frames tell them.
// Pause, step and slow motion replay what was received; the loop itself is never slowed.
//
//   live ──pause, step──▶ held ──play──▶ slow ──pause, step──▶ held ──now──▶ live

import { ALL_BYTES, ALL_TURNS, AT, BUDGET, OWED, Replay, SERIAL, SERVICE, SLOT, TURNS } from './replay.js';
import { Slab, colour, drawCell, fit, isShape, kindOf } from './slab.js';
import { sayError } from './say.js';

const CALM = 10_000; // ms between two texts for a screen reader
const NAMED = 6; // connections named for a state
const TRACED = 200; // lines of a trace
const COLUMN = 3, HEIGHT = 96, MIDDLE = 56; // pixels of the strip chart

const part = name => document.getElementById(`loop-${name}`);
const replay = new Replay();
const slab = new Slab(part('slab'));
const rows = makeRows();
const calmly = matchMedia('(prefers-reduced-motion: reduce)');
let stream = null, shown = false;
let letters = []; // of the services, in the cells
let asked = 0, drawn = 0, said = -CALM; // the timer of the next drawing, the times of the last
let slow = 0; // the timer of slow motion
let traced = []; // the connection whose trace is shown

// Words

const whole = number => Math.round(number).toLocaleString('en');
const many = (number, noun) => `${whole(number)} ${noun}${number === 1 ? '' : 's'}`;
const time = micros => micros < 1000 ? `${whole(micros)} µs` : `${(micros / 1000).toFixed(1)} ms`;

function bytes(number) {
  const power = number < 1024 ? 0 : Math.min(4, Math.floor(Math.log2(number) / 10));
  return `${(number / 1024 ** power).toFixed(power && 1)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}`;
}

function inWords(slot) {
  const conn = replay.slab[slot], at = replay.frame?.at;
  if (slot < 0) return 'Point at a cell, or use the arrow keys in the slab. A click or Enter traces the connection.';
  if (!conn) return `Slot ${slot}: free`;
  const turns = conn[AT] === at ? `, ${whole(conn[TURNS])} of them in this frame, the last with ${conn[BUDGET]} % of its budget` : '';
  return `Slot ${slot}: ${replay.services[conn[SERVICE]]}, connection ${conn[SERIAL]}, `
    + `${rows[kindOf(conn, at)].name.toLowerCase()}. Owes ${bytes(conn[OWED])}. `
    + `Moved ${bytes(conn[ALL_BYTES])} in ${many(conn[ALL_TURNS], 'turn')}${turns}.`;
}

/** The sums of the last second before the frame shown. */
function lastSecond() {
  const sum = { span: 0, rounds: 0, events: 0, turns: 0, in: 0, out: 0, longest: 0, missed: 0 };
  for (let at = replay.at; at > 0 && sum.span < 1000; at--) {
    const frame = replay.frames[at - 1];
    for (const name of ['span', 'rounds', 'events', 'in', 'out', 'missed']) sum[name] += frame[name];
    for (const name in frame.turns) sum.turns += frame.turns[name];
    sum.longest = Math.max(sum.longest, frame.longest);
  }
  return sum;
}

function summary(frame, sum) {
  return `${replay.live ? 'Now' : `${behind()} s before the last frame`}: `
    + `${whole(frame.connections)} of ${many(frame.limit, 'connection')}, ${whole(frame.bulk)} in the bulk queue, `
    + `${whole(frame.await_disk)} waiting for the disk. ${many(sum.turns / sum.span * 1000, 'turn')} a second, `
    + `the longest took ${time(sum.longest)}. The accept gate is ${frame.accepting ? 'open' : 'shut'}.`;
}

function behind() {
  return ((replay.frames.at(-1).at - replay.frame.at) / 1000).toFixed(1);
}

// Drawing: with reduced motion once a second, else with the screen

function redraw() {
  const wait = calmly.matches && replay.live ? drawn + 1000 - performance.now() : 0;
  asked ||= setTimeout(() => requestAnimationFrame(() => {
    asked = 0;
    drawn = performance.now();
    draw();
  }), wait);
}

function draw(fresh = false) {
  if (!shown) return;
  const { frame, slab: conns, frames, at, live } = replay;
  slab.draw(conns, frame?.at, letters, fresh);
  part('words').textContent = inWords(slab.marked);
  if (!frame) return;
  drawQueues(frame, conns);
  const sum = lastSecond();
  for (const name of ['rounds', 'events', 'turns']) part(name).textContent = `${whole(sum[name] / sum.span * 1000)}/s`;
  for (const name of ['in', 'out']) part(name).textContent = `${bytes(sum[name] / sum.span * 1000)}/s`;
  for (const name of ['longest', 'lag']) part(name).textContent = time((name === 'lag' ? frame : sum)[name]);
  part('cut').textContent = frame.cut || sum.missed
    ? `Not shown: ${many(frame.cut, 'connection')} of this frame, ${many(sum.missed, 'frame')} of the last second.` : '';
  drawStrip(frames.slice(Math.max(0, at - Math.floor(part('strip').clientWidth / COLUMN)), at));
  part('position').max = frames.length;
  part('position').value = at;
  part('where').value = live ? 'live' : `frame ${at} of ${frames.length}, ${behind()} s behind`;
  part('position').setAttribute('aria-valuetext', part('where').value);
  part('pause').textContent = live || slow ? 'Pause' : 'Play';
  if (performance.now() < said + CALM) return;
  said = performance.now();
  part('summary').textContent = summary(frame, sum);
}

function drawQueues(frame, conns) {
  const kinds = {};
  for (const kind in rows) kinds[kind] = [];
  conns.forEach(conn => kinds[kindOf(conn, frame.at)].push(conn));
  kinds.owing.sort((a, b) => b[OWED] - a[OWED]);
  for (const kind of ['turn', 'owing', 'linger']) fill(kind, kinds[kind].length, names(kinds[kind], frame.at));
  fill('parked', kinds.parked.length, []);
  fill('gate', frame.accepting ? 'open' : 'shut', [`${whole(frame.connections)} of ${many(frame.limit, 'connection')}`]);
  fill('short', frame.short, [`${many(frame.turns.parked, 'turn')} ended parked, ${whole(frame.turns.requeue)} requeued`]);
  fill('bulk', frame.bulk, names(kinds.bulk, frame.at));
  fill('disk', frame.await_disk, names(kinds.disk, frame.at));
  fill('free', slab.slots - conns.flat(0).length, []);
}

/** The first connections of a state, with their turns in the frame and what they owe. */
function names(conns, at) {
  const named = conns.slice(0, NAMED).map(conn => `#${conn[SLOT]} ${replay.services[conn[SERVICE]]}`
    + (conn[AT] === at ? ` ×${conn[TURNS]}` : '') + (conn[OWED] ? ` ${bytes(conn[OWED])}` : ''));
  return conns.length > NAMED ? [...named, `and ${whole(conns.length - NAMED)} more`] : named;
}

function fill(kind, count, items) {
  const { number, list } = rows[kind];
  number.textContent = typeof count === 'number' ? whole(count) : count;
  while (list.children.length > items.length) list.lastChild.remove();
  while (list.children.length < items.length) list.append(document.createElement('li'));
  items.forEach((text, at) => { list.children[at].textContent = text; });
}

/** A row of the table for each entry of the legend, and the symbols of both. */
function makeRows() {
  const rows = {};
  for (const entry of document.querySelectorAll('#loop [data-of]')) {
    const kind = entry.dataset.of, name = entry.firstChild.textContent;
    const row = part('rows').insertRow();
    const [head, list] = ['th', 'ul'].map(tag => document.createElement(tag));
    head.scope = 'row';
    head.append(name);
    row.append(head);
    rows[kind] = { name, list, number: row.insertCell() };
    row.insertCell().append(list);
    if (!isShape(kind)) continue;
    for (const place of [head, entry.firstChild]) {
      const symbol = document.createElement('canvas');
      symbol.dataset.kind = kind;
      place.prepend(symbol);
    }
  }
  return rows;
}

/** Rounds upwards, the longest turn downwards from 10 µs to 100 ms, and a line where the gate is shut. */
function drawStrip(frames) {
  const canvas = part('strip');
  const ctx = fit(canvas, canvas.clientWidth, HEIGHT);
  const [up, down, line] = ['turn', 'owing', 'text'].map(name => colour(canvas, name));
  const most = Math.max(10, ...frames.map(frame => frame.rounds / frame.span));
  frames.forEach((frame, at) => {
    const rounds = frame.rounds / frame.span / most * MIDDLE;
    const longest = Math.min(4, Math.max(0, Math.log10(frame.longest) - 1)) / 4 * (HEIGHT - MIDDLE - 4);
    ctx.fillStyle = up;
    ctx.fillRect(at * COLUMN, MIDDLE - rounds, COLUMN - 1, rounds);
    ctx.fillStyle = down;
    ctx.fillRect(at * COLUMN, MIDDLE + 4, COLUMN - 1, longest);
    ctx.fillStyle = line;
    if (!frame.accepting) ctx.fillRect(at * COLUMN, MIDDLE, COLUMN, 4);
  });
  part('most').textContent = `${whole(most * 1000)} rounds a second`;
}

function drawAll() {
  if (!shown) return;
  for (const canvas of document.querySelectorAll('#loop [data-kind]')) {
    const ctx = fit(canvas, 16, 16);
    ctx.fillStyle = colour(canvas, canvas.dataset.kind);
    drawCell(ctx, canvas.dataset.kind, 0, 0, 16, 0.6);
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
  redraw();
}

function play() {
  const factor = Number(part('speed').value);
  clearTimeout(slow);
  slow = 0;
  if (factor === 1) {
    replay.follow();
  } else {
    replay.seek(replay.at + 1);
    slow = setTimeout(play, (replay.frame?.span ?? 100) * factor);
  }
  redraw();
}

part('pause').onclick = () => replay.live || slow ? seek(replay.at) : play();
part('back').onclick = () => seek(replay.at - 1);
part('step').onclick = () => seek(replay.at + 1);
part('position').oninput = () => seek(Number(part('position').value));
part('speed').onchange = play;
part('now').onclick = () => {
  part('speed').value = 1;
  play();
};

// The slab by pointer and keyboard, and the trace of a connection

function mark(slot) {
  slab.marked = slot;
  const { canvas } = slab;
  canvas.ariaValueMax = replay.slab.length;
  canvas.ariaValueNow = Math.max(0, slot);
  canvas.ariaValueText = inWords(slot);
  redraw();
}

async function trace(conn) {
  try {
    await stream.post('/-/operator', { trace: conn ? { slot: conn[SLOT], serial: conn[SERIAL] } : null });
  } catch (error) {
    return sayError(error);
  }
  traced = conn ?? [];
  part('trace').hidden = !conn;
  part('lines').replaceChildren();
  if (conn) part('traced').textContent = `Trace of slot ${conn[SLOT]}, ${replay.services[conn[SERVICE]]}`;
  else slab.canvas.focus();
}

function addLines({ serial, lines }) {
  if (serial !== traced[SERIAL]) return;
  const list = part('lines');
  for (const line of lines) list.append(Object.assign(document.createElement('li'), { textContent: line }));
  while (list.children.length > TRACED) list.firstChild.remove();
  list.scrollTop = list.scrollHeight;
}

slab.canvas.onpointermove = event => mark(slab.slotAt(event));
slab.canvas.onfocus = () => mark(Math.max(0, slab.marked));
slab.canvas.onclick = () => replay.slab[slab.marked] && trace(replay.slab[slab.marked]);
slab.canvas.onkeydown = event => {
  const last = replay.slab.length - 1, { columns, marked } = slab;
  const to = {
    ArrowRight: marked + 1, ArrowLeft: marked - 1, ArrowDown: marked + columns, ArrowUp: marked - columns,
    Home: 0, End: last, Enter: marked,
  }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  if (event.key === 'Enter') slab.canvas.onclick();
  else mark(Math.max(0, Math.min(last, to)));
};
part('end').onclick = () => trace(null);

/** Shows the view. `stream` is the same object each time. */
export function show(given) {
  if (!stream) {
    stream = given;
    stream.on('hello', () => {
      replay.reset();
      seek(0);
      play();
    });
    stream.on('slab', piece => {
      replay.snapshot(piece);
      letters = letterEach(replay.services);
      part('letters').textContent = replay.services.map((name, at) => `${letters[at]} ${name}`).join(', ');
      redraw();
    });
    stream.on('loop', frame => {
      replay.add(frame);
      if (replay.live) redraw();
    });
    stream.on('trace', addLines);
    stream.on('state', ({ state, text }) => { part('state').textContent = text; });
  }
  shown = true;
  said = -CALM;
  drawAll();
}

/** Stops drawing. */
export function hide() {
  shown = false;
}

/** The first letter of each name that no earlier one has. */
function letterEach(names) {
  const taken = [];
  for (const name of names) taken.push([...name.toUpperCase()].find(letter => !taken.includes(letter)) ?? '?');
  return taken;
}
