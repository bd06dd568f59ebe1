// The streams of server-sent events. They share one connection (GET /-/events), on which POST
// requests open and close them: a browser opens six to a host.
//
//   closed --open--> opening --opened--> open --end--> waiting --hello--> opening
//                    opening --4xx--> refused          close: from each state to closed

import { request, send } from './request.js';

const PAUSE = 2000, LONGEST_PAUSE = 30_000; // ms
const streams = new Set(); // that are open or will be
const each = act => [...streams].forEach(act);
let connection = null; // its AbortController
let tab = ''; // the secret by which the server knows the connection
let switched = Promise.resolve(); // the last request that opens or closes a stream
let greet;

/** What the server says of itself. */
export const greeting = new Promise(resolve => greet = resolve);

export class Stream {
	#handlers = {};
	#isOpen = false;
	#lastId;

	/** A stream of a kind, for example `operator`. */
	constructor(kind) {
		this.kind = kind;
	}

	/** Calls `handler` with the data of the events of this name. The event `state`, which is not the
	 *  server's, has {state, text, status}. */
	on(name, handler) {
		(this.#handlers[name] ??= []).push(handler);
		return this;
	}

	post(path, body) {
		return request('POST', path, { tab, ...body });
	}

	get isOn() {
		return streams.has(this);
	}

	open() {
		if (this.isOn) return;
		streams.add(this);
		this.begin();
	}

	close() {
		if (!this.isOn) return;
		this.#end('closed');
		if (tab) this.#switch(false);
	}

	begin() {
		this.change('opening', 'connecting …');
		if (tab) this.#switch(true);
		else if (!connection) connect();
	}

	receive(name, id, data) {
		if (name === 'opened' && data.stream === this.kind) this.change('open');
		if (!this.#isOpen || !this.#handlers[name]) return; // or of an earlier stream
		this.#lastId = id ?? this.#lastId;
		this.#emit(name, data);
	}

	change(state, text = '', status = 0) {
		this.#isOpen = state === 'open';
		this.#emit('state', { state, text, status });
	}

	#end(...change) {
		streams.delete(this);
		this.#lastId = undefined;
		if (!streams.size) leave();
		this.change(...change);
	}

	/** Opens or closes it on the connection. The order of these requests counts. */
	#switch(open) {
		const body = { tab, open, last: this.#lastId };
		switched = switched.then(() => send('POST', `/-/events?${this.kind}`, body)).catch(({ message, status }) => {
			const isBroken = !status || status === 404; // it is opened again
			if (open && this.isOn && !isBroken) this.#end('refused', message, status);
		});
	}

	#emit(name, data) {
		for (const handler of this.#handlers[name] ?? []) handler(data);
	}
}

async function connect() {
	const { signal } = connection = new AbortController();
	for (let failures = 0; ; failures++) {
		await read(signal).catch(error => signal.aborted || console.warn(error));
		if (signal.aborted) return;
		if (tab) failures = 0;
		tab = '';
		const pause = Math.min(PAUSE * 2 ** failures, LONGEST_PAUSE);
		each(stream => stream.change('waiting', `no connection, next try in ${pause / 1000} s`));
		await new Promise(resolve => setTimeout(resolve, pause));
		if (signal.aborted) return;
	}
}

function leave() {
	connection?.abort();
	connection = null;
	tab = '';
}

async function read(signal) {
	const { body } = await send('GET', '/-/events', undefined, signal);
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	for (let rest = ''; ;) {
		const { value, done } = await reader.read();
		if (done) return;
		const events = (rest + value).split('\n\n'); // a blank line ends an event
		rest = events.pop();
		for (const event of events) if (!signal.aborted) receive(event);
	}
}

function receive(event) {
	const [, name, id, json] = /^event: (.*)\n(?:id: (.*)\n)?data: (.*)$/.exec(event) ?? [];
	if (!json) return; // a comment
	const data = JSON.parse(json);
	if (name === 'hello') {
		tab = data.tab;
		greet(data);
		streams.size ? each(stream => stream.begin()) : leave();
	}
	each(stream => stream.receive(name, id, data));
}

connect();
