// A server on the TypeScript SDK that offers what the scenarios of the official conformance suite ask for:
// node everything.mjs PORT serves HTTP; without a port it speaks over its standard streams.
import { setTimeout as pause } from 'node:timers/promises';
import { offerQuestions, states } from './everything_asks.mjs';
import { prompt, result, strings, text, tool, user } from './offering.mjs';
import { load } from './packages.mjs';
import { changes, serve } from './serving.mjs';

const { McpServer, ResourceTemplate, fromJsonSchema } = await load('@modelcontextprotocol/server');
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const SILENCE = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';
const MOMENT_MS = 50;
const IMAGE = { type: 'image', data: PIXEL, mimeType: 'image/png' };
const REGION = fromJsonSchema({
  type: 'object',
  properties: { region: { type: 'string', 'x-mcp-header': 'Region' } },
  required: ['region'],
});
// What json-schema-2020-12 wants to see again in tools/list.
const KEYWORDS = fromJsonSchema({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: {
    address: {
      $anchor: 'addressDef',
      type: 'object',
      properties: { street: { type: 'string' }, city: { type: 'string' } },
    },
  },
  properties: {
    name: { type: 'string' },
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: { type: 'string' },
    email: { type: 'string' },
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  then: { required: ['phone'] },
  else: { required: ['email'] },
  additionalProperties: false,
});
const CAPABILITIES = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  completions: {},
  logging: {},
};

function resource(uri, said, mimeType = 'text/plain') {
  return { type: 'resource', resource: { uri, mimeType, text: said } };
}

function offerAnswers(server) {
  const mixed = resource('test://mixed-content-resource', '{"test":"data","value":123}', 'application/json');
  const answers = {
    test_simple_text: [text('This is a simple text response for testing.')],
    test_image_content: [IMAGE],
    test_audio_content: [{ type: 'audio', data: SILENCE, mimeType: 'audio/wav' }],
    test_embedded_resource: [resource('test://embedded-resource', 'This is an embedded resource content.')],
    test_multiple_content_types: [text('Multiple content types test:'), IMAGE, mixed],
  };
  for (const [name, content] of Object.entries(answers)) tool(server, name, () => result(...content));
  tool(server, 'test_error_handling', () => {
    throw new Error('This tool intentionally returns an error for testing');
  });
  tool(server, 'test_x_mcp_header', ({ region }) => result(text(`region=${region}`)), REGION);
  tool(server, 'json_schema_2020_12_tool', () => result(text('called')), KEYWORDS);
}

async function log(_, { mcpReq }) {
  for (const line of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
    await mcpReq.log('info', line);
    await pause(MOMENT_MS);
  }
  return result(text('logged'));
}

async function progress(_, { mcpReq }) {
  const progressToken = mcpReq._meta?.progressToken;
  for (const done of [0, 50, 100]) {
    const params = { progressToken, progress: done, total: 100, message: `Completed step ${done} of 100` };
    if (progressToken !== undefined) await mcpReq.notify({ method: 'notifications/progress', params });
    await pause(MOMENT_MS);
  }
  return result(text('done'));
}

async function breakOff(_, { http }) {
  http?.closeSSE?.();
  await pause(2 * MOMENT_MS);
  return result(text('Reconnection test completed'));
}

// The SDK tells this connection's client of each change by itself.
function offerNotices(server) {
  tool(server, 'test_tool_with_logging', log);
  tool(server, 'test_logging_tool', log);
  tool(server, 'test_tool_with_progress', progress);
  tool(server, 'test_reconnection', breakOff);
  tool(server, 'test_trigger_tool_change', () => {
    tool(server, 'test_passing_tool', () => result(text('here'))).remove();
    changes.publish({ kind: 'tools_list_changed' });
    return result(text('told'));
  });
  tool(server, 'test_trigger_prompt_change', () => {
    prompt(server, 'test_passing_prompt', () => ({ messages: [user(text('here'))] })).remove();
    changes.publish({ kind: 'prompts_list_changed' });
    return result(text('told'));
  });
}

function offerResources(server) {
  const one = (uri, mimeType, content) => {
    const name = uri.replace('test://', '');
    server.registerResource(name, uri, { description: name, mimeType }, () => ({
      contents: [{ uri, mimeType, ...content }],
    }));
  };
  one('test://static-text', 'text/plain', { text: 'This is the content of the static text resource.' });
  one('test://static-binary', 'image/png', { blob: PIXEL });
  one('test://watched-resource', 'text/plain', { text: 'Watched' });
  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined });
  const mimeType = 'application/json';
  server.registerResource('template', template, { description: 'template', mimeType }, ({ href }, { id }) => ({
    contents: [{ uri: href, mimeType, text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) }],
  }));
  for (const method of ['resources/subscribe', 'resources/unsubscribe'])
    server.server.setRequestHandler(method, () => ({}));
}

function offerPrompts(server) {
  const offer = (name, say, ...names) => {
    prompt(server, name, (given) => ({ messages: say(given).map(user) }), strings(...names));
  };
  offer('test_simple_prompt', () => [text('This is a simple prompt for testing.')]);
  offer(
    'test_prompt_with_arguments',
    ({ arg1, arg2 }) => [text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
    'arg1',
    'arg2',
  );
  offer(
    'test_prompt_with_embedded_resource',
    ({ resourceUri }) => [
      resource(resourceUri, 'Embedded resource content for testing.'),
      text('Please process the embedded resource above.'),
    ],
    'resourceUri',
  );
  offer('test_prompt_with_image', () => [IMAGE, text('Please analyze the image above.')]);
  const completion = { values: [], total: 0, hasMore: false };
  server.server.setRequestHandler('completion/complete', () => ({ completion }));
}

function everything() {
  const requestState = { verify: states.verify };
  const server = new McpServer({ name: 'everything', version: '1' }, { capabilities: CAPABILITIES, requestState });
  for (const offer of [offerAnswers, offerNotices, offerResources, offerPrompts, offerQuestions]) offer(server);
  return server;
}

serve(everything, process.argv[2]);
