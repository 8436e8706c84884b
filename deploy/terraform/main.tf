# A function from an image, behind a URL that streams: terraform init && terraform apply -var image=…

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

variable "image" {
  description = "The image in ECR, for example ACCOUNT.dkr.ecr.REGION.amazonaws.com/web:1"
  type        = string
}

variable "auth_type" {
  description = "Who may call the URL: AWS_IAM needs signed requests; NONE makes the URL public"
  type        = string
  default     = "AWS_IAM"
  validation {
    condition     = contains(["AWS_IAM", "NONE"], var.auth_type)
    error_message = "auth_type is AWS_IAM or NONE."
  }
}

variable "allow_origins" {
  description = "The origins whose pages may call the URL (CORS); empty if the app answers CORS"
  type        = list(string)
  default     = []
}

variable "timeout" {
  description = "How long an invocation may take, in seconds"
  type        = number
  default     = 60
  validation {
    condition     = var.timeout >= 1 && var.timeout <= 900
    error_message = "timeout is 1 to 900 seconds."
  }
}

variable "memory" {
  description = "Memory of the function, in MB; the CPU grows with it"
  type        = number
  default     = 1024
}

resource "aws_iam_role" "web" {
  name_prefix = "web-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

data "aws_partition" "current" {}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.web.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

resource "aws_lambda_function" "web" {
  function_name = "web"
  role          = aws_iam_role.web.arn
  package_type  = "Image"
  image_uri     = var.image
  architectures = ["x86_64"]
  memory_size   = var.memory
  timeout       = var.timeout

  environment {
    variables = {
      # To stream, set this variable and invoke_mode below.
      AWS_LWA_INVOKE_MODE = "response_stream"
    }
  }
}

resource "aws_lambda_function_url" "web" {
  function_name      = aws_lambda_function.web.function_name
  authorization_type = var.auth_type
  invoke_mode        = "RESPONSE_STREAM"

  dynamic "cors" {
    for_each = length(var.allow_origins) > 0 ? [1] : []
    content {
      allow_origins = var.allow_origins
      allow_methods = ["*"]
      allow_headers = ["*"]
    }
  }
}

# A public URL needs both permissions.
resource "aws_lambda_permission" "public_url" {
  count                  = var.auth_type == "NONE" ? 1 : 0
  statement_id           = "PublicUrl"
  function_name          = aws_lambda_function.web.function_name
  action                 = "lambda:InvokeFunctionUrl"
  principal              = "*"
  function_url_auth_type = "NONE"
}

resource "aws_lambda_permission" "public_function" {
  count                    = var.auth_type == "NONE" ? 1 : 0
  statement_id             = "PublicFunction"
  function_name            = aws_lambda_function.web.function_name
  action                   = "lambda:InvokeFunction"
  principal                = "*"
  invoked_via_function_url = true
}

output "url" {
  value = aws_lambda_function_url.web.function_url
}
