"""A function from an image, behind a URL that streams.

    pip install -r requirements.txt && npx aws-cdk@2 deploy --context folder=../shop

``folder`` is the app's folder, here or as an absolute path; ``adapter init docker -- CMD`` writes its Dockerfile.
"""

from __future__ import annotations

from pathlib import Path

from aws_cdk import App, CfnOutput, Duration, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk.aws_ecr_assets import Platform

app = App()
folder = app.node.try_get_context("folder") or "../../../examples/fastapi_app"
stack = Stack(app, "Web")

web = lambda_.DockerImageFunction(
    stack,
    "Function",
    # Build for Lambda's processor, even on a Mac with an Apple chip.
    code=lambda_.DockerImageCode.from_image_asset(
        str((Path(__file__).parent / folder).resolve()), platform=Platform.LINUX_AMD64
    ),
    architecture=lambda_.Architecture.X86_64,
    memory_size=1024,
    timeout=Duration.seconds(60),  # at most 900
    # To stream, set this variable and invoke_mode below.
    environment={"AWS_LWA_INVOKE_MODE": "response_stream"},
)

url = web.add_function_url(
    # Clients must sign their requests; NONE makes the URL public.
    auth_type=lambda_.FunctionUrlAuthType.AWS_IAM,
    invoke_mode=lambda_.InvokeMode.RESPONSE_STREAM,
    # Without `cors` the app itself answers preflights.
)

CfnOutput(stack, "Url", value=url.url)
app.synth()
