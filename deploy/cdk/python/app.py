"""A function from an image, behind a URL that streams.

    pip install -r requirements.txt && npx aws-cdk@2 deploy

FOLDER is the app's folder; ``adapter init docker -- CMD`` writes its Dockerfile.
"""

from __future__ import annotations

from pathlib import Path

from aws_cdk import App, CfnOutput, Duration, Stack
from aws_cdk import aws_lambda as lambda_

FOLDER = Path(__file__).resolve().parents[3] / "examples/fastapi_app"

app = App()
stack = Stack(app, "Web")

web = lambda_.DockerImageFunction(
    stack,
    "Function",
    code=lambda_.DockerImageCode.from_image_asset(str(FOLDER)),
    architecture=lambda_.Architecture.X86_64,
    memory_size=1024,
    timeout=Duration.seconds(60),  # at most 900
    # One half of streaming; invoke_mode below is the other.
    environment={"AWS_LWA_INVOKE_MODE": "response_stream"},
)

url = web.add_function_url(
    # Requests are signed; NONE makes the URL public.
    auth_type=lambda_.FunctionUrlAuthType.AWS_IAM,
    invoke_mode=lambda_.InvokeMode.RESPONSE_STREAM,
    # Without `cors` the app itself answers preflights.
)

CfnOutput(stack, "Url", value=url.url)
app.synth()
