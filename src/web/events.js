// A stream of server-sent events (GET /-/events): reads it, and opens it again when it breaks.
//
//   closed ──open()──▶ opening ──hello──▶ open
//     ▲                  │  ▲              │ end, error, 40 s of silence
//     │ close()          │  └─ after a ────┤
//     └──────────────────┤     pause    waiting
//                        └─ 4xx ──▶ refused (not tried again)

import { authorization, post, Refused } from './request.js';

const SILENCE = 40_000; // ms; the server sends a heartbeat every 15 s
const LONGEST_PAUSE = 30_000;

export class Stream {
  #handlers = new Map();
  #abort = null;
  #lastId = '';
  #retry = 2000;

  /** `kinds` are the names in the query, for example `operator`. */
  constructor(...kinds) {
    this.url = '/-/events?' + kinds.join('&');
    /** The secret by which the server knows this stream; empty unless it is open. */
    this.tab = '';
    this.state = 'closed';
  }

  /** Calls `handler` with the data of each event of this name. The event `state` is this class's
   *  own: {state, text, status}. */
  on(name, handler) {
    this.#handlers.set(name, [...this.#handlers.get(name) ?? [], handler]);
    return this;
  }

  /** Sends an object in the name of this stream. */
  post(path, body) {
    return post(path, { tab: this.tab, ...body });
  }

  open() {
    if (this.#abort) return;
    this.#abort = new AbortController();
    this.#run(this.#abort.signal);
  }

  close() {
    this.#abort?.abort();
    this.#abort = null;
    this.#lastId = '';
    this.#change('closed', '');
  }

  async #run(signal) {
    for (let failures = 0; !signal.aborted; failures++) {
      this.#change('opening', 'connecting …');
      let error = new Refused(0);
      try {
        await this.#read(signal, () => { failures = 0; });
      } catch (thrown) {
        error = thrown;
      }
      if (signal.aborted) return;
      if (error.status >= 400 && error.status < 500 && error.status !== 429) {
        this.#abort = null;
        return this.#change('refused', error.message, error.status);
      }
      const pause = Math.min(this.#retry * 2 ** failures, LONGEST_PAUSE) * (0.75 + Math.random() / 2);
      this.#change('waiting', `connection lost, next try in ${Math.ceil(pause / 1000)} s`);
      await sleep(pause, signal);
    }
  }

  /** Reads one answer to its end. */
  async #read(outer, onHello) {
    const silent = new AbortController();
    const abort = () => silent.abort();
    outer.addEventListener('abort', abort);
    let timer = setTimeout(abort, SILENCE);
    try {
      const headers = { ...authorization() };
      if (this.#lastId) headers['Last-Event-ID'] = this.#lastId;
      const answer = await fetch(this.url, { headers, credentials: 'omit', cache: 'no-store', signal: silent.signal });
      if (!answer.ok) throw new Refused(answer.status, await answer.text());
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (;;) {
        const { value, done } = await reader.read();
        if (done || outer.aborted) return;
        clearTimeout(timer);
        timer = setTimeout(abort, SILENCE);
        // A blank line ends an event.
        const blocks = (rest + value).split('\n\n');
        rest = blocks.pop();
        for (const block of blocks) this.#event(block, onHello);
      }
    } finally {
      clearTimeout(timer);
      outer.removeEventListener('abort', abort);
    }
  }

  #event(block, onHello) {
    let name = 'message';
    let data = '';
    for (const line of block.split('\n')) {
      const colon = line.indexOf(':');
      const value = line.slice(colon + 1).trimStart();
      switch (line.slice(0, colon)) {
        case 'event': name = value; break;
        case 'data': data += value; break;
        case 'id': this.#lastId = value; break;
        case 'retry': this.#retry = Number(value); break;
      }
    }
    if (!data) return;
    const object = JSON.parse(data);
    if (name === 'hello') {
      onHello();
      this.tab = object.tab;
      this.#change('open', '');
    }
    this.#emit(name, object);
  }

  #change(state, text, status = 0) {
    if (state !== 'open') this.tab = '';
    this.state = state;
    this.#emit('state', { state, text, status });
  }

  #emit(name, data) {
    for (const handler of this.#handlers.get(name) ?? []) handler(data);
  }
}

/** Ends after `ms`, at once when the network comes back, or when `signal` aborts. */
function sleep(ms, signal) {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, ms);
    for (const [source, name] of [[signal, 'abort'], [window, 'online']]) {
      source.addEventListener(name, () => { clearTimeout(timer); resolve(); }, { once: true });
    }
  });
}

/** What the server says of itself: {talk, room, read_only, needs_token}. */
export function hello() {
  return new Promise((resolve, reject) => {
    const stream = new Stream();
    stream.on('hello', data => { stream.close(); resolve(data); });
    stream.on('state', ({ state, text, status }) => {
      if (state === 'waiting' || state === 'refused') {
        stream.close();
        reject(new Refused(status, text));
      }
    });
    stream.open();
  });
}
