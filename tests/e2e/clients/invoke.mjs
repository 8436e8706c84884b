// Calls the local Lambda with the AWS SDK for JavaScript and writes one line of JSON for each thing that it sees.
//
//     node invoke.mjs SDK_FOLDER ENDPOINT invoke|stream EVENT
import { createRequire } from "node:module";

const [folder, endpoint, action, event] = process.argv.slice(2);
const { LambdaClient, InvokeCommand, InvokeWithResponseStreamCommand } = createRequire(`${folder}/`)(
  "@aws-sdk/client-lambda",
);
const client = new LambdaClient({
  endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "AKIAEXAMPLE", secretAccessKey: "example" },
  maxAttempts: 1,
});
const show = (value) => process.stdout.write(JSON.stringify(value) + "\n");
const text = (bytes) => new TextDecoder().decode(bytes);

try {
  if (action === "invoke") {
    const answer = await client.send(
      new InvokeCommand({ FunctionName: "any", Payload: event, LogType: "Tail", ClientContext: btoa('{"custom":{}}') }),
    );
    show({
      status: answer.StatusCode,
      version: answer.ExecutedVersion,
      error: answer.FunctionError,
      payload: text(answer.Payload),
      log: answer.LogResult && atob(answer.LogResult),
    });
  } else {
    const answer = await client.send(new InvokeWithResponseStreamCommand({ FunctionName: "any", Payload: event }));
    for await (const each of answer.EventStream) {
      show(each.PayloadChunk ? { chunk: text(each.PayloadChunk.Payload) } : { complete: each.InvokeComplete });
    }
  }
} catch (error) {
  show({ thrown: error.name, message: error.message, status: error.$metadata?.httpStatusCode });
}
