"""cloud-config without a YAML parser: its first line and its top-level keys, which is where typing errors are silent.

cloud-init warns on the console of an unknown key and goes on: the node boots without what the key should have done,
and never joins. The values behind the keys are not looked at; `cloud-init schema --config-file` does that.
"""

import re
from collections.abc import Iterator

HEADERS = ("#cloud-config", "## template: jinja")
KEYS = frozenset(
    """
    allow_public_ssh_keys ansible apk_repos apt apt_pipelining apt_reboot_if_required apt_update apt_upgrade
    authkey_hash autoinstall bootcmd byobu_by_default ca-certs ca_certs chef chpasswd cloud_config_modules
    cloud_final_modules cloud_init_modules create_hostname_file datasource datasource_list device_aliases
    disable_ec2_metadata disable_root disable_root_opts disk_setup drivers fan final_message fqdn fs_setup groups
    growpart grub-dpkg grub_dpkg hostname keyboard landscape launch-index locale locale_configfile lxd
    manage_etc_hosts manage_resolv_conf mcollective merge_how merge_type migrate mount_default_fields mounts network
    no_ssh_fingerprints ntp output package_reboot_if_required package_update package_upgrade packages password
    phone_home
    power_state prefer_fqdn_over_hostname preserve_hostname puppet random_seed rdp reporting resize_rootfs
    resolv_conf rh_subscription rpi rsyslog runcmd salt_minion snap spacewalk ssh ssh_authorized_keys ssh_deletekeys
    ssh_fp_console_blacklist ssh_genkeytypes ssh_import_id ssh_key_console_blacklist ssh_keys ssh_publish_hostkeys
    ssh_pwauth ssh_quiet_keygen swap system_info timezone ubuntu_advantage ubuntu_pro updates user users vendor_data
    version wireguard write_files yum_repo_dir yum_repos zypper
    """.split()  # noqa: SIM905 - a list would be ninety lines
)
"""The top-level keys of cloud-init's own modules."""

_KEY = re.compile(r"""(?P<quote>["']?)(?P<key>[A-Za-z_][\w-]*)(?P=quote)\s*:(?:\s|$)""")


def problems(text: str, more_keys: frozenset[str] = frozenset()) -> Iterator[str]:
    """What cloud-init would drop without stopping."""
    lines = text.lstrip("\ufeff \t\r\n").splitlines()
    if not lines or not lines[0].startswith(HEADERS):
        yield "a cloud-config part does not begin with #cloud-config"
        return
    for count, line in enumerate(lines, 1):
        if re.match(r" *\t", line) and line.strip():
            yield f"line {count} of a cloud-config part is indented with a tab, which YAML does not take"
    for key in top_level(text):
        if key not in KEYS and key not in more_keys:
            yield f"{key!r} is no key that cloud-init knows"


def top_level(text: str) -> list[str]:
    """The keys at the left margin, in order. A block's lines are indented, so none of them is taken for a key."""
    return [found["key"] for line in text.splitlines() if (found := _KEY.match(line))]
