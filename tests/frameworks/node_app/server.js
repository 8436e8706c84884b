// The routes of the example apps that the framework tests ask for, on Node's own http server: node server.js PORT
"use strict";

const crypto = require("node:crypto");
const http = require("node:http");
const { setTimeout: pause } = require("node:timers/promises");
const { once } = require("node:events");

const PIECE_BYTES = 64 * 1024;
const PERIOD = 251;
const PATTERN = Buffer.alloc(PIECE_BYTES + PERIOD).map((_, offset) => offset % PERIOD);

function sendJson(response, value) {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": body.length });
  response.end(body);
}

async function sendPieces(response, size) {
  for (let offset = 0; offset < size; offset += PIECE_BYTES) {
    const start = offset % PERIOD;
    if (!response.write(PATTERN.subarray(start, start + Math.min(PIECE_BYTES, size - offset)))) {
      await once(response, "drain");
    }
  }
}

const routes = {
  "": (request, response) => sendJson(response, { framework: "node" }),

  async echo(request, response) {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const [path, ...query] = request.url.split("?");
    const headers = [];
    for (let i = 0; i < request.rawHeaders.length; i += 2) headers.push([request.rawHeaders[i], request.rawHeaders[i + 1]]);
    const body = Buffer.concat(pieces).toString("base64");
    sendJson(response, { method: request.method, path, query: query.join("?"), headers, body });
  },

  async stream(request, response, url) {
    const chunks = Number(url.searchParams.get("chunks"));
    response.writeHead(200, { "Content-Type": "text/plain; charset=utf-8" });
    for (let number = 1; number <= chunks; number++) {
      if (number > 1) await pause(1000 * Number(url.searchParams.get("interval")));
      response.write(`chunk ${number} of ${chunks}\n`);
    }
    response.end();
  },

  async download(request, response, url) {
    const size = Number(url.searchParams.get("bytes"));
    response.writeHead(200, { "Content-Type": "application/octet-stream", "Content-Length": size });
    if (request.method !== "HEAD") await sendPieces(response, size);
    response.end();
  },

  async upload(request, response) {
    const digest = crypto.createHash("sha256");
    let length = 0;
    for await (const piece of request) {
      length += piece.length;
      digest.update(piece);
    }
    sendJson(response, { length, sha256: digest.digest("hex") });
  },

  cookies(request, response) {
    response.setHeader("Set-Cookie", [
      "session=abc123; HttpOnly; Path=/; SameSite=lax",
      "theme=dark; expires=Fri, 01 Jan 2038 00:00:00 GMT; Path=/",
    ]);
    const received = Object.fromEntries((request.headers.cookie ?? "").split("; ").map((pair) => pair.split("=")));
    sendJson(response, { received });
  },

  status(request, response, url) {
    response.writeHead(Number(url.pathname.split("/")[2]));
    response.end();
  },

  async "crash-midstream"(request, response, url) {
    response.writeHead(200, { "Content-Type": "application/octet-stream" });
    await sendPieces(response, Number(url.searchParams.get("bytes")));
    // What has been written goes out first.
    response.socket.destroySoon();
  },
};

const server = http.createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  const route = routes[url.pathname.split("/")[1]];
  if (route === undefined) {
    response.writeHead(404);
    response.end();
    return;
  }
  await route(request, response, url);
});

process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});

server.listen(Number(process.argv[2]), "127.0.0.1");
