// The Loop view.

/** Shows the view. `stream` is open, and the same object each time. */
export function show(stream) {}

/** Stops drawing. */
export function hide() {}
