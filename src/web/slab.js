// Draws the slab on a canvas, a cell for each slot. Each state has a colour and a shape.

/** A shape in a unit square, filled by the even-odd rule. */
const SHAPES = {
	free: 'M.44.44h.12v.12h-.12z',
	parked: 'M0 0h1v1H0zM.1.1v.8h.8V.1z',
	turn: 'M0 0h1v1H0zM.1.1v.8h.8V.1zM.26.26h.48v.48H.26z',
	owing: 'M0 0h1v1H0zM.1.1v.8h.8V.1z', // and a level, see below
	bulk: 'M0 0L1 .5L0 1z',
	disk: 'M0 .5a.5.5 0 1 0 1 0a.5.5 0 1 0-1 0z',
	linger: 'M.14 0L.5.36L.86 0L1 .14L.64.5L1 .86L.86 1L.5.64L.14 1L0 .86L.36.5L0 .14z',
};
for (const kind in SHAPES) SHAPES[kind] = new Path2D(SHAPES[kind]);

export const isShape = kind => kind in SHAPES;

/** Sizes of a cell in pixels: the largest one with which the slab is not higher than HEIGHT. */
const SIZES = [26, 20, 14, 10, 7, 5], HEIGHT = 380;

/** The kind of a connection at the time of the frame shown. */
export function kindOf(conn, at) {
	return conn?.kind === 'parked' && conn.at === at ? 'turn' : conn?.kind ?? 'free';
}

/** A colour of the style sheet. */
export const colour = (element, name) => getComputedStyle(element).getPropertyValue(`--${name}`);

/** Sets the size of a canvas in CSS pixels. Returns its context. */
export function fit(canvas, width, height) {
	canvas.width = width * devicePixelRatio;
	canvas.height = height * devicePixelRatio;
	canvas.style.height = `${height}px`;
	const ctx = canvas.getContext('2d');
	ctx.scale(devicePixelRatio, devicePixelRatio);
	return ctx;
}

/** Draws a cell. `level`, from 0 to 1, is how much of it is filled if it owes bytes. */
export function drawCell(ctx, kind, x, y, side, level) {
	ctx.save();
	ctx.translate(x, y);
	ctx.scale(side, side);
	ctx.fill(SHAPES[kind], 'evenodd');
	if (kind === 'owing') ctx.fillRect(0, 1 - level, 1, level);
	ctx.restore();
}

export class Slab {
	marked = -1; // the slot that the pointer or the keyboard has chosen

	constructor(canvas) {
		this.canvas = canvas;
	}

	/** Draws what has changed; all of it if the size, or `fresh`, says so. */
	draw(conns, at, fresh) {
		const width = this.canvas.clientWidth;
		if (fresh || conns.length > this.slots || width !== this.width) this.#layOut(conns.length, width);
		for (let slot = 0; slot < this.slots; slot++) {
			const conn = conns[slot], kind = kindOf(conn, at);
			// In eight steps, each eight times the one before: a full cell owes 1 GiB.
			const level = Math.min(8, Math.max(1, Math.floor(Math.log2(conn?.owed) / 3) - 2)) / 8;
			const look = [kind, kind === 'owing' && level, slot === this.marked].join();
			if (this.looks[slot] === look) continue;
			this.looks[slot] = look;
			this.#drawSlot(slot, kind, level);
		}
	}

	#layOut(slots, width) {
		this.width = width;
		// Powers of two: the grid does not change with each accept.
		this.slots = 2 ** Math.max(5, Math.ceil(Math.log2(slots)));
		const height = size => Math.ceil(this.slots / Math.floor(width / size)) * size;
		this.size = SIZES.find(size => height(size) <= HEIGHT) ?? SIZES.at(-1);
		this.columns = Math.floor(width / this.size);
		this.ctx = fit(this.canvas, width, height(this.size));
		this.colours = {};
		for (const name of [...Object.keys(SHAPES), 'text']) this.colours[name] = colour(this.canvas, name);
		this.looks = [];
	}

	#drawSlot(slot, kind, level) {
		const { ctx, size, colours } = this;
		const x = slot % this.columns * size, y = Math.floor(slot / this.columns) * size;
		const gap = Math.ceil(size / 10), side = size - gap;
		ctx.clearRect(x, y, size, size);
		ctx.fillStyle = colours[kind];
		drawCell(ctx, kind, x, y, side, level);
		if (slot === this.marked) {
			ctx.strokeStyle = colours.text;
			ctx.lineWidth = gap;
			ctx.strokeRect(x + gap / 2, y + gap / 2, side - gap, side - gap);
		}
	}

	/** The slot below the pointer, or -1. */
	slotAt({ offsetX, offsetY }) {
		const column = Math.floor(offsetX / this.size);
		const slot = Math.floor(offsetY / this.size) * this.columns + column;
		return column < this.columns && slot < this.slots ? slot : -1;
	}
}
