// The start: shows the view that the address names, and counts what is new in the others.

import { Stream, hello } from './events.js';
import { takeToken } from './request.js';
import { sayError } from './say.js';
import * as files from './files.js';
import * as loop from './loop.js';
import * as room from './room.js';
import * as talk from './talk.js';

const loopStream = new Stream('loop');

const VIEWS = {
  files,
  talk,
  room,
  loop: {
    // The server collects what the loop does only as long as the view is shown.
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

const unread = { talk: 0, room: 0 };
let shown = '';

function route() {
  takeToken();
  const name = location.hash.slice(1);
  const wanted = Object.hasOwn(VIEWS, name) ? name : 'files';
  if (wanted === shown) return;
  if (shown) VIEWS[shown].hide();
  shown = wanted;
  for (const name in VIEWS) {
    document.getElementById(name).hidden = name !== shown;
    tab(name).ariaCurrent = name === shown ? 'page' : null;
  }
  if (shown in unread) setUnread(shown, 0);
  showTitle();
  VIEWS[shown].show();
}

const tab = name => document.querySelector(`.bar a[href="#${name}"]`);

document.addEventListener('news', ({ detail: view }) => {
  if (view !== shown || document.hidden) setUnread(view, unread[view] + 1);
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && shown in unread) setUnread(shown, 0);
});

function setUnread(view, count) {
  unread[view] = count;
  const badge = tab(view).querySelector('.badge');
  badge.hidden = !count;
  badge.firstChild.textContent = count > 99 ? '99+' : count;
  showTitle();
}

function showTitle() {
  const count = unread.talk + unread.room;
  document.title = `${count ? `(${count}) ` : ''}${shown[0].toUpperCase()}${shown.slice(1)} · loket`;
}

addEventListener('hashchange', route);
route();

hello().then(server => {
  files.setServer(server);
  for (const view of ['talk', 'room']) document.getElementById(view).classList.toggle('off', !server[view]);
}, sayError);
