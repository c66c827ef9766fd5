// How a server of the TypeScript SDK stands: at an HTTP port in both eras, or on its standard streams.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { load } from './packages.mjs';

const {
  InMemoryServerEventBus,
  WebStandardStreamableHTTPServerTransport,
  createMcpHandler,
  hostHeaderValidationResponse,
  isLegacyRequest,
  localhostAllowedHostnames,
  localhostAllowedOrigins,
  originValidationResponse,
} = await load('@modelcontextprotocol/server');
const { serveStdio } = await load('@modelcontextprotocol/server/stdio');
const { toNodeHandler } = await load('@modelcontextprotocol/node');
const RETRY_MS = 500;

// Over HTTP a server of the newer era lives for one request: what changed is told to open subscriptions here.
export const changes = new InMemoryServerEventBus();

// What was sent on the streams of one session, so that a client can take one up where it broke. Ids count from 1.
class Sent {
  #events = [];

  async storeEvent(streamId, message) {
    return String(this.#events.push({ streamId, message }));
  }

  async getStreamIdForEventId(id) {
    return this.#events[id - 1]?.streamId;
  }

  async replayEventsAfter(id, { send }) {
    const streamId = await this.getStreamIdForEventId(id);
    const later = this.#events.map((event, index) => [String(index + 1), event]).slice(Number(id));
    for (const [own, event] of later) if (event.streamId === streamId) await send(own, event.message);
    return streamId;
  }
}

// The older era: a server for each session, which `initialize` begins.
function sessionsOf(make) {
  const sessions = new Map();
  return async (request) => {
    const id = request.headers.get('mcp-session-id');
    if (id !== null && !sessions.has(id)) return new Response(null, { status: 404 });
    if (id !== null) return sessions.get(id).handleRequest(request);
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (begun) => sessions.set(begun, transport),
      onsessionclosed: (ended) => sessions.delete(ended),
      eventStore: new Sent(),
      retryInterval: RETRY_MS,
    });
    await make().connect(transport);
    return transport.handleRequest(request);
  };
}

// Serves what `make` makes, over HTTP at `port`, or without one on the standard streams.
export function serve(make, port) {
  if (port === undefined) return serveStdio(make);
  const modern = createMcpHandler(make, { legacy: 'reject', bus: changes });
  const legacy = sessionsOf(make);
  const fetch = async (request) =>
    hostHeaderValidationResponse(request, localhostAllowedHostnames()) ??
    originValidationResponse(request, localhostAllowedOrigins()) ??
    ((await isLegacyRequest(request)) ? legacy(request) : modern.fetch(request));
  return createServer(toNodeHandler({ fetch })).listen(port, '127.0.0.1');
}
