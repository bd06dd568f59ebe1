// The start: shows the view that the address names.

import { greeting } from './events.js';
import * as files from './files.js';
import { byId } from './format.js';
import * as loop from './loop.js';
import { takeToken } from './request.js';
import * as talk from './talk.js';
import './room.js';

const VIEWS = { files, talk, room: {}, loop };

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
document.onvisibilitychange = () => VIEWS[shown][document.hidden ? 'hide' : 'show']?.();
route();

greeting.then(server => {
	files.setServer(server);
	for (const view of ['talk', 'room']) tab(view).hidden = !server[view];
});
