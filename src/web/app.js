// The start: shows the view that the address names, and counts what is new in the others.

import { Stream } from './events.js';
import * as files from './files.js';
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

const unread = { talk: 0, room: 0 };
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
    document.getElementById(name).hidden = name !== shown;
    tab(name).ariaCurrent = name === shown ? 'page' : null;
  }
  setUnread(shown, 0);
  VIEWS[shown].show?.();
}

function setUnread(view, count) {
  const badge = tab(view).querySelector('.badge');
  if (badge) {
    unread[view] = count;
    badge.hidden = !count;
    badge.textContent = count;
    badge.title = `${count} new`;
  }
  const sum = unread.talk + unread.room;
  document.title = `${sum ? `(${sum}) ` : ''}${tab(shown).firstChild.textContent.trim()} · loket`;
}

document.addEventListener('news', ({ detail: view }) => {
  if (view !== shown || document.hidden) setUnread(view, unread[view] + 1);
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) setUnread(shown, 0);
});
addEventListener('hashchange', route);
route();

// A stream of no kind says only what the server is.
const greeting = new Stream('').on('hello', server => {
  greeting.close();
  files.setServer(server);
  for (const view in unread) tab(view).hidden = !server[view];
});
greeting.open();
