// The Files view: the list of a folder, sorted, and what one can do with a file.

import { ago, byId, bytes, copy, date, element, plain, plural } from './format.js';
import { request } from './request.js';
import { ask, say, sayError } from './say.js';
import { enqueue } from './uploads.js';

const CHUNK = 50; // rows in one <tbody>; the browser draws only those that are visible
const view = byId('files');
const table = byId('list');
const problem = byId('problem');
const count = byId('count');
const { compare } = new Intl.Collator('en', { numeric: true });

let folder = ''; // the path on the screen, decoded: "/" or "/a/b/"
let entries = [];
let order = { by: 'name', sign: 1 };
let readOnly = false;
let rendering = 0; // counts the calls of render()

const addressed = () => location.pathname.startsWith('/-/') ? '/' : decodeURIComponent(location.pathname);

const encode = path => path.split('/').map(encodeURIComponent).join('/');

/** Shows the folder in the address, or updates its list. */
export async function show() {
	const path = addressed();
	if (folder !== path) {
		folder = path;
		entries = [];
		showCrumbs();
		render();
		view.parentNode.scrollTop = 0;
		count.textContent = 'loading …';
	}
	try {
		const answer = await request('GET', `${encode(path)}?json`);
		const list = await answer.json();
		if (folder !== path) return;
		({ entries } = list);
		problem.textContent = '';
		render();
	} catch (error) {
		if (folder === path) problem.textContent = error.message;
	}
}

function showCrumbs() {
	const names = folder.split('/').slice(1, -1);
	const links = ['root', ...names].map((name, depth) =>
		element('a', { href: encode(['', ...names.slice(0, depth), ''].join('/')) }, plain(name)));
	links.at(-1).ariaCurrent = 'page';
	byId('crumbs').replaceChildren(...links);
}

/** The rows come in pieces, so that the page stays alive. */
function render() {
	const { by, sign } = order;
	const sorted = entries.sort((a, b) =>
		b.dir - a.dir || sign * (by === 'name' ? compare(a.name, b.name) : a[by] - b[by]) || compare(a.name, b.name));
	const bodies = [];
	for (let start = 0; start < entries.length; start += CHUNK) {
		bodies.push(element('tbody'));
		bodies.at(-1).style.setProperty('--rows', Math.min(CHUNK, entries.length - start));
	}
	table.replaceChildren(table.tHead, ...bodies);
	const mine = ++rendering;
	const fill = index => {
		if (mine !== rendering || index === bodies.length) return;
		bodies[index].append(...sorted.slice(index * CHUNK, (index + 1) * CHUNK).map(row));
		setTimeout(fill, 0, index + 1);
	};
	fill(0);
	showCount();
}

function showCount() {
	const sum = bytes(entries.reduce((sum, { size }) => sum + size, 0));
	count.textContent = `${plural(entries.length, 'item')}, ${sum}${readOnly ? ', read-only' : ''}`;
}

function row({ name, dir, size, mtime }) {
	const made = copy('file-row');
	const [{ firstChild: link }, length, time, actions] = made.cells;
	const [download, remove] = actions.children;
	made.dataset.name = name;
	link.textContent = plain(name);
	link.href = encode(folder + name);
	time.textContent = ago(mtime);
	time.title = date(mtime);
	if (dir) {
		link.href += '/';
		link.classList.add('folder');
		actions.replaceChildren();
	} else {
		link.target = '_blank'; // without this page, its streams would end
		length.textContent = bytes(size);
		download.href = `${link.href}?download`;
		download.ariaLabel = `Download ${name}`;
		remove.ariaLabel = `Delete ${name}`;
	}
	return made;
}

table.tHead.onclick = ({ target }) => {
	const { by } = target.dataset;
	if (!by) return;
	order = { by, sign: order.by === by ? -order.sign : 1 };
	table.querySelector('[aria-sort]').ariaSort = null;
	target.parentNode.ariaSort = order.sign > 0 ? 'ascending' : 'descending';
	render();
};

view.onclick = event => {
	const { target } = event;
	if (target.matches('.delete')) return remove(target.closest('tr'));
	if (!target.matches('.folder, #crumbs a') || event.ctrlKey || event.metaKey || event.shiftKey) return;
	event.preventDefault();
	history.pushState(null, '', target.href);
	show();
};

async function remove(row) {
	const { name } = row.dataset;
	if (!await ask(`Delete ${name}?`, 'It cannot be brought back.', 'Delete')) return;
	if (!await request('DELETE', encode(folder + name)).catch(sayError)) return;
	say(`${name} is deleted.`);
	const next = row.nextElementSibling ?? row.previousElementSibling;
	row.remove();
	next?.querySelector('a').focus();
	entries = entries.filter(entry => entry.name !== name);
	showCount();
}

/** Asks about names that exist. */
async function upload(files) {
	const there = new Set(entries.map(({ name }) => name));
	const old = files.map(({ name }) => name).filter(name => there.has(name));
	if (old.length && !await ask(`Replace ${plural(old.length, 'file')}?`, old.join(', '), 'Replace')) return;
	const target = folder;
	enqueue(files, name => encode(target + name), show);
}

const pick = byId('pick');
pick.onchange = () => {
	upload([...pick.files]);
	pick.value = '';
};

// Trap: without preventDefault, the browser leaves the page for the file.
for (const name of ['dragover', 'dragleave', 'drop']) {
	addEventListener(name, event => {
		const { types, files } = event.dataTransfer;
		if (!types.includes('Files')) return;
		event.preventDefault();
		view.classList.toggle('drop', name === 'dragover' || event.relatedTarget !== null);
		if (name === 'drop' && !view.hidden) upload([...files]);
	});
}

export function setServer(server) {
	readOnly = server.read_only;
	view.classList.toggle('read-only', readOnly);
	byId('upload').hidden = readOnly;
	render();
}

addEventListener('popstate', () => {
	if (!view.hidden && folder !== addressed()) show();
});
