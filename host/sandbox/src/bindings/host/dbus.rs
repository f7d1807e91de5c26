//! `dbus`.

use super::Answer;
use crate::bindings::convert::capability::{error_to_wit, resource_from_wit, slots_from_wit};
use crate::bindings::v0_1::bulkhead::host::dbus::{
    BusOwner, DbusFault, DbusItem as WitItem, DbusReply as WitReply, DbusValue as WitValue, Host,
};
use crate::bindings::v0_1::bulkhead::host::types::Slot as WitSlot;
use crate::state::State;
use bulkhead_capability::dbus::{DbusItem, DbusReply, DbusValue};
use bulkhead_capability::service::ServiceInstance;
use bulkhead_model::error::CapabilityError;

fn owner_from_wit(owner: &BusOwner) -> Result<ServiceInstance, CapabilityError> {
    match owner {
        BusOwner::Backend => Ok(ServiceInstance::Backend),
        BusOwner::OfResource(resource) => resource_from_wit(resource).map(ServiceInstance::Of),
    }
}

impl Host for State {
    async fn call(&mut self, template: String, owner: BusOwner, slots: Vec<WitSlot>) -> Answer<WitReply> {
        let arguments = owner_from_wit(&owner).and_then(|owner| Ok((owner, slots_from_wit(slots)?)));
        let (owner, slots) = match arguments {
            Ok(arguments) => arguments,
            Err(error) => return self.refuse("dbus.call", &template, error).await,
        };
        self.call.dbus().call(&template, &owner, &slots).await.map(reply_to_wit).map_err(error_to_wit)
    }
}

fn reply_to_wit(reply: DbusReply) -> WitReply {
    match reply {
        DbusReply::Results(items) => WitReply::Results(items.into_iter().map(item_to_wit).collect()),
        DbusReply::Fault { name, message } => WitReply::Fault(DbusFault { name, message }),
    }
}

fn item_to_wit(item: DbusItem) -> WitItem {
    let value = match item.value {
        DbusValue::Unsigned(number) => WitValue::Unsigned(number),
        DbusValue::Signed(number) => WitValue::Signed(number),
        DbusValue::Double(number) => WitValue::Double(number),
        DbusValue::Boolean(answer) => WitValue::Boolean(answer),
        DbusValue::Text(text) => WitValue::Text(text),
    };
    WitItem { position: item.position, value }
}
