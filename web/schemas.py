"""The shapes of the API's documents as JSON schemas; metrics and limits take their fields from the types."""

import dataclasses
from typing import Final

from cgroupfs import Limits
from monitor import Usage
from web.image_schemas import IMAGE_SCHEMAS
from web.shapes import (
    ANY,
    ANY_OBJECT,
    FLAG,
    NUMBER,
    TEXT,
    TEXT_MAP,
    TEXTS,
    TIME,
    WHOLE,
    Schema,
    many,
    maybe,
    ref,
    shape,
)

_LIMIT_VALUE: Final = {
    "description": 'A value, "max" for unlimited, null where the kernel offers no such limit.'
}
_STATE: Final = {"type": "string", "enum": ["created", "running", "frozen", "exited"]}
_SCOPE: Final = {"type": "string", "enum": ["read", "operate", "admin"]}
_CLASS: Final = {"type": "string", "enum": ["guaranteed", "burstable", "besteffort"]}

_LIMITS: Final = {field.name: _LIMIT_VALUE for field in dataclasses.fields(Limits)}

_CONTAINER: Final[dict[str, Schema]] = {
    "name": TEXT,
    "state": _STATE,
    "pid": maybe(WHOLE),
    "exit_code": maybe(WHOLE),
    "image": TEXT,
    "labels": TEXT_MAP,
    "created_at": TIME,
    "started_at": maybe(TIME),
    "finished_at": maybe(TIME),
    "class": _CLASS,
    "command": TEXTS,
    "rootfs": TEXT,
    "driver": TEXT,
    "storage_bytes": maybe(WHOLE),
    "network": TEXT,
    "net": maybe(ref("Net")),
    "hostname": TEXT,
    "supervised": FLAG,
    "oom_killed": FLAG,
    "tty": FLAG,
    "stdin": FLAG,
    "signal": maybe(WHOLE),
    "restart": TEXT,
    "restart_count": WHOLE,
    "starts_at": maybe(TIME),
    "oom_score_adj": maybe(WHOLE),
    "notes": TEXTS,
    "health": maybe(shape({"state": TEXT, "failures": WHOLE, "exit_code": maybe(WHOLE), "output": TEXT})),
}

_PUBLISHED: Final[dict[str, Schema]] = {
    "host_ip": TEXT,
    "host_port": WHOLE,
    "container_port": WHOLE,
    "protocol": {"type": "string", "enum": ["tcp", "udp"]},
}

_NET: Final[dict[str, Schema]] = {
    "address": TEXT,
    "prefix": WHOLE,
    "gateway": TEXT,
    "mac": TEXT,
    "link": TEXT,
    "bridge": TEXT,
    "ports": many(shape(_PUBLISHED)),
}

_CHECK: Final = {"section": TEXT, "name": TEXT, "state": TEXT, "detail": TEXT, "advice": TEXT}

_WRITE: Final[dict[str, Schema]] = {
    "controller": TEXT,
    "file": TEXT,
    "before": maybe(TEXT),
    "value": TEXT,
    "read_back": maybe(TEXT),
}

_EVENT: Final[dict[str, Schema]] = {
    "id": WHOLE,
    "time": TIME,
    "monotonic_usec": WHOLE,
    "boot_id": TEXT,
    "type": TEXT,
    "container": maybe(ANY_OBJECT),
    "actor": shape(
        {"kind": {"type": "string", "enum": ["kernel", "operator", "policy", "daemon"]}, "name": TEXT}
    ),
    "reason": TEXT,
    "before": ANY,
    "after": ANY,
    "decision": maybe(TEXT),
    "until": maybe(TIME),
}

_PORT: Final = shape(
    {"host_ip": TEXT, "host_port": WHOLE, "container_port": WHOLE, "protocol": TEXT}, optional=True
)
_VOLUME: Final = shape({"source": TEXT, "target": TEXT, "options": TEXTS}, optional=True)
_TMPFS: Final = shape({"target": TEXT, "size_bytes": WHOLE, "mode": WHOLE, "options": TEXTS}, optional=True)
_DEVICE: Final = shape({"source": TEXT, "target": TEXT, "permissions": TEXT}, optional=True)
_HEALTH: Final = shape(
    {
        "command": TEXTS,
        "interval_sec": NUMBER,
        "timeout_sec": NUMBER,
        "retries": WHOLE,
        "start_period_sec": NUMBER,
    },
    optional=True,
)

_NEW_CONTAINER: Final[dict[str, Schema]] = {
    "name": TEXT,
    "rootfs": TEXT,
    "command": TEXTS,
    "env": TEXT_MAP,
    "workdir": TEXT,
    "user": TEXT,
    "hostname": TEXT,
    "image": TEXT,
    "entrypoint": TEXTS,
    "driver": {"type": "string", "enum": ["", "overlay", "btrfs", "vfs", "devmapper"]},
    "storage_bytes": WHOLE,
    **{
        kind: {"type": "string", "description": "private, host or container:NAME"}
        for kind in ("pid", "ipc", "uts")
    },
    "cgroupns": {"type": "string", "enum": ["private", "host"]},
    "userns": {"type": "string", "description": "host, auto or auto:SIZE"},
    "time_offsets": shape({"monotonic_sec": WHOLE, "boottime_sec": WHOLE}, optional=True),
    "network": {"type": "string", "description": "none, host, bridge or container:NAME"},
    "ip": TEXT,
    "publish": many(_PORT),
    "dns": TEXTS,
    "dns_search": TEXTS,
    "extra_hosts": TEXT_MAP,
    "net_egress_bits_per_sec": WHOLE,
    "net_ingress_bits_per_sec": WHOLE,
    "volumes": many(_VOLUME),
    "tmpfs": many(_TMPFS),
    "shm_bytes": WHOLE,
    "devices": many(_DEVICE),
    "limits": ref("Limits"),
    "rlimits": {"type": "object", "additionalProperties": many(WHOLE)},
    "oom_score_adj": WHOLE,
    "group": TEXT,
    "labels": TEXT_MAP,
    "class": _CLASS,
    "cap_add": TEXTS,
    "cap_drop": TEXTS,
    "seccomp": {"description": '"default", "unconfined" or a profile in docker\'s format'},
    "apparmor": TEXT,
    "selinux": TEXT,
    "mdwe": FLAG,
    "read_only": FLAG,
    "proc": {"type": "string", "enum": ["auto", "limited", "plain"]},
    "tty": FLAG,
    "stdin": FLAG,
    "init": FLAG,
    "restart": {"type": "string", "description": "no, on-failure[:N], always or unless-stopped"},
    "health": _HEALTH,
    "log_max_bytes": WHOLE,
    "log_max_files": WHOLE,
    "stop_signal": TEXT,
    "stop_timeout_sec": NUMBER,
    "auto_remove": FLAG,
}

_INSPECT: Final = _CONTAINER | {
    "limits": maybe(ref("Limits")),
    "owners": TEXT_MAP,
    "cgroups": TEXT_MAP,
    "inode": maybe(WHOLE),
    "holders": TEXTS,
    "spec_limits": ref("Limits"),
}

_SIZE: Final[dict[str, Schema]] = {"rows": WHOLE, "columns": WHOLE}
_EXEC_WISH: Final[dict[str, Schema]] = {
    "command": TEXTS,
    "env": TEXT_MAP,
    "workdir": TEXT,
    "user": TEXT,
    "stdin": FLAG,
    "tty": FLAG,
}
_ATTACHED_LINE: Final[dict[str, Schema]] = {
    "attachment": TEXT,
    "tty": FLAG,
    "stdin": FLAG,
    "stream": TEXT,
    "data_b64": TEXT,
    "exit_code": maybe(WHOLE),
    "cut": TEXT,
}

_GROUP: Final[dict[str, Schema]] = {
    "name": TEXT,
    "created_at": TIME,
    "containers": TEXTS,
    "spec_limits": ref("Limits"),
    "limits": ref("Limits"),
    "owners": TEXT_MAP,
    "cgroups": TEXT_MAP,
}

_NAMED_VOLUME: Final[dict[str, Schema]] = {
    "name": TEXT,
    "path": TEXT,
    "created_at": TIME,
    "containers": TEXTS,
}

_TOKEN: Final[dict[str, Schema]] = {
    "id": TEXT,
    "name": TEXT,
    "scope": _SCOPE,
    "created_at": TIME,
    "expires_at": maybe(TIME),
}

_COLUMN: Final = shape({"min": many(maybe(NUMBER)), "avg": many(maybe(NUMBER)), "max": many(maybe(NUMBER))})

SCHEMAS: Final[dict[str, Schema]] = {
    "Problem": shape(
        {
            "type": TEXT,
            "title": TEXT,
            "status": WHOLE,
            "detail": TEXT,
            "errors": many(shape({"pointer": TEXT, "detail": TEXT})),
            "hint": maybe(TEXT),
            "request_id": TEXT,
        }
    ),
    "Usage": shape({name: maybe(NUMBER) for name in Usage._fields}),
    "Limits": shape(_LIMITS, optional=True, extra=True),
    "Container": shape(
        _CONTAINER | {"usage": maybe(ref("Usage")), "limits": maybe(ref("Limits")), "stale": FLAG}
    ),
    "Net": shape(_NET) | {"description": "A container's place on the bridge; null for every other network."},
    "ContainerList": shape({"containers": many(ref("Container"))}),
    "Inspect": shape(_INSPECT),
    "NewContainer": shape(_NEW_CONTAINER, optional=True)
    | {"anyOf": [{"required": ["rootfs", "command"]}, {"required": ["image"]}]},
    "NewGroup": shape({"name": TEXT, "limits": ref("Limits")}, optional=True) | {"required": ["name"]},
    "Group": shape(_GROUP),
    "GroupList": shape({"groups": many(ref("Group"))}),
    "NewVolume": shape({"name": TEXT}),
    "Volume": shape(_NAMED_VOLUME),
    "VolumeList": shape({"volumes": many(ref("Volume"))}),
    "StopWish": shape({"timeout_sec": NUMBER}, optional=True),
    "Stopped": shape({"changed": FLAG, "state": _STATE, "exit_code": maybe(WHOLE)}),
    "KillWish": shape({"signal": {"type": ["string", "integer"]}}, optional=True),
    "Killed": shape({"changed": FLAG, "state": _STATE}),
    "WaitWish": shape({"timeout_sec": NUMBER}, optional=True),
    "Waited": shape({"exit_code": WHOLE}),
    "ExecWish": shape({**_EXEC_WISH, **_SIZE}, optional=True),
    "AttachWish": shape(_SIZE, optional=True),
    "AttachedLine": shape(_ATTACHED_LINE, optional=True),
    "Input": shape({"data_b64": TEXT, "eof": FLAG, "detach": FLAG, **_SIZE}, optional=True),
    "CopiedLine": shape(
        {"attachment": TEXT, "entries": WHOLE, "skipped": WHOLE, "error": TEXT}, optional=True
    ),
    "InputTaken": shape({"taken_bytes": WHOLE, "ended": FLAG}),
    "FreezeWish": shape({"reason": TEXT, "lease_sec": NUMBER, "timeout_sec": NUMBER}, optional=True),
    "ThawWish": shape({"force": FLAG}, optional=True),
    "FreezeOutcome": shape(
        {"name": TEXT, "changed": FLAG, "state": TEXT, "holders": TEXTS, "decision": maybe(TEXT)}
    ),
    "LimitField": shape(
        {
            "value": _LIMIT_VALUE,
            "owner": maybe(TEXT),
            "baseline": ANY,
            "expires_at": maybe(TIME),
            "waiting": maybe(TEXT),
        }
    ),
    "LimitFields": shape(
        {"fields": {"type": "object", "additionalProperties": ref("LimitField")}, "revision": TEXT}
    ),
    "LimitPatch": {"allOf": [ref("Limits")], "description": 'A merge patch; null or "max" lifts a limit.'},
    "LimitOutcome": shape(
        {
            "name": TEXT,
            "changed": FLAG,
            "status": TEXT,
            "decision": maybe(TEXT),
            "writes": many(shape(_WRITE)),
            "limits": ref("Limits"),
        }
    ),
    "UsageAnswer": shape(
        {
            "taken_at": maybe(TIME),
            "age_sec": maybe(NUMBER),
            "stale": FLAG,
            "usage": maybe(ref("Usage")),
            "sample": maybe(ANY_OBJECT),
        }
    ),
    "History": shape(
        {
            "t": many(NUMBER),
            "metrics": {"type": "object", "additionalProperties": _COLUMN},
            "events": many(ref("Event")),
        }
    ),
    **IMAGE_SCHEMAS,
    "Event": shape(_EVENT),
    "EventPage": shape({"events": many(ref("Event")), "last_id": WHOLE}),
    "Decision": ANY_OBJECT,
    "DecisionPage": shape({"decisions": many(ref("Decision"))}),
    "PolicyList": shape({"policies": many(ANY_OBJECT)}),
    "Host": shape({"hierarchies": many(ANY_OBJECT), "info": ANY_OBJECT}) | {"additionalProperties": True},
    "Doctor": shape({"ok": FLAG, "checks": many(shape(_CHECK))}),
    "ProcessList": shape(
        {
            "processes": many(
                shape(
                    {
                        "pid": WHOLE,
                        "ppid": WHOLE,
                        "user": TEXT,
                        "state": TEXT,
                        "rss_bytes": WHOLE,
                        "command": TEXT,
                    }
                )
            )
        }
    ),
    "Health": shape(
        {
            "status": {"type": "string", "enum": ["ok", "degraded", "stale"]},
            "sweep_age_sec": maybe(NUMBER),
            "reasons": TEXTS,
        }
    ),
    "Version": ANY_OBJECT,
    "LoginCode": shape({"code": TEXT}),
    "LoginLink": shape({"code": TEXT, "url": maybe(TEXT), "expires_in_sec": WHOLE}),
    "ScopeWish": shape({"scope": _SCOPE}, optional=True),
    "Whoami": shape({"kind": TEXT, "name": TEXT, "scope": _SCOPE}),
    "Token": shape(_TOKEN),
    "TokenList": shape({"tokens": many(ref("Token"))}),
    "TokenWish": shape({"name": TEXT, "scope": _SCOPE, "expires_in_sec": NUMBER}, optional=True),
    "NewToken": shape(_TOKEN | {"token": TEXT}),
}
