// Requests to the server: the token they carry, and their errors in words.

import { ask } from './say.js';

const KEY = 'loket token';

/** Moves a token from the address (#token=T) into the storage of this tab. */
export function takeToken() {
	const found = /^#token=(.+)$/.exec(location.hash);
	if (!found) return;
	sessionStorage.setItem(KEY, decodeURIComponent(found[1]));
	history.replaceState(null, '', location.pathname);
}

/** The header fields of a request that may need the token. */
export function authorization() {
	const token = sessionStorage.getItem(KEY);
	return token ? { Authorization: `Bearer ${token}` } : {};
}

/** Asks for the token. Resolves to whether one was given. */
export async function askToken() {
	const before = sessionStorage.getItem(KEY);
	const why = before ? 'The token was wrong.' : 'This needs the token that the server printed at its start.';
	const token = await ask('Token', why, 'Use it', true);
	if (token) sessionStorage.setItem(KEY, token);
	return token !== '';
}

/** An answer that is no success. `status` is 0 if there was no answer. */
export class Refused extends Error {
	constructor(status, text) {
		super(text.slice(0, 1).toUpperCase() + text.slice(1).trim());
		this.status = status;
	}
}

/** Sends a request, with an object as JSON. Throws `Refused`. */
export async function send(method, url, object, signal) {
	const headers = authorization();
	if (object) headers['Content-Type'] = 'application/json';
	// Trap: with credentials, the browser would open its own password dialog at a 401.
	const options = { method, headers, body: JSON.stringify(object), credentials: 'omit', signal };
	const answer = await fetch(url, options).catch(() => {
		throw new Refused(0, 'the server does not answer');
	});
	if (answer.ok) return answer;
	throw new Refused(answer.status, await answer.text());
}

/** The same. If the server wants its token, the user is asked for it. */
export async function request(...all) {
	try {
		return await send(...all);
	} catch (error) {
		if (error.status === 401 && await askToken()) return request(...all);
		throw error;
	}
}
