// The start: shows the view that the address names, and gives the Loop view its stream.

import { takeToken } from './request.js';
import { Stream } from './events.js';
import * as loop from './loop.js';

const VIEWS = {
  files: { show() {}, hide() {} },
  talk: { show() {}, hide() {} },
  room: { show() {}, hide() {} },
  loop: (() => {
    const stream = new Stream('loop');
    return {
      show() { stream.open(); loop.show(stream); },
      hide() { loop.hide(); stream.close(); },
    };
  })(),
};

let shown = '';

function route() {
  takeToken();
  const name = location.hash.slice(1);
  const view = name in VIEWS ? name : 'files';
  if (view === shown) return;
  if (shown) VIEWS[shown].hide();
  shown = view;
  for (const name in VIEWS) {
    const link = document.querySelector(`.bar a[href="#${name}"]`);
    document.getElementById(name).hidden = name !== view;
    if (name === view) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = view[0].toUpperCase() + view.slice(1) + ' · loket';
  VIEWS[view].show();
}

addEventListener('hashchange', route);
route();
