// The part of the conformance suite's server that asks the client. A tool says once what it needs: in the newer era
// that is its answer, and in the older one the SDK asks during the call and runs the tool again.
import { prompt, result, strings, text, tool, user } from './offering.mjs';
import { load } from './packages.mjs';

const { createRequestStateCodec, inputRequired, inputResponse } = await load('@modelcontextprotocol/server');
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const DEFAULTS = {
  name: { type: 'string', default: 'John Doe' },
  age: { type: 'integer', default: 30 },
  score: { type: 'number', default: 95.5 },
  status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
  verified: { type: 'boolean', default: true },
};
const OPTIONS = ['option1', 'option2', 'option3'];
const titled = (word) => [1, 2, 3].map((n) => ({ const: `value${n}`, title: `${word} ${n}` }));
const CHOICES = {
  untitledSingle: { type: 'string', enum: OPTIONS },
  titledSingle: { type: 'string', oneOf: titled('Option') },
  legacyEnum: {
    type: 'string',
    enum: ['opt1', 'opt2', 'opt3'],
    enumNames: ['Option One', 'Option Two', 'Option Three'],
  },
  untitledMulti: { type: 'array', items: { type: 'string', enum: OPTIONS } },
  titledMulti: { type: 'array', items: { anyOf: titled('Choice') } },
};

export const states = createRequestStateCodec({ key: 'a key of the tests, of more than thirty-two bytes' });

const form = (message, properties, required = Object.keys(properties)) =>
  inputRequired.elicit({ message, requestedSchema: { type: 'object', properties, required } });
const sample = (said) => inputRequired.createMessage({ messages: [user(text(said))], maxTokens: 100 });
const nameForm = () => form('What is your name?', { name: { type: 'string' } });
const filled = ({ action, content }) => `action=${action}, content=${JSON.stringify(content ?? {})}`;

// The client's answers to these questions by their names, or null where one is missing.
function answersTo(questions, { mcpReq }) {
  const views = Object.keys(questions).map((key) => [key, inputResponse(mcpReq.inputResponses, key)]);
  return views.some(([, view]) => view.kind === 'missing') ? null : Object.fromEntries(views);
}

async function ask(inputRequests, state) {
  return inputRequired({ inputRequests, ...(state && { requestState: await states.mint(state) }) });
}

// A tool that needs the answers to its questions, and then says `done` of them. With a state it wants that back too.
function asking(server, name, questions, done, { state, inputSchema } = {}) {
  const act = async (given, context) => {
    const asked = questions(given);
    const answers = answersTo(asked, context);
    if (answers === null || context.mcpReq.requestState() !== state) return ask(asked, state);
    return result(text(done(answers)));
  };
  tool(server, name, act, inputSchema);
}

function offerRequests(server) {
  const completed = ({ it }) => `Elicitation completed: ${filled(it)}`;
  const replied = ({ it }) => `User response: ${filled(it)}`;
  const generated = ({ it }) => `LLM response: ${it.result.content.text}`;
  const offer = (name, question, done, ...names) => {
    asking(server, name, (given) => ({ it: question(given) }), done, { inputSchema: strings(...names) });
  };
  offer('test_sampling', (given) => sample(given.prompt), generated, 'prompt');
  offer('test_elicitation', (given) => form(given.message, { response: { type: 'string' } }), replied, 'message');
  offer('test_elicitation_sep1034_defaults', () => form('Please review', DEFAULTS, []), completed);
  offer('test_elicitation_sep1330_enums', () => form('Please select', CHOICES, []), completed);
  offer('test_streaming_elicitation', nameForm, completed);
  offer('test_missing_capability', () => sample('Are you able?'), generated);
}

function offerRounds(server) {
  const confirm = () => ({ confirm: form('Please confirm', { ok: { type: 'boolean' } }) });
  const who = () => ({ user_name: nameForm() });
  const capital = () => ({ capital_question: sample('What is the capital of France?') });
  const roots = () => ({ client_roots: inputRequired.listRoots() });
  const all = () => ({ ...who(), greeting: sample('Generate a greeting'), ...roots() });
  const offer = (name, ...rest) => asking(server, `test_input_required_result_${name}`, ...rest);
  offer('elicitation', who, (given) => `Hello, ${given.user_name.content?.name}!`);
  offer('sampling', capital, (given) => given.capital_question.result.content.text);
  offer('list_roots', roots, (given) => JSON.stringify(given.client_roots.roots));
  offer('multiple_inputs', all, () => 'All inputs received.', { state: 'asked for all' });
  offer('request_state', confirm, () => 'state-ok: confirmed', { state: 'to be confirmed' });
  offer('tampered_state', confirm, () => 'state-ok: not tampered with', { state: 'not to be tampered with' });
}

function offerChoices(server) {
  tool(server, 'test_input_required_result_capabilities', (_, { mcpReq }) => {
    const able = mcpReq.envelope?.[CAPABILITIES] ?? server.server.getClientCapabilities() ?? {};
    const sampling = able.sampling && { said: sample('Say hello') };
    const elicitation = able.elicitation && { user_name: nameForm() };
    return ask({ ...sampling, ...elicitation }, 'asked');
  });
  tool(server, 'test_input_required_result_multi_round', (_, context) => {
    const first = { step1: form('Step 1: What is your name?', { name: { type: 'string' } }) };
    const second = { step2: form('Step 2: What is your favourite colour?', { color: { type: 'string' } }) };
    const state = context.mcpReq.requestState();
    const last = state === 'second' ? answersTo(second, context) : null;
    if (last !== null) return result(text(`You like ${last.step2.content?.color}.`));
    return state === 'first' && answersTo(first, context) !== null ? ask(second, 'second') : ask(first, 'first');
  });
  prompt(server, 'test_input_required_result_prompt', (_, context) => {
    const asked = { user_context: form('What context should the prompt use?', { context: { type: 'string' } }) };
    const given = answersTo(asked, context);
    if (given === null) return ask(asked);
    return { messages: [user(text(`Use the following context: ${given.user_context.content?.context}`))] };
  });
}

// Add the tools and the prompt.
export function offerQuestions(server) {
  for (const offer of [offerRequests, offerRounds, offerChoices]) offer(server);
}
