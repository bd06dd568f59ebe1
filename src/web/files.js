// The Files view: the list of a folder, sorted and filtered, and what one can do with a file.

import { ago, bytes, date, element, grouped, plural } from './format.js';
import { request } from './request.js';
import { ask, say, sayError } from './say.js';
import { enqueue } from './uploads.js';

const CHUNK = 200; // rows in one <tbody>; the browser skips those that are not visible
const view = document.getElementById('files');
const table = document.getElementById('list');
const filter = document.getElementById('filter');
const collator = new Intl.Collator('en', { numeric: true });

let folder = '';
let entries = [];
let order = { by: 'name', down: false };
let readOnly = false;
let loading = new AbortController();
let rendering = 0; // counts calls of render(): a newer one ends an older one
let received = ''; // the list as it came, to see whether it has changed

/** The folder in the address, decoded: "/" or "/a/b/". */
function addressed() {
  const { pathname } = location;
  return pathname.startsWith('/-/') ? '/' : decodeURIComponent(pathname);
}

/** The address of a path, each component encoded. */
const encode = path => path.split('/').map(encodeURIComponent).join('/');

/** Fetches the list of the folder in the address, and shows it if it is another one. */
export async function load() {
  loading.abort();
  loading = new AbortController();
  const path = addressed();
  if (path !== folder) {
    folder = path;
    entries = [];
    received = '';
    filter.value = '';
    showCrumbs();
    render();
    view.querySelector('#count').textContent = 'loading …';
  }
  try {
    const answer = await request('GET', encode(path) + '?json', { signal: loading.signal });
    const text = await answer.text();
    problem('');
    if (text === received) return;
    received = text;
    entries = JSON.parse(text).entries;
    render();
  } catch (error) {
    if (error.name === 'AbortError') return;
    view.querySelector('#count').textContent = '';
    problem(error.status === 404 ? `There is no folder ${path}` : error.message);
  }
}

function problem(text) {
  const place = document.getElementById('problem');
  place.textContent = text;
  place.hidden = !text;
}

function showCrumbs() {
  const names = folder.split('/').slice(1, -1);
  const links = [element('a', { href: '/', textContent: 'root' })];
  names.forEach((name, i) =>
    links.push(element('a', { href: encode('/' + names.slice(0, i + 1).join('/') + '/'), textContent: name })));
  links.at(-1).ariaCurrent = 'page';
  document.getElementById('crumbs').replaceChildren(...links);
}

// The table

const COMPARE = {
  name: (a, b) => collator.compare(a.name, b.name),
  size: (a, b) => a.size - b.size,
  mtime: (a, b) => a.mtime - b.mtime,
};

/** Shows the entries: the first rows at once, the others in pieces, so that the page stays alive. */
function render() {
  const mine = ++rendering;
  const wanted = filter.value.toLowerCase();
  const compare = COMPARE[order.by];
  const sign = order.down ? -1 : 1;
  const shown = entries
    .filter(entry => entry.name.toLowerCase().includes(wanted))
    .sort((a, b) => b.dir - a.dir || sign * compare(a, b) || COMPARE.name(a, b));
  for (const body of [...table.tBodies]) body.remove();
  const now = Date.now() / 1000;
  const more = start => {
    if (mine !== rendering || start >= shown.length) return;
    const rows = shown.slice(start, start + CHUNK);
    const body = element('tbody', {}, ...rows.map(entry => row(entry, now)));
    body.style.setProperty('--rows', rows.length);
    table.append(body);
    setTimeout(more, 0, start + CHUNK);
  };
  more(0);
  showCount(shown);
}

function showCount(shown) {
  const sum = shown.reduce((sum, entry) => sum + entry.size, 0);
  const count = plural(shown.length, 'entry').replace('entrys', 'entries');
  const text = shown.length < entries.length ? `${grouped(shown.length)} of ${grouped(entries.length)} entries` : count;
  document.getElementById('count').textContent = `${text}, ${bytes(sum)}${readOnly ? ', read-only' : ''}`;
}

/** A row of the table. The names are written by others: text only. */
function row({ name, dir, size, mtime }, now) {
  const made = document.getElementById('file-row').content.firstElementChild.cloneNode(true);
  const [first, second, third, last] = made.children;
  const href = encode(folder + name) + (dir ? '/' : '');
  made.dataset.name = name;
  const link = first.firstElementChild;
  link.textContent = name;
  link.href = href;
  const time = third.firstElementChild;
  time.textContent = ago(mtime, now);
  time.title = date(mtime);
  if (dir) {
    link.className = 'folder';
    last.replaceChildren();
    return made;
  }
  // The page must not be left: its streams would end.
  link.target = '_blank';
  second.textContent = bytes(size);
  second.title = plural(size, 'byte');
  const [download, remove] = last.children;
  download.href = href + '?download';
  download.ariaLabel = `Download ${name}`;
  remove.ariaLabel = `Delete ${name}`;
  return made;
}

table.tHead.onclick = ({ target }) => {
  const { by } = target.dataset;
  if (!by) return;
  order = { by, down: order.by === by && !order.down };
  for (const button of table.tHead.querySelectorAll('button')) {
    const isOrder = button.dataset.by === by;
    button.parentNode.ariaSort = isOrder ? (order.down ? 'descending' : 'ascending') : null;
  }
  render();
};

filter.oninput = render;

view.onclick = event => {
  const { target } = event;
  if (target.matches('.delete')) return remove(target.closest('tr'));
  const inner = target.matches('.folder, #crumbs a');
  if (!inner || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  history.pushState(null, '', target.getAttribute('href'));
  load();
};

async function remove(row) {
  const { name } = row.dataset;
  if (!await ask(`Delete ${name}?`, 'Nothing can bring it back.', 'Delete')) return;
  try {
    await request('DELETE', encode(folder + name));
  } catch (error) {
    return sayError(error);
  }
  say(`${name} is deleted.`);
  entries = entries.filter(entry => entry.name !== name);
  received = '';
  const next = row.nextElementSibling ?? row.previousElementSibling;
  row.remove();
  showCount(entries);
  (next?.querySelector('a, button') ?? filter).focus();
}

// Uploads

/** Asks about names that exist, and queues the files. */
async function upload(files) {
  if (readOnly) return sayError(new Error('This server was started with --read-only: it changes no file.'));
  const here = new Set(entries.map(entry => entry.name));
  const replaced = files.filter(file => here.has(file.name));
  const names = replaced.map(file => file.name).slice(0, 5).join(', ') + (replaced.length > 5 ? ', …' : '');
  const question = replaced.length === 1 ? `Replace ${names}?` : `Replace ${replaced.length} files?`;
  const details = replaced.length === 1 ? 'The folder has a file of this name.' : `The folder has files of these names: ${names}`;
  if (replaced.length && !await ask(question, details, 'Replace')) return;
  const target = folder;
  enqueue(files, name => encode(target + name), () => { if (target === folder) load(); });
}

const pick = document.getElementById('pick');
pick.onchange = () => {
  upload([...pick.files]);
  pick.value = '';
};

const hasFiles = event => event.dataTransfer?.types.includes('Files');

addEventListener('dragover', event => {
  if (!hasFiles(event)) return;
  event.preventDefault(); // or the browser would leave the page for the file
  event.dataTransfer.dropEffect = view.hidden ? 'none' : 'copy';
  view.classList.toggle('drop', !view.hidden);
});
addEventListener('dragleave', event => { if (!event.relatedTarget) view.classList.remove('drop'); });
addEventListener('drop', event => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  view.classList.remove('drop');
  if (view.hidden) return;
  const items = [...event.dataTransfer.items].filter(item => item.kind === 'file');
  const files = items.filter(item => !item.webkitGetAsEntry?.()?.isDirectory).map(item => item.getAsFile());
  if (files.length < items.length) sayError(new Error('A folder cannot be uploaded: choose the files in it.'));
  if (files.length) upload(files);
});

/** Tells the view what the server says of itself. */
export function setServer({ read_only: isReadOnly }) {
  readOnly = isReadOnly;
  view.classList.toggle('read-only', readOnly);
  document.getElementById('upload').hidden = readOnly;
  showCount(entries);
}

export function show() {
  load();
}

export function hide() {}

// A step back or forward to another folder.
addEventListener('popstate', () => { if (!view.hidden && addressed() !== folder) load(); });
