// What the Loop view has received: a ring of frames, and the slab at the frame shown.

const KEEP = 600; // frames: a minute, at most about 30 MB

const KINDS = ['parked', 'bulk', 'disk', 'linger'];

/** Applies a frame to an array of connections by slot. A connection is replaced, never changed. */
function apply(slab, frame) {
	for (const slot of frame.gone) delete slab[slot];
	for (const conn of frame.conns) slab[conn[0]] = connection(conn, frame.at);
}

/** `turns`, `bytes` and `budget` are those of the frame at the time `at`; 0 if there was none. */
function connection([slot, serial, service, state, owed, turns, bytes, budget], at) {
	const kind = owed && !state ? 'owing' : KINDS[state];
	return { slot, serial, service, kind, owed, turns, bytes, budget, at };
}

export class Replay {
	services = [];

	constructor() {
		this.reset();
	}

	reset() {
		this.frames = [];
		this.first = []; // the slab before the first frame of the ring
		this.last = []; // the slab after the last frame received
		this.slab = this.last; // the slab shown
		this.at = 0; // the number of frames before it
		this.live = true; // whether the last one is shown
	}

	/** Adds a piece of a snapshot. What a frame has said since the first one is newer. */
	snapshot({ first, services, conns }) {
		if (first && this.live) this.reset();
		this.services = services;
		for (const conn of conns) {
			for (const slab of [this.first, this.last]) slab[conn[0]] ??= connection(conn, 0);
		}
	}

	add(frame) {
		apply(this.last, frame);
		if (this.frames.push(frame) > KEEP) {
			apply(this.first, this.frames.shift());
			this.at = Math.max(0, this.at - 1);
		}
		if (this.live) this.at = this.frames.length;
	}

	get frame() {
		return this.frames[this.at - 1];
	}

	/** Shows frames as they arrive. */
	follow() {
		this.live = true;
		this.slab = this.last;
		this.at = this.frames.length;
	}

	/** Shows the slab as it was after this number of frames, and keeps it. */
	seek(at) {
		if (this.live) this.slab = this.last.slice();
		this.live = false;
		at = Math.min(Math.max(at, 1), this.frames.length);
		if (at < this.at || !this.at) {
			this.slab = this.first.slice();
			this.at = 0;
		}
		while (this.at < at) apply(this.slab, this.frames[this.at++]);
	}
}
