//! What the host guarantees of a slot, in one line.

use bulkhead_model::manifest::{AccessRulesStyle, PathKind, SlotType};

/// The type of a slot as a reviewer reads it.
pub(super) fn slot_type(slot: &SlotType) -> String {
    match slot {
        SlotType::Bytes => "bytes".to_owned(),
        SlotType::Gib => "gib".to_owned(),
        SlotType::Integer { min, max } => format!("integer {min} to {max}"),
        SlotType::Enum { values } => format!("one of {}", values.join(", ")),
        SlotType::Ip => "ip".to_owned(),
        SlotType::Cidr => "cidr".to_owned(),
        SlotType::Port => "port".to_owned(),
        SlotType::Uuid => "uuid".to_owned(),
        SlotType::Name => "name".to_owned(),
        SlotType::Path { kind, root, pattern } => {
            let patterns: Vec<&str> = pattern.iter().map(|pattern| pattern.as_str()).collect();
            format!("path, {}, {root}:{}", path_kind(*kind), patterns.join(&format!(" or {root}:")))
        }
        SlotType::AccessRules { style: AccessRulesStyle::Exports5, .. } => {
            "access rules of the call, as exports(5) lists clients".to_owned()
        }
        SlotType::AccessRules { style: AccessRulesStyle::Ganesha, .. } => {
            "access rules of the call, as CLIENT blocks of NFS-Ganesha".to_owned()
        }
        SlotType::AccessRules { style: AccessRulesStyle::Json, .. } => {
            "access rules of the call, as a JSON array".to_owned()
        }
        SlotType::Opaque { max } => format!("opaque text, at most {max} bytes"),
        SlotType::Secret { of } => format!("secret of {}", of.join(", ")),
    }
}

const fn path_kind(kind: PathKind) -> &'static str {
    match kind {
        PathKind::Existing => "existing",
        PathKind::New => "new",
        PathKind::NewInside => "new-inside",
        PathKind::Remove => "remove",
        PathKind::MountTarget => "mount-target",
        PathKind::Text => "text",
    }
}

/// What holds whatever the driver puts into the slot.
pub(super) const fn guarantee(slot: &SlotType) -> &'static str {
    match slot {
        SlotType::Bytes | SlotType::Gib | SlotType::Integer { .. } | SlotType::Port => {
            "a number; the host prints it"
        }
        SlotType::Enum { .. } => "one of these words",
        SlotType::Ip | SlotType::Cidr => "parsed and printed again by the host",
        SlotType::Uuid => "36 characters of a UUID",
        SlotType::Name => "derived by the host from a resource of the call",
        SlotType::Path { kind: PathKind::Existing, .. } => {
            "an open descriptor: what was checked is what is used, no symbolic link is followed"
        }
        SlotType::Path { kind: PathKind::New, .. } => {
            "descriptor of the parent and one new name; owned by the call's resource from then on"
        }
        SlotType::Path { kind: PathKind::NewInside, .. } => {
            "descriptor of the parent; the program makes the one new name, owned by the call's resource from then on"
        }
        SlotType::Path { kind: PathKind::Remove, .. } => {
            "descriptor of the parent and one name, which must be owned by the call's resource; resolved again by name"
        }
        SlotType::Path { kind: PathKind::MountTarget, .. } => {
            "descriptor of the parent and one name; resolved again by name"
        }
        SlotType::Path { kind: PathKind::Text, .. } => {
            "an absolute path that another process resolves: every parent must be closed to tenants"
        }
        SlotType::AccessRules { .. } => {
            "written by the host from the rules of the call; the driver adds nothing"
        }
        SlotType::Opaque { .. } => "the driver's own text: one whole argument, printable, never an option",
        SlotType::Secret { .. } => "put in by the host; the driver never sees it",
    }
}
