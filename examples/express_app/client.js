// Node's own client: `node client.js URL` writes each line of the stream as it arrives, with the seconds since the request.
const start = performance.now();
const response = await fetch(`${process.argv[2]}/stream`);
for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
  process.stdout.write(`${((performance.now() - start) / 1000).toFixed(2)} ${piece}`);
}
