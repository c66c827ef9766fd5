// A client on a TypeScript SDK that logs in with nothing but the address: node login.mjs v1|v2-legacy|v2-auto ENDPOINT.
// The browser is the program that BROWSER names. Prints what came of it as one JSON object.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { load } from './packages.mjs';

const [kind, endpoint] = process.argv.slice(2);
const answers = [];
let heard = () => {};
const listener = createServer((request, response) => {
  const address = new URL(request.url, 'http://127.0.0.1');
  if (address.pathname !== '/callback') return response.writeHead(404).end();
  response.end('You may close this page.');
  answers.push(Object.fromEntries(address.searchParams));
  heard();
});
await new Promise((done) => listener.listen(0, '127.0.0.1', done));
const redirectUrl = `http://127.0.0.1:${listener.address().port}/callback`;

async function nextAnswer() {
  while (!answers.length) await new Promise((done) => { heard = done; });
  return answers.shift();
}

const kept = {};
const scopes = [];
const provider = {
  redirectUrl,
  clientMetadata: {
    client_name: `TypeScript ${kind}`,
    redirect_uris: [redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  },
  state: () => 'state-of-the-test',
  clientInformation: () => kept.client,
  saveClientInformation: (client) => { kept.client = client; },
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens; },
  saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
  codeVerifier: () => kept.verifier,
  invalidateCredentials: (what) => {
    if (what === 'all' || what === 'client') delete kept.client;
    if (what === 'all' || what === 'tokens') delete kept.tokens;
  },
  redirectToAuthorization: (address) => {
    scopes.push(address.searchParams.get('scope'));
    spawn(process.env.BROWSER, [address.href], { stdio: 'ignore' });
  },
};

const [Client, Transport, Unauthorized, options] = kind === 'v1'
  ? [
      (await load('@modelcontextprotocol/sdk/client/index.js')).Client,
      (await load('@modelcontextprotocol/sdk/client/streamableHttp.js')).StreamableHTTPClientTransport,
      (await load('@modelcontextprotocol/sdk/client/auth.js')).UnauthorizedError,
      {},
    ]
  : await load('@modelcontextprotocol/client').then((sdk) => [
      sdk.Client,
      sdk.StreamableHTTPClientTransport,
      sdk.UnauthorizedError,
      { versionNegotiation: { mode: kind.slice(3) } },
    ]);

class Refused extends Error {}

let transport;
async function withLogin(act) {
  for (let turn = 0; turn < 4; turn += 1) {
    try {
      return await act();
    } catch (failure) {
      const wanted = failure instanceof Unauthorized || failure?.cause instanceof Unauthorized;
      if (!wanted) throw failure;
      const answer = await nextAnswer();
      if (answer.error) throw new Refused(JSON.stringify(answer));
      if (answer.state !== 'state-of-the-test' || !answer.iss) throw new Error('state or iss is missing');
      await transport.finishAuth(kind === 'v1' ? answer.code : new URLSearchParams(answer));
    }
  }
  throw new Error('logged in again and again');
}

let client;
async function connected() {
  client = new Client({ name: 'login', version: '1' }, options);
  transport = new Transport(new URL(endpoint), { authProvider: provider });
  await client.connect(transport);
}

const result = {};
try {
  await withLogin(connected);
  result.tools = (await client.listTools()).tools.map((tool) => tool.name).sort();
  const called = await withLogin(() => client.callTool({ name: 'steps', arguments: { count: 1 } }));
  result.called = called.content[0].text;
  await client.close();
} catch (failure) {
  if (failure instanceof Refused) result.refused = JSON.parse(failure.message);
  else result.failure = `${failure?.name}: ${failure?.message} ${failure?.stack}`;
}
result.scopes = scopes;
console.log(JSON.stringify(result));
listener.close();
process.exit(0);
