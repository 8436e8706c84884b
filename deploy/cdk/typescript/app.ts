// A function from an image, behind a URL that streams:
//
//     npm install && npx tsc && npx cdk deploy
//
// FOLDER is the app's folder; `adapter init docker -- CMD` writes its Dockerfile.
import * as path from "path";
import { App, CfnOutput, Duration, Stack } from "aws-cdk-lib";
import * as lambda from "aws-cdk-lib/aws-lambda";

const FOLDER = path.join(__dirname, "../../../examples/fastapi_app");

const app = new App();
const stack = new Stack(app, "Web");

const web = new lambda.DockerImageFunction(stack, "Function", {
  code: lambda.DockerImageCode.fromImageAsset(FOLDER),
  architecture: lambda.Architecture.X86_64,
  memorySize: 1024,
  timeout: Duration.seconds(60), // at most 900
  // One half of streaming; invokeMode below is the other.
  environment: { AWS_LWA_INVOKE_MODE: "response_stream" },
});

const url = web.addFunctionUrl({
  // Requests are signed; NONE makes the URL public.
  authType: lambda.FunctionUrlAuthType.AWS_IAM,
  invokeMode: lambda.InvokeMode.RESPONSE_STREAM,
  // Without `cors` the app itself answers preflights.
});

new CfnOutput(stack, "Url", { value: url.url });
