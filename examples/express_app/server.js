// Express, with a stream. The port is in PORT.
import express from "express";
import { setTimeout as pause } from "node:timers/promises";

const app = express();

app.get("/", (request, response) => response.json({ framework: "express" }));
app.post("/echo", express.json(), (request, response) => response.json({ got: request.body }));
app.get("/stream", async (request, response) => {
  response.type("text/plain");
  for (let number = 1; number <= 5 && !response.closed; number += 1) {
    response.write(`line ${number}\n`);
    await pause(200);
  }
  response.end();
});

app.listen(Number(process.env.PORT ?? 8080), "127.0.0.1");
