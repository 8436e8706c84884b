import { Suspense } from "react";

export const dynamic = "force-dynamic";

async function Slow() {
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return <p>the slow part</p>;
}

// The browser gets the heading at once, and the slow part when it is there.
export default function Page() {
  return (
    <main>
      <h1>the quick part</h1>
      <Suspense fallback={<p>loading</p>}>
        <Slow />
      </Suspense>
    </main>
  );
}
