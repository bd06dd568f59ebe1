// A stream of server-sent events (GET /-/events): reads it, and opens it again when it breaks.
//
//   closed ──open──▶ opening ──hello──▶ open       close: from each state to closed
//                    │ ▲ └──error──▶ waiting ◀─┘ end
//     refused ◀──4xx─┘ └──pause─────────┘

import { authorization, Refused, request } from './request.js';

const LONGEST_PAUSE = 30_000; // ms

export class Stream {
	#handlers = {};
	#abort = null;
	#lastId = '';
	#retry = 2000;

	/** A stream of events of this kind, for example `operator`. */
	constructor(kind) {
		this.url = `/-/events?${kind}`;
		/** The secret by which the server knows this stream while it is open. */
		this.tab = '';
	}

	/** Calls `handler` with the data of the events of this name. The event `state`, which is not the
	 *  server's, has {state, text, status}. */
	on(name, handler) {
		(this.#handlers[name] ??= []).push(handler);
		return this;
	}

	post(path, body) {
		return request('POST', path, { tab: this.tab, ...body });
	}

	/** Whether it is open or will be. */
	get isOn() {
		return this.#abort !== null;
	}

	open() {
		if (this.isOn) return;
		this.#abort = new AbortController();
		this.#run(this.#abort.signal);
	}

	close() {
		this.#abort?.abort();
		this.#abort = null;
		this.#lastId = '';
		this.#change('closed');
	}

	async #run(signal) {
		for (let failures = 0; ; failures++) {
			this.#change('opening', 'connecting …');
			try {
				await this.#read(signal);
			} catch (error) {
				if (signal.aborted) return;
				console.warn(error);
				const { status } = error;
				if (status >= 400 && status < 500 && status !== 429) {
					this.#abort = null;
					return this.#change('refused', error.message, status);
				}
			}
			if (signal.aborted) return;
			if (this.tab) failures = 0;
			const pause = Math.min(this.#retry * 2 ** failures, LONGEST_PAUSE);
			this.#change('waiting', `no connection, next try in ${pause / 1000} s`);
			await new Promise(resolve => setTimeout(resolve, pause));
			if (signal.aborted) return;
		}
	}

	async #read(signal) {
		const headers = authorization();
		if (this.#lastId) headers['Last-Event-ID'] = this.#lastId;
		const answer = await fetch(this.url, { headers, signal, credentials: 'omit' });
		if (!answer.ok) throw new Refused(answer.status, await answer.text());
		const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
		for (let rest = ''; ;) {
			const { value, done } = await reader.read();
			if (done) return;
			const events = (rest + value).split('\n\n'); // a blank line ends an event
			rest = events.pop();
			for (const event of events) if (!signal.aborted) this.#event(event);
		}
	}

	#event(text) {
		const fields = {};
		for (const line of text.split('\n')) {
			const [, name, value] = /^(\w*): ?(.*)$/.exec(line) ?? [];
			fields[name] = value;
		}
		if (fields.retry) this.#retry = Number(fields.retry);
		if (fields.id) this.#lastId = fields.id;
		if (!fields.data) return;
		const data = JSON.parse(fields.data);
		if (fields.event === 'hello') {
			this.tab = data.tab;
			this.#change('open');
		}
		this.#emit(fields.event, data);
	}

	#change(state, text = '', status = 0) {
		if (state !== 'open') this.tab = '';
		this.#emit('state', { state, text, status });
	}

	#emit(name, data) {
		for (const handler of this.#handlers[name] ?? []) handler(data);
	}
}
