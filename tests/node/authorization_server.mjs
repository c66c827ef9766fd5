// An authorization server on oidc-provider: registration, PKCE, resource indicators, rotating refresh tokens.
// Arguments: its port, how long access tokens live in seconds, and the audience if it is to be another than asked for.
import { createServer } from 'node:http';
import { load } from './packages.mjs';

const { Provider } = await load('oidc-provider');
const [port, life, audience] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]];
const issuer = `http://127.0.0.1:${port}`;
const SCOPES = 'files:read files:write';
const refreshTokens = [];

const provider = new Provider(issuer, {
  scopes: ['openid', 'offline_access', ...SCOPES.split(' ')],
  clientDefaults: { grant_types: ['authorization_code', 'refresh_token'], token_endpoint_auth_method: 'none' },
  features: {
    registration: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: SCOPES,
        audience: audience ?? resource,
        accessTokenTTL: life,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
      useGrantedResource: () => true,
    },
  },
  rotateRefreshToken: true,
});
provider.on('refresh_token.saved', (token) => refreshTokens.push(token));
provider.on('server_error', (_, error) => console.error(error));

// What a person does at the page of an authorization server: end the access that they gave.
async function revokeAll() {
  for (const token of refreshTokens.splice(0)) await token.destroy();
}

const answer = provider.callback();
createServer(async (request, response) => {
  console.log(request.method, request.url.split('?')[0]);
  if (request.url !== '/revoke-all') return answer(request, response);
  await revokeAll();
  return response.end();
}).listen(port, '127.0.0.1');
