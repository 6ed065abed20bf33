"""Rules about launch templates, as tables: what passes, what is refused and in which words, what cannot be told yet."""

import gzip

import pytest

from policies.rules.rule import UNKNOWN
from policies.rules.subjects import TEMPLATE
from policies.rules.user_data_form import MAX_BYTES
from tests.policies.rule_case import NAMES, encoded, judge, pool, stranger, tagged, template, verdict

TOKENS, HOPS = "nodepools-launch-template-metadata-tokens", "nodepools-launch-template-metadata-hops"
ENCRYPTION, VOLUME = "nodepools-launch-template-volume-encryption", "nodepools-launch-template-volume-type"
ADDRESS, KEY = "nodepools-launch-template-public-address", "nodepools-launch-template-ssh-key"
IMAGE, SECRETS = "nodepools-launch-template-image", "nodepools-launch-template-secrets"
SIZE, FORM = "nodepools-launch-template-user-data-size", "nodepools-launch-template-user-data-form"
REBOOT, WAIT = "nodepools-launch-template-one-reboot", "nodepools-launch-template-should-wait"
TAINT, MARKET = "nodepools-canary-taint", "nodepools-canary-on-demand"


def multipart(*parts: tuple[str, str]) -> str:
    lines = ["MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="B"', ""]
    for kind, text in parts:
        lines += ["--B", f"Content-Type: {kind}", "", text]
    return encoded("\n".join([*lines, "--B--", ""]))


def options(**values: object) -> dict[str, object]:
    return {"metadataOptions": values}


def volumes(*ebs: object) -> dict[str, object]:
    return {"blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": one} for one in ebs]}


def interfaces(*given: object) -> dict[str, object]:
    return {"networkInterfaces": [{"associatePublicIpAddress": one} for one in given]}


def data(text: str | bytes) -> dict[str, object]:
    return {"userData": encoded(text)}


def parts(*given: tuple[str, str]) -> dict[str, object]:
    return {"userData": multipart(*given)}


HOOK, SHELL, CONFIG = "text/cloud-boothook", "text/x-shellscript", "text/cloud-config"
REBOOTING = (HOOK, "#cloud-boothook\n#!/bin/sh\n[ -e /done ] || systemctl --no-block reboot\n")
POWER = (CONFIG, "#cloud-config\npower_state:\n  mode: reboot\n")
SHOULD_WAIT = "[settings.autoscaling]\nshould-wait = true\n"

GOOD = [
    (TOKENS, options(httpTokens="required")),
    (TOKENS, options(httpEndpoint="disabled")),
    (HOPS, options(httpPutResponseHopLimit=1)),
    (HOPS, options(httpPutResponseHopLimit="1")),
    (ENCRYPTION, volumes({"encrypted": True}, {"encrypted": "true"})),
    (ENCRYPTION, {"blockDeviceMappings": {"deviceName": "/dev/xvda", "ebs": {"encrypted": "True"}}}),
    (VOLUME, volumes({"volumeType": "gp3"}, {"volumeType": "io2"})),
    (VOLUME, {"blockDeviceMappings": [{"deviceName": "/dev/sdb", "virtualName": "ephemeral0"}]}),
    (ADDRESS, interfaces(False, "false")),
    (KEY, {}),
    (KEY, {"keyName": ""}),
    (IMAGE, {"imageId": "ami-0bbbbbbbbbbb77190"}),
    (IMAGE, {"imageId": "ami-12345678"}),
    (SECRETS, {}),
    (SECRETS, data("#!/bin/sh\ncurl https://worker.internalexamplenet/AKIDENTITY\n")),
    (SIZE, data(b"x" * MAX_BYTES)),
    (SIZE, data(gzip.compress(b"x" * 10 * MAX_BYTES))),
    (FORM, {}),
    (FORM, data("#!/bin/sh\n")),
    (FORM, data(SHOULD_WAIT)),
    (FORM, data('{"ignition": {"version": "3.3.0"}}')),
    (FORM, parts((CONFIG, "#cloud-config\nruncmd:\n  - [ls]\nwrite_files: []\n"), (SHELL, "#!/bin/sh\n"))),
    (FORM, parts((CONFIG, '## template: jinja\n#cloud-config\n"bootcmd":\n- a: b\n'))),
    (REBOOT, parts(REBOOTING)),
    (REBOOT, parts(REBOOTING, (SHELL, "#!/bin/sh\n# reboot later\necho systemctl; log 'no reboot'\n"))),
    (REBOOT, data("#cloud-config\npower_state: {mode: reboot}\n")),
    (WAIT, data(SHOULD_WAIT)),  # el7 reads no such settings
    (TAINT, data("#!/bin/sh\n")),  # not a canary
    (MARKET, {"instanceMarketOptions": {"marketType": "spot"}}),  # not a canary
]
BAD = [
    (TOKENS, options(httpTokens="optional"), "'optional'"),
    (TOKENS, {}, "not set"),
    (HOPS, options(httpPutResponseHopLimit=2.0), "is 2, more than 1"),
    (HOPS, options(), "not set"),
    (ENCRYPTION, volumes({"encrypted": "true"}, {"encrypted": "false"}), "volume /dev/xvda is not encrypted"),
    (ENCRYPTION, volumes({}), "not encrypted"),
    (ENCRYPTION, {}, "no blockDeviceMappings"),
    (VOLUME, volumes({"volumeType": "gp2"}), "'gp2'; allowed are gp3, io2"),
    (VOLUME, volumes({}), "gp2 is the default"),
    (ADDRESS, interfaces("true"), "is true"),
    (ADDRESS, interfaces(""), "subnet decides"),
    (ADDRESS, {}, "no networkInterfaces"),
    (KEY, {"keyName": "ops"}, "'ops'"),
    (IMAGE, {"imageId": "resolve:ssm:/aws/service/ami"}, "looked up at each launch"),
    (IMAGE, {}, "no imageId"),
    (SECRETS, data("#!/bin/sh\nexport AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\n"), "an AWS access key"),
    (SECRETS, parts((SHELL, "#!/bin/sh\nkubeadm join --token abcdef.0123456789abcdef\n")), "a bootstrap token"),
    (SECRETS, data(gzip.compress(b"#!/bin/sh\n-----BEGIN RSA PRIVATE KEY-----\n")), "a private key"),
    (SIZE, data(b"x" * (MAX_BYTES + 1)), "1 more than EC2 takes"),
    (FORM, {"userData": "#!/bin/sh"}, "not base64"),
    (FORM, data("hello"), "nothing with a part of type text/plain"),
    (FORM, parts(("text/x-shelscript", "#!/bin/sh\n")), "type text/x-shelscript"),
    (FORM, parts((CONFIG, "#cloud-config\nruncmds: [ls]\n")), "'runcmds' is no key"),
    (FORM, parts((CONFIG, "runcmd: [ls]\n")), "does not begin with #cloud-config"),
    (FORM, parts((CONFIG, "#cloud-config\nruncmd:\n\t- ls\n")), "line 3 of a cloud-config part is indented with a tab"),
    (REBOOT, parts(REBOOTING, POWER), "power_state in a cloud-config"),
    (REBOOT, parts(REBOOTING, (SHELL, "#!/bin/sh\nif true; then /sbin/shutdown -r now; fi\n")), "2 parts"),
]
UNKNOWNS = [
    (TOKENS, {"metadataOptions": UNKNOWN}),
    (TOKENS, options(httpTokens=UNKNOWN)),
    (HOPS, options(httpPutResponseHopLimit=UNKNOWN)),
    (ENCRYPTION, {"blockDeviceMappings": UNKNOWN}),
    (ENCRYPTION, volumes({"encrypted": UNKNOWN})),
    (ENCRYPTION, volumes(UNKNOWN)),
    (VOLUME, volumes({"volumeType": UNKNOWN})),
    (VOLUME, {"blockDeviceMappings": UNKNOWN}),
    (ADDRESS, {"networkInterfaces": UNKNOWN}),
    (ADDRESS, interfaces(UNKNOWN)),
    (KEY, {"keyName": UNKNOWN}),
    (IMAGE, {"imageId": UNKNOWN}),
    (SECRETS, {"userData": UNKNOWN}),
    (SECRETS, {"userData": "#!/bin/sh"}),
    (SIZE, {"userData": UNKNOWN}),
    (FORM, {"userData": UNKNOWN}),
    (REBOOT, {"userData": UNKNOWN}),
]
CANARY = [
    ("good", TAINT, data("#!/bin/sh\nset -- --register-with-taints=nodepools.dev/canary=v:NoSchedule\n")),
    ("bad", TAINT, data("#!/bin/sh\n")),
    ("bad", TAINT, {}),
    ("unknown", TAINT, {"userData": UNKNOWN}),
    ("good", MARKET, {}),
    ("bad", MARKET, {"instanceMarketOptions": {"marketType": "spot"}}),
    ("unknown", MARKET, {"instanceMarketOptions": UNKNOWN}),
]
CONFIGURED = [
    (HOPS, options(httpPutResponseHopLimit=2), {"maximum": 2}),
    (VOLUME, volumes({"volumeType": "io1"}), {"types": ["io1"]}),
    (FORM, parts((CONFIG, "#cloud-config\nour_module: {}\n")), {"moreKeys": ["our_module"]}),
]


@pytest.mark.parametrize(("name", "props"), GOOD)
def test_good(name, props):
    assert judge(name, template(**props)) == []


@pytest.mark.parametrize(("name", "props", "words"), BAD)
def test_bad(name, props, words):
    findings = judge(name, template(**props))
    assert verdict(findings) == "bad"
    assert "launch template 'worker-t'" in findings[0].message
    assert any(words in finding.message for finding in findings), findings


@pytest.mark.parametrize(("name", "props"), UNKNOWNS)
def test_unknown_is_never_good(name, props):
    findings = judge(name, template(**props))
    assert verdict(findings) == "unknown"
    assert "cannot judge launch template 'worker-t' yet" in findings[0].message


@pytest.mark.parametrize(("expected", "name", "props"), CANARY)
def test_canaries(expected, name, props):
    assert verdict(judge(name, template(**props), pool(state="canary"))) == expected


@pytest.mark.parametrize(("expected", "text"), [("bad", SHOULD_WAIT), ("good", SHOULD_WAIT.replace("true", "false"))])
def test_bottlerocket_must_not_wait_for_what_waits_for_it(expected, text):
    bottlerocket = pool(osFamily="bottlerocket", kernelArguments=[])
    assert verdict(judge(WAIT, template(**data(text)), bottlerocket)) == expected
    assert verdict(judge(WAIT, template(userData=UNKNOWN), bottlerocket)) == "unknown"


@pytest.mark.parametrize(("name", "props", "config"), CONFIGURED)
def test_configuration_decides(name, props, config):
    assert verdict(judge(name, template(**props))) == "bad"
    assert judge(name, template(**props), **config) == []


@pytest.mark.parametrize(
    "name", sorted(name for name in NAMES if "-launch-template-" in name and "arguments" not in name)
)
def test_templates_of_others_are_judged_only_on_request(name):
    bad = next((props for rule, props, _ in BAD if rule == name), data(SHOULD_WAIT))
    own = stranger(TEMPLATE, **bad)
    assert judge(name, own) == []
    expected = "good" if name == WAIT else "bad"  # no pool, no launch hook
    assert verdict(judge(name, own, allTemplates="true")) == expected
    assert verdict(judge(name, tagged(own))) == expected
    unsure = judge(name, stranger(TEMPLATE, **{**bad, "tags": UNKNOWN}))
    assert verdict(unsure) == ("good" if name == WAIT else "unknown")


def test_secrets_are_never_quoted():
    (finding,) = judge(SECRETS, template(**data("TOKEN=abcdef.0123456789abcdef")))
    assert "abcdef" not in finding.message
