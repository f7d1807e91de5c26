//! Small components for tests: dummy modules of any world, with any manifest.

use crate::contract::packages;
use wasm_encoder::{ComponentSection as _, CustomSection};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve, SourceMap};

/// A sound manifest that uses every table.
pub(crate) const MANIFEST: &str = r#"[driver]
name = "sample"
vendor = "Example"
version = "1.2.3"
contract = "0.1"
dhss = [false]
protocols = ["NFS"]

[[option]]
name = "export-address"
type = "string"
required = true
help = "where clients find the server"

[[option]]
name = "password"
type = "secret"
help = "what the tool is unlocked with"

[[root]]
name = "shares"
use = "data"
reason = "every share is a directory in it"
paths = ["{share}"]

[[root]]
name = "exports"
use = "config"
reason = "one fragment a share"

[[execute]]
name = "copy-tree"
reason = "a snapshot is a copy"
effect = "change"
repeat = "safe"
program = "cp"
args = ["--archive", "--", "{from}", "{to}"]
slots.from = { type = "path", kind = "existing", root = "shares", pattern = ["{share}", "{share}@{snapshot}"] }
slots.to = { type = "path", kind = "new", root = "shares", pattern = ["{share}@{snapshot}"] }
creates = "to"

[[execute]]
name = "feed"
reason = "the tool reads its words from standard input"
effect = "read"
repeat = "safe"
program = "feeder"
args = ["--size", "{size}", "{label}"]
stdin = "{key}"
slots.size = { type = "gib" }
slots.label = { type = "opaque", max = 64 }
slots.key = { type = "secret", of = ["password"] }

[[file]]
name = "export"
root = "exports"
path = "{share}.exports"
format = "lines"
text = "{path} {clients}"
slots.path = { type = "path", kind = "text", root = "shares", pattern = ["{share}"] }
slots.clients = { type = "access-rules", of = "call", style = "exports5" }

[[file]]
name = "record"
root = "exports"
path = "{share}.json"
format = "json"
text = '{ "size": {size}, "kind": "share" }'
slots.size = { type = "bytes" }

[export-addresses]
from-option = "export-address"

[metadata-keys]
export-location = ["iops"]
supplied = ["mount-options"]
updatable = ["tier", "mount-options"]
updatable-subnet = ["bandwidth"]

[private-data]
backend-scope = "a counter of exports"
counters = ["export-id"]
"#;

/// Further tables: requests to an array's management. Stands behind [`MANIFEST`].
pub(crate) const REQUESTS: &str = r#"
[[option]]
name = "array-user"
type = "string"
default = "bulkhead"
help = "who logs in"

[[option]]
name = "array-password"
type = "secret"
help = "and with what"

[[endpoint]]
name = "array"
reason = "the array's management"

[[session]]
name = "array-session"
reason = "the array wants a login"
endpoint = "array"
credentials = { user = "array-user", password = "array-password" }
timeout = 30

[session.login]
method = "POST"
path = "/v1/session" # login
body = "json"
text = '{"user":{user},"password":{password}}'

[[session.token]]
from = "cookie"
key = "sid"
to = "cookie"
name = "sid"

[[session.token]]
from = "header"
key = "x-csrf-token"
to = "header"
name = "x-csrf" # carried
on = "changes"

[session.expired]
status = [401]

[session.logout]
method = "DELETE"
path = "/v1/session"

[[request]]
name = "create-volume"
reason = "a share is a volume"
effect = "change"
repeat = "safe"
endpoint = "array" # of create
session = "array-session" # of create
method = "POST"
path = "/v1/volumes"
headers.x-trace = "bulkhead"
body = "json" # of create
text = '{"name":{name},"size":{size},"rules":{rules}}'
slots.name = { type = "name" }
slots.size = { type = "gib" }
slots.rules = { type = "access-rules", of = "call", style = "json" }
returns = ["etag"]

[[request]]
name = "delete-volume"
reason = "a share is a volume"
effect = "destroy" # of delete
repeat = "safe"
endpoint = "array"
method = "DELETE"
path = "/v1/volumes/{name}"
slots.name = { type = "name" } # of delete

[[request]]
name = "poll-job"
reason = "the array works on"
effect = "read"
repeat = "safe"
endpoint = "array"
method = "GET" # of poll
path = "/v1/jobs/{job}"
slots.job = { type = "opaque", max = 64 }
scope = "backend" # of poll

[[request]]
name = "tag-form"
reason = "an older way"
effect = "change"
repeat = "once"
endpoint = "array"
method = "POST"
path = "/v1/tags"
body = "form"
text = "name={name}&tag={tag}"
slots.name = { type = "name" }
slots.tag = { type = "enum", values = ["gold", "silver"] }

[[request]]
name = "tag-xml"
reason = "an even older way"
effect = "change"
repeat = "once"
endpoint = "array"
method = "POST"
path = "/v1/tags.xml"
body = "xml"
text = "<v name='{name}'><t>{tag}</t></v>"
slots.name = { type = "name" }
slots.tag = { type = "enum", values = ["gold", "silver"] }
"#;

/// Further tables: what runs beside and beyond a call. Stands behind [`MANIFEST`].
pub(crate) const RUNNING: &str = r#"
[[root]]
name = "kernel"
use = "kernel"
reason = "usage as the kernel counts it"
paths = ["qgroups/0_{number}/referenced"]

[[execute]]
name = "send"
reason = "a replica begins as a stream"
effect = "read"
repeat = "safe"
program = "btrfs"
args = ["send", "{snapshot}"]
slots.snapshot = { type = "path", kind = "existing", root = "shares", pattern = ["{share}@{snapshot}"] }

[[execute]]
name = "receive"
reason = "and ends as a subvolume"
effect = "change"
repeat = "safe"
program = "btrfs"
args = ["receive", "{received}"]
slots.received = { type = "path", kind = "new-inside", root = "shares", pattern = ["{share}@received"] }
creates = "received"
inside = "nfs"

[[pipeline]]
name = "replicate"
reason = "no copy of the stream lies on a disk"
stages = ["send", "receive"]

[[job]]
name = "replicate-large"
reason = "a stream may take hours"
runs = "replicate"
counts-bytes = true

[[group]]
name = "nfs"
reason = "the server sees nothing but what is exported"
instance = "backend"
tmpfs = ["/run"]
bus = "/run/dbus/system_bus_socket"

[[group.bind]]
name = "share"
root = "shares"
pattern = ["{share}"]
at = "/run/exports/{share}"

[[service]]
name = "bus"
group = "nfs"
reason = "the server is told of exports over it"
program = "dbus-daemon"
args = ["--config-file={config}", "--nofork"]
slots.config = { type = "path", kind = "text", root = "exports", pattern = ["{share}.conf"] }
ready = { socket = "/run/dbus/system_bus_socket" }

[[service]]
name = "server"
group = "nfs"
reason = "serves the shares"
program = "ganesha.nfsd"
args = ["-F"]
env.MODE = "plain"
slots.address = { type = "ip" }
slots.port = { type = "port" }
after = ["bus"]
ready = { bus-name = "org.example.nfsd", address = "address", port = "port", seconds = 20 }
restart = true

[[dbus]]
name = "add-export"
reason = "a share appears without a restart"
effect = "change"
repeat = "safe"
group = "nfs"
destination = "org.example.nfsd"
path = "/org/example/nfsd"
interface = "org.example.nfsd.exports"
method = "AddExport"
args = [{ type = "s", value = "EXPORT(Export_Id={id})" }, { type = "q", value = "{id}" }]
slots.id = { type = "integer", min = 1, max = 65535 }
"#;

/// What a sound driver exports and imports.
pub(crate) const WORLD: &str = "
    import bulkhead:host/execute@0.1.0;
    import bulkhead:host/files@0.1.0;
    import bulkhead:host/clock@0.1.0;
    export bulkhead:driver/lifecycle@0.1.0;
    export bulkhead:driver/shares@0.1.0;
    export bulkhead:driver/access@0.1.0;";

/// A component of a world with these lines, which carries `manifests`.
pub(crate) fn component(world: &str, manifests: &[&str]) -> Vec<u8> {
    component_of(|text| text.to_owned(), world, manifests)
}

/// The same against a changed contract.
pub(crate) fn component_of(change: fn(&str) -> String, world: &str, manifests: &[&str]) -> Vec<u8> {
    let mut encoder =
        ComponentEncoder::default().validate(true).module(&module_of(change, world)).expect("a module");
    let mut bytes = encoder.encode().expect("a component");
    for manifest in manifests {
        let section = CustomSection { name: "bulkhead:manifest".into(), data: manifest.as_bytes().into() };
        section.append_to_component(&mut bytes);
    }
    bytes
}

/// The core module of such a component, as cargo would build it.
pub(crate) fn module_of(change: fn(&str) -> String, world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    for files in packages() {
        let mut sources = SourceMap::default();
        for (path, text) in files {
            sources.push_str(path, change(text));
        }
        resolve.push_group(sources.parse().map_err(|(_, error)| error).expect("WIT")).expect("WIT");
    }
    let mut sources = SourceMap::default();
    sources
        .push_str("world.wit", format!("package test:driver;\n{}\nworld sample {{ {world} }}", extra(world)));
    let group = sources.parse().map_err(|(_, error)| error).expect("a world");
    let package = resolve.push_group(group).expect("a world");
    let world = resolve.select_world(&[package], Some("sample")).expect("the world");
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("metadata");
    module
}

/// Interfaces that worlds of tests may name.
fn extra(world: &str) -> &'static str {
    if world.contains("own-") { "interface own-thing { run: func(); }" } else { "" }
}
