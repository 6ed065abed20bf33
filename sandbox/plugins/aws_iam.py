"""The IAM resources that a pool of nodes needs: role, inline policy, attachment, instance profile."""

import json
from typing import Any, ClassVar

from sandbox.plugins.aws_cloud import Cloud, Existing, doing
from sandbox.plugins.host import Context, Inputs, Kind, Props
from sandbox.plugins.values import UNKNOWN

GONE = "NoSuchEntity"
DOCUMENT = (str, dict)


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document)


def _same_document(old: Any, new: Any) -> bool:
    try:
        return bool(json.loads(_text(old)) == json.loads(_text(new)))
    except ValueError:
        return bool(old == new)


def _broken(name: str, document: Any) -> list[tuple[str, str]]:
    if document is UNKNOWN:
        return []
    try:
        json.loads(_text(document))
    except (ValueError, TypeError):
        return [(name, f"contains an invalid JSON policy: {document!r}")]
    return []


def _tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


class _Iam(Kind):
    """A kind with the IAM client."""

    def __init__(self, cloud: Cloud | None) -> None:
        self._cloud = cloud

    @property
    def _api(self) -> Any:
        assert self._cloud is not None
        return self._cloud.client("iam")

    def _all_tags(self, props: Props) -> dict[str, str]:
        return {**(self._cloud.default_tags if self._cloud else {}), **(props.get("tags") or {})}


class Role(_Iam):
    """aws:iam/role:Role; `managedPolicyArns` and `inlinePolicies` are deprecated and not known here."""

    inputs: ClassVar[Inputs] = {
        "name": str,
        "assumeRolePolicy": DOCUMENT,
        "description": str,
        "path": str,
        "maxSessionDuration": int,
        "permissionsBoundary": str,
        "forceDetachPolicies": bool,
        "tags": {"*": str},
    }
    required = ("assumeRolePolicy",)
    force_new = ("name", "path")
    optional_computed = ("name",)
    defaults: ClassVar[Props] = {"path": "/", "maxSessionDuration": 3600, "forceDetachPolicies": False}
    computed = ("arn", "uniqueId", "createDate", "tagsAll")
    auto_name = "name"

    def check(self, news: Props, olds: Props) -> list[tuple[str, str]]:  # noqa: ARG002
        return _broken("assumeRolePolicy", news["assumeRolePolicy"])

    def differs(self, key: str, old: Any, new: Any) -> bool:
        return not _same_document(old, new) if key == "assumeRolePolicy" else bool(old != new)

    def create(self, props: Props, context: Context) -> tuple[str, Props]:
        name = props["name"]
        optional = {"description": "Description", "permissionsBoundary": "PermissionsBoundary"}
        with doing(f"creating IAM Role ({name})"):
            self._api.create_role(
                RoleName=name,
                Path=props["path"],
                AssumeRolePolicyDocument=_text(props["assumeRolePolicy"]),
                MaxSessionDuration=props["maxSessionDuration"],
                Tags=_tag_list(self._all_tags(props)),
                **{theirs: props[ours] for ours, theirs in optional.items() if props.get(ours)},
            )
        return name, self.read(name, props, context) or props

    def read(self, resource_id: str, state: Props, context: Context) -> Props | None:  # noqa: ARG002
        with doing(f"reading IAM Role ({resource_id})"), Existing(GONE):
            role = self._api.get_role(RoleName=resource_id)["Role"]
            tags = {each["Key"]: each["Value"] for each in role.get("Tags", [])}
            document = role["AssumeRolePolicyDocument"]
            known = state.get("assumeRolePolicy")
            return {
                **state,
                "id": resource_id,
                "name": role["RoleName"],
                "arn": role["Arn"],
                "path": role["Path"],
                "uniqueId": role["RoleId"],
                "createDate": role["CreateDate"].isoformat(),
                "assumeRolePolicy": known if known and _same_document(known, document) else json.dumps(document),
                "maxSessionDuration": role.get("MaxSessionDuration", 3600),
                "tagsAll": tags,
                "tags": {key: value for key, value in tags.items() if key in (state.get("tags") or {})},
            }
        return None

    def update(self, resource_id: str, olds: Props, news: Props, context: Context) -> Props:
        changed = self.compare(olds, news, context.ignore)
        with doing(f"updating IAM Role ({resource_id})"):
            if "assumeRolePolicy" in changed:
                self._api.update_assume_role_policy(
                    RoleName=resource_id, PolicyDocument=_text(news["assumeRolePolicy"])
                )
            if {"description", "maxSessionDuration"} & set(changed):
                self._api.update_role(
                    RoleName=resource_id,
                    Description=news.get("description", ""),
                    MaxSessionDuration=news["maxSessionDuration"],
                )
            if "tags" in changed:
                tags = self._all_tags(news)
                gone = [key for key in olds.get("tagsAll") or {} if key not in tags]
                if gone:
                    self._api.untag_role(RoleName=resource_id, TagKeys=gone)
                self._api.tag_role(RoleName=resource_id, Tags=_tag_list(tags))
        return self.read(resource_id, news, context) or news

    def delete(self, resource_id: str, state: Props, context: Context) -> None:  # noqa: ARG002
        with doing(f"deleting IAM Role ({resource_id})"), Existing(GONE):
            if state.get("forceDetachPolicies"):
                attached = self._api.list_attached_role_policies(RoleName=resource_id)["AttachedPolicies"]
                for policy in attached:
                    self._api.detach_role_policy(RoleName=resource_id, PolicyArn=policy["PolicyArn"])
                for name in self._api.list_role_policies(RoleName=resource_id)["PolicyNames"]:
                    self._api.delete_role_policy(RoleName=resource_id, PolicyName=name)
            self._api.delete_role(RoleName=resource_id)


class RolePolicy(_Iam):
    """aws:iam/rolePolicy:RolePolicy: an inline policy."""

    inputs: ClassVar[Inputs] = {"name": str, "policy": DOCUMENT, "role": str}
    required = ("policy", "role")
    force_new = ("name", "role")
    optional_computed = ("name",)
    auto_name = "name"

    def check(self, news: Props, olds: Props) -> list[tuple[str, str]]:  # noqa: ARG002
        return _broken("policy", news["policy"])

    def differs(self, key: str, old: Any, new: Any) -> bool:
        return not _same_document(old, new) if key == "policy" else bool(old != new)

    def create(self, props: Props, context: Context) -> tuple[str, Props]:
        return f"{props['role']}:{props['name']}", self.update("", {}, props, context)

    def read(self, resource_id: str, state: Props, context: Context) -> Props | None:  # noqa: ARG002
        role, _, name = resource_id.partition(":")
        with doing(f"reading IAM Role Policy ({resource_id})"), Existing(GONE):
            document = self._api.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            known = state.get("policy")
            policy = known if known and _same_document(known, document) else json.dumps(document)
            return {**state, "id": resource_id, "role": role, "name": name, "policy": policy}
        return None

    def update(self, resource_id: str, olds: Props, news: Props, context: Context) -> Props:  # noqa: ARG002
        with doing(f"putting IAM Role ({news['role']}) Policy ({news['name']})"):
            self._api.put_role_policy(
                RoleName=news["role"], PolicyName=news["name"], PolicyDocument=_text(news["policy"])
            )
        return {**news, "id": f"{news['role']}:{news['name']}"}

    def delete(self, resource_id: str, state: Props, context: Context) -> None:  # noqa: ARG002
        role, _, name = resource_id.partition(":")
        with doing(f"deleting IAM Role Policy ({resource_id})"), Existing(GONE):
            self._api.delete_role_policy(RoleName=role, PolicyName=name)


class RolePolicyAttachment(_Iam):
    """aws:iam/rolePolicyAttachment:RolePolicyAttachment."""

    inputs: ClassVar[Inputs] = {"policyArn": str, "role": str}
    required = ("policyArn", "role")
    force_new = ("policyArn", "role")

    def create(self, props: Props, context: Context) -> tuple[str, Props]:  # noqa: ARG002
        role, arn = props["role"], props["policyArn"]
        with doing(f"attaching IAM Policy ({arn}) to IAM Role ({role})"):
            self._api.attach_role_policy(RoleName=role, PolicyArn=arn)
        return f"{role}/{arn}", {**props, "id": f"{role}/{arn}"}

    def read(self, resource_id: str, state: Props, context: Context) -> Props | None:  # noqa: ARG002
        role, _, arn = resource_id.partition("/")
        with doing(f"reading IAM Role Policy Attachment ({resource_id})"), Existing(GONE):
            attached = self._api.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
            if any(each["PolicyArn"] == arn for each in attached):
                return {**state, "id": resource_id, "role": role, "policyArn": arn}
        return None

    def delete(self, resource_id: str, state: Props, context: Context) -> None:  # noqa: ARG002
        role, _, arn = resource_id.partition("/")
        with doing(f"detaching IAM Policy ({arn}) from IAM Role ({role})"), Existing(GONE):
            self._api.detach_role_policy(RoleName=role, PolicyArn=arn)


class InstanceProfile(_Iam):
    """aws:iam/instanceProfile:InstanceProfile with at most one role."""

    inputs: ClassVar[Inputs] = {"name": str, "path": str, "role": str, "tags": {"*": str}}
    force_new = ("name", "path")
    optional_computed = ("name",)
    defaults: ClassVar[Props] = {"path": "/"}
    computed = ("arn", "uniqueId", "createDate", "tagsAll")
    auto_name = "name"

    def create(self, props: Props, context: Context) -> tuple[str, Props]:
        name = props["name"]
        with doing(f"creating IAM Instance Profile ({name})"):
            self._api.create_instance_profile(
                InstanceProfileName=name, Path=props["path"], Tags=_tag_list(self._all_tags(props))
            )
            if props.get("role"):
                self._api.add_role_to_instance_profile(InstanceProfileName=name, RoleName=props["role"])
        return name, self.read(name, props, context) or props

    def read(self, resource_id: str, state: Props, context: Context) -> Props | None:  # noqa: ARG002
        with doing(f"reading IAM Instance Profile ({resource_id})"), Existing(GONE):
            profile = self._api.get_instance_profile(InstanceProfileName=resource_id)["InstanceProfile"]
            tags = {each["Key"]: each["Value"] for each in profile.get("Tags", [])}
            return {
                **state,
                "id": resource_id,
                "name": profile["InstanceProfileName"],
                "arn": profile["Arn"],
                "path": profile["Path"],
                "uniqueId": profile["InstanceProfileId"],
                "createDate": profile["CreateDate"].isoformat(),
                "role": profile["Roles"][0]["RoleName"] if profile["Roles"] else None,
                "tagsAll": tags,
                "tags": {key: value for key, value in tags.items() if key in (state.get("tags") or {})},
            }
        return None

    def update(self, resource_id: str, olds: Props, news: Props, context: Context) -> Props:
        changed = self.compare(olds, news, context.ignore)
        with doing(f"updating IAM Instance Profile ({resource_id})"):
            if "role" in changed:
                if olds.get("role"):
                    self._api.remove_role_from_instance_profile(InstanceProfileName=resource_id, RoleName=olds["role"])
                if news.get("role"):
                    self._api.add_role_to_instance_profile(InstanceProfileName=resource_id, RoleName=news["role"])
            if "tags" in changed:
                self._api.tag_instance_profile(InstanceProfileName=resource_id, Tags=_tag_list(self._all_tags(news)))
        return self.read(resource_id, news, context) or news

    def delete(self, resource_id: str, state: Props, context: Context) -> None:  # noqa: ARG002
        with doing(f"deleting IAM Instance Profile ({resource_id})"), Existing(GONE):
            profile = self._api.get_instance_profile(InstanceProfileName=resource_id)["InstanceProfile"]
            for role in profile["Roles"]:
                self._api.remove_role_from_instance_profile(InstanceProfileName=resource_id, RoleName=role["RoleName"])
            self._api.delete_instance_profile(InstanceProfileName=resource_id)
