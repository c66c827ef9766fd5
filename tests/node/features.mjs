// A client on a TypeScript SDK: node features.mjs v1|v2-legacy|v2-auto ENDPOINT, the token on standard input. In the
// place of ENDPOINT stands a command as a JSON array for a client that speaks stdio, which needs no token. Prints
// "waiting" when its last call waits, cancels it at the next line of input, and prints what it saw as one JSON object.
import { createInterface } from 'node:readline';
import { load } from './packages.mjs';

// Such an answer holds it twice, and the SDK takes 10 MiB at most over stdio.
const SIZE = 5_000_000;
const [kind, endpoint] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const token = (await lines.next()).value;
const requestInit = { headers: { Authorization: `Bearer ${token}` } };

async function transport(http, stdio) {
  if (!endpoint.startsWith('[')) {
    const { StreamableHTTPClientTransport } = await load(http);
    return new StreamableHTTPClientTransport(new URL(endpoint), { requestInit });
  }
  const { StdioClientTransport } = await load(stdio);
  const [command, ...args] = JSON.parse(endpoint);
  return new StdioClientTransport({ command, args, env: process.env });
}

async function connected() {
  const capabilities = { elicitation: { form: {} } };
  const answer = async () => ({ action: 'accept', content: { colour: 'green' } });
  if (kind === 'v1') {
    const { Client } = await load('@modelcontextprotocol/sdk/client/index.js');
    const { ElicitRequestSchema } = await load('@modelcontextprotocol/sdk/types.js');
    const client = new Client({ name: 'features', version: '1' }, { capabilities });
    client.setRequestHandler(ElicitRequestSchema, answer);
    const sdk = '@modelcontextprotocol/sdk/client/';
    await client.connect(await transport(`${sdk}streamableHttp.js`, `${sdk}stdio.js`));
    return [client, (name, args, options) => client.callTool({ name, arguments: args }, undefined, options)];
  }
  const { Client } = await load('@modelcontextprotocol/client');
  const versionNegotiation = { mode: kind.slice(3) };
  const client = new Client({ name: 'features', version: '1' }, { capabilities, versionNegotiation });
  client.setRequestHandler('elicitation/create', answer);
  await client.connect(await transport('@modelcontextprotocol/client', '@modelcontextprotocol/client/stdio'));
  return [client, (name, args, options) => client.callTool({ name, arguments: args }, options)];
}

const [client, call] = await connected();
const text = (result) => result.content[0].text;
const tools = (await client.listTools()).tools.map((tool) => tool.name).sort();
const steps = [];
const counted = text(await call('steps', { count: 5 }, { onprogress: (seen) => steps.push(seen.progress) }));
const asked = text(await call('ask', {}));
const big = text(await call('big', { size: SIZE })).length;
const giveUp = new AbortController();
const waiting = call('wait', {}, { signal: giveUp.signal }).then(() => 'answered', () => 'given up');
console.log('waiting');
await lines.next();
giveUp.abort();
await waiting;
const after = text(await call('steps', { count: 1 }));
console.log(JSON.stringify({ tools, steps, counted, asked, big, after }));
await client.close();
process.exit(0);
