// A client on a TypeScript SDK: node features.mjs v1|v2-legacy|v2-auto ENDPOINT, the token on standard input. Prints
// "waiting" when its last call waits, cancels it at the next line of input, and prints what it saw as one JSON object.
import { createInterface } from 'node:readline';
import { load } from './packages.mjs';

const SIZE = 5 * 1024 * 1024;
const [kind, endpoint] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const token = (await lines.next()).value;
const requestInit = { headers: { Authorization: `Bearer ${token}` } };

async function connected() {
  const capabilities = { elicitation: { form: {} } };
  const answer = async () => ({ action: 'accept', content: { colour: 'green' } });
  if (kind === 'v1') {
    const { Client } = await load('@modelcontextprotocol/sdk/client/index.js');
    const { StreamableHTTPClientTransport } = await load('@modelcontextprotocol/sdk/client/streamableHttp.js');
    const { ElicitRequestSchema } = await load('@modelcontextprotocol/sdk/types.js');
    const client = new Client({ name: 'features', version: '1' }, { capabilities });
    client.setRequestHandler(ElicitRequestSchema, answer);
    await client.connect(new StreamableHTTPClientTransport(new URL(endpoint), { requestInit }));
    return [client, (name, args, options) => client.callTool({ name, arguments: args }, undefined, options)];
  }
  const { Client, StreamableHTTPClientTransport } = await load('@modelcontextprotocol/client');
  const versionNegotiation = { mode: kind.slice(3) };
  const client = new Client({ name: 'features', version: '1' }, { capabilities, versionNegotiation });
  client.setRequestHandler('elicitation/create', answer);
  await client.connect(new StreamableHTTPClientTransport(new URL(endpoint), { requestInit }));
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
