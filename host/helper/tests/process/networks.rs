//! A group's own network: made whole before its first service, the same for as long as the group's addresses are, gone with it.

use crate::helper::Helper;
use crate::services::{Lab, label};
use bulkhead_helper::protocol::{
    GroupInterface, Refusal, ServiceAnswer, ServiceCall, ServiceState, ServiceStatus, StartServices,
};
use bulkhead_model::error::CapabilityCode;
use bulkhead_model::network::{MacAddress, NetworkPlug};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A network namespace with a bridge, and a lab whose group is plugged into it. The namespace goes when it is dropped.
struct Network {
    lab: Lab,
    namespace: String,
}

fn ip(words: &[&str]) -> String {
    let output = Command::new("ip").args(words).output().expect("ip is started");
    assert!(output.status.success(), "ip {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl Network {
    fn new(name: &str) -> Option<Self> {
        let lab = Lab::new()?;
        if Command::new("ip").arg("-V").output().is_err() {
            eprintln!("SKIPPED: programs are missing; type: apt-get install iproute2");
            return None;
        }
        let namespace = format!("bulkhead-{name}-{}", std::process::id());
        ip(&["netns", "add", &namespace]);
        let network = Self { lab, namespace };
        network.make_bridge();
        Some(network)
    }

    fn make_bridge(&self) {
        self.in_bridge(&["link", "add", "br0", "type", "bridge"]);
        self.in_bridge(&["link", "set", "br0", "up"]);
        self.in_bridge(&["address", "add", "10.254.77.1/24", "dev", "br0"]);
    }

    /// The group has its addresses and routes, and the bridge its one port, isolated and up.
    fn expect_whole(&self, what: &str) {
        let addresses = self.in_group(&["-o", "address", "show", "dev", "eth0"]);
        for wanted in ["10.254.77.11/24", "fd77::11/64"] {
            assert!(addresses.contains(wanted), "{what}: {wanted}: {addresses}");
        }
        for (version, gateway) in [("-4", "10.254.77.1"), ("-6", "fd77::1")] {
            let routes = self.in_group(&[version, "route", "show", "default"]);
            let wanted = format!("default via {gateway} dev eth0");
            assert!(routes.starts_with(&wanted) && routes.lines().count() == 1, "{what}: {routes}");
        }
        let inner = self.in_group(&["-o", "link", "show", "dev", "eth0"]);
        assert!(inner.contains("02:62:0a:fe:4d:0b") && inner.contains("LOWER_UP"), "{what}: {inner}");
        let ports = self.in_bridge(&["-o", "-d", "link", "show", "master", "br0"]);
        assert!(ports.lines().count() == 1 && ports.contains("LOWER_UP"), "{what}: {ports}");
        assert!(ports.contains("isolated on"), "{what}: {ports}");
        assert_eq!(self.ports().len(), 1, "{what}");
    }

    /// Where the bridge is.
    fn in_bridge(&self, words: &[&str]) -> String {
        ip(&[&["-n", self.namespace.as_str()], words].concat())
    }

    /// Where the group is.
    fn in_group(&self, words: &[&str]) -> String {
        let keeper = self.lab.keeper().expect("a keeper");
        let output = Command::new("nsenter")
            .args([&format!("--net=/proc/{keeper}/ns/net"), "ip"])
            .args(words)
            .output()
            .expect("nsenter is started");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The ends of pairs at the bridge.
    fn ports(&self) -> Vec<String> {
        let all = self.in_bridge(&["-o", "link", "show", "type", "veth"]);
        let name = |line: &str| line.split(": ").nth(1)?.split('@').next().map(str::to_owned);
        all.lines().filter_map(name).collect()
    }

    fn interface(&self) -> GroupInterface {
        let address = "10.254.77.11/24";
        GroupInterface {
            name: "eth0".to_owned(),
            hardware: MacAddress::derived_from("10.254.77.11".parse().expect("an address")),
            mtu: 1400,
            addresses: vec![address.parse().expect("it"), "fd77::11/64".parse().expect("it")],
            gateways: vec!["10.254.77.1".parse().expect("it"), "fd77::1".parse().expect("it")],
            plug: NetworkPlug { bridge: "br0".to_owned(), namespace: Some(self.namespace.clone()) },
        }
    }

    fn start(&self, interfaces: Vec<GroupInterface>) -> StartServices {
        let victim: Value = json!({
            "name": "victim", "group": "nfs", "reason": "a test", "program": "victim", "args": ["sleep"],
        });
        let ServiceCall::Start(start) = self.lab.start(&[victim]) else { panic!("it is a start") };
        let mut template = Lab::group_template();
        template["instance"] = json!("share-server");
        template["network"] = json!("own");
        StartServices { template: template.to_string(), interfaces, ..start }
    }

    fn begin(&self, helper: &mut Helper) -> Result<ServiceStatus, Refusal> {
        self.try_to_begin(helper, self.start(vec![self.interface()]))
    }

    fn try_to_begin(&self, helper: &mut Helper, start: StartServices) -> Result<ServiceStatus, Refusal> {
        match helper.service(ServiceCall::Start(start)) {
            Ok(ServiceAnswer::Status(status)) => Ok(status),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal),
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _gone = Command::new("ip").args(["netns", "del", &self.namespace]).output();
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_group_has_its_addresses_and_nothing_of_the_machines_network() {
    let Some(network) = Network::new("addresses") else { return };
    let mut helper = network.lab.helper();
    assert_eq!(network.begin(&mut helper).expect("it starts").state, ServiceState::Ready);
    let links = network.in_group(&["-o", "link"]);
    assert_eq!(links.lines().count(), 2, "eth0 and lo: {links}");
    assert!(links.contains("02:62:0a:fe:4d:0b") && links.contains("mtu 1400"), "{links}");
    let addresses = network.in_group(&["-o", "address"]);
    for wanted in ["127.0.0.1/8", "10.254.77.11/24", "fd77::11/64"] {
        assert!(addresses.contains(wanted), "{wanted}: {addresses}");
    }
    assert!(network.in_group(&["route"]).contains("default via 10.254.77.1 dev eth0"));
    assert!(network.in_group(&["-6", "route"]).contains("default via fd77::1 dev eth0"));
    let ports = network.ports();
    assert!(matches!(ports.as_slice(), [port] if port.len() <= 15 && port.starts_with("bh")), "{ports:?}");
    let details = network.in_bridge(&["-d", "link", "show", "type", "veth"]);
    assert!(details.contains("isolated on"), "{details}");
    let ping = Command::new("ip")
        .args(["netns", "exec", &network.namespace, "ping", "-c", "1", "-W", "2", "10.254.77.11"])
        .output();
    if let Ok(ping) = ping.as_ref().map(|output| &output.status)
        && ping.code() != Some(127)
        && Path::new("/usr/bin/ping").exists()
    {
        assert!(ping.success(), "the bridge reaches it");
    }
    network.lab.stop_group(&mut helper);
    assert_eq!(network.ports(), Vec::<String>::new(), "nothing is left at the bridge");
}

#[test]
fn a_group_that_runs_is_left_alone_and_with_other_addresses_refused() {
    let Some(network) = Network::new("again") else { return };
    let mut helper = network.lab.helper();
    let first = network.begin(&mut helper).expect("it starts");
    assert_eq!(network.begin(&mut helper), Ok(first.clone()));
    drop(helper);
    let mut helper = network.lab.helper();
    assert_eq!(network.begin(&mut helper).map(|status| status.started_at_ms), Ok(first.started_at_ms));
    let other = GroupInterface {
        addresses: vec!["10.254.77.12/24".parse().expect("it")],
        gateways: vec!["10.254.77.1".parse().expect("it")],
        ..network.interface()
    };
    let refused = network.try_to_begin(&mut helper, network.start(vec![other.clone()])).expect_err("others");
    assert_eq!(refused.code, CapabilityCode::Conflict, "{refused}");
    network.lab.stop_group(&mut helper);
    network.try_to_begin(&mut helper, network.start(vec![other])).expect("it starts anew");
    assert!(network.in_group(&["-o", "address"]).contains("10.254.77.12/24"));
    network.lab.stop_group(&mut helper);
}

#[test]
fn what_a_running_group_has_lost_of_its_network_is_put_back_and_the_group_runs_on() {
    let Some(network) = Network::new("lost") else { return };
    let mut helper = network.lab.helper();
    let first = network.begin(&mut helper).expect("it starts");
    network.expect_whole("at the start");
    let port = network.ports().pop().expect("a port");
    let in_bridge = |words: &[&str]| drop(network.in_bridge(words));
    let in_group = |words: &[&str]| drop(network.in_group(words));
    let bridge_anew = || {
        in_bridge(&["link", "del", "br0"]);
        network.make_bridge();
    };
    let losses: [(&str, &dyn Fn()); 9] = [
        ("nothing", &|| {}),
        ("the bridge was made again", &bridge_anew),
        ("the port was taken from the bridge", &|| in_bridge(&["link", "set", &port, "nomaster"])),
        ("the port is down", &|| in_bridge(&["link", "set", &port, "down"])),
        ("the pair is gone", &|| in_bridge(&["link", "del", &port])),
        ("the other end was removed", &|| in_group(&["link", "del", "eth0"])),
        ("an address is gone", &|| in_group(&["address", "del", "10.254.77.11/24", "dev", "eth0"])),
        ("the device is down", &|| in_group(&["link", "set", "eth0", "down"])),
        ("another gateway", &|| {
            in_group(&["route", "replace", "default", "via", "10.254.77.9", "dev", "eth0"])
        }),
    ];
    for (what, lose) in losses {
        lose();
        assert_eq!(network.begin(&mut helper).as_ref(), Ok(&first), "{what}");
        network.expect_whole(what);
    }
    // Another helper adopts it.
    in_bridge(&["link", "del", &port]);
    drop(helper);
    let mut helper = network.lab.helper();
    assert_eq!(network.begin(&mut helper).map(|status| status.started_at_ms), Ok(first.started_at_ms));
    network.expect_whole("by another helper");
    network.lab.stop_group(&mut helper);
}

#[test]
fn a_running_group_whose_bridge_is_gone_is_not_started_but_told_of_until_it_is_back() {
    let Some(network) = Network::new("cut-off") else { return };
    let mut helper = network.lab.helper();
    let first = network.begin(&mut helper).expect("it starts");
    network.in_bridge(&["link", "del", "br0"]);
    let refused = network.begin(&mut helper).expect_err("nobody reaches it");
    assert_eq!(refused.code, CapabilityCode::CommandFailed, "{refused}");
    let wanted = format!("ip -n {} link add br0 type bridge", network.namespace);
    assert!(refused.message.contains(&wanted), "{refused}");
    network.make_bridge();
    assert_eq!(network.begin(&mut helper), Ok(first));
    network.expect_whole("with its bridge");
    network.lab.stop_group(&mut helper);
}

#[test]
fn a_group_that_was_killed_leaves_nothing_and_comes_back_the_same() {
    let Some(network) = Network::new("killed") else { return };
    let mut helper = network.lab.helper();
    network.begin(&mut helper).expect("it starts");
    let before = network.in_group(&["-o", "link", "show", "eth0"]);
    let keeper = network.lab.keeper().and_then(rustix::process::Pid::from_raw).expect("a keeper");
    rustix::process::kill_process(keeper, rustix::process::Signal::KILL).expect("it is killed");
    until("the pair goes with the group", || network.ports().is_empty());
    assert_eq!(network.begin(&mut helper).expect("it starts anew").state, ServiceState::Ready);
    let hardware = |text: &str| text.split("link/ether ").nth(1)?.split(' ').next().map(str::to_owned);
    assert_eq!(hardware(&network.in_group(&["-o", "link", "show", "eth0"])), hardware(&before));
    network.lab.stop_group(&mut helper);
}

#[test]
fn what_is_in_the_way_at_the_bridge_is_replaced() {
    let Some(network) = Network::new("stale") else { return };
    let mut helper = network.lab.helper();
    network.begin(&mut helper).expect("it starts");
    let port = network.ports().pop().expect("a port");
    network.lab.stop_group(&mut helper);
    network.in_bridge(&["link", "add", &port, "type", "veth", "peer", "name", "stale0"]);
    network.begin(&mut helper).expect("it starts");
    assert_eq!(network.ports(), [port]);
    network.lab.stop_group(&mut helper);
}

#[test]
fn a_bridge_that_is_not_there_is_named_with_what_to_type_and_nothing_is_left() {
    let Some(network) = Network::new("missing") else { return };
    let mut helper = network.lab.helper();
    let told = |helper: &mut Helper, bridge: &str, namespace: &str| {
        let plug = NetworkPlug { bridge: bridge.to_owned(), namespace: Some(namespace.to_owned()) };
        let interface = GroupInterface { plug, ..network.interface() };
        let refused = network.try_to_begin(helper, network.start(vec![interface])).expect_err("refused");
        assert_eq!(refused.code, CapabilityCode::CommandFailed, "{refused}");
        refused.message
    };
    let missing = told(&mut helper, "br7", &network.namespace);
    assert!(missing.contains(&format!("ip -n {} link add br7 type bridge", network.namespace)), "{missing}");
    let nowhere = told(&mut helper, "br0", "bulkhead-nowhere");
    assert!(nowhere.contains("ip netns add bulkhead-nowhere"), "{nowhere}");
    network.in_bridge(&["link", "add", "dummy9", "type", "veth", "peer", "name", "dummy8"]);
    assert!(told(&mut helper, "dummy9", &network.namespace).contains("name another"));
    network.in_bridge(&["link", "del", "dummy9"]);
    assert_eq!(network.ports(), Vec::<String>::new());
    assert_eq!(network.lab.keeper(), None);
    network.begin(&mut helper).expect("it starts once there is one");
    network.lab.stop_group(&mut helper);
}

#[test]
fn devices_and_template_must_agree() {
    let Some(network) = Network::new("agree") else { return };
    let mut helper = network.lab.helper();
    let own = network.start(vec![network.interface()]);
    let odd = GroupInterface { name: "lo".to_owned(), ..network.interface() };
    for start in [
        network.start(Vec::new()),
        StartServices { template: Lab::group_template().to_string(), ..own },
        network.start(vec![odd]),
        network.start(vec![GroupInterface { addresses: Vec::new(), ..network.interface() }]),
    ] {
        let refused = network.try_to_begin(&mut helper, start).expect_err("refused");
        assert_eq!(refused.code, CapabilityCode::InvalidArgument, "{refused}");
    }
    let status = ServiceCall::Status { group: network.lab.group.clone(), service: label("victim") };
    assert!(
        matches!(helper.service(status), Ok(ServiceAnswer::Status(status)) if status.state == ServiceState::Stopped)
    );
}
