"""How a node calls AWS without the aws CLI: a program for whatever Python the image has, and the shell around it.

The program signs one request with the credentials of the instance's role (Signature Version 4) and prints what was
asked for. It is text like the rest of what a node runs: Python 2.7 and 3.6 or newer, the standard library only. Which
calls are made, and what happens when one fails, is in `scripts`.
"""

PROGRAM = r'''
import hashlib, hmac, json, os, re, ssl, sys, time
try:
    from urllib.error import HTTPError
    from urllib.parse import urlencode, urlsplit
    from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener
except ImportError:  # Python 2.7
    from urllib import urlencode
    from urllib2 import HTTPError, HTTPSHandler, ProxyHandler, Request, build_opener
    from urlparse import urlsplit

QUERY = {"autoscaling": "2011-01-01", "ec2": "2016-11-15"}
TARGET = {"ssm": "AmazonSSM.", "secretsmanager": "secretsmanager."}


def keyed(key, text):
    return hmac.new(key, text.encode("utf-8"), hashlib.sha256).digest()


def digest(text):
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def authorization(keys, region, service, path, headers, body):
    """The header that signs a POST to `path` with these headers (names in lower case) and this body."""
    names = sorted(headers)
    signed = ";".join(names)
    lines = ["POST", path, ""] + [name + ":" + headers[name] for name in names] + ["", signed, digest(body)]
    stamp = headers["x-amz-date"]
    scope = "/".join([stamp[:8], region, service, "aws4_request"])
    key = ("AWS4" + keys["SecretAccessKey"]).encode("utf-8")
    for part in scope.split("/"):
        key = keyed(key, part)
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, digest("\n".join(lines))])
    signature = hmac.new(key, text.encode("utf-8"), hashlib.sha256).hexdigest()
    head = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s"
    return head % (keys["AccessKeyId"], scope, signed, signature)


def role_keys():
    base = os.environ.get("NODEPOOLS_METADATA", "http://169.254.169.254") + "/latest/"
    opener = build_opener(ProxyHandler({}))

    def ask(path, header, value):
        request = Request(base + path, headers={header: value})
        if path == "api/token":
            request.get_method = lambda: "PUT"
        return opener.open(request, timeout=10).read().decode("utf-8")

    session = ask("api/token", "X-aws-ec2-metadata-token-ttl-seconds", "300")
    folder = "meta-data/iam/security-credentials/"
    role = ask(folder, "X-aws-ec2-metadata-token", session).split()[0]
    return json.loads(ask(folder + role, "X-aws-ec2-metadata-token", session))


def call(region, service, action, pairs):
    host = service + "." + region + ".amazonaws.com" + (".cn" if region.startswith("cn-") else "")
    url = urlsplit(os.environ.get("NODEPOOLS_ENDPOINT", "https://" + host) + "/")
    headers = {"host": url.netloc, "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())}
    if service in QUERY:
        body = urlencode([("Action", action), ("Version", QUERY[service])] + pairs)
        headers["content-type"] = "application/x-www-form-urlencoded; charset=utf-8"
    else:
        body = json.dumps(dict((name, True if value == "true" else value) for name, value in pairs))
        headers["content-type"] = "application/x-amz-json-1.1"
        headers["x-amz-target"] = TARGET[service] + action
    keys = role_keys()
    headers["x-amz-security-token"] = keys["Token"]
    headers["authorization"] = authorization(keys, region, service, url.path, headers, body)
    opener = build_opener(HTTPSHandler(context=ssl.create_default_context()))
    answer = opener.open(Request(url.geturl(), body.encode("utf-8"), headers), timeout=20).read().decode("utf-8")
    return json.loads(answer) if service in TARGET else {}


def main(region, service, action, pairs):
    try:
        answer = call(region, service, action, [tuple(pair.split("=", 1)) for pair in pairs])
    except HTTPError as error:
        text = error.read(4000).decode("utf-8", "replace")
        told = re.findall(r'<(?:Code|Message)>([^<]+)|"(?:__type|[mM]essage)" *: *"([^"]+)', text)
        sys.exit("%s %s: HTTP %s %s" % (service, action, error.code, " ".join(a or b for a, b in told)))
    except Exception as error:
        sys.exit("%s %s: %s: %s" % (service, action, type(error).__name__, error))
    print(answer.get("SecretString") or answer.get("Parameter", {}).get("Value", ""))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
'''

SHELL = (
    r"""
# Every image with cloud-init has a Python; which one is the distribution's choice.
for python in python3 /usr/libexec/platform-python python python2 none; do
    command -v "$python" >/dev/null 2>&1 && break
done

# aws_call SERVICE ACTION NAME=VALUE ...: prints the value that was asked for.
aws_call() {
    "$python" - "$region" "$@" <<'NODEPOOLS_PYTHON'
"""
    + PROGRAM.lstrip("\n")
    + r"""NODEPOOLS_PYTHON
}
"""
)
