// The start: shows the view that the address names.

import { Stream } from './events.js';
import * as files from './files.js';
import { byId } from './format.js';
import * as loop from './loop.js';
import { takeToken } from './request.js';
import * as talk from './talk.js';
import './room.js';

const loopStream = new Stream('loop');
const VIEWS = {
	files,
	talk,
	room: {},
	loop: {
		// The server observes its loop only as long as the view is shown.
		show() {
			loopStream.open();
			loop.show(loopStream);
		},
		hide() {
			loop.hide();
			loopStream.close();
		},
	},
};

let shown = '';

const tab = name => document.querySelector(`.bar a[href="#${name}"]`);

function route() {
	takeToken();
	const name = location.hash.slice(1);
	const wanted = Object.hasOwn(VIEWS, name) ? name : 'files';
	if (wanted === shown) return;
	VIEWS[shown]?.hide?.();
	shown = wanted;
	for (const name in VIEWS) {
		byId(name).hidden = name !== shown;
		tab(name).ariaCurrent = name === shown ? 'page' : null;
	}
	tab(shown).classList.remove('new');
	document.title = `${tab(shown).textContent} · loket`;
	VIEWS[shown].show?.();
}

addEventListener('hashchange', route);
// A page that is not seen leaves the connection of the loop, one of six that a browser opens.
document.onvisibilitychange = () => VIEWS[shown][document.hidden ? 'hide' : 'show']?.();
route();

// A stream of no kind says only what the server is.
const greeting = new Stream('').on('hello', server => {
	greeting.close();
	files.setServer(server);
	for (const view of ['talk', 'room']) tab(view).hidden = !server[view];
});
greeting.open();
