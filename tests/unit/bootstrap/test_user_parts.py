"""The user's own parts: where they stand, when they run, and what is refused, by part and line and never by quoting."""

import base64
import email
import gzip
import random
import string

import pytest

from pulumi_nodepools.bootstrap import MAX_BYTES, EksJoin, UserPart, packed, render, warnings
from pulumi_nodepools.errors import ConfigError

from .conftest import CLOUD_INIT, bootstrap

CONFIG = UserPart("cloud-config", "ntp", "#cloud-config\nntp:\n  enabled: true\n")
SCRIPT = UserPart("shell-script", "mounts", "#!/bin/sh\necho mounted\n")
HOOK = UserPart("boothook", "early", "#!/bin/sh\necho early\n")
KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n"


def script(*lines: str, name: str = "mine") -> UserPart:
    return UserPart("shell-script", name, "\n".join(["#!/bin/sh", *lines, ""]))


def config(*lines: str, name: str = "mine") -> UserPart:
    return UserPart("cloud-config", name, "\n".join(["#cloud-config", *lines, ""]))


def sections(text: str) -> list[tuple[str, str, str]]:
    """(content type, file name, text) as the standard library reads them."""
    leaves = [part for part in email.message_from_string(text).walk() if not part.is_multipart()]
    return [
        (one.get_content_type(), str(one.get_filename()), one.get_payload(decode=True).decode("utf-8"))
        for one in leaves
    ]


def refusal(*parts: UserPart, **changes) -> str:
    with pytest.raises(ConfigError) as caught:
        render("el9", bootstrap(**{"user_parts": parts, "minimum_kernel": None} | changes))
    return str(caught.value)


def taken(*parts: UserPart, **changes) -> str:
    return render("el9", bootstrap(**{"user_parts": parts, "minimum_kernel": None} | changes))


def test_own_parts_stand_after_the_gate_and_scripts_sort_before_the_join():
    found = sections(taken(SCRIPT, CONFIG, HOOK))
    assert [kind for kind, _, _ in found] == [
        "text/cloud-boothook",
        "text/x-shellscript",
        "text/cloud-config",
        "text/cloud-boothook",
        "text/x-shellscript",
    ]
    assert [name for _, name, _ in found] == [
        "10-nodepools-gate.sh",
        "18-00-mounts",
        "18-01-ntp",
        "18-02-early",
        "20-nodepools-join.sh",
    ]
    assert [text for _, _, text in found[1:4]] == [SCRIPT.content, CONFIG.content, HOOK.content]


def test_scripts_run_in_the_order_in_which_they_are_listed():
    """cloud-init sorts them by file name."""
    parts = [script(name=name) for name in ("z", "a", *(f"p{number}" for number in range(10)))]
    names = [name for kind, name, _ in sections(taken(*parts)) if kind == "text/x-shellscript"]
    assert sorted(names) == names
    assert [name[6:] for name in names[:2]] == ["z", "a"]
    assert names[-1] == "20-nodepools-join.sh"


@pytest.mark.parametrize(
    "content",
    ["#!/bin/sh\necho gr\u00fc\u00df dich\n", "#!/bin/sh\ncat <<E\n--==nodepools-boundary==\nE\n", "#!/bin/sh\ntrue"],
)
def test_text_arrives_as_it_was_written(content):
    text = taken(UserPart("shell-script", "mine", content))
    assert text.isascii()
    assert sections(text)[1][2].rstrip("\n") == content.rstrip("\n")
    assert len(sections(text)) == 3


@pytest.mark.parametrize("family", CLOUD_INIT)
def test_every_family_that_reads_mime_takes_them(family):
    made = bootstrap(
        user_parts=(SCRIPT,), join=EksJoin("10.100.0.0/16"), certificate_authority="Q0E=", minimum_kernel=None
    )
    assert SCRIPT.content in [text for _, _, text in sections(render(family, made))]


@pytest.mark.parametrize(
    ("part", "line", "kind"),
    [
        (script("export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE"), 2, "an AWS access key"),
        (script("true", f"AWS_SECRET_ACCESS_KEY='{KEY}'"), 3, "an AWS secret access key"),
        (config("write_files:", "- path: /x", f'  content: \'{{"SecretAccessKey": "{KEY}"}}\''), 4, "an AWS secret"),
        (script("kubeadm join --token abcdef.0123456789abcdef"), 2, "a kubeadm join token"),
        (script("cat >/key <<E", *PEM.splitlines(), "E"), 3, "a private key"),
        (script("cat <<E", "-----BEGIN PRIVATE KEY-----"), 3, "a private key"),
        (script("cat <<E", "-----BEGIN OPENSSH PRIVATE KEY-----"), 3, "a private key"),
        (
            config("write_files:", "- encoding: b64", f"  content: {base64.b64encode(PEM.encode()).decode()}"),
            4,
            "a private key",
        ),
    ],
)
def test_a_secret_is_refused_by_part_and_line_and_not_quoted(part, line, kind):
    message = refusal(part)
    assert f"part 'mine' line {line}: holds {kind}" in message
    assert "SSM or Secrets Manager" in message
    for secret in ("AKIAIOSFODNN7EXAMPLE", KEY, "0123456789abcdef", "MIIE"):
        assert secret not in message


@pytest.mark.parametrize(
    "line",
    [
        "cp /etc/config.configurationfile /tmp",
        "curl https://master.kubernetesprod01.example.com",
        'AWS_SECRET_ACCESS_KEY="$(fetch)"',
        "-----BEGIN CERTIFICATE-----",
        f"echo {base64.b64encode(b'-----BEGIN CERTIFICATE-----' + b'x' * 40).decode()}",
        "sha=0123456789abcdef0123456789abcdef01234567",
    ],
)
def test_what_only_looks_like_a_secret_is_taken(line):
    assert taken(script(line))


@pytest.mark.parametrize(
    ("part", "line", "what"),
    [
        (config("power_state:", "  mode: reboot"), 2, "power_state"),
        (config("ntp: {}", "package_reboot_if_required: true"), 3, "package_reboot_if_required"),
        (config("runcmd:", "- echo hi", "- systemctl reboot"), 4, "systemctl reboot in runcmd"),
        (config("runcmd:", "- [shutdown, -r, now]"), 3, "shutdown -r in runcmd"),
        (config("bootcmd:", "- [sh, -c, 'test -e /x || reboot']"), 3, "reboot in bootcmd"),
        (config("runcmd:", "- |", "  echo hi", "  reboot"), 5, "reboot in runcmd"),
        (script("reboot"), 2, "reboot"),
        (script("", "  /sbin/reboot -f"), 3, "/sbin/reboot"),
        (script("if needed; then sudo -n reboot; fi"), 2, "reboot"),
        (script("needs-restarting -r || shutdown -h -r now"), 2, "shutdown -h"),
        (script("systemctl --no-block reboot"), 2, "systemctl --no-block"),
        (script("systemctl start reboot.target"), 2, "systemctl start"),
        (script("( sleep 5; init 6 ) &"), 2, "init 6"),
        (UserPart("boothook", "mine", "#!/bin/sh\nreboot\n"), 2, "reboot"),
    ],
)
def test_a_second_way_to_reboot_is_refused_beside_kernel_arguments(part, line, what):
    message = refusal(part)
    assert f"part 'mine' line {line}: {what.removeprefix('/sbin/')}" in message
    assert "second way to reboot beside that of kernel.arguments" in message
    assert "remove it" in message
    assert taken(part, kernel_arguments=()), "without arguments there is no other reboot"


@pytest.mark.parametrize(
    "part",
    [
        script("# reboot"),
        script("echo 'please reboot'"),
        script("echo done # then reboot"),
        script("cat /var/run/reboot-required"),
        script("reboot_needed=no"),
        script("shutdown -c"),
        script("systemctl restart kubelet"),
        script("echo no reboot now"),
        config("package_reboot_if_required: false"),
        config("write_files:", "- path: /usr/local/bin/later", "  content: reboot"),
        config("runcmd:", "- [echo, reboot]"),
    ],
)
def test_what_does_not_reboot_is_taken(part):
    assert taken(part)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (UserPart("cloud-config", "mine", "ntp: {}\n"), "line 1: must be #cloud-config"),
        (UserPart("cloud-config", "mine", "#cloud-configs\nntp: {}\n"), "line 1: must be #cloud-config"),
        (config("runcmdd: []"), "line 2: has the unknown key 'runcmdd'; did you mean runcmd?"),
        (config("my_own_thing: 1"), "line 2: has the unknown key 'my_own_thing'; cloud-init would ignore it"),
        (config("ntp: {}", "ntp: {}"), "line 3: has ntp a second time"),
        (config("ntp: [hunter2"), "is no YAML"),
        (config("ntp: !hunter2 x"), "is no YAML"),
        (config("- a"), "is not a map of cloud-init's keys"),
        (config(), "is not a map of cloud-init's keys"),
        (UserPart("shell-script", "mine", "echo hi\n"), "line 1: does not begin with #!"),
        (UserPart("boothook", "mine", "#cloud-boothook\necho hi\n"), "line 1: does not begin with #!"),
        (UserPart("shell-script", "mine", "#!/bin/sh\r\ntrue\r\n"), "line 1: has Windows line ends (CR LF)"),
        (UserPart("shell-script", "mine", "#!/bin/sh\ntrue\x00\n"), "line 2: has the control character '\\x00'"),
        (UserPart("shell-script", "../mine", "#!/bin/sh\n"), "part name '../mine' cannot stand in a file name"),
        (UserPart("shell-script", 'a"b', "#!/bin/sh\n"), "cannot stand in a file name: at most 64 letters"),
    ],
)
def test_what_a_node_would_ignore_is_refused(part, words):
    message = refusal(part)
    assert words in message
    assert "hunter2" not in message


def test_parts_are_told_apart_by_name():
    assert "part name 'mine' is given 2 times" in refusal(script(), script())


def test_too_many_parts_are_refused_with_the_limit():
    assert "51 parts are more than 50" in refusal(*(script(name=f"p{number}") for number in range(51)))


def test_two_parts_with_one_key_would_lose_the_first():
    one, other = config("runcmd: [a]", name="one"), config("runcmd: [b]", "ntp: {}", name="other")
    assert "parts 'one' and 'other' both have runcmd, and cloud-init would drop the first" in refusal(one, other)
    assert taken(one, config("runcmd: [b]", "merge_how: list(append)", name="other"))
    assert taken(one, config("ntp: {}", name="other"))


def test_commands_that_run_after_the_join_are_warned_of():
    told = warnings("el9", bootstrap(user_parts=(config("runcmd: [a]"), SCRIPT), kernel_arguments=()))
    (line,) = told
    assert line.startswith("part 'mine': cloud-init runs runcmd after all scripts, so after the node has joined; use")


def filler(size: int) -> str:
    """Text that does not compress to nothing."""
    return "".join(random.Random(7).choices(string.ascii_letters, k=size))


def test_what_fits_ships_as_it_is():
    made = bootstrap(user_parts=(SCRIPT,))
    text = render("el7", made)
    assert packed(made, text) == text.encode()


def test_what_is_too_large_ships_compressed_the_same_bytes_each_time():
    made = bootstrap(user_parts=(script(f"# {filler(300)}", *["echo again and again"] * 900),))
    text = render("el7", made)
    assert len(text) > MAX_BYTES
    data = packed(made, text)
    assert len(data) <= MAX_BYTES
    assert gzip.decompress(data).decode() == text
    assert data == packed(made, text)
    assert data[4:8] == b"\0\0\0\0", "no time stamp"


def test_what_is_too_large_even_so_names_numbers_and_what_to_shorten():
    made = bootstrap(user_parts=(script(f"# {filler(40000)}"),))
    text = render("el7", made)
    with pytest.raises(ConfigError) as caught:
        packed(made, text)
    size = len(gzip.compress(text.encode(), mtime=0))
    assert f"{len(text)} bytes and compressed {size}, {size - MAX_BYTES} more than the {MAX_BYTES}" in str(caught.value)
    assert "userData.parts (1 with 40013 bytes; a script can fetch the rest)" in str(caught.value)
