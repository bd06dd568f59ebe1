// The queue of uploads: one file at a time, with progress, rate and a way to cancel it.
// XMLHttpRequest, because fetch does not tell how much of a body has been sent.

import { byId, bytes, copy, plural } from './format.js';
import { askToken, authorization, Refused } from './request.js';
import { say } from './say.js';

const place = byId('uploads');
const list = place.querySelector('ul');
const queue = [];
let current = null; // the upload that runs
let stored = 0, failed = 0;

/** Adds files. `address` makes the URL of a name; `onStored` is called after each one. */
export function enqueue(files, address, onStored) {
	if (!current) {
		list.replaceChildren();
		stored = failed = 0;
	}
	for (const file of files) {
		const row = copy('upload-row');
		const [name, bar, note, button] = row.children;
		const upload = { file, row, bar, note, button, onStored, url: address(file.name) };
		name.textContent = file.name;
		bar.ariaLabel = `Progress of ${file.name}`;
		note.textContent = `waiting, ${bytes(file.size)}`;
		button.ariaLabel = `Cancel ${file.name}`;
		button.onclick = () => cancel(upload);
		list.append(row);
		queue.push(upload);
	}
	next();
}

async function next() {
	showState();
	if (current || !queue.length) return;
	const upload = current = queue.shift();
	const { row, note, button, file } = upload;
	try {
		await send(upload);
		stored++;
		note.textContent = `stored, ${bytes(file.size)}`;
		upload.onStored();
	} catch (error) {
		failed++;
		note.textContent = error.message;
		note.className = 'problem';
	}
	row.className = 'over';
	button.ariaLabel = `Remove ${file.name}`;
	current = null;
	if (!queue.length) say(result());
	next();
}

async function send(upload) {
	const { status, responseText } = await put(upload);
	if (status === 201 || status === 204) return;
	if (status === 401 && await askToken()) return send(upload);
	throw new Refused(status, responseText);
}

function put(upload) {
	const request = upload.request = new XMLHttpRequest();
	const begun = performance.now();
	request.open('PUT', upload.url);
	for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
	request.upload.onprogress = ({ loaded, total }) => {
		const rate = loaded / (performance.now() - begun) * 1000;
		upload.bar.value = loaded / total;
		upload.note.textContent = loaded < total
			? `${Math.floor(loaded / total * 100)} % of ${bytes(total)}, ${bytes(rate)}/s, ${Math.ceil((total - loaded) / rate)} s left`
			: 'waiting for the disk';
	};
	return new Promise((resolve, reject) => {
		request.onload = () => resolve(request);
		request.onerror = () => reject(new Error('The connection broke, or this is no file; nothing was stored.'));
		request.onabort = () => reject(new Error('Cancelled; nothing was stored.'));
		request.send(upload.file);
	});
}

/** Cancels an upload, or removes the row of one that is over. */
function cancel(upload) {
	if (upload === current) return upload.request.abort();
	if (queue.includes(upload)) queue.splice(queue.indexOf(upload), 1);
	upload.row.remove();
	showState();
}

const result = () => `${plural(stored, 'file')} stored${failed ? `, ${failed} not` : ''}.`;

function showState() {
	const left = queue.length + (current ? 1 : 0);
	place.firstElementChild.textContent = left ? `${plural(left, 'upload')} left` : result();
	place.hidden = !list.firstChild;
}

addEventListener('beforeunload', event => {
	if (current) event.preventDefault();
});
