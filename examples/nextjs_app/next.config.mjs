// `standalone` writes a server with only the modules that it needs: .next/standalone/server.js
export default {
  output: "standalone",
  outputFileTracingRoot: import.meta.dirname,
  // Compression would hold back the pieces of a stream until a block is full.
  compress: false,
};
