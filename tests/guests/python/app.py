"""A driver in Python: shares are directories, access rules an exports(5) fragment each. It shows that the contract carries more than Rust."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import lifecycle
from wit_world.imports import bulkhead_driver_types as driver_types
from wit_world.imports import bulkhead_host_types as host_types
from wit_world.imports import config, files, log, private_data

GIB = 1 << 30
SIZE = "size_gib"


def path(share_id=None):
    """The directory of the call's share, or of another share of the call."""
    resource = None if share_id is None else host_types.TargetResource_Share(share_id)
    return host_types.Path(root="shares", pattern="{share}", of_resource=resource)


def fail(code, message):
    return Err(driver_types.Error(code=code, message=message, detail=None))


def not_implemented():
    return fail(driver_types.ErrorCode.NOT_IMPLEMENTED, "this driver does not do this")


def ask(function, *arguments):
    """A host call; its failure becomes the driver's own, which the host can tell apart."""
    codes = host_types.CapabilityCode
    meaning = {
        codes.DENIED: driver_types.ErrorCode.DENIED,
        codes.NO_SPACE: driver_types.ErrorCode.NO_SPACE,
        codes.UNAVAILABLE: driver_types.ErrorCode.BACKEND_UNREACHABLE,
        codes.OUTCOME_UNKNOWN: driver_types.ErrorCode.OUTCOME_UNKNOWN,
        codes.NOT_OWNED: driver_types.ErrorCode.CONFLICT,
    }
    try:
        return function(*arguments)
    except Err as error:
        code = meaning.get(error.value.code, driver_types.ErrorCode.BACKEND_FAILED)
        raise fail(code, error.value.message) from error


def location(share_id=None):
    address = ask(config.get, "export_address")
    return driver_types.ExportLocation(
        path=address.value + ":" + ask(files.location, path(share_id)),
        admin_only=False,
        preferred=False,
        metadata=[],
    )


class Lifecycle(exports.Lifecycle):
    def setup(self):
        ask(files.root_space, "shares")

    def stats(self):
        space = ask(files.root_space, "shares")
        pool = lifecycle.Pool(
            name="shares",
            total_capacity=lifecycle.Capacity_Gib(space.total_bytes / GIB),
            free_capacity=lifecycle.Capacity_Gib(space.free_bytes / GIB),
            allocated_capacity_gib=None,
            provisioned_capacity_gib=None,
            reserved_percentage=0,
            reserved_snapshot_percentage=0,
            reserved_share_extend_percentage=0,
            max_over_subscription_ratio=None,
            thin_provisioning=lifecycle.Support.YES,
            dedupe=lifecycle.Support.NO,
            compression=lifecycle.Support.NO,
            qos=False,
            capabilities=[],
        )
        return lifecycle.Statistics(pools=[pool], replication_types=[], capabilities=[])

    def backend_info(self):
        raise not_implemented()

    def ip_versions(self):
        raise not_implemented()

    def default_filter_function(self):
        raise not_implemented()

    def default_goodness_function(self):
        raise not_implemented()

    def pool_of(self, share):
        return None


def export():
    """The slots of the fragment that lets clients in; the host itself fills in who they are."""
    choice = host_types.PathChoice(pattern="{share}", of_resource=None)
    return "export", [host_types.Slot(name="path", value=host_types.SlotValue_Path(choice))]


def is_address(rule):
    return rule.access_type == driver_types.AccessType.IP


class Shares(exports.Shares):
    def create_share(self, share, server):
        if share.protocol != driver_types.Protocol.NFS:
            raise fail(driver_types.ErrorCode.INVALID_SHARE, "only NFS is served here")
        own = private_data.Owner_Subject()
        known = ask(private_data.get, own, SIZE)
        if known is not None and known.value != str(share.size_gib):
            raise fail(driver_types.ErrorCode.CONFLICT, f"{share.name} is there with {known.value} GiB")
        ask(private_data.set, own, SIZE, str(share.size_gib), private_data.Expected_Anything())
        ask(files.create_directory, path())
        log.write(log.Level.INFO, f"{share.name} is there")
        return [location()]

    def delete_share(self, share, server):
        ask(files.remove_template, *export())
        ask(files.remove, path())
        ask(private_data.remove, private_data.Owner_Subject(), SIZE)

    def ensure_shares(self, shares):
        raise not_implemented()


class Access(exports.Access):
    def update_access(self, share, update, server):
        # All rules are written anew. A fragment without clients would let everybody in, so there is none.
        if any(is_address(rule) for rule in update.rules):
            ask(files.write_template, *export())
        else:
            ask(files.remove_template, *export())
        states = driver_types.RuleState
        return [
            driver_types.RuleOutcome(
                rule_id=rule.id, state=states.ACTIVE if is_address(rule) else states.ERROR, access_key=None
            )
            for rule in update.rules
        ]
