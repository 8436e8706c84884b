"""Events of sources that are not HTTP, written from the shapes in AWS's documentation (Lambda, "Using … with Lambda").

Each function makes an event with one record. ``Sample`` has the user's options; ids and times are made up, and the same
in every run, so that events can be compared.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from adapter.aws.identity import ACCOUNT_ID, DEFAULT_REGION

_TIME = "2026-01-02T03:04:05.000Z"
_TIME_MS = 1_767_323_045_000
_TIME_S = _TIME_MS // 1000
_ID = "11111111-2222-3333-4444-555555555555"

Event: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """``body`` is the message, ``name`` the queue, topic, bucket, table or stream; empty for a default name."""

    body: str = "hello"
    name: str = ""
    region: str = DEFAULT_REGION

    def arn(self, service: str, resource: str) -> str:
        """Return an ARN in the account of the local Lambda."""
        return f"arn:aws:{service}:{self.region}:{ACCOUNT_ID}:{resource}"

    @property
    def base64(self) -> str:
        """The message as sources of binary data encode it."""
        return base64.b64encode(self.body.encode()).decode("ascii")


def _sqs(sample: Sample) -> Event:
    record = {
        "messageId": _ID,
        "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
        "body": sample.body,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": str(_TIME_MS),
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": str(_TIME_MS + 1),
        },
        "messageAttributes": {},
        "md5OfBody": hashlib.md5(sample.body.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": sample.arn("sqs", sample.name or "queue"),
        "awsRegion": sample.region,
    }
    return {"Records": [record]}


def _sns(sample: Sample) -> Event:
    topic = sample.arn("sns", sample.name or "topic")
    message: Event = {
        "SignatureVersion": "1",
        "Timestamp": _TIME,
        "Signature": "c2lnbmF0dXJl",
        "SigningCertURL": f"https://sns.{sample.region}.amazonaws.com/SimpleNotificationService-0000.pem",
        "MessageId": _ID,
        "Message": sample.body,
        "MessageAttributes": {},
        "Type": "Notification",
        "UnsubscribeURL": f"https://sns.{sample.region}.amazonaws.com/?Action=Unsubscribe",
        "TopicArn": topic,
        "Subject": None,
    }
    return {
        "Records": [
            {"EventVersion": "1.0", "EventSubscriptionArn": f"{topic}:{_ID}", "EventSource": "aws:sns", "Sns": message}
        ]
    }


def _s3(sample: Sample) -> Event:
    """Return the event of a new object, whose key is the message."""
    bucket = sample.name or "bucket"
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": sample.region,
        "eventTime": _TIME,
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AIDAJDPLRKLG7UEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": _ID,
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                "arn": f"arn:aws:s3:::{bucket}",
            },
            "object": {
                "key": sample.body,
                "size": 1024,
                "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                "sequencer": "0055AED6DCD90281E5",
            },
        },
    }
    return {"Records": [record]}


def _eventbridge(sample: Sample) -> Event:
    return {
        "version": "0",
        "id": _ID,
        "detail-type": "Something happened",
        "source": sample.name or "my.app",
        "account": ACCOUNT_ID,
        "time": "2026-01-02T03:04:05Z",
        "region": sample.region,
        "resources": [],
        "detail": _json_or(sample.body, {"message": sample.body}),
    }


def _schedule(sample: Sample) -> Event:
    rule = sample.arn("events", f"rule/{sample.name or 'every-minute'}")
    return _eventbridge(sample) | {
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "resources": [rule],
        "detail": {},
    }


def _dynamodb(sample: Sample) -> Event:
    """Return the event of a new item, which has the message as an attribute."""
    record = {
        "eventID": "c4ca4238a0b923820dcc509a6f75849b",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": sample.region,
        "dynamodb": {
            "ApproximateCreationDateTime": _TIME_S,
            "Keys": {"Id": {"N": "101"}},
            "NewImage": {"Message": {"S": sample.body}, "Id": {"N": "101"}},
            "SequenceNumber": "4421584500000000017450439091",
            "SizeBytes": 26,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": sample.arn("dynamodb", f"table/{sample.name or 'table'}/stream/2026-01-02T00:00:00.000"),
    }
    return {"Records": [record]}


def _kinesis(sample: Sample) -> Event:
    sequence = "49590338271490256608559692538361571095921575989136588898"
    record = {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "1",
            "sequenceNumber": sequence,
            "data": sample.base64,
            "approximateArrivalTimestamp": float(_TIME_S),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000006:{sequence}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": f"arn:aws:iam::{ACCOUNT_ID}:role/lambda-role",
        "awsRegion": sample.region,
        "eventSourceARN": sample.arn("kinesis", f"stream/{sample.name or 'stream'}"),
    }
    return {"Records": [record]}


def _firehose(sample: Sample) -> Event:
    return {
        "invocationId": _ID,
        "deliveryStreamArn": sample.arn("firehose", f"deliverystream/{sample.name or 'stream'}"),
        "region": sample.region,
        "records": [
            {
                "recordId": "49546986683135544286507457936321625675700192471156785154",
                "approximateArrivalTimestamp": _TIME_MS,
                "data": sample.base64,
            }
        ],
    }


def _logs(sample: Sample) -> Event:
    """Return the event of a subscription: a batch of log lines as compressed JSON in base64."""
    batch = {
        "messageType": "DATA_MESSAGE",
        "owner": ACCOUNT_ID,
        "logGroup": sample.name or "/aws/lambda/other",
        "logStream": "2026/01/02/[$LATEST]0123456789abcdef",
        "subscriptionFilters": ["filter"],
        "logEvents": [{"id": "1", "timestamp": _TIME_MS, "message": sample.body}],
    }
    packed = gzip.compress(json.dumps(batch).encode(), mtime=0)
    return {"awslogs": {"data": base64.b64encode(packed).decode("ascii")}}


def _kafka(sample: Sample) -> Event:
    topic = sample.name or "topic"
    record = {
        "topic": topic,
        "partition": 0,
        "offset": 15,
        "timestamp": _TIME_MS,
        "timestampType": "CREATE_TIME",
        "key": base64.b64encode(b"key").decode("ascii"),
        "value": sample.base64,
        "headers": [],
    }
    cluster = sample.arn("kafka", f"cluster/cluster/{_ID}-1")
    broker = f"b-1.cluster.example.kafka.{sample.region}.amazonaws.com:9092"
    return {
        "eventSource": "aws:kafka",
        "eventSourceArn": cluster,
        "bootstrapServers": broker,
        "records": {f"{topic}-0": [record]},
    }


def _rabbitmq(sample: Sample) -> Event:
    queue = sample.name or "queue"
    message = {
        "basicProperties": {"contentType": "text/plain", "deliveryMode": 1, "timestamp": "Jan 2, 2026, 3:04:05 AM"},
        "redelivered": False,
        "data": sample.base64,
    }
    return {
        "eventSource": "aws:rmq",
        "eventSourceArn": sample.arn("mq", f"broker:broker:b-{_ID}"),
        "rmqMessagesByQueue": {f"{queue}::/": [message]},
    }


def _activemq(sample: Sample) -> Event:
    message = {
        "messageID": "ID:b-1.mq.example-1234-1",
        "messageType": "jms/text-message",
        "deliveryMode": 1,
        "replyTo": None,
        "type": None,
        "expiration": 0,
        "priority": 1,
        "correlationId": "",
        "redelivered": False,
        "destination": {"physicalName": sample.name or "queue"},
        "data": sample.base64,
        "timestamp": _TIME_MS,
        "brokerInTime": _TIME_MS,
        "brokerOutTime": _TIME_MS + 1,
    }
    arn = sample.arn("mq", f"broker:broker:b-{_ID}")
    return {"eventSource": "aws:mq", "eventSourceArn": arn, "messages": [message]}


def _ses(sample: Sample) -> Event:
    """Return the event of a mail, whose subject is the message."""
    recipient = sample.name or "me@example.com"
    verdict = {"status": "PASS"}
    mail = {
        "timestamp": _TIME,
        "source": "you@example.com",
        "messageId": "o3vrnil0e2ic28tr",
        "destination": [recipient],
        "headersTruncated": False,
        "headers": [{"name": "Subject", "value": sample.body}],
        "commonHeaders": {"from": ["you@example.com"], "to": [recipient], "subject": sample.body},
    }
    receipt = {
        "timestamp": _TIME,
        "processingTimeMillis": 574,
        "recipients": [recipient],
        "spamVerdict": verdict,
        "virusVerdict": verdict,
        "spfVerdict": verdict,
        "dkimVerdict": verdict,
        "dmarcVerdict": verdict,
        "action": {
            "type": "Lambda",
            "functionArn": sample.arn("lambda", "function:local"),
            "invocationType": "Event",
        },
    }
    return {"Records": [{"eventSource": "aws:ses", "eventVersion": "1.0", "ses": {"mail": mail, "receipt": receipt}}]}


def _cognito(sample: Sample) -> Event:
    return {
        "version": "1",
        "triggerSource": "PreSignUp_SignUp",
        "region": sample.region,
        "userPoolId": sample.name or f"{sample.region}_example",
        "userName": sample.body,
        "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": "client"},
        "request": {"userAttributes": {"email": "you@example.com"}, "validationData": None},
        "response": {"autoConfirmUser": False, "autoVerifyEmail": False, "autoVerifyPhone": False},
    }


def _authorizer(sample: Sample) -> Event:
    arn = sample.arn("execute-api", "local/prod/GET/")
    return {"type": "TOKEN", "authorizationToken": sample.body, "methodArn": arn}


def _websocket(sample: Sample) -> Event:
    context = {
        "routeKey": "$default",
        "messageId": "message",
        "eventType": "MESSAGE",
        "extendedRequestId": _ID,
        "requestTime": "02/Jan/2026:03:04:05 +0000",
        "messageDirection": "IN",
        "stage": "prod",
        "connectedAt": _TIME_MS,
        "requestTimeEpoch": _TIME_MS,
        "identity": {"sourceIp": "127.0.0.1"},
        "requestId": _ID,
        "domainName": f"local.execute-api.{sample.region}.amazonaws.com",
        "connectionId": "connection=",
        "apiId": sample.name or "local",
    }
    return {"requestContext": context, "body": sample.body, "isBase64Encoded": False}


def _json_or(text: str, otherwise: Any) -> Any:
    """Return ``text`` as a JSON object, or ``otherwise`` if it is not one."""
    try:
        parsed = json.loads(text)
    except ValueError:
        return otherwise
    return parsed if isinstance(parsed, dict) else otherwise


#: The function that makes the event of each source.
SOURCES: dict[str, Callable[[Sample], Event]] = {
    "sqs": _sqs,
    "sns": _sns,
    "s3": _s3,
    "eventbridge": _eventbridge,
    "schedule": _schedule,
    "dynamodb": _dynamodb,
    "kinesis": _kinesis,
    "firehose": _firehose,
    "cloudwatch-logs": _logs,
    "kafka": _kafka,
    "activemq": _activemq,
    "rabbitmq": _rabbitmq,
    "ses": _ses,
    "cognito": _cognito,
    "authorizer": _authorizer,
    "websocket": _websocket,
}
