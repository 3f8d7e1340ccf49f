"""Runs ministack, the emulated AWS account of the sandbox.

    python emulator.py DIRECTORY

It serves HTTPS on a free loopback port, and writes two files into DIRECTORY: `certificate.pem`, which a client has
to trust, and, once it listens, `port`.

It leads a process group, and ends with every Lambda process in it when its standard input closes: so it cannot
outlive the process that started it, however that ends. It stays if anything is written there before.

Everything else is configured by the environment (see emulator.ts). Where ministack 1.5.33 evaluates policies otherwise
than AWS does, and the stack would notice, it is corrected here. It has no SageMaker, and its CloudWatch does not evaluate
alarms as AWS does: what the local ones (sagemaker/, cloudwatch/) need of an account and no client of AWS can ask for is
added here, and alarms of stacks go to the local CloudWatch.
"""

import asyncio
import datetime
import ipaddress
import json
import os
import signal
import socket
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path


def main() -> None:
    directory = Path(sys.argv[1])
    threading.Thread(target=end_with_parent, daemon=True).start()

    # Bound before ministack is loaded, which reads its own port from the environment then. The socket is handed
    # over, so that nobody can take the port in between.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    certificate, key = write_certificate(directory)
    os.environ.update(GATEWAY_PORT=str(port), USE_SSL="1", MINISTACK_SSL_CERT=certificate, MINISTACK_SSL_KEY=key)

    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    correct_principal_arn()
    add_condition_keys()
    name_parameters()
    let_root_send_events_of_services()
    let_root_assume_roles_of_services()
    provision_alarms(os.environ["AWS_ENDPOINT_URL_CLOUDWATCH"])
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.certfile, config.keyfile = certificate, key
    config.keep_alive_timeout = 75
    listener.listen(config.backlog)
    write_whole(directory / "port", str(port))
    asyncio.run(serve(with_principals(app), config))


def end_with_parent() -> None:
    """Ends the whole process group when standard input closes without a word. There is no state to save."""
    if not os.read(0, 1):
        os.killpg(os.getpgrp(), signal.SIGKILL)


def write_whole(path: Path, text: str) -> None:
    """Writes a file so that nobody ever reads half of it."""
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.rename(path)


def correct_principal_arn() -> None:
    """Makes `aws:PrincipalArn` of an assumed role the role's ARN, as AWS defines it.

    ministack takes the ARN of the session (`arn:aws:sts::...:assumed-role/name/session`), so that the exemption of the
    gate's role in a bucket policy would never match.
    """
    from ministack.core import iam_evaluator
    from ministack.services import iam

    original = iam_evaluator._resolve_condition_key

    def resolve(key, context):
        if key.lower() == "aws:principalarn" and context.principal_type == "AssumedRole":
            name = iam_evaluator._role_name_from_assumed_arn(context.principal_arn)
            role = iam._roles.get_scoped(context.principal_account, None, name)
            if role is not None:
                return role["Arn"]
        return original(key, context)

    iam_evaluator._resolve_condition_key = resolve


def add_condition_keys() -> None:
    """Gives PutEvents the condition key `events:source`, and Subscribe `sns:Endpoint` and `sns:Protocol`, as AWS does.

    ministack does not know these keys, so that a role that may send events of one source only could send none, and one
    that may subscribe queues only could subscribe nothing. AWS looks at each entry of PutEvents by itself; here entries of
    several sources in one call leave the key out, which denies them.

    SNS asks the policy of a topic a second time, without any key: of Subscribe the first answer holds.
    """
    from ministack.core import iam_actions
    from ministack.services import sns

    original = iam_actions.request_tag_context

    def context(service, action, body, params):
        keys = original(service, action, body, params)
        if action == "events:PutEvents":
            sources = {entry.get("Source") for entry in json.loads(body).get("Entries", [])}
            if len(sources) == 1:
                keys["events:source"] = sources.pop()
        if action == "sns:Subscribe":
            for name in ("Endpoint", "Protocol"):
                value = params.get(name, "")
                keys[f"sns:{name.lower()}"] = value[0] if isinstance(value, list) else value
        return keys

    iam_actions.request_tag_context = context

    again = sns._enforce_topic_policy
    sns._enforce_topic_policy = lambda topic, action: None if action == "sns:Subscribe" else again(topic, action)


def name_parameters() -> None:
    """Has the parameters that are read by path, or several at a time, stand for themselves, as AWS does.

    ministack asks for rights on `*` there, so that a role that may read one path could read none. AWS asks for each name of
    GetParameters; here the first stands for all.
    """
    from ministack.core import iam_actions
    from ministack.core.responses import get_account_id, get_region

    original = iam_actions.extract_resource_arn

    def resource_arn(service, method, path, headers, body, *others):
        if service == "ssm" and body:
            asked = json.loads(body)
            if name := asked.get("Path") or next(iter(asked.get("Names", [])), None):
                parameter = name.strip("/")
                return f"arn:aws:ssm:{get_region()}:{get_account_id()}:parameter/{parameter}"
        return original(service, method, path, headers, body, *others)

    iam_actions.extract_resource_arn = resource_arn


def let_root_send_events_of_services() -> None:
    """Lets the root of the account send events of the sources `aws.sagemaker` and `aws.cloudwatch`.

    ministack refuses sources of AWS to every client, as AWS does; but here these services are clients, with the key of
    root.
    """
    from ministack.core import iam_evaluator
    from ministack.services import eventbridge

    original = eventbridge._put_events

    def put_events(data, allow_aws_source=False):
        sources = {entry.get("Source") for entry in data.get("Entries", [])}
        from_root = iam_evaluator.caller_arn().endswith(":root")
        return original(data, allow_aws_source or (from_root and sources <= {"aws.sagemaker", "aws.cloudwatch"}))

    eventbridge._put_events = put_events


def let_root_assume_roles_of_services() -> None:
    """Gives the root of the account `aws:SourceAccount` when it assumes a role.

    ministack lets root assume whatever role trusts a service; here SageMaker does that. But it leaves out what AWS says
    of the request of a service, so that a role with the condition against the confused deputy could not be assumed.
    """
    from ministack.core import iam_evaluator

    original = iam_evaluator._resolve_condition_key

    def resolve(key, context):
        by_root = context.principal_arn.endswith(":root")
        if key.lower() == "aws:sourceaccount" and context.action == "sts:AssumeRole" and by_root:
            return context.principal_account
        return original(key, context)

    iam_evaluator._resolve_condition_key = resolve


def provision_alarms(endpoint: str) -> None:
    """Makes CloudFormation create, update and delete alarms at the local CloudWatch, composite ones and those on metric
    math, which ministack does not know, as well.

    ministack calls this from its event loop, which waits meanwhile. The local CloudWatch answers the root of the account
    without asking ministack anything, so neither waits for the other.
    """
    from ministack.services.cloudformation import provisioners

    known = provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::Alarm"]
    if set(known) != {"create", "update", "update_with_logical_id", "delete"}:
        raise RuntimeError(f"ministack provisions alarms otherwise than expected: by {sorted(known)}")

    def call(operation, request):
        key = os.environ["AWS_ACCESS_KEY_ID"]
        headers = {
            "X-Amz-Target": f"GraniteServiceVersion20100801.{operation}",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/monitoring/aws4_request",
        }
        try:
            urllib.request.urlopen(
                urllib.request.Request(endpoint, json.dumps(request).encode(), headers), timeout=10
            ).close()
        except urllib.error.HTTPError as error:
            answer = json.load(error)
            if operation == "DeleteAlarms" and answer["__type"] == "ResourceNotFound":
                return
            raise ValueError(f"{operation}: {answer['message']}") from error

    def handlers(put):
        def create(logical_id, props, stack_name):
            name = name_of(logical_id, props, stack_name)
            call(put, {**typed(props), "AlarmName": name})
            return name, {"Arn": arn_of(name)}

        def update(physical_id, old_props, new_props, stack_name, logical_id=None):
            name = name_of(logical_id or physical_id, new_props, stack_name)
            if name != physical_id:
                created = create(logical_id or physical_id, new_props, stack_name)
                provisioners._delete_predecessor(delete, physical_id, old_props)
                return created
            call(put, {**typed(new_props), "AlarmName": name})
            # The Tags of an alarm that is there are not looked at.
            old, new = ({tag["Key"]: tag["Value"] for tag in props.get("Tags", [])} for props in (old_props, new_props))
            if gone := [key for key in old if key not in new]:
                call("UntagResource", {"ResourceARN": arn_of(name), "TagKeys": gone})
            if new:
                tags = [{"Key": key, "Value": value} for key, value in new.items()]
                call("TagResource", {"ResourceARN": arn_of(name), "Tags": tags})
            return name, {"Arn": arn_of(name)}

        def delete(physical_id, props):
            call("DeleteAlarms", {"AlarmNames": [physical_id]})

        return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}

    def name_of(logical_id, props, stack_name):
        return props.get("AlarmName") or provisioners._physical_name(stack_name, logical_id, max_len=255)

    def arn_of(name):
        return f"arn:aws:cloudwatch:{os.environ['MINISTACK_REGION']}:{os.environ['MINISTACK_ACCOUNT_ID']}:alarm:{name}"

    for resource_type, put in (
        ("AWS::CloudWatch::Alarm", "PutMetricAlarm"),
        ("AWS::CloudWatch::CompositeAlarm", "PutCompositeAlarm"),
    ):
        provisioners._RESOURCE_HANDLERS[resource_type] = handlers(put)
        provisioners._STACK_TAG_PROPERTY[resource_type] = ("Tags", "list")


# Properties of alarms that are no text; a template may write them as text nevertheless.
NUMBERS_AND_FLAGS = {
    "ActionsEnabled",
    "ActionsSuppressorExtensionPeriod",
    "ActionsSuppressorWaitPeriod",
    "DatapointsToAlarm",
    "EvaluationPeriods",
    "Period",
    "ReturnData",
    "Threshold",
}


def typed(value, name=""):
    """The properties of an alarm with numbers and flags as the API takes them."""
    if isinstance(value, dict):
        return {key: typed(member, key) for key, member in value.items()}
    if isinstance(value, list):
        return [typed(member) for member in value]
    if name in NUMBERS_AND_FLAGS and isinstance(value, str):
        return json.loads(value.lower())
    return value


def with_principals(app):
    """Adds `GET /_sandbox/principals/KEY`: whose session an access key is of, as JSON of `arn` and `role`.

    AWS has no operation for it. The answer is 404 where the key is of no session of a role, or the session is over.
    """
    from ministack.core.iam_evaluator import CredentialResolutionError, _role_name_from_assumed_arn, resolve_credential
    from ministack.services import iam

    prefix = "/_sandbox/principals/"

    def look_up(key):
        found = resolve_credential(key)
        if isinstance(found, CredentialResolutionError) or found.principal_type != "AssumedRole":
            return None
        name = _role_name_from_assumed_arn(found.principal_arn)
        role = iam._roles.get_scoped(found.account_id, None, name)
        # The session of a role that was deleted has no rights, and is known.
        arn = role["Arn"] if role is not None else f"arn:aws:iam::{found.account_id}:role/{name}"
        return {"arn": found.principal_arn, "role": arn}

    async def wrapped(scope, receive, send):
        if scope["type"] != "http" or not scope["path"].startswith(prefix):
            await app(scope, receive, send)
            return
        found = look_up(scope["path"][len(prefix) :])
        await send(
            {
                "type": "http.response.start",
                "status": 404 if found is None else 200,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        await send({"type": "http.response.body", "body": json.dumps(found).encode()})

    return wrapped


def write_certificate(directory: Path) -> tuple[str, str]:
    """Writes a self-signed certificate for 127.0.0.1 and its key, which nobody but the owner can read."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tocsin sandbox")])
    now = datetime.datetime.now(datetime.timezone.utc)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A clock that was set back must not make the certificate one of the future.
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
            ),
            critical=False,
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = directory / "certificate.pem", directory / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    descriptor = os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    return str(certificate_path), str(key_path)


main()
