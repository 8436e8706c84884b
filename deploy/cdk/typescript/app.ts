// A function from an image, behind a URL that streams:
//
//     npm install && npx tsc && npx cdk deploy --context folder=../shop
//
// `folder` is the app's folder, here or as an absolute path; `adapter init docker -- CMD` writes its Dockerfile.
import * as path from "path";
import { App, CfnOutput, Duration, Stack } from "aws-cdk-lib";
import { Platform } from "aws-cdk-lib/aws-ecr-assets";
import * as lambda from "aws-cdk-lib/aws-lambda";

const app = new App();
const folder = app.node.tryGetContext("folder") ?? "../../../examples/fastapi_app";
const stack = new Stack(app, "Web");

const web = new lambda.DockerImageFunction(stack, "Function", {
  // Build for Lambda's processor, even on a Mac with an Apple chip.
  code: lambda.DockerImageCode.fromImageAsset(path.resolve(__dirname, folder), { platform: Platform.LINUX_AMD64 }),
  architecture: lambda.Architecture.X86_64,
  memorySize: 1024,
  timeout: Duration.seconds(60), // at most 900
  // To stream, set this variable and invokeMode below.
  environment: { AWS_LWA_INVOKE_MODE: "response_stream" },
});

const url = web.addFunctionUrl({
  // Clients must sign their requests; NONE makes the URL public.
  authType: lambda.FunctionUrlAuthType.AWS_IAM,
  invokeMode: lambda.InvokeMode.RESPONSE_STREAM,
  // Without `cors` the app itself answers preflights.
});

new CfnOutput(stack, "Url", { value: url.url });
