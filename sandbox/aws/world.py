"""What the simulated account has from the start (network, images, join token), and bridges over gaps in moto's EC2.

Ids are fixed so that the stack files of the examples and of the demo name them literally.
"""

import importlib
from typing import Any

from moto.core.types import Base64EncodedString
from moto.ec2.models.amis import Ami
from moto.ec2.utils import parse_user_data

from sandbox.aws import JOIN_TOKEN
from sandbox.aws.switches import Switches

# Any: parts of these modules are replaced below, which moto's annotations do not foresee.
quotas: Any = importlib.import_module("moto.servicequotas.models")
launch_templates: Any = importlib.import_module("moto.ec2.models.launch_templates")
security_groups: Any = importlib.import_module("moto.ec2.models.security_groups")
subnets: Any = importlib.import_module("moto.ec2.models.subnets")

REGION = "us-west-2"
VCPUS = 1152
"""What the account may run of on-demand instances of the standard families. Nothing holds a launch up to it."""
SUBNETS = {
    "subnet-0aaaaaaaaaaaaaaa1": ("us-west-2a", "172.31.128.0/20"),
    "subnet-0bbbbbbbbbbbbbbb2": ("us-west-2b", "172.31.144.0/20"),
    "subnet-0ccccccccccccccc3": ("us-west-2c", "172.31.160.0/20"),
}
SECURITY_GROUP = "sg-0123456789abcdef0"
IMAGES = {
    "ami-0aaaaaaaaaaa76181": ("el7-7.6.1810", "3.10.0-957.el7.x86_64"),
    "ami-0bbbbbbbbbbb77190": ("el7-7.7.1908", "3.10.0-1062.4.1.el7.x86_64"),
}
PARAMETERS = {
    "/nodepools/prod/join-token": ("SecureString", JOIN_TOKEN),
    "/nodepools/images/el7": ("String", "ami-0bbbbbbbbbbb77190"),
}


def build(account: str, region: str = REGION) -> None:
    """Create everything named above."""
    ec2: Any = importlib.import_module("moto.ec2.models").ec2_backends[account][region]
    vpc = ec2.get_default_vpc() or ec2.create_default_vpc()
    for subnet_id, (zone, cidr) in SUBNETS.items():
        with _next_id(subnets, "random_subnet_id", subnet_id):
            ec2.create_subnet(vpc.id, cidr, None, zone, None)
    with _next_id(security_groups, "random_security_group_id", SECURITY_GROUP):
        ec2.create_security_group("nodes", "nodes of the sandbox's clusters", vpc.id)
    for image_id, (name, kernel) in IMAGES.items():
        image = Ami(
            ec2,
            image_id,
            instance=None,
            source_ami=None,
            name=name,
            owner_id=account,
            architecture="x86_64",
            root_device_name="/dev/sda1",
            virtualization_type="hvm",
        )
        image.add_tags({"kernel": kernel})
        ec2.amis[image_id] = image
    ssm: Any = importlib.import_module("moto.ssm.models").ssm_backends[account][region]
    for name, (kind, value) in PARAMETERS.items():
        ssm.put_parameter(name, "", value, kind, "", "", False, [], "text", None, None)


class _next_id:  # noqa: N801 - reads as a statement: with _next_id(...)
    """Make moto's random id function of a module return one fixed id."""

    def __init__(self, module: Any, function: str, value: str) -> None:
        self._module, self._function, self._value = module, function, value
        self._saved = getattr(module, function)

    def __enter__(self) -> None:
        value = self._value
        setattr(self._module, self._function, lambda: value)

    def __exit__(self, *_: object) -> None:
        setattr(self._module, self._function, self._saved)


def install(switches: Switches) -> None:
    """Bridges in moto: free addresses by switch; readable user data and present tags of templates; the quota."""
    counted = subnets.Subnet.available_ip_address_count.fget

    def free(subnet: Any) -> int:
        switched = switches.free_addresses(subnet.id)
        return int(counted(subnet)) if switched is None else switched

    subnets.Subnet.available_ip_address_count = property(free)
    create_version = launch_templates.LaunchTemplate.create_version

    def create(template: Any, data: dict[str, Any], description: str) -> Any:
        user_data = data.get("UserData")
        if user_data is not None and not isinstance(user_data, Base64EncodedString):
            data = {**data, "UserData": parse_user_data(user_data)}
        return create_version(template, data, description)

    launch_templates.LaunchTemplate.create_version = create
    # moto copies the tags when the template is made and shows that copy for ever.
    launch_templates.LaunchTemplate.tags = property(lambda template: template.get_tags(), lambda _template, _copy: None)
    known = quotas.ServiceQuotasBackend.get_service_quota

    def quota(backend: Any, service_code: str, quota_code: str) -> dict[str, Any]:
        if (service_code, quota_code) == ("ec2", "L-1216C47A"):
            return {"ServiceCode": service_code, "QuotaCode": quota_code, "Value": float(VCPUS)}
        found: dict[str, Any] = known(backend, service_code, quota_code)
        return found

    quotas.ServiceQuotasBackend.get_service_quota = quota


def template_arguments(version: Any) -> dict[str, Any]:
    """What an instance takes from its template and moto forgets: the exact version, metadata options, interfaces."""
    data = version.data
    interface = (data.get("NetworkInterfaces") or [{}])[0]
    arguments: dict[str, Any] = {
        "launch_template": {"LaunchTemplateId": version.template.id, "Version": version.number},
        "metadata_options": data.get("MetadataOptions") or {},
        "security_group_ids": list(interface.get("Groups") or data.get("SecurityGroupIds") or []),
        "ebs_optimized": bool(data.get("EbsOptimized")),
    }
    if "AssociatePublicIpAddress" in interface:
        arguments["associate_public_ip"] = interface["AssociatePublicIpAddress"] in (True, "true")
    return arguments
