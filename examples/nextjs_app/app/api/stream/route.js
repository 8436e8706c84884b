export const dynamic = "force-dynamic";

export async function GET() {
  const encoder = new TextEncoder();
  const lines = async function* () {
    for (let number = 1; number <= 5; number += 1) {
      yield encoder.encode(`line ${number}\n`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };
  return new Response(ReadableStream.from(lines()), { headers: { "content-type": "text/plain" } });
}
