"""The IO manager: between assets travel references, never bytes.

Where a release's newest reference lies is `governance.custody.records.release_key`, so the line survives the loss of
Dagster's database.
"""

import dagster as dg

from governance.custody.blobs import Ref
from governance.custody.records import point, pointed
from governance.custody.store import ObjectStore
from governance.tenants import Release


class References(dg.IOManager):
    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    def handle_output(self, context: dg.OutputContext, obj: Ref) -> None:
        point(self.store, Release.parse(context.partition_key), context.asset_key.to_user_string(), obj)

    def load_input(self, context: dg.InputContext) -> Ref:
        return pointed(self.store, Release.parse(context.asset_partition_key), context.asset_key.to_user_string())


@dg.io_manager(required_resource_keys={"store"})
def references(context: dg.InitResourceContext) -> References:
    return References(context.resources.store)
