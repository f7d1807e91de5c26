use super::*;
use ipnet::IpSubnets;
use serde_json::{Value, json};

fn declared(value: Value) -> NetworkDeclaration {
    serde_json::from_value(value).expect("a declaration")
}

fn network(value: Value) -> Network {
    declared(value).network().expect("a sound network")
}

fn refused(value: Value) -> InvalidNetwork {
    declared(value).network().expect_err("refused")
}

/// What may be given out as Manila prints it: the fewest networks.
fn allowed(network: &Network) -> Vec<String> {
    let subnets = network.ranges.iter().map(|range| match (range.first, range.last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => IpSubnets::from(ipnet::Ipv4Subnets::new(first, last, 0)),
        (IpAddr::V6(first), IpAddr::V6(last)) => IpSubnets::from(ipnet::Ipv6Subnets::new(first, last, 0)),
        _ => unreachable!("ends of two versions"),
    });
    subnets.flatten().map(|subnet| subnet.to_string()).collect()
}

fn texts(addresses: &[IpAddr]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

/// Contract N-01. The network is written without the gateway's host bits.
#[test]
fn a_gateway_and_a_mask_make_a_network() {
    for mask in [json!(24), json!("24"), json!("255.255.255.0")] {
        let network = network(json!({ "gateway": "10.0.0.1", "mask": mask }));
        assert_eq!(network.ip_version(), IpVersion::V4);
        assert_eq!(network.data.cidr.to_string(), "10.0.0.0/24");
        assert_eq!(allowed(&network), ["10.0.0.0/24"]);
        assert_eq!(texts(&network.reserved), ["10.0.0.0", "10.0.0.1", "10.0.0.255"]);
        assert_eq!((network.data.network_type, network.data.segmentation_id), (None, None));
        assert_eq!(network.data.mtu, 1500);
    }
}

/// Contract N-02.
#[test]
fn ranges_narrow_what_is_given_out() {
    let network = network(json!({
        "gateway": "10.0.0.1", "mask": "255.255.0.0", "network-type": "vlan", "segmentation-id": 1001,
        "allowed-ip-ranges": ["10.0.0.3-10.0.0.7", "10.0.0.69-10.0.0.157", "10.0.0.213"],
    }));
    assert_eq!(
        allowed(&network),
        [
            "10.0.0.3/32",
            "10.0.0.4/30",
            "10.0.0.69/32",
            "10.0.0.70/31",
            "10.0.0.72/29",
            "10.0.0.80/28",
            "10.0.0.96/27",
            "10.0.0.128/28",
            "10.0.0.144/29",
            "10.0.0.152/30",
            "10.0.0.156/31",
            "10.0.0.213/32",
        ]
    );
    assert_eq!(texts(&network.reserved), ["10.0.0.0", "10.0.0.1", "10.0.255.255"]);
    assert_eq!(network.data.network_type, Some(NetworkType::Vlan));
    assert_eq!(network.data.segmentation_id, Some(1001));
    assert!(network.gives("10.0.0.213".parse().expect("an address")));
    assert!(!network.gives("10.0.0.8".parse().expect("an address")));
}

/// Contract N-03.
#[test]
fn an_ipv6_network_keeps_its_first_and_last_address_too() {
    let network = network(json!({ "gateway": "2001:cdba::3257:9652", "mask": 48 }));
    assert_eq!(network.ip_version(), IpVersion::V6);
    assert_eq!(
        texts(&network.reserved),
        ["2001:cdba::", "2001:cdba::3257:9652", "2001:cdba:0:ffff:ffff:ffff:ffff:ffff"]
    );
}

/// Contract N-04.
#[test]
fn ranges_of_ipv6_may_be_spelled_in_any_way() {
    let network = network(json!({
        "gateway": "2001:db8::1", "mask": 88, "network-type": "vlan", "segmentation-id": 3999,
        "allowed-ip-ranges": ["2001:db8::-2001:0db8:0000:0000:0000:0000:007f:ffff"],
    }));
    assert_eq!(allowed(&network), ["2001:db8::/105"]);
    assert_eq!(texts(&network.reserved), ["2001:db8::", "2001:db8::1", "2001:db8::ff:ffff:ffff"]);
}

/// Contract N-05.
#[test]
fn the_type_of_a_network_is_one_of_four_words_and_has_the_id_it_needs() {
    for (word, id) in [("flat", None), ("vlan", Some(1)), ("vxlan", Some(1)), ("gre", Some(1))] {
        network(json!({ "gateway": "10.0.0.1", "mask": 24, "network-type": word, "segmentation-id": id }));
    }
    for word in ["foo", "foovlan", "vlanfoo", "foovlanbar", "None", "Vlan", "vlaN"] {
        let invalid = refused(json!({ "gateway": "10.0.0.1", "mask": 24, "network-type": word }));
        assert_eq!(invalid.key, "network-type", "{invalid}");
    }
    for (word, id) in [("vlan", None), ("vlan", Some(4095)), ("flat", Some(7))] {
        let network =
            json!({ "gateway": "10.0.0.1", "mask": 24, "network-type": word, "segmentation-id": id });
        assert_eq!(refused(network).key, "segmentation-id");
    }
}

/// Contract N-06, N-07.
#[test]
fn a_network_needs_a_gateway_and_a_mask_that_fit() {
    for missing in [json!({}), json!({ "gateway": "20.0.0.1" }), json!({ "mask": 24 })] {
        let error = serde_json::from_value::<NetworkDeclaration>(missing).expect_err("incomplete");
        assert!(error.to_string().contains("missing field"), "{error}");
    }
    for (gateway, mask, key) in [
        ("20.0.0.1", json!(33), "mask"),
        ("20.0.0.1", json!(0), "mask"),
        ("20.0.0.1", json!("255.0.255.0"), "mask"),
        ("20.0.0.1", json!("ffff:ffff::"), "mask"),
        ("20.0.0.256", json!(24), "gateway"),
        ("20.0.0.1/24", json!(24), "gateway"),
        ("router", json!(24), "gateway"),
        ("010.0.0.1", json!(24), "gateway"),
        ("fd00::1%eth0", json!(64), "gateway"),
        ("fe80::1", json!(64), "gateway"),
        ("255.255.255.1", json!(24), "gateway"),
        ("20.0.0.1", json!("+24"), "mask"),
        ("20.0.0.1", json!("024"), "mask"),
        ("20.0.0.0", json!(24), "gateway"),
        ("20.0.0.255", json!(24), "gateway"),
        ("2001:db8::1", json!(129), "mask"),
        ("2001:db8::1", json!("255.255.255.0"), "mask"),
        ("20.0.0.1", json!(32), "mask"),
    ] {
        assert_eq!(refused(json!({ "gateway": gateway, "mask": mask })).key, key, "{gateway} {mask}");
    }
}

/// Contract N-08.
#[test]
fn a_bad_range_is_refused_with_what_to_write() {
    for (ranges, words) in [
        (vec!["fake"], "no address"),
        (vec!["11.0.0.0-11.0.0.5-11.0.0.11"], "more than one '-'"),
        (vec!["11.0.0.0-11.0.0.5"], "outside the network 10.0.0.0/24"),
        (vec!["10.0.10.0-10.0.10.5"], "outside the network 10.0.0.0/24"),
        (vec!["10.0.0.3-10.0.0.7", "fake"], "no address"),
        (vec!["10.0.0.3-10.0.0.7", "11.0.0.1"], "outside the network"),
        (vec!["10.0.0.7-10.0.0.3"], "write \"10.0.0.3-10.0.0.7\""),
        (vec!["10.0.0.3-fake"], "no address"),
        (vec!["10.0.0.3-10.0.0.7", "10.0.0.5-10.0.0.9"], "write \"10.0.0.3-10.0.0.9\""),
        (vec!["2001:db8::1"], "outside the network"),
        (vec!["10.0.0.1"], "no address is left"),
    ] {
        let network = json!({ "gateway": "10.0.0.1", "mask": 24, "allowed-ip-ranges": ranges });
        let invalid = refused(network);
        assert_eq!(invalid.key, "allowed-ip-ranges");
        assert!(invalid.to_string().contains(words), "{invalid}");
    }
}

/// Contract N-09, N-18. The version is the gateway's, so that the two cannot differ.
#[test]
fn one_label_has_one_network_of_each_version_ipv4_first() {
    let (v4, v6) =
        (json!({ "gateway": "10.0.0.1", "mask": 24 }), json!({ "gateway": "2001:db8::1", "mask": 64 }));
    let grants =
        |user: Value| -> NetworkGrants { serde_json::from_value(json!({ "user": user })).expect("grants") };
    let both = grants(json!([v6, v4])).networks(AllocationLabel::User).expect("sound");
    assert_eq!(both.iter().map(Network::ip_version).collect::<Vec<_>>(), [IpVersion::V4, IpVersion::V6]);
    let (position, twice) = grants(json!([v4, v4])).networks(AllocationLabel::User).expect_err("twice");
    assert!(position == 1 && twice.to_string().contains("allowed-ip-ranges"), "{twice}");
    assert_eq!(grants(json!([v4])).networks(AllocationLabel::Admin), Ok(Vec::new()));
}

/// Contract N-19. It is refused, and what is compared are numbers, so that a gateway is never given out.
#[test]
fn a_gateway_in_a_strange_spelling_is_refused_with_the_usual_one() {
    for (given, usual) in [
        ("2001:db8::0001", "2001:db8::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("2001:db8:0:0::1", "2001:db8::1"),
    ] {
        let invalid = refused(json!({ "gateway": given, "mask": 64 }));
        assert_eq!((invalid.key, invalid.advice), ("gateway", format!("write \"{usual}\"")));
    }
}

/// 10.0.0.2 and ::ffff:10.0.0.2 are one address: two backends would each give it out.
#[test]
fn a_network_that_no_machine_can_be_in_or_whose_addresses_have_two_spellings_is_refused() {
    for (gateway, mask) in [
        ("224.0.0.1", 24),
        ("ff02::1", 64),
        ("0.0.0.0", 31),
        ("::", 127),
        ("::ffff:10.0.0.1", 120),
        ("::ffff:10.0.0.1", 96),
        ("::1:0:0:1", 64),
        ("::1", 64),
    ] {
        let invalid = refused(json!({ "gateway": gateway, "mask": mask }));
        assert_eq!(invalid.key, "gateway", "{gateway}/{mask}: {invalid}");
    }
    assert!(network(json!({ "gateway": "::1:0:0:1", "mask": 96 })).plug.is_none(), "beside them");
}

#[test]
fn networks_of_two_addresses_give_out_the_one_that_is_not_the_gateways() {
    let pair = network(json!({ "gateway": "10.0.0.0", "mask": 31 }));
    assert_eq!(texts(&pair.reserved), ["10.0.0.0"]);
    assert!(pair.gives("10.0.0.1".parse().expect("an address")));
    let pair = network(json!({ "gateway": "2001:db8::1", "mask": 127 }));
    assert!(pair.gives("2001:db8::".parse().expect("an address")));
}

#[test]
fn a_packet_size_that_no_network_has_is_refused() {
    for (gateway, mtu) in [("10.0.0.1", 67), ("10.0.0.1", 65_536), ("2001:db8::1", 1279)] {
        assert_eq!(refused(json!({ "gateway": gateway, "mask": 24, "mtu": mtu })).key, "mtu");
    }
    assert_eq!(network(json!({ "gateway": "10.0.0.1", "mask": 24, "mtu": 9000 })).data.mtu, 9000);
}

#[test]
fn a_grant_that_says_nothing_of_networks_is_written_without_them() {
    let grant = crate::grant::Grant::default();
    let written = serde_json::to_value(&grant).expect("JSON");
    assert_eq!(written.get("networks"), None);
    assert_eq!(serde_json::from_value::<crate::grant::Grant>(written).expect("a grant"), grant);
}

#[test]
fn a_network_names_the_bridge_that_share_servers_are_plugged_into() {
    let plain = json!({ "gateway": "10.0.0.1", "mask": 24 });
    assert_eq!(network(plain).plug, None);
    let here = network(json!({ "gateway": "10.0.0.1", "mask": 24, "bridge": "br0" }));
    assert_eq!(here.plug, Some(NetworkPlug { bridge: "br0".to_owned(), namespace: None }));
    let there = json!({ "gateway": "10.0.0.1", "mask": 24, "bridge": "br0", "namespace": "blue" });
    let plug = network(there).plug.expect("a bridge");
    assert_eq!(plug.to_string(), "bridge 'br0' of network namespace 'blue'");
}

#[test]
fn a_bridge_that_can_be_none_is_refused_with_what_to_write() {
    let of = |more: Value| {
        let mut value = json!({ "gateway": "10.0.0.1", "mask": 24 });
        if let (Value::Object(all), Value::Object(more)) = (&mut value, more) {
            all.extend(more);
        }
        refused(value).to_string()
    };
    for name in ["", "br 0", "../br0", "a-name-of-16-byt", ".", "br/0", "-br0"] {
        assert!(of(json!({ "bridge": name })).contains("no name of a network device"), "{name}");
    }
    for name in ["", "../../proc/1/ns/net", "a/b", ".."] {
        let told = of(json!({ "bridge": "br0", "namespace": name }));
        assert!(told.contains("ip netns list"), "{told}");
    }
    assert!(of(json!({ "namespace": "blue" })).contains("bridge = \"br0\""));
    for network_type in ["vxlan", "gre"] {
        let told = of(json!({ "bridge": "br0", "network-type": network_type, "segmentation-id": 7 }));
        assert!(told.contains("flat and vlan networks only"), "{told}");
    }
}

#[test]
fn two_segments_have_two_bridges() {
    let user = |more: &str| {
        let text = format!(r#"{{ "gateway": "10.0.0.1", "mask": 24, "bridge": "br0" {more} }}"#);
        serde_json::from_str::<NetworkDeclaration>(&text).expect("a declaration")
    };
    let admin = |bridge: &str, more: &str| {
        let text = format!(r#"{{ "gateway": "10.1.0.1", "mask": 24, "bridge": "{bridge}" {more} }}"#);
        serde_json::from_str::<NetworkDeclaration>(&text).expect("a declaration")
    };
    let checked = |user: NetworkDeclaration, admin: NetworkDeclaration| {
        NetworkGrants { user: vec![user], admin: vec![admin], ..NetworkGrants::default() }.check_plugs()
    };
    let vlan = r#", "network-type": "vlan", "segmentation-id": 7"#;
    assert_eq!(checked(user(""), admin("br0", "")), Ok(()), "one segment, two networks");
    assert_eq!(checked(user(""), admin("br0", r#", "network-type": "flat", "segmentation-id": 0"#)), Ok(()));
    assert_eq!(checked(user(vlan), admin("br1", "")), Ok(()));
    let (label, position, invalid) = checked(user(vlan), admin("br0", "")).expect_err("one bridge for two");
    assert_eq!((label, position), (AllocationLabel::Admin, 0));
    assert!(invalid.to_string().contains("a bridge of its own"), "{invalid}");
}
