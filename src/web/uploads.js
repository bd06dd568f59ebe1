// The queue of uploads: one file at a time, with its progress, its rate and a way to cancel it.
// XMLHttpRequest, because fetch does not tell how much of a body has been sent.

import { bytes, duration, plural } from './format.js';
import { askToken, authorization, Refused } from './request.js';
import { say } from './say.js';

const WINDOW = 3000; // ms over which the rate is measured
const place = document.getElementById('uploads');
const list = place.querySelector('ul');
const summary = place.querySelector('.summary');
const queue = []; // waiting
let current = null;
let counts = { stored: 0, failed: 0 };

/** Adds files. `address` makes the URL of a name, `stored` is called after each one. */
export function enqueue(files, address, stored) {
  for (const file of files) {
    const row = document.getElementById('upload-row').content.firstElementChild.cloneNode(true);
    const upload = { file, row, stored, url: address(file.name), request: null };
    row.querySelector('.name').textContent = file.name;
    row.querySelector('progress').ariaLabel = `Progress of ${file.name}`;
    const button = row.querySelector('button');
    button.ariaLabel = `Cancel ${file.name}`;
    button.onclick = () => cancel(upload);
    note(upload, `waiting, ${bytes(file.size)}`);
    list.append(row);
    queue.push(upload);
  }
  place.hidden = false;
  next();
}

async function next() {
  showSummary();
  if (current || !queue.length) return;
  current = queue.shift();
  const upload = current;
  try {
    await send(upload);
    finish(upload, 'stored', `stored, ${bytes(upload.file.size)}`);
    counts.stored++;
    upload.stored();
  } catch (error) {
    finish(upload, 'failed', error.message);
    counts.failed++;
  }
  current = null;
  if (!queue.length) say(result());
  next();
}

/** Sends a file. If the server wants its token, the user is asked, and it is sent again. */
async function send(upload) {
  const { status, text } = await put(upload);
  if (status >= 200 && status < 300) return;
  const refused = new Refused(status, text);
  if (status === 401 && await askToken(refused.message)) return send(upload);
  throw refused;
}

function put(upload) {
  return new Promise((resolve, reject) => {
    const request = upload.request = new XMLHttpRequest();
    const bar = upload.row.querySelector('progress');
    const samples = [{ at: performance.now(), sent: 0 }];
    let drawn = 0;
    request.open('PUT', upload.url);
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => {
      const now = performance.now();
      if (now - drawn < 100 && loaded < total) return;
      drawn = now;
      samples.push({ at: now, sent: loaded });
      while (samples.length > 2 && now - samples[0].at > WINDOW) samples.shift();
      const [first] = samples;
      const rate = (loaded - first.sent) / (now - first.at) * 1000;
      bar.value = total ? loaded / total : 1;
      note(upload, loaded < total
        ? `${Math.floor(loaded / total * 100)} % of ${bytes(total)}, ${bytes(rate)}/s, ${duration((total - loaded) / rate)} left`
        : 'waiting for the disk');
    };
    request.onload = () => resolve({ status: request.status, text: request.responseText });
    request.onerror = () => reject(new Error('The connection broke. Nothing was stored.'));
    request.onabort = () => reject(new Error('Cancelled. Nothing was stored.'));
    request.send(upload.file);
  });
}

/** Cancels an upload, or removes the row of one that is over. */
function cancel(upload) {
  const waiting = queue.indexOf(upload);
  if (upload === current) upload.request.abort();
  else if (waiting >= 0) queue.splice(waiting, 1);
  if (upload !== current) upload.row.remove();
  showSummary();
}

function finish(upload, className, text) {
  upload.row.classList.add(className);
  upload.row.querySelector('button').ariaLabel = `Remove ${upload.file.name} from this list`;
  note(upload, text);
}

function note(upload, text) {
  upload.row.querySelector('.note').textContent = text;
}

const result = () => `${plural(counts.stored, 'file')} stored${counts.failed ? `, ${counts.failed} not stored` : ''}.`;

function showSummary() {
  const left = queue.length + (current ? 1 : 0);
  summary.textContent = left ? `${plural(left, 'upload')} left` : result();
  place.querySelector('.clear').textContent = left ? 'Cancel all' : 'Clear';
  if (!list.childElementCount) place.hidden = true;
  if (place.hidden) counts = { stored: 0, failed: 0 };
}

place.querySelector('.clear').onclick = () => {
  const isOver = !current;
  queue.length = 0;
  for (const row of [...list.children]) if (row !== current?.row) row.remove();
  current?.request.abort();
  if (isOver) list.replaceChildren();
  showSummary();
};

addEventListener('beforeunload', event => { if (current) event.preventDefault(); });
