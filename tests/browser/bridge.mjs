// Runs Chromium for the browser tests: node bridge.mjs MODULES CHROMIUM PICTURES
//
// Prints a port, and ends with its standard input. A TCP connection to the port is one tab with a
// profile of its own. A line is the body of an asynchronous function, percent-encoded; the answer
// is a line with `ok` or `error` and a text, encoded too.

import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';

const modules = createRequire(`${process.argv[2]}/`);
const { chromium } = modules('playwright-core');
const axeSource = readFileSync(modules.resolve('axe-core/axe.min.js'), 'utf8');
const AsyncFunction = (async () => {}).constructor;

const browser = await chromium.launch({
  executablePath: process.argv[3],
  args: ['--no-sandbox', '--disable-gpu'], // root may not use the sandbox
});

/** What axe-core finds in the page as it is. */
async function axe(page) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations
    .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(node => node.html).join(' ')}`)
    .join('\n');
}

async function serve(socket) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, acceptDownloads: true });
  context.setDefaultTimeout(20_000);
  const faults = [];
  context.on('console', message => {
    if (['error', 'warning'].includes(message.type())) faults.push(`${message.type()}: ${message.text()}`);
  });
  context.on('weberror', error => faults.push(error.error().stack));
  const page = await context.newPage();
  socket.on('close', () => context.close().catch(() => {}));
  for await (const line of createInterface({ input: socket })) {
    let answer;
    try {
      const run = new AsyncFunction('page', 'context', 'axe', 'faults', decodeURIComponent(line));
      answer = `ok ${encodeURIComponent(await run(page, context, axe, faults) ?? '')}`;
    } catch (error) {
      await page.screenshot({ path: `${process.argv[4]}/failed.png` }).catch(() => {});
      answer = `error ${encodeURIComponent(`${error.message}\n${await page.url()}`)}`;
    }
    socket.write(`${answer}\n`);
  }
}

const server = createServer(socket => {
  socket.on('error', () => {});
  serve(socket).catch(error => console.error(error));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', async () => {
  await browser.close();
  process.exit();
}).resume();
