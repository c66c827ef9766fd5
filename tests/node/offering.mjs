// Short words for what the everything server offers.
import { load } from './packages.mjs';

const { fromJsonSchema } = await load('@modelcontextprotocol/server');
const NOTHING = strings();

// A schema for an object with these strings, all required.
export function strings(...names) {
  const properties = Object.fromEntries(names.map((name) => [name, { type: 'string' }]));
  return fromJsonSchema({ type: 'object', properties, required: names });
}

export const text = (said) => ({ type: 'text', text: said });
export const result = (...content) => ({ content });
export const user = (content) => ({ role: 'user', content });

// `act` takes the arguments and the context of the call.
export function tool(server, name, act, inputSchema = NOTHING) {
  return server.registerTool(name, { description: name.replaceAll('_', ' '), inputSchema }, act);
}

// `say` takes the arguments and the context, and gives messages, or what the prompt needs first.
export function prompt(server, name, say, argsSchema = NOTHING) {
  return server.registerPrompt(name, { description: name.replaceAll('_', ' '), argsSchema }, say);
}
