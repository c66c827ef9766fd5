// A client on the TypeScript SDK: node client.mjs ENDPOINT TOKEN TOOL ARGUMENTS-AS-JSON; prints the result as JSON.
import { load } from './packages.mjs';

const { Client } = await load('@modelcontextprotocol/sdk/client/index.js');
const { StreamableHTTPClientTransport } = await load('@modelcontextprotocol/sdk/client/streamableHttp.js');

const [endpoint, token, tool, json] = process.argv.slice(2);
const client = new Client({ name: 'journey', version: '1.0.0' });
const headers = { Authorization: `Bearer ${token}` };
await client.connect(new StreamableHTTPClientTransport(new URL(endpoint), { requestInit: { headers } }));
const result = await client.callTool({ name: tool, arguments: JSON.parse(json) }, undefined, { timeout: 120000 });
console.log(JSON.stringify(result));
await client.close();
