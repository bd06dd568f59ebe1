// Requests to the server: the token they carry, and their errors in words.

const KEY = 'loket token';

/** Moves a token from the address (#token=T) into the storage of this tab. */
export function takeToken() {
  const found = /^#token=(.+)$/.exec(location.hash);
  if (!found) return;
  sessionStorage.setItem(KEY, decodeURIComponent(found[1]));
  history.replaceState(null, '', location.pathname + location.search);
}

/** The header fields of a request that may need the token. */
export function authorization() {
  const token = sessionStorage.getItem(KEY);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** An answer that is no success. `status` is 0 if there was no answer. */
export class Refused extends Error {
  constructor(status, text) {
    super(status ? sentence(text) || `The server answered ${status}.` : 'The server does not answer.');
    this.status = status;
  }
}

/** Sends a request. If the server wants its token, the user is asked for it once.
 *  Throws `Refused`, or an AbortError if `options.signal` says so. */
export async function request(method, url, options = {}) {
  const answer = await fetch(url, {
    ...options,
    method,
    // Trap: with credentials, the browser would open its own password dialog at a 401.
    credentials: 'omit',
    headers: { ...options.headers, ...authorization() },
  }).catch(error => {
    throw error.name === 'AbortError' ? error : new Refused(0);
  });
  if (answer.ok) return answer;
  const refused = new Refused(answer.status, await answer.text());
  if (refused.status === 401 && await askToken(refused.message)) return request(method, url, options);
  throw refused;
}

/** Sends an object as JSON. */
export function post(path, body) {
  return request('POST', path, {
    body: JSON.stringify(body),
    headers: { 'Content-Type': 'application/json' },
  });
}

let asking = null;

/** Asks for the token. Resolves to whether one was given. */
export function askToken(why) {
  asking ??= new Promise(resolve => {
    const dialog = document.getElementById('ask-token');
    dialog.querySelector('.why').textContent = why;
    dialog.querySelector('form').onsubmit = event => {
      event.preventDefault();
      const field = dialog.querySelector('input');
      sessionStorage.setItem(KEY, field.value.trim());
      field.value = '';
      dialog.close('given');
    };
    dialog.querySelector('.cancel').onclick = () => dialog.close('');
    dialog.onclose = () => {
      asking = null;
      resolve(dialog.returnValue === 'given');
    };
    dialog.returnValue = '';
    dialog.showModal();
  });
  return asking;
}

function sentence(text = '') {
  const line = text.trim();
  return line && line[0].toUpperCase() + line.slice(1) + (/[.!?]$/.test(line) ? '' : '.');
}
