// What the Loop view has received: a ring of frames, and the slab at the frame shown.

const KEEP = 600; // frames: a minute, at most about 30 MB

/** The fields of a connection in a frame, and the time of the last frame in which it had a turn. */
export const SLOT = 0, SERIAL = 1, SERVICE = 2, STATE = 3, OWED = 4, TURNS = 5, BYTES = 6, BUDGET = 7, AT = 8;

/** Applies a frame to an array of connections by slot. A connection is replaced, never changed. */
function apply(slab, frame) {
  for (const slot of frame.gone) delete slab[slot];
  for (const conn of frame.conns) slab[conn[SLOT]] = [...conn, frame.at];
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
      for (const slab of [this.first, this.last]) slab[conn[SLOT]] ??= [...conn, 0, 0, 0, 0];
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

  /** Keeps the frame shown while others arrive. */
  hold() {
    if (this.live) this.slab = this.last.slice();
    this.live = false;
  }

  /** Shows frames as they arrive. */
  follow() {
    this.live = true;
    this.slab = this.last;
    this.at = this.frames.length;
  }

  /** Shows the slab as it was after this number of frames. */
  seek(at) {
    this.hold();
    at = Math.min(Math.max(at, 1), this.frames.length);
    if (at < this.at || !this.at) {
      this.slab = this.first.slice();
      this.at = 0;
    }
    while (this.at < at) apply(this.slab, this.frames[this.at++]);
  }
}
